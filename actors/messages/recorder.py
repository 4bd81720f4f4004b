"""To the recorder and back."""

from dataclasses import dataclass

from actors.messages.channel import ChannelFigures
from actors.messages.content import Post
from actors.messages.ids import ChannelId, Road, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Tell the recorder to commit posts and the coverage that they prove, together. Answered by ``Recorded``."""

    channel_id: ChannelId
    road: Road
    posts: tuple[Post, ...] = ()
    covered: Span | None = None
    absent: Span | None = None
    """Posts stored in this span that aren't among ``posts`` are deleted, unless their copy is newer than ``pts``."""
    doubt: Span | None = None
    """Subtracted from what is covered, before ``covered`` is added: it is to be read again."""
    doubt_why: str = ""
    deleted_ids: tuple[int, ...] = ()
    figures: tuple[ChannelFigures, ...] = ()
    """Of posts that are stored; others are passed over."""
    start_id: int | None = None
    """Set once, when the start policy was applied."""
    top_id: int | None = None
    """Raises the stored top; never lowers it."""
    floor_id: int = 0
    """Written with ``channel_pts``: the newest id that there was at that pts."""
    channel_pts: int | None = None
    """Written as it is: all updates up to it are in this record or in those before it."""
    pts: int | None = None
    """When these copies were made, in the channel's pts: orders the copies of one post."""
    series: bool = False
    """Whether the posts' figures are kept as a point of their series too."""
    reply_key: str = ""
    """Key of the actor that is told ``Recorded``."""
    ticket: int = 0
    """Given back in ``Recorded``; ascending within a channel."""
    generation: int = 0
    """The recorder refuses all of a generation after the first that it refused: nothing may overtake that one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    channel_id: ChannelId
    ticket: int
    added: int
    edited: int
    deleted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFailed:
    """The store didn't take it; the sender still has it to do."""

    channel_id: ChannelId
    ticket: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderUp:
    """A recorder has started: whatever its predecessor hadn't answered is to be handed over again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flush:
    """The recorder's own mail: commit what has gathered."""
