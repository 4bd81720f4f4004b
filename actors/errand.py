"""Jobs about one channel: what is known of them, and the messages about them.

A backfill brings the posts below a channel's start; a verification compares what is stored with Telegram.
"""

from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Literal

from actors.messages.ids import ChannelId, JobId, JobState
from actors.runtime.message import Request
from config.model import Start

ErrandKind = Literal["backfill", "verify"]
ERRANDS: frozenset[str] = frozenset({"backfill", "verify"})


@dataclass(frozen=True, slots=True)
class Difference:
    """An id of which something else is stored than Telegram shows."""

    message_id: int
    what: Literal["missing", "deleted", "undeleted", "kind", "text", "entities", "media"]
    """``missing``: Telegram shows it, and nothing is stored; ``deleted``: stored, and gone; ``undeleted``: marked as
    deleted, yet shown, which can't be mended, for a deletion is final."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinds:
    """How many differences there were of each kind."""

    missing: int = 0
    deleted: int = 0
    undeleted: int = 0
    kind: int = 0
    text: int = 0
    entities: int = 0
    media: int = 0

    @property
    def total(self) -> int:
        return sum(getattr(self, one.name) for one in fields(self))

    @property
    def words(self) -> str:
        """Those that there were: ``missing=2, text=1``."""
        return ", ".join(f"{one.name}={count}" for one in fields(self) if (count := getattr(self, one.name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a verification has found so far."""

    calls: int = 0
    differences: Kinds = Kinds()
    mended: int = 0
    first: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A job about one channel as it stands; also what HTTP answers."""

    job_id: JobId
    kind: ErrandKind
    channel_id: ChannelId
    asked: str
    """In words: ``all``, ``last 500``, ``since 2024-01-31``; of a verification the ids, ``all`` or ``10..500``."""
    state: JobState
    low_id: int | None = None
    """The ids that it is about, both included; None while that isn't known."""
    high_id: int | None = None
    ids_total: int | None = None
    ids_done: int = 0
    percent: float | None = None
    posts_added: int = 0
    posts_per_second: float | None = None
    """Of the last minute; None before there is one to speak of, and at the end."""
    expected_at: datetime | None = None
    """When it will be done at the pace of the last minute, by ids."""
    result: Findings | None = None
    """Of a verification."""
    error: str | None = None
    """Why it failed; while it runs, what it waits for."""
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrandRow:
    """An errand as the store keeps it."""

    job_id: JobId
    kind: ErrandKind
    channel_id: ChannelId
    asked: str
    state: JobState
    low_id: int | None = None
    high_id: int | None = None
    ids_done: int = 0
    base: int | None = None
    """Posts that backfills had brought to the channel before this one began."""
    posts_added: int = 0
    result: Findings | None = None
    error: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def ids_total(self) -> int | None:
        if self.low_id is None or self.high_id is None:
            return None
        return max(0, self.high_id - self.low_id + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartBackfill(Request[Errand]):
    """Want older posts of a channel: ``all``, those ``since`` a day, or the ``last`` N below what is wanted already.

    The same wish, while it runs, is answered by its job. Raises: ``ErrandRuns`` where another backfill runs.
    """

    channel_id: ChannelId
    wish: Start


@dataclass(frozen=True, slots=True, kw_only=True)
class StartVerify(Request[Errand]):
    """Compare a channel's covered ids from ``low`` to ``high`` with Telegram; None: from the lowest, to the newest.

    The same question, while it is at work, is answered by its job. Raises: ``ErrandRuns``.
    """

    channel_id: ChannelId
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeErrand(Request[Errand]):
    """Raises: ``JobUnknown``."""

    job_id: JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitErrand(Request[Errand]):
    """Answered when the errand is done, or as it stands after ``wait``. Raises: ``JobUnknown``."""

    job_id: JobId
    wait: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelErrand(Request[Errand]):
    """End an errand; what was collected stays, and is followed. One that is done stays as it is."""

    job_id: JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Where an errand stood at a moment of the clock, in monotonic seconds."""

    at: float
    ids: int
    posts: int


@dataclass(slots=True, kw_only=True)
class Pace:
    """How fast an errand goes, by the samples of the last minute."""

    window: float = 60.0
    samples: list[Sample] = field(default_factory=list)

    def take(self, sample: Sample) -> None:
        self.samples = [one for one in self.samples if sample.at - one.at <= self.window]
        self.samples.append(sample)

    @property
    def posts_per_second(self) -> float | None:
        elapsed = self._elapsed
        return None if elapsed is None else (self.samples[-1].posts - self.samples[0].posts) / elapsed

    def seconds_left(self, total: int) -> float | None:
        """None while nothing moves: there is no end to be expected then."""
        elapsed = self._elapsed
        gone = self.samples[-1].ids - self.samples[0].ids if self.samples else 0
        if elapsed is None or gone <= 0:
            return None
        return (total - self.samples[-1].ids) * elapsed / gone

    @property
    def _elapsed(self) -> float | None:
        if len(self.samples) < 2 or self.samples[-1].at <= self.samples[0].at:
            return None
        return self.samples[-1].at - self.samples[0].at


def described(row: ErrandRow, pace: Pace | None, now: datetime) -> Errand:
    """What is told of an errand; ``pace`` only while it runs."""
    total = row.ids_total
    left = None if pace is None or total is None else pace.seconds_left(total)
    rate = None if pace is None else pace.posts_per_second
    return Errand(
        job_id=row.job_id,
        kind=row.kind,
        channel_id=row.channel_id,
        asked=row.asked,
        state=row.state,
        low_id=row.low_id,
        high_id=row.high_id,
        ids_total=total,
        ids_done=row.ids_done,
        percent=None if total is None else round(100 * row.ids_done / total, 1) if total else 100.0,
        posts_added=row.posts_added,
        posts_per_second=None if rate is None else round(rate, 1),
        expected_at=None if left is None else now + timedelta(seconds=round(left)),
        result=row.result,
        error=row.error,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
