"""What a channel is told."""

from dataclasses import dataclass

from actors.messages.content import ChannelHead, Post
from actors.messages.ids import ChannelId, JobId, Span
from actors.runtime.message import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelPosted:
    """A push of a new or edited post."""

    post: Post
    pts: int
    pts_count: int
    edited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelDeleted:
    channel_id: ChannelId
    message_ids: tuple[int, ...]
    pts: int
    pts_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelFigures:
    """A push of figures that changed; they stand in no sequence. None for those that it doesn't tell."""

    channel_id: ChannelId
    message_id: int
    views: int | None = None
    forwards: int | None = None
    reactions: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelMoved:
    """The service says that something happened to the channel, up to ``pts`` where it tells that, and no more."""

    channel_id: ChannelId
    pts: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSeen:
    """A head was read on the channel's behalf: what lies above the known top is to be fetched."""

    head: ChannelHead


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseChannel:
    """Tell a channel to make itself complete up to ``head`` and answer the job with ``ChannelParsed``."""

    job_id: JobId
    head: ChannelHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Mend(Request[bool]):
    """Have recorded what was read of a span by ids; answers, once that is committed or refused, whether it was."""

    span: Span
    posts: tuple[Post, ...]
    pts: int | None
    series: bool = False
    """Whether the figures are kept as a point of each post's series too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The channel begins with this id from now on: what lies below was let go, and is stored so."""

    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalSet:
    """Down to which id older posts are wanted now; it stands in the store already. None: none are."""

    goal: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """A wait is over: go on."""
