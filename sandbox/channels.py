"""One channel or group: its posts, who may read them, and the steps of its pts."""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from sandbox.posts import Post, Posts

MAX_EVENTS = 512
"""Events kept per channel, at least half of them at any time; clients that missed more are sent to the history."""
MAX_PAST = 200
"""Steps that are known of the posts that were there from the beginning: as many as any difference may hold."""


@dataclass(frozen=True, slots=True)
class Event:
    """One step of a channel's pts, kept for differences."""

    pts: int
    count: int
    kind: str
    """`new`, `edit` or `delete`."""
    ids: tuple[int, ...]
    moment: int
    """When it happened, by the clock's moments."""


@dataclass(slots=True, kw_only=True)
class Channel:
    id: int
    username: str | None
    """None for a private channel."""
    title: str
    about: str = ""
    date: int = 0
    broadcast: bool = True
    """False for a group, where members write under their own names."""
    generated: bool = True
    """Its posts come from a seed; those of the steady rate go to such channels only."""
    noforwards: bool = False
    silent: bool = False
    """Nothing of it is ever pushed, as the service does with big channels: it has to be asked for."""
    approval: bool = False
    """Who wants in must be approved."""
    invite: str = ""
    """The hash of its invite link."""
    linked_id: int = 0
    """A channel's discussion group, or a group's channel; 0 for none."""
    members: set[int] = field(default_factory=set)
    """Changed by the world alone, which keeps the other direction too."""
    banned: set[int] = field(default_factory=set)
    waiting: set[int] = field(default_factory=set)
    """Accounts whose request to join isn't decided."""
    posts: Posts = field(default_factory=Posts)
    roots: dict[int, int] = field(default_factory=dict)
    """In a discussion group: the channel's post ids to the ids of their twins here."""
    comments: Counter[int] = field(default_factory=Counter)
    """In a discussion group: how many comments stand below each root."""
    random_ids: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    """In a group: messages and their steps of pts, by their writers and the numbers that these gave them; a restart
    forgets them."""
    viewed: set[tuple[int, int]] = field(default_factory=set)
    """Accounts and the posts that they were counted as readers of; a restart forgets them."""
    top_ever: int = 0
    pts: int = 1
    first_pts: int = 1
    """Differences from before this pts can't be told."""
    past: "array[int]" = field(default_factory=lambda: array("q"))
    """The last posts that were there from the beginning: each was a step of pts, up to where `events` begin."""
    events: list[Event] = field(default_factory=list)
    deleted: list[int] = field(default_factory=list)
    moved_at: int = 0
    """When pts last moved; 0 for never since generation."""

    @property
    def ids(self) -> "array[int]":
        return self.posts.ids

    @property
    def top(self) -> int:
        return self.posts.ids[-1] if self.posts.ids else 0

    @property
    def is_public(self) -> bool:
        return self.username is not None

    def can_be_read_by(self, account_id: int) -> bool:
        """Members read; anybody who isn't banned reads a public one."""
        return account_id in self.members or (self.is_public and account_id not in self.banned)

    def fill(self, posts: Iterable[Post]) -> None:
        """Give a new channel its first posts, in rising order; they are no events."""
        for post in posts:
            self.posts.append(post)
        self.settle()

    def settle(self) -> None:
        """Begin counting: what is there now is the past."""
        self.top_ever = self.top
        self.pts = max(1, len(self.ids))
        self.past = self.ids[1:][-MAX_PAST:]
        self.first_pts = self.pts - len(self.past)
        self.date = self.date or (self.posts.dates[0] if len(self.posts) else 0)

    def events_after(self, pts: int) -> Iterator[Event]:
        """The steps that are still known; of those from before the world was born only the posts that are left."""
        if pts < self.first_pts + len(self.past):
            for place in range(max(0, pts - self.first_pts), len(self.past)):
                post = self.posts.get(self.past[place])
                yield Event(self.first_pts + place + 1, 1, "new", (self.past[place],), post.date if post else 0)
        for index in range(bisect_left(self.events, pts + 1, key=lambda event: event.pts), len(self.events)):
            yield self.events[index]

    def page(self, *, offset_id: int, offset_date: int, add_offset: int, limit: int) -> list[int]:
        """Ids of one page of history, newest first, by the service's own arithmetic.

        The offset is a place between two messages; `add_offset` moves it, negative towards newer ones.
        """
        return page_of(
            self.ids,
            self.posts.dates,
            offset_id=offset_id,
            offset_date=offset_date,
            add_offset=add_offset,
            limit=limit,
        )

    def is_root(self, post: Post) -> bool:
        """Whether a post is its channel's one in this discussion group, below which comments stand."""
        return (
            post.forwarded_post is not None
            and not self.broadcast
            and post.forwarded_post[0] == self.linked_id
            and self.roots.get(post.forwarded_post[1]) == post.id
        )

    def thread(self, root: int) -> list[int]:
        """Ids of a thread's comments, rising. Walks the group: threads are rare and small here."""
        return [post.id for post in self.posts.values() if post.thread == root]

    def step(self, kind: str, ids: tuple[int, ...], at: int, moment: int) -> Event:
        count = len(ids) if kind == "delete" else 1
        self.pts += count
        self.moved_at = max(self.moved_at, at)
        event = Event(self.pts, count, kind, ids, moment)
        self.events.append(event)
        if len(self.events) > MAX_EVENTS:
            del self.events[: MAX_EVENTS // 2]
            self.past = array("q")
            self.first_pts = self.events[0].pts - self.events[0].count
        return event


def page_of(
    ids: Sequence[int], dates: Sequence[int], *, offset_id: int, offset_date: int, add_offset: int, limit: int
) -> list[int]:
    """The same of any ids that rise, with the dates of their messages."""
    if offset_id > 0:
        place = bisect_left(ids, offset_id)
    elif offset_date > 0:
        place = bisect_left(dates, offset_date)
    else:
        place = len(ids)
    top = place - add_offset
    low = max(0, top - limit)
    return list(reversed(ids[low : max(0, top)]))
