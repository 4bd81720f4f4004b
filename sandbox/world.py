"""What exists: accounts, channels, posts, private chats, and the order in which it changed. No MTProto here.

Every change is one value of `changes.Change`. `plans` decides what a change will be without touching anything, and
`World.apply` carries it out; so a change can be written to a journal between the two, and a journal replays by `apply`
alone.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import assert_never

from sandbox.changes import (
    Altered,
    Change,
    Counted,
    Deleted,
    Edited,
    Filed,
    Founded,
    Grown,
    Moved,
    Posted,
    Reworded,
    Secured,
    Sent,
    given,
)
from sandbox.channels import Channel, Event
from sandbox.clock import Clock
from sandbox.letters import Box, Letter
from sandbox.posts import Maker, Post, Posts, Shelf

DC_ID = 203
"""No data centre of the real service has this number, so a session of the sandbox can be told by it."""
OTHER_DC_ID = 204
"""The second one: accounts and files may live there, and clients are sent from one to the other."""
DC_IDS = (DC_ID, OTHER_DC_ID)


class WorldError(Exception):
    """A change or a question about something that doesn't exist or can't be; the text names it."""


class MissingError(WorldError):
    """What was named doesn't exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    id: int
    first_name: str
    last_name: str
    username: str
    phone: str
    """Digits without a plus; '' for a bot."""
    dc_id: int
    """The data centre it lives in."""
    token: str = ""
    """A bot's token; '' for a user."""
    password: str = ""
    """The second factor; '' for none."""

    @property
    def is_bot(self) -> bool:
        return bool(self.token)


class World:
    """Everything one sandbox holds.

    `founded` makes the maker of a channel that comes to be later, from its id.
    """

    def __init__(
        self,
        seed: int,
        accounts: Iterable[Account],
        channels: Iterable[Channel],
        founded: Callable[[int], Maker] | None = None,
    ) -> None:
        self.seed = seed
        self.clock = Clock()
        self.accounts = {account.id: account for account in accounts}
        self.channels = {channel.id: channel for channel in channels}
        self.boxes = {account_id: Box() for account_id in self.accounts}
        self.moves: defaultdict[int, dict[int, int]] = defaultdict(dict)
        """When an account's standing in a channel last changed and it may hear of it, by account and channel."""
        self.folders: defaultdict[int, dict[int, Filed]] = defaultdict(dict)
        """Of dialogs, by account and id."""
        self.shelf = Shelf()
        self.references = 1
        """Counted up when every file reference given out so far expires."""
        self.files_dc = DC_ID
        """The data centre that files lie in."""
        self._founded = founded
        self._by_name: dict[str, int] = {a.username.lower(): a.id for a in self.accounts.values()}
        self._by_phone = {a.phone: a.id for a in self.accounts.values() if a.phone}
        self._by_invite: dict[str, int] = {}
        self._joined: defaultdict[int, dict[int, None]] = defaultdict(dict)
        for channel in self.channels.values():
            channel.invite = channel.invite or self.invite_hash(channel.id)
            self._index(channel)

    def _index(self, channel: Channel) -> None:
        if channel.username:
            self._by_name[channel.username.lower()] = channel.id
        self._by_invite[channel.invite] = channel.id
        for account_id in channel.members:
            self._joined[account_id][channel.id] = None

    # Questions

    def access_hash(self, account_id: int, peer: str, peer_id: int) -> int:
        """The handle by which this account alone may speak of a peer; `peer` is `user`, `channel` or `file`."""
        text = f"{self.seed}/{account_id}/{peer}/{peer_id}".encode()
        return int.from_bytes(blake2b(text, digest_size=8, key=b"access hash").digest(), "little", signed=True) or 1

    def invite_hash(self, channel_id: int, before: str = "") -> str:
        """The hash of a channel's invite link, or of the one that follows another."""
        return blake2b(f"{self.seed}/{channel_id}/{before}".encode(), digest_size=8, key=b"invite").hexdigest()

    def named(self, username: str) -> Account | Channel | None:
        found = self._by_name.get(username.lower(), 0)
        return self.channels.get(found) or self.accounts.get(found)

    def invited(self, invite: str) -> Channel | None:
        return self.channels.get(self._by_invite.get(invite, 0))

    def with_phone(self, phone: str) -> Account | None:
        return self.accounts.get(self._by_phone.get(phone, 0))

    def account(self, ref: int | str) -> Account:
        """By id, username or phone. Raises MissingError."""
        text = str(ref).lstrip("+@")
        found = self.accounts.get(int(text)) if _is_id(text) else self.named(text)
        found = found or self.with_phone(text)
        if isinstance(found, Account):
            return found
        raise MissingError(f"no account {ref!r}; /world lists them")

    def channel(self, ref: int | str) -> Channel:
        """By id or username. Raises MissingError."""
        text = str(ref).lstrip("@")
        found = self.channels.get(int(text)) if _is_id(text) else self.named(text)
        if not isinstance(found, Channel):
            raise MissingError(f"no channel {ref!r}; /world lists them")
        return found

    def channels_of(self, account_id: int) -> list[Channel]:
        return [self.channels[channel_id] for channel_id in self._joined.get(account_id, ())]

    def move_files(self, dc_id: int) -> None:
        """All files lie in this data centre from now on."""
        self.files_dc = dc_id
        self.shelf.clear()

    def expire_references(self) -> None:
        """Every file reference given out so far becomes void; messages read from now on carry new ones."""
        self.references += 1
        self.shelf.clear()

    # Changes

    def apply(self, change: Change) -> list[Event]:
        """Carry out a change; the channel events it made, in order (none for most)."""
        match change:
            case Posted():
                return self._post(change)
            case Grown():
                return self._grow(change)
            case Edited():
                return self._edit(change)
            case Deleted():
                return self._delete(change)
            case Counted():
                self._count(change)
            case Founded():
                self._found(change)
            case Altered():
                self._alter(change)
            case Moved():
                self._move(change)
            case Secured():
                self._secure(change)
            case Sent():
                self._send(change)
            case Reworded():
                self._reword(change)
            case Filed():
                self._file(change)
            case _:
                assert_never(change)
        return []

    def _post(self, change: Posted) -> list[Event]:
        channel = self.channels[change.channel_id]
        events = []
        for planned in change.posts:
            post = replace(planned, date=max(planned.date, channel.posts.latest))
            channel.posts.append(post)
            channel.top_ever = post.id
            self._thread(channel, post, 1)
            events.append(channel.step("new", (post.id,), *self._times(change.at)))
        return events

    def _thread(self, group: Channel, post: Post, step: int) -> None:
        """Keep the index of threads when a message comes (1) or goes (-1); the commented post's count changes too."""
        if group.broadcast or not group.linked_id:
            return
        if post.forwarded_post and post.forwarded_post[0] == group.linked_id:
            original = post.forwarded_post[1]
            if step > 0:  # the channel's own forward comes first; what members forward of it is no root
                group.roots.setdefault(original, post.id)
            elif group.roots.get(original) == post.id:
                del group.roots[original]
            self.shelf.drop(group.linked_id, original)
        elif post.thread:
            group.comments[post.thread] += step
            self.shelf.drop(group.id, post.thread)
            root = group.posts.get(post.thread)
            if root and root.forwarded_post:
                self.shelf.drop(*root.forwarded_post)

    def _grow(self, change: Grown) -> list[Event]:
        channel = self.channels[change.channel_id]
        events = []
        for post_id in range(change.first, change.first + change.count):
            channel.posts.append_made(post_id, max(change.at, channel.posts.latest))
            channel.top_ever = post_id
            events.append(channel.step("new", (post_id,), *self._times(change.at)))
        return events

    def _edit(self, change: Edited) -> list[Event]:
        post = self.channels[change.channel_id].posts[change.id]
        edited = replace(post, text=change.text, entities=change.entities, edited=change.at, edit_hidden=change.hidden)
        return [self._replace(change.channel_id, edited).step("edit", (change.id,), *self._times(change.at))]

    def _times(self, at: int) -> tuple[int, int]:
        """When a step is made: by the clock that clients see, which doesn't go back for this, and by its moments."""
        return max(at, self.clock.latest), at + int(self.clock.leap - self.clock.skew)

    def _replace(self, channel_id: int, post: Post) -> Channel:
        channel = self.channels[channel_id]
        channel.posts.replace(post)
        self.shelf.drop(channel_id, post.id)
        return channel

    def _delete(self, change: Deleted) -> list[Event]:
        if not change.ids:
            return []
        channel = self.channels[change.channel_id]
        for post_id in change.ids:
            self._thread(channel, channel.posts[post_id], -1)
            channel.posts.remove(post_id)
            self.shelf.drop(channel.id, post_id)
        channel.deleted.extend(change.ids)
        return [channel.step("delete", change.ids, *self._times(change.at))]

    def _count(self, change: Counted) -> None:
        post = self.channels[change.channel_id].posts[change.id]
        self._replace(change.channel_id, replace(post, **given(change, "views", "forwards", "reactions")))

    def _found(self, change: Founded) -> None:
        channel = Channel(
            id=change.channel_id,
            username=change.username,
            title=change.title,
            date=change.at,
            broadcast=change.broadcast,
            generated=False,
            invite=change.invite,
            linked_id=change.linked_id,
            posts=Posts(self._founded(change.channel_id) if self._founded else None),
        )
        channel.settle()
        channel.top_ever = change.first_id - 1
        self.channels[channel.id] = channel
        if change.linked_id:
            self.channels[change.linked_id].linked_id = channel.id
        self._index(channel)

    def _alter(self, change: Altered) -> None:
        channel = self.channels[change.channel_id]
        if change.username is not None:
            if channel.username:
                self._by_name.pop(channel.username.lower(), None)
            channel.username = change.username or None
        if change.invite is not None:
            self._by_invite.pop(channel.invite, None)
            channel.invite = change.invite
        for name, value in given(change, "title", "noforwards", "silent", "approval").items():
            setattr(channel, name, value)
        self._index(channel)
        if change.noforwards is not None:
            self.shelf.clear()  # each of its messages carries the mark; the change is rare

    def _move(self, change: Moved) -> None:
        channel, account = self.channels[change.channel_id], change.account_id
        for group in (channel.members, channel.banned, channel.waiting):
            group.discard(account)
        self._joined[account].pop(channel.id, None)
        if not change.silent:
            self.moves[account][channel.id] = max(change.at, self.clock.latest)
        if change.standing == "member":
            channel.members.add(account)
            self._joined[account][channel.id] = None
        elif change.standing == "banned":
            channel.banned.add(account)
        elif change.standing == "waiting":
            channel.waiting.add(account)

    def _secure(self, change: Secured) -> None:
        account = self.accounts[change.account_id]
        self.accounts[account.id] = replace(account, **given(change, "password", "dc_id"))

    def _send(self, change: Sent) -> None:
        reply = self.boxes[change.sender].find(change.reply_to) if change.reply_to else None
        sides = [(change.sender, change.receiver, True), (change.receiver, change.sender, False)]
        for owner, peer, out in sides[: 1 if change.sender == change.receiver else 2]:
            box = self.boxes[owner]
            letter = Letter(
                id=change.sender_message if out else change.receiver_message,
                peer=peer,
                out=out,
                date=max(change.at, box.letters[-1].date if box.letters else 0),
                text=change.text,
                entities=change.entities,
                reply_to=0 if reply is None else reply.id if out else reply.twin,
                twin=change.receiver_message if out else change.sender_message,
                pts=box.pts + 1,
                buttons=change.buttons,
                picture=change.picture,
                forwarded=change.forwarded,
            )
            box.add(letter)
            if out and change.random_id:
                box.by_random_id[peer, change.random_id] = letter

    def _reword(self, change: Reworded) -> None:
        mine = self.boxes[change.sender].find(change.sender_message)
        if mine is None:
            raise WorldError(f"account {change.sender} has no message {change.sender_message}")
        for owner, message_id in {change.sender: mine.id, mine.peer: mine.twin}.items():
            box = self.boxes[owner]
            letter = box.find(message_id)
            if letter is not None:
                box.replace(
                    replace(
                        letter,
                        text=change.text,
                        entities=change.entities,
                        buttons=change.buttons,
                        picture=change.picture,
                        edited=change.at,
                        pts=box.pts + 1,
                    )
                )

    def _file(self, change: Filed) -> None:
        if change.channel_ids:
            self.folders[change.account_id][change.folder_id] = change
        else:
            self.folders[change.account_id].pop(change.folder_id, None)


def _is_id(text: str) -> bool:
    return text.isdecimal() and len(text) < 20
