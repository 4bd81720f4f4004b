"""One channel: what it has, what it misses, and the way to make it whole.

The channel owns its pts and its coverage (``holding``). What it asks for is what happened since its pts, then [start,
top] - covered, newest first, then older posts where they are wanted; one call outstanding. Its handlers never wait, so
that a push is recorded while a page is on its way.
"""

import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import partial
from typing import assert_never

from actors.coverage import PageWanted
from actors.errors import REFUSED_REST, ChannelLost, FloodWaited, Refused
from actors.holding import Holding
from actors.messages.account import (
    DifferenceFetched,
    FetchDifference,
    FetchHistory,
    FindStart,
    HistoryFetched,
    StartFound,
)
from actors.messages.channel import (
    Begun,
    ChannelDeleted,
    ChannelFigures,
    ChannelMoved,
    ChannelPosted,
    ChannelSeen,
    GoalSet,
    Mend,
    ParseChannel,
    Resume,
)
from actors.messages.content import ChannelHead
from actors.messages.ids import AccountId, ChannelId, JobId
from actors.messages.jobs import ChannelParsed, ChannelUp
from actors.messages.recorder import Record, Recorded, RecorderUp, RecordFailed
from actors.messages.roster import MembershipLost, ReaderFor
from actors.messages.settings import SettingsApplied
from actors.metrics import Metrics
from actors.neighbours import ASK_FAULTS, post
from actors.ports import Channels
from actors.runtime.actor import TaskActor
from actors.runtime.clock import Timer
from actors.runtime.errors import ActorDeadError, ActorMissing, MailboxFull
from actors.runtime.reply import Later
from config.model import Collection

logger = logging.getLogger(__name__)

UNRECORDED = 16
"""Records that the recorder may hold before no more is fetched: it keeps the wire busy during a commit, and memory
bounded."""
JOB_PATIENCE = 6
"""Failed attempts in a row after which a job is told; the channel itself goes on trying."""
FLOOD_PATIENCE = timedelta(seconds=60)
"""Flood waits up to this a job waits out; of a longer one it is told, or one account's flood would stop all runs."""
RETRY_MOST = 60.0
"""Longest wait between attempts, in seconds."""
GAP_WAIT = 0.5
"""Seconds that a gap is given to close of itself: https://core.telegram.org/api/updates#recovering-gaps"""
ASK_WITHIN = 900.0
"""Seconds for an answer, most of them spent in the account's line; a call on its way has a far shorter limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryArrived:
    """The page that the channel asked for."""

    page: PageWanted
    history: HistoryFetched


@dataclass(frozen=True, slots=True, kw_only=True)
class AskFailed:
    """What the channel asked for didn't come."""

    error: Exception


@dataclass(frozen=True, slots=True, kw_only=True)
class GapDue:
    """A gap had its time to close."""


Arrived = HistoryArrived | DifferenceFetched | StartFound
ChannelMessage = (
    ParseChannel
    | ChannelSeen
    | ChannelMoved
    | ChannelPosted
    | ChannelDeleted
    | ChannelFigures
    | Arrived
    | GapDue
    | AskFailed
    | Recorded
    | RecordFailed
    | RecorderUp
    | GoalSet
    | Begun
    | Mend
    | SettingsApplied
    | Resume
)


def key_of(channel_id: ChannelId) -> str:
    return f"channel/{channel_id}"


def retry_after(failures: int, rng: random.Random) -> float:
    """Backoff 1, 2, 4 … 60 s with full jitter, yet never under a tenth: ``failures`` counts from 1."""
    most = min(RETRY_MOST, 2.0 ** (failures - 1))
    return max(0.1, rng.uniform(0, most))


class Channel(TaskActor):
    """Keeps one channel complete; answers ``ParseChannel`` with ``ChannelParsed`` once the job's head is covered."""

    def __init__(
        self, *, channel_id: ChannelId, channels: Channels, collection: Collection, metrics: Metrics, rng: random.Random
    ) -> None:
        super().__init__()
        self._channel_id = channel_id
        self._channels = channels
        self._metrics = metrics
        self._rng = rng
        self._held = Holding(
            channel_id=channel_id, reply_key=key_of(channel_id), policy=collection.start, reread=collection.reread
        )
        self._asking = False
        self._failures = 0
        self._refused = False
        """Whether the wait is for a refusal."""
        self._wait: Timer | None = None
        self._gap: Timer | None = None
        self._gap_tries = 0
        self._loaded = False
        self._jobs: dict[JobId, ChannelHead] = {}
        """Job -> the head up to which it wants the channel whole."""
        self._mending: dict[int, Later[bool]] = {}
        """Ticket -> who waits for its commit."""

    async def started(self) -> None:
        row = await self._channels.one(self._channel_id)
        if row is not None:
            self._held.take_row(row)
        self._loaded = True
        for key in ("roster", "scheduler"):
            post(self.owner, key, ChannelUp(channel_id=self._channel_id))

    def on_receive(self, message: ChannelMessage) -> Later[bool] | None:
        later = None
        match message:
            case Mend():
                later = self._mend(message)
            case ChannelPosted() | ChannelDeleted() | ChannelFigures():
                self._take_pushed(message)
            case ChannelSeen(head=head):
                self._take_head(head)
            case ChannelMoved(pts=pts):
                self._held.take_hint(pts)
            case GapDue():
                self._gap = None
                self._held.behind = self._held.behind or self._held.gap_is_open()
            case ParseChannel():
                self._take_job(message)
            case SettingsApplied() | GoalSet() | Begun():
                self._take_limits(message)
            case HistoryArrived() | DifferenceFetched() | StartFound():
                self._take_answer(message)
            case AskFailed(error=error):
                self._asking = False
                self._take_failure(error)
            case Recorded() | RecordFailed():
                self._settle(message)
            case RecorderUp():
                for record in tuple(self._held.in_flight.values()):
                    self._hand_over(record)
            case Resume():
                self._end_wait()
            case _:
                assert_never(message)
        self._go_on()
        return later

    def _take_limits(self, message: SettingsApplied | GoalSet | Begun) -> None:
        match message:
            case SettingsApplied(settings=settings):
                self._held.policy, self._held.reread = settings.collection.start, settings.collection.reread
            case GoalSet(goal=goal):
                self._held.goal = goal
            case Begun(start=start):
                self._held.let_go(start)

    def on_control(self, message: ChannelMessage) -> None:
        """The recorder's answers, heads and jobs overtake mail: none of them may be refused for want of room.

        They may even overtake the start; then they wait as mail.
        """
        if self._loaded:
            self.on_receive(message)
        else:
            self.tell_self(message)

    # --- what comes in ---------------------------------------------------------------------------------------------

    def _take_pushed(self, push: ChannelPosted | ChannelDeleted | ChannelFigures) -> None:
        match push:
            case ChannelPosted():
                self._record(self._held.take_push(push))
            case ChannelDeleted():
                self._record(self._held.take_deletion(push))
            case ChannelFigures():
                self._record(self._held.take_figures(push))
            case _:
                assert_never(push)

    def _take_job(self, job: ParseChannel) -> None:
        self._jobs[job.job_id] = job.head
        self._refused = False
        self._take_head(job.head)

    def _take_head(self, head: ChannelHead) -> None:
        if not self._held.take_head(head):
            self._metrics.calls_avoided.inc()
        # Somebody has just been answered for this channel, maybe a new reader, which is fresher than an old backoff; a
        # flood wait is the account's to keep: it refuses early calls.
        self._failures = 0
        if not self._refused:
            self._end_wait()

    def _mend(self, mend: Mend) -> Later[bool]:
        record = self._held.take_ids(mend.span, mend.posts, mend.pts, series=mend.series)
        later = self._mending[record.ticket] = Later()
        self._hand_over(record)
        return later

    def _take_answer(self, answer: Arrived) -> None:
        self._asking, self._failures = False, 0
        match answer:
            case HistoryArrived(page=page, history=history):
                self._record(self._held.take_page(page, history))
            case DifferenceFetched():
                self._record(self._held.take_difference(answer))
                self._gap_tries = self._gap_tries + 1 if self._held.gap_is_open() else 0
            case StartFound(message_id=message_id):
                self._set_start(message_id)
            case _:
                assert_never(answer)

    def _set_start(self, message_id: int) -> None:
        self._held.start = message_id
        self._record(self._held.record(road="catchup"))

    # --- what goes out ---------------------------------------------------------------------------------------------

    def _record(self, record: Record | None) -> None:
        if record is not None:
            self._hand_over(record)

    def _hand_over(self, record: Record) -> None:
        """Give to the recorder. One that restarts asks again itself; one without room leaves the span missing."""
        ref = self.owner.get("recorder")
        if ref is None:
            return
        try:
            ref.tell(record)
        except ActorDeadError:
            return
        except MailboxFull:
            self._settle(RecordFailed(channel_id=self._channel_id, ticket=record.ticket))

    def _settle(self, answer: Recorded | RecordFailed) -> None:
        self._held.settle(answer.ticket, recorded=isinstance(answer, Recorded))
        later = self._mending.pop(answer.ticket, None)
        if later is not None and not later.done:
            later.reply(isinstance(answer, Recorded))
        if isinstance(answer, RecordFailed):
            self._pause(retry_after(5, self._rng))
        self._end_jobs()

    def _end_jobs(self) -> None:
        for job_id, head in tuple(self._jobs.items()):
            if self._held.is_whole(head.top_id, head.pts):
                self._answer(job_id, None)

    def _answer_all(self, error: str) -> None:
        for job_id in tuple(self._jobs):
            self._answer(job_id, error)

    def _answer(self, job_id: JobId, error: str | None) -> None:
        self._jobs.pop(job_id, None)
        post(self.owner, "scheduler", ChannelParsed(job_id=job_id, channel_id=self._channel_id, error=error))

    def _go_on(self) -> None:
        """Ask for whatever is missing, unless something is outstanding or a wait runs."""
        if self._held.gap_is_open() and not self._held.behind and self._gap is None:
            # An answer that closes no gap is asked for again ever more rarely.
            self._gap = self.tell_later(min(GAP_WAIT * 2**self._gap_tries, RETRY_MOST), GapDue())
        if self._jobs:
            self._end_jobs()
        if self._wait is None:
            self._record(self._held.unsaid())
        if self._asking or self._wait is not None or len(self._held.in_flight) >= UNRECORDED:
            return
        match self._held.next_step():
            case "start":
                self._find_start()
            case "difference":
                self._ask(partial(self._fetch_difference, self._held.sequence.pts or 0))
            case PageWanted() as page:
                self._ask(partial(self._fetch, page))
            case None:
                pass

    def _find_start(self) -> None:
        match self._held.policy.policy:
            case "all":
                self._set_start(1)
                self._go_on()
            case "now":
                self._set_start(self._held.top + 1)
                self._go_on()
            case "last":
                self._ask(partial(self._find, FindStart(channel_id=self._channel_id, newest=self._held.policy.count)))
            case "since":
                since = datetime.combine(self._held.policy.since or datetime.now(UTC).date(), time.min, UTC)
                self._ask(partial(self._find, FindStart(channel_id=self._channel_id, since=since)))

    # --- asking: tasks of their own, so that the mailbox goes on ------------------------------------------------------

    def _ask(self, ask: Callable[[], Awaitable[Arrived]]) -> None:
        self._asking = True
        self.spawn_task(self._tell_outcome(ask), name=f"{self.key} asks")

    async def _tell_outcome(self, ask: Callable[[], Awaitable[Arrived]]) -> None:
        try:
            outcome: Arrived | AskFailed = await ask()
        except ASK_FAULTS as error:
            outcome = AskFailed(error=error)
        await self.ref.send(outcome)

    async def _reader(self) -> AccountId:
        reader = await self.owner.find("roster").call(ReaderFor(channel_id=self._channel_id))
        if reader is None:
            raise ActorMissing(f"a reader for {self.key}")
        return reader

    async def _fetch(self, page: PageWanted) -> HistoryArrived:
        account = self.owner.find(f"account/{await self._reader()}")
        road = self._held.road_of(page.span)
        request = FetchHistory(channel_id=self._channel_id, offset_id=page.offset_id, limit=page.limit, road=road)
        return HistoryArrived(page=page, history=await account.call(request, timeout=ASK_WITHIN))

    async def _fetch_difference(self, pts: int) -> DifferenceFetched:
        account = self.owner.find(f"account/{await self._reader()}")
        return await account.call(FetchDifference(channel_id=self._channel_id, pts=pts), timeout=ASK_WITHIN)

    async def _find(self, request: FindStart) -> StartFound:
        account = self.owner.find(f"account/{await self._reader()}")
        return await account.call(request, timeout=ASK_WITHIN)

    def _take_failure(self, error: Exception) -> None:
        if isinstance(error, FloodWaited):
            # The channel waits with its reader: going round a wait by another account invites a freeze of all.
            self._pause(error.wait.total_seconds())
            if error.wait > FLOOD_PATIENCE:
                self._answer_all(str(error))
            return
        self._failures += 1
        if isinstance(error, ChannelLost):
            self._report_loss(error)
        if isinstance(error, Refused) or self._failures >= JOB_PATIENCE:
            self._answer_all(str(error))
        logger.debug("%s: attempt %s failed: %s", self.key, self._failures, error)
        self._refused = isinstance(error, Refused)
        self._pause(REFUSED_REST if self._refused else retry_after(self._failures, self._rng))

    def _report_loss(self, error: ChannelLost) -> None:
        lost = MembershipLost(account_id=error.account_id, channel_id=self._channel_id, cause=error.cause)
        post(self.owner, "roster", lost)

    def _end_wait(self) -> None:
        if self._wait is not None:
            self._wait.cancel()
        self._wait, self._refused = None, False

    def _pause(self, seconds: float) -> None:
        if self._wait is not None:
            self._wait.cancel()
        self._wait = self.tell_later(max(0.1, seconds), Resume())
