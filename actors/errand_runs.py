"""An errand while it isn't done: what ``errands`` keeps of it, and the messages that carry it from step to step."""

import asyncio
from dataclasses import dataclass, field

from actors.errand import Errand, ErrandRow, Pace
from actors.messages.ids import ChannelId, JobId
from actors.messages.rows import ChannelRow
from actors.runtime.clock import Timer
from actors.runtime.reply import Later
from actors.verifying import PageVerified


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """See how far the backfills are."""

    number: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalFound:
    """A backfill knows down to which id it goes."""

    job_id: JobId
    goal: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PageDone:
    """A verification has gone past one page."""

    job_id: JobId
    page: PageVerified


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkDone:
    """A verification has come to its end."""

    job_id: JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrandFailed:
    job_id: JobId
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitOver:
    """An ``AwaitErrand`` has waited long enough."""

    job_id: JobId
    later: Later[Errand]


@dataclass(slots=True, kw_only=True)
class Going:
    """An errand that isn't done."""

    row: ErrandRow
    name: str
    pace: Pace = field(default_factory=Pace)
    task: asyncio.Task[None] | None = None
    logged_at: float = 0.0
    askers: list[tuple[Later[Errand], Timer]] = field(default_factory=list)


def name_of(channel: ChannelRow | None, channel_id: ChannelId) -> str:
    if channel is None:
        return str(channel_id)
    return f"@{channel.username}" if channel.username else channel.title
