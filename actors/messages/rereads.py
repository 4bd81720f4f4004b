"""Posts that are read again, and their figures."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from actors.messages.ids import ChannelId


@dataclass(frozen=True, slots=True, kw_only=True)
class DueReread:
    """A plan of one channel whose time to be looked at has come."""

    channel_id: ChannelId
    after: timedelta
    """After publication."""
    since: datetime
    """When the plan began: posts that had fallen due before aren't read again."""
    upto_id: int
    """Posts up to this id are done with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A post's figures at one time; also what HTTP answers."""

    at: datetime | None
    """None for the present ones."""
    views: int | None
    forwards: int | None
    replies: int | None
    reactions: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostStats:
    message_id: int
    date: datetime | None
    deleted_at: datetime | None
    now: Figures
    series: tuple[Figures, ...]
    """At each planned rereading, the oldest first."""
