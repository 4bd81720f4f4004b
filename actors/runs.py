"""A parse job while it runs: what the scheduler keeps of it, and the messages that carry it from step to step."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from actors.messages.account import ChannelsPeeked
from actors.messages.ids import AccountId, ChannelId, JobId
from actors.messages.jobs import Job
from actors.messages.rows import ChannelRow
from actors.runtime.clock import Timer
from actors.runtime.reply import Later
from actors.timetable import Firing
from config.model import Schedule

Target = tuple[AccountId | None, str | None]
"""What runs once at a time: a user's channels, a schedule's own ones by its name, or with two None all."""
ALL: Target = (None, None)
JOBS_KEPT = 1000
"""Jobs that have ended kept in memory; older ones are read from the store."""
ERRORS_TOLD = 3
"""Causes that a job's error names; the rest is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAtClock:
    """Some schedule's time may have come, or the clock may have been set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fire:
    """Begin what a schedule whose time has come asks for."""

    firing: Firing


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAfter:
    """The run that a schedule waited for has ended."""

    schedule: Schedule
    target: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRun:
    """Begin a job that was accepted: read its channels' heads and tell them."""

    job_id: JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishRun:
    """Every channel of the job has answered: sum up."""

    job_id: JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class FindReaders:
    """Ask the roster who reads a job's channels."""

    job_id: JobId
    channel_ids: tuple[ChannelId, ...]
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOverdue:
    """A job has run for as long as it may."""

    job_id: JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class PeekBatch:
    """Read the heads of up to 100 channels with their reader, for a job."""

    job_id: JobId
    account_id: AccountId
    channel_ids: tuple[ChannelId, ...]
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadsRead:
    batch: PeekBatch
    peeked: ChannelsPeeked


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadsFailed:
    batch: PeekBatch
    error: Exception


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitOver:
    """An ``AwaitJob`` has waited long enough."""

    job_id: JobId
    later: Later[Job]


@dataclass(slots=True, kw_only=True)
class Run:
    """A job that runs, as the scheduler keeps it."""

    job: Job
    target: Target
    only: frozenset[str] | None = None
    """Bare names of the channels that it is about; None: all that are followed, or that its user follows."""
    waiting: set[ChannelId] = field(default_factory=set)
    names: dict[ChannelId, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    askers: list[tuple[Later[Job], Timer]] = field(default_factory=list)


class Runs:
    """The jobs that run, one of a target at a time, the schedules that wait for one, and the last that have ended."""

    def __init__(self) -> None:
        self.going: dict[JobId, Run] = {}
        self.ended: dict[JobId, Job] = {}
        self._of: dict[Target, JobId] = {}
        self._waiting: dict[Target, Schedule] = {}

    def of(self, target: Target) -> Run | None:
        job_id = self._of.get(target)
        return None if job_id is None else self.going[job_id]

    def begin(self, run: Run) -> None:
        self.going[run.job.job_id] = run
        self._of[run.target] = run.job.job_id

    def wait_for(self, target: Target, schedule: Schedule) -> None:
        """It runs as soon as the run before it has ended; the last one that waits."""
        self._waiting[target] = schedule

    def end(self, run: Run, job: Job) -> Schedule | None:
        """The run has ended as ``job``; who has waited for that."""
        del self.going[job.job_id]
        del self._of[run.target]
        self.ended[job.job_id] = job
        if len(self.ended) > JOBS_KEPT:
            del self.ended[next(iter(self.ended))]
        return self._waiting.pop(run.target, None)


def unmet(names: frozenset[str], rows: Iterable[ChannelRow]) -> list[str]:
    """Of the bare ``names`` those that no followed channel has, in words for an operator."""
    rows = tuple(rows)
    met = {str(row.channel_id) for row in rows} | {row.username.casefold() for row in rows if row.username}
    return [f"{name}: no followed channel has that name or id" for name in sorted(names - met)]


def tell_errors(errors: list[str]) -> str | None:
    """The first causes, and how many more there are; None without any."""
    if not errors:
        return None
    more = len(errors) - ERRORS_TOLD
    return "; ".join(errors[:ERRORS_TOLD]) + (f"; and {more} more" if more > 0 else "")
