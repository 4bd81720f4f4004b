"""Parses."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from actors.messages.ids import AccountId, ChannelId, JobId, JobKind, JobState
from actors.runtime.message import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A parse as it stands; also what HTTP answers."""

    job_id: JobId
    kind: JobKind
    user_id: AccountId | None
    state: JobState
    schedule: str | None = None
    """The name of the schedule that began it."""
    channels_total: int = 0
    channels_done: int = 0
    posts_added: int = 0
    posts_edited: int = 0
    error: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseUser(Request[Job]):
    """Start a parse of a user's active channels, or answer the one that is running.

    Raises: ``UserUnknown``, ``UserNotSignedIn``.
    """

    account_id: AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseAll(Request[Job]):
    """Start a parse of all followed channels, or answer the one that is running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitJob(Request[Job]):
    """Answered when the job is done, or with the job as it stands after ``wait``. Raises: ``JobUnknown``."""

    job_id: JobId
    wait: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelParse(Request[Job]):
    """End a parse: nothing more is asked for it, and what was collected stays. One that is done stays as it is.

    Raises: ``JobUnknown``.
    """

    job_id: JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeJob(Request[Job]):
    """Raises: ``JobUnknown``."""

    job_id: JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleTimes:
    """A schedule as it is set, and when it fires; also what HTTP answers."""

    name: str
    every: str | None
    cron: str | None
    timezone: str
    users: tuple[int, ...]
    """Whose channels are parsed; empty: everybody's."""
    channels: tuple[str, ...]
    groups: tuple[str, ...]
    """Or these alone."""
    jitter: str
    quiet: str | None
    overlap: str
    catch_up: str
    next: tuple[datetime, ...]
    """The firings to come, the next one first; of the later ones the jitter isn't known yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeSchedules(Request[tuple[ScheduleTimes, ...] | None]):
    """So many schedules, or all, with the next ``count`` firings of each, in the order of the settings.

    Those after the one of the name ``after``; None where there is none of that name.
    """

    count: int = 3
    after: str | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelUp:
    """A channel's actor has started: a job that waits for its predecessor asks anew."""

    channel_id: ChannelId


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelParsed:
    """A channel is complete up to the head that the job named, or says why not."""

    job_id: JobId
    channel_id: ChannelId
    error: str | None = None
