"""Posts, and the rows in which a channel keeps them: two arrays and a recipe, not a million objects."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

Entity = tuple[str, int, int, str]
"""Kind (`bold`, `url`, `text_url` …), offset and length in UTF-16 units, and the kind's argument or ''."""

Reaction = tuple[str, int]
"""An emoji and how often it was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """What is known of a photo or document beside its content, which is made from its id."""

    name: str = ""
    mime: str = ""
    size: int = 0
    """Bytes; 0 for whatever the made content has."""
    width: int = 0
    height: int = 0
    duration: float = 0.0
    """Seconds, of audio and video."""
    of: tuple[int, int] | None = None
    """Channel and post whose file this is, as a forward carries it; `media` and the rest must be the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One message of a channel or group. Defaults carry most fields."""

    id: int
    date: int
    text: str = ""
    entities: tuple[Entity, ...] = ()
    media: str = ""
    """`photo`, `document`, `video`, `animation`, `audio`, `voice`, `sticker`, `poll`, `webpage`, `geo`, `unsupported`,
    `unknown` (a constructor that no client knows) or ''."""
    file: File | None = None
    service: str = ""
    """`create`, `title`, `pin`, `photo`, `join`, another action's name or text, or '' for an ordinary post."""
    edited: int = 0
    """When it was last edited; 0 for never."""
    edit_hidden: bool = False
    """The last edit isn't shown as one: the service says so of its own changes, mostly of reactions."""
    reply_to: int = 0
    grouped_id: int = 0
    views: int = 0
    forwards: int = 0
    forwarded_from: str = ""
    """A name, for a forward from somebody who can't be reached."""
    forwarded_post: tuple[int, int] | None = None
    """Channel and post, for a forward from a channel."""
    author: str = ""
    """The signature under a post."""
    sender: int = 0
    """The account that wrote it, in a group; 0 for the channel itself."""
    thread: int = 0
    """In a group: the id of the forwarded post whose comment this is."""
    reactions: tuple[Reaction, ...] = ()


Maker = Callable[[int, int], Post]
"""Makes the post of an id and a date: the same one each time it is asked."""


class Posts:
    """A channel's posts by id. Only what differs from its maker's recipe is kept as an object."""

    __slots__ = ("_kept", "_maker", "dates", "ids")

    def __init__(self, maker: Maker | None = None) -> None:
        self.ids: array[int] = array("q")
        """Rising."""
        self.dates: array[int] = array("q")
        """Of the same places; never falling."""
        self._kept: dict[int, Post] = {}
        self._maker = maker

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[int]:
        return iter(self.ids)

    def __contains__(self, post_id: object) -> bool:
        return isinstance(post_id, int) and self._place(post_id) is not None

    def __getitem__(self, post_id: int) -> Post:
        """Raises KeyError."""
        kept = self._kept.get(post_id)
        if kept is not None:
            return kept
        place = self._place(post_id)
        if place is None or self._maker is None:
            raise KeyError(post_id)
        return self._maker(post_id, self.dates[place])

    def get(self, post_id: int) -> Post | None:
        try:
            return self[post_id]
        except KeyError:
            return None

    def values(self) -> Iterator[Post]:
        for post_id in self.ids:
            yield self[post_id]

    @property
    def latest(self) -> int:
        """The newest post's date; 0 for none."""
        return self.dates[-1] if self.dates else 0

    def _place(self, post_id: int) -> int | None:
        place = bisect_left(self.ids, post_id)
        return place if place < len(self.ids) and self.ids[place] == post_id else None

    @property
    def can_make(self) -> bool:
        return self._maker is not None

    def append(self, post: Post) -> None:
        """Add a post whose id is above all others."""
        self.ids.append(post.id)
        self.dates.append(post.date)
        self._kept[post.id] = post

    def append_made(self, post_id: int, date: int) -> None:
        """Add a post that the maker makes. Raises TypeError when there is none."""
        if self._maker is None:
            raise TypeError("these posts have no maker")
        self.ids.append(post_id)
        self.dates.append(date)

    def extend_made(self, ids: Iterable[int], dates: Iterable[int]) -> None:
        self.ids.extend(ids)
        self.dates.extend(dates)

    def replace(self, post: Post) -> None:
        """Put a changed post in its place; its date is what it was. Raises KeyError."""
        if post.id not in self:
            raise KeyError(post.id)
        self._kept[post.id] = post

    def remove(self, post_id: int) -> None:
        """Raises KeyError."""
        place = self._place(post_id)
        if place is None:
            raise KeyError(post_id)
        del self.ids[place], self.dates[place]
        self._kept.pop(post_id, None)


class Shelf:
    """Finished message bytes of all channels, as many as fit; an eighth goes when they don't, the oldest.

    The usual room holds a million generated posts, beside which the rest of such a world takes 125 MB.
    """

    __slots__ = ("_bytes", "_room", "_rows")

    OVERHEAD = 200
    """Bytes that a row costs beside its own: the key, the bytes object's head, its place in the table."""

    def __init__(self, room: int = 672 * 1024 * 1024) -> None:
        self._rows: dict[int, bytes] = {}
        self._bytes = 0
        self._room = room

    def __len__(self) -> int:
        return len(self._rows)

    def find(self, channel_id: int, post_id: int) -> bytes | None:
        return self._rows.get(channel_id << 32 | post_id)

    def put(self, channel_id: int, post_id: int, made: bytes) -> None:
        self._rows[channel_id << 32 | post_id] = made
        self._bytes += len(made) + self.OVERHEAD
        if self._bytes > self._room:
            # Many at once: a dict walks over all the places that were emptied before it finds its first row.
            for oldest in list(islice(self._rows, 1 + len(self._rows) // 8)):
                self._bytes -= len(self._rows.pop(oldest)) + self.OVERHEAD

    def drop(self, channel_id: int, post_id: int) -> None:
        """Forget a post that changed."""
        gone = self._rows.pop(channel_id << 32 | post_id, None)
        if gone is not None:
            self._bytes -= len(gone) + self.OVERHEAD

    def clear(self) -> None:
        self._rows.clear()
        self._bytes = 0
