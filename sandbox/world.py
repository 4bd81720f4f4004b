"""What exists: accounts, channels, posts, private chats, and the order in which it changed. No MTProto here.

Every change is one `Change` value. `World.plan_*` decides what a change will be without touching anything, and
`World.apply` carries it out; so a change can be written to a journal between the two, and a journal replays by
`apply` alone.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b

Entity = tuple[str, int, int, str]
"""Kind (`bold`, `url`, `text_url` …), offset and length in UTF-16 units, and the kind's argument or ''."""


MAX_EVENTS = 1000
"""Events kept per channel; clients that missed more than 100 are sent to the history anyway."""


class WorldError(Exception):
    """A change or a question about something that doesn't exist; the text names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    id: int
    first_name: str
    last_name: str
    username: str
    phone: str
    """Digits without a plus; '' for a bot."""
    token: str = ""
    """A bot's token; '' for a user."""

    @property
    def is_bot(self) -> bool:
        return bool(self.token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One message of a channel. Millions of them may exist, so defaults carry most fields."""

    id: int
    date: int
    text: str = ""
    entities: tuple[Entity, ...] = ()
    media: str = ""
    """`photo`, `document` or ''."""
    service: str = ""
    """`create`, `title`, `pin` or '' for an ordinary post."""
    edited: int = 0
    """When it was last edited; 0 for never."""
    reply_to: int = 0
    grouped_id: int = 0
    views: int = 0
    forwards: int = 0
    forwarded_from: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One step of a channel's pts, kept for differences."""

    pts: int
    count: int
    kind: str
    """`new`, `edit` or `delete`."""
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    channel_id: int
    at: int
    posts: tuple[Post, ...]
    silent: bool = False
    """Never pushed: only differences and history show it, as a lost update would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    channel_id: int
    at: int
    id: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    channel_id: int
    at: int
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A private message: it has an id of its own in the sender's and in the receiver's box."""

    at: int
    sender: int
    receiver: int
    sender_message: int
    receiver_message: int
    text: str
    entities: tuple[Entity, ...] = ()
    reply_to: int = 0
    """In the sender's numbering."""
    random_id: int = 0


Change = Posted | Edited | Deleted | Sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One account's copy of a private message."""

    id: int
    peer: int
    out: bool
    date: int
    text: str
    entities: tuple[Entity, ...]
    reply_to: int
    twin: int
    """The id of the other side's copy."""
    pts: int


@dataclass(slots=True)
class Box:
    """One account's private messages. Ids and pts are the account's own and rise together."""

    letters: list[Letter] = field(default_factory=list)
    by_random_id: dict[tuple[int, int], Letter] = field(default_factory=dict)

    @property
    def top(self) -> int:
        return self.letters[-1].id if self.letters else 0

    @property
    def pts(self) -> int:
        """The account's common pts. Never 0: clients take that for 'unknown'."""
        return 1 + len(self.letters)

    def with_peer(self, peer: int) -> list[Letter]:
        return [letter for letter in self.letters if letter.peer == peer]

    def find(self, message_id: int) -> Letter | None:
        index = bisect_left(self.letters, message_id, key=lambda letter: letter.id)
        return self.letters[index] if index < len(self.letters) and self.letters[index].id == message_id else None


@dataclass(slots=True, kw_only=True)
class Channel:
    id: int
    username: str | None
    """None for a private channel."""
    title: str
    about: str = ""
    date: int = 0
    broadcast: bool = True
    generated: bool = True
    members: set[int] = field(default_factory=set)
    ids: list[int] = field(default_factory=list)
    posts: dict[int, Post] = field(default_factory=dict)
    encoded: dict[int, bytes] = field(default_factory=dict)
    """Finished message bytes by id, filled and read by the codec; opaque here, dropped when a post changes."""
    top_ever: int = 0
    pts: int = 1
    first_pts: int = 1
    """Differences from before this pts can't be told."""
    events: list[Event] = field(default_factory=list)
    deleted: list[int] = field(default_factory=list)
    moved_at: int = 0
    """When pts last moved; 0 for never since generation."""

    @property
    def top(self) -> int:
        return self.ids[-1] if self.ids else 0

    def fill(self, posts: Iterable[Post]) -> None:
        """Give a new channel its first posts; they are no events."""
        for post in posts:
            self.posts[post.id] = post
        self.ids = sorted(self.posts)
        self.top_ever = self.top
        self.pts = self.first_pts = max(1, len(self.ids))

    def events_after(self, pts: int) -> Iterator[Event]:
        for index in range(bisect_left(self.events, pts + 1, key=lambda event: event.pts), len(self.events)):
            yield self.events[index]

    def page(self, *, offset_id: int, offset_date: int, add_offset: int, limit: int) -> list[int]:
        """Ids of one page of history, newest first, by the service's own arithmetic.

        The offset is a place between two messages; `add_offset` moves it, negative towards newer ones.
        """
        if offset_id > 0:
            place = bisect_left(self.ids, offset_id)
        elif offset_date > 0:
            place = bisect_left(self.ids, offset_date, key=lambda id_: self.posts[id_].date)
        else:
            place = len(self.ids)
        return page_slice(self.ids, place, add_offset, limit)

    def step(self, kind: str, ids: tuple[int, ...], at: int) -> Event:
        count = len(ids) if kind == "delete" else 1
        self.pts += count
        self.moved_at = max(self.moved_at, at)
        event = Event(self.pts, count, kind, ids)
        self.events.append(event)
        if len(self.events) > MAX_EVENTS:
            del self.events[: MAX_EVENTS // 2]
            self.first_pts = self.events[0].pts - self.events[0].count
        return event


def page_slice(ids: Sequence[int], place: int, add_offset: int, limit: int) -> list[int]:
    """`limit` ids that end `add_offset` before `place`, newest first, clipped at both ends."""
    top = place - add_offset
    low = max(0, top - limit)
    return list(reversed(ids[low : max(0, top)]))


class World:
    """Everything one sandbox holds."""

    def __init__(self, seed: int, accounts: Iterable[Account], channels: Iterable[Channel]) -> None:
        self.seed = seed
        self.accounts = {account.id: account for account in accounts}
        self.channels = {channel.id: channel for channel in channels}
        self.boxes = {account_id: Box() for account_id in self.accounts}
        self._by_name: dict[str, Account | Channel] = {a.username.lower(): a for a in self.accounts.values()}
        self._by_name |= {c.username.lower(): c for c in self.channels.values() if c.username}

    # Questions

    def access_hash(self, account_id: int, peer: str, peer_id: int) -> int:
        """The handle by which this account alone may speak of a peer; `peer` is `user` or `channel`."""
        text = f"{self.seed}/{account_id}/{peer}/{peer_id}".encode()
        return int.from_bytes(blake2b(text, digest_size=8, key=b"access hash").digest(), "little", signed=True) or 1

    def named(self, username: str) -> Account | Channel | None:
        return self._by_name.get(username.lower())

    def account(self, ref: int | str) -> Account:
        """By id, username or phone. Raises WorldError."""
        text = str(ref).lstrip("+@")
        found = self.accounts.get(int(text)) if text.isdecimal() else self.named(text)
        if isinstance(found, Account):
            return found
        for account in self.accounts.values():
            if text and account.phone == text:
                return account
        raise WorldError(f"no account {ref!r}; /world lists them")

    def channel(self, ref: int | str) -> Channel:
        """By id or username. Raises WorldError."""
        text = str(ref).lstrip("@")
        found = self.channels.get(int(text)) if text.isdecimal() else self.named(text)
        if not isinstance(found, Channel):
            raise WorldError(f"no channel {ref!r}; /world lists them")
        return found

    def channels_of(self, account_id: int) -> list[Channel]:
        return [channel for channel in self.channels.values() if account_id in channel.members]

    # Plans

    def plan_posts(self, channel: Channel, drafts: Sequence[Callable[[int], Post]], at: int, *, silent: bool) -> Posted:
        """Each draft makes its post from the id it gets; ids are never used twice, deleted or not."""
        first = channel.top_ever + 1
        posts = tuple(draft(first + index) for index, draft in enumerate(drafts))
        return Posted(channel_id=channel.id, at=at, posts=posts, silent=silent)

    def plan_edit(self, channel: Channel, post_id: int, text: str, at: int) -> Edited:
        post = channel.posts.get(post_id)
        if post is None or post.service:
            raise WorldError(f"channel {channel.id} has no post {post_id} that could be edited")
        return Edited(channel_id=channel.id, at=at, id=post_id, text=text)

    def plan_delete(self, channel: Channel, ids: Iterable[int], at: int) -> Deleted:
        """Only ids that exist; the others are gone already, as the service sees it."""
        return Deleted(channel_id=channel.id, at=at, ids=tuple(sorted({i for i in ids if i in channel.posts})))

    def plan_letter(
        self,
        sender: int,
        receiver: int,
        text: str,
        at: int,
        *,
        entities: tuple[Entity, ...],
        reply_to: int,
        random_id: int,
    ) -> Sent:
        mine, theirs = self.boxes[sender], self.boxes[receiver]
        return Sent(
            at=at,
            sender=sender,
            receiver=receiver,
            sender_message=mine.top + 1,
            receiver_message=theirs.top + 1,
            text=text,
            entities=entities,
            reply_to=reply_to,
            random_id=random_id,
        )

    # Changes

    def apply(self, change: Change) -> list[Event]:
        """Carry out a change; the channel events it made, in order (none for a private message)."""
        match change:
            case Posted():
                return self._post(change)
            case Edited():
                return self._edit(change)
            case Deleted():
                return self._delete(change)
            case Sent():
                self._send(change)
                return []

    def _post(self, change: Posted) -> list[Event]:
        channel = self.channels[change.channel_id]
        events = []
        for post in change.posts:
            channel.posts[post.id] = post
            channel.ids.append(post.id)
            channel.top_ever = post.id
            events.append(channel.step("new", (post.id,), change.at))
        return events

    def _edit(self, change: Edited) -> list[Event]:
        channel = self.channels[change.channel_id]
        channel.posts[change.id] = replace(channel.posts[change.id], text=change.text, entities=(), edited=change.at)
        channel.encoded.pop(change.id, None)
        return [channel.step("edit", (change.id,), change.at)]

    def _delete(self, change: Deleted) -> list[Event]:
        if not change.ids:
            return []
        channel = self.channels[change.channel_id]
        for post_id in change.ids:
            del channel.posts[post_id]
            channel.encoded.pop(post_id, None)
        gone = set(change.ids)
        channel.ids = [post_id for post_id in channel.ids if post_id not in gone]
        channel.deleted.extend(change.ids)
        return [channel.step("delete", change.ids, change.at)]

    def _send(self, change: Sent) -> None:
        reply = self.boxes[change.sender].find(change.reply_to) if change.reply_to else None
        sides = [(change.sender, change.receiver, True), (change.receiver, change.sender, False)]
        for owner, peer, out in sides[: 1 if change.sender == change.receiver else 2]:
            box = self.boxes[owner]
            letter = Letter(
                id=change.sender_message if out else change.receiver_message,
                peer=peer,
                out=out,
                date=change.at,
                text=change.text,
                entities=change.entities,
                reply_to=0 if reply is None else reply.id if out else reply.twin,
                twin=change.receiver_message if out else change.sender_message,
                pts=box.pts + 1,
            )
            box.letters.append(letter)
            if out and change.random_id:
                box.by_random_id[peer, change.random_id] = letter
