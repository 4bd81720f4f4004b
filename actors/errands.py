"""Runs the jobs about one channel: starts them, watches how far they are, ends them, and takes them up after a restart.

A backfill's work is the channel's own: it is given a goal and goes down to it, from its coverage, whatever happens in
between. Here it is only asked for and watched, by what is committed.
"""

import logging
import random
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import assert_never

from actors import log
from actors.backfilling import Goals, reached
from actors.channel import key_of
from actors.coverage import missing, size
from actors.errand import (
    AwaitErrand,
    CancelErrand,
    DescribeErrand,
    Errand,
    ErrandKind,
    ErrandRow,
    Findings,
    Sample,
    StartBackfill,
    StartVerify,
    described,
)
from actors.errand_runs import ErrandFailed, GoalFound, Going, Look, PageDone, WaitOver, WalkDone, name_of
from actors.errors import ChannelUnknown, ErrandRuns, JobUnknown, Refused, StoreUnavailable
from actors.messages.channel import GoalSet
from actors.messages.ids import ChannelId, JobId, JobState, Span
from actors.messages.rows import ChannelRow
from actors.metrics import Metrics
from actors.neighbours import once_stored, or_again, post
from actors.ports import Store
from actors.reading import Readers
from actors.runtime.actor import TaskActor
from actors.runtime.reply import Later
from actors.verifying import PAGE, Walk, bounds, found_with
from config.model import Start

logger = logging.getLogger(__name__)

KEY = "errands"
LOOK_EVERY = 1.0
"""Seconds between two looks at what a running backfill has committed: one row by its key."""
SAVE_EVERY = 10
"""Looks after which the progress is written down; a restart recounts it anyway."""
LOG_EVERY = 30.0
"""Seconds between two lines of progress in the log, for each errand."""


ErrandsMessage = (
    StartBackfill
    | StartVerify
    | DescribeErrand
    | AwaitErrand
    | CancelErrand
    | Look
    | GoalFound
    | PageDone
    | WalkDone
    | ErrandFailed
    | WaitOver
)


class Errands(TaskActor):
    """Every errand is in the store from its acceptance on; a backfill that a restart met is taken up again."""

    def __init__(
        self,
        *,
        store: Store,
        metrics: Metrics,
        rng: random.Random,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        super().__init__()
        self._store = store
        self._metrics = metrics
        self._new_id = new_id
        self._readers = Readers(self.owner, rng)
        self._goals = Goals(store.channels, self._readers, self.owner)
        self._going: dict[JobId, Going] = {}

    async def _read(self) -> list[tuple[ErrandRow, ChannelRow | None]]:
        unfinished = await self._store.jobs.unfinished_errands()
        return [(row, await self._store.channels.one(row.channel_id)) for row in unfinished]

    async def started(self) -> None:
        for row, channel in await once_stored(self, self._read):
            going = self._going[row.job_id] = Going(row=row, name=name_of(channel, row.channel_id))
            if row.kind == "verify":
                self.tell_self(ErrandFailed(job_id=row.job_id, cause="interrupted by a restart"))
            elif channel is None:
                self.tell_self(ErrandFailed(job_id=row.job_id, cause="the channel was removed"))
            else:
                if row.low_id is None:
                    self._find_goal(going)
                log.emit(log.BACKFILL_RESUMED, channel=going.name, job_id=row.job_id)
        self.tell_later(LOOK_EVERY, Look())

    def on_receive(self, message: ErrandsMessage) -> object:
        match message:
            case StartBackfill():
                return self._start_backfill(message)
            case StartVerify():
                return self._start_verify(message)
            case DescribeErrand(job_id=job_id):
                return self._describe(job_id)
            case AwaitErrand():
                return self._await(message)
            case CancelErrand(job_id=job_id):
                return self._cancel(job_id)
            case Look(number=number):
                return self._look(number)
            case GoalFound():
                return or_again(self, self._take_goal(message), message)
            case PageDone():
                self._take_verified(message)
            case WalkDone(job_id=job_id):
                return or_again(self, self._end_walk(job_id), message)
            case ErrandFailed(job_id=job_id, cause=cause):
                return or_again(self, self._fail(job_id, cause), message)
            case WaitOver():
                self._end_wait(message)
            case _:
                assert_never(message)
        return None

    async def _channel(self, channel_id: ChannelId) -> ChannelRow:
        channel = await self._store.channels.one(channel_id)
        if channel is None:
            raise ChannelUnknown(channel_id)
        return channel

    def _same(self, kind: ErrandKind, channel_id: ChannelId, asked: str) -> Going | None:
        """The errand that does this already. Raises: ErrandRuns where one of its kind does something else."""
        for going in self._going.values():
            if (going.row.kind, going.row.channel_id) == (kind, channel_id):
                if going.row.asked == asked:
                    return going
                raise ErrandRuns(going.row.job_id, kind, going.row.asked)
        return None

    # --- verification ----------------------------------------------------------------------------------------------

    async def _start_verify(self, request: StartVerify) -> Errand:
        channel = await self._channel(request.channel_id)
        asked = "all"
        if request.low is not None or request.high is not None:
            asked = f"{request.low or ''}..{request.high or ''}"
        same = self._same("verify", request.channel_id, asked)
        if same is not None:
            return self._told(same)
        # An empty span is verified as well: there is nothing that could differ.
        span = bounds(channel.covered, channel.top_id, request.low, request.high) or (1, 0)
        row = ErrandRow(
            job_id=JobId(self._new_id()),
            kind="verify",
            channel_id=request.channel_id,
            asked=asked,
            state="running",
            low_id=span[0],
            high_id=span[1],
            result=Findings(),
            started_at=self.owner.clock.now(),
        )
        await self._store.jobs.save_errand(row)
        going = self._going[row.job_id] = Going(row=row, name=name_of(channel, row.channel_id))
        going.task = self.spawn_task(self._walk(row, span), name=f"verification {row.job_id}")
        return self._told(going)

    async def _walk(self, row: ErrandRow, span: Span) -> None:
        walk = Walk(row.channel_id, store=self._store, readers=self._readers, owner=self.owner)
        low, high = span
        outcome: WalkDone | ErrandFailed = WalkDone(job_id=row.job_id)
        try:
            while high >= low:
                page = await walk.page((max(low, high - PAGE + 1), high))
                await self.ref.send(PageDone(job_id=row.job_id, page=page))
                high -= page.ids
        except Refused as error:
            outcome = ErrandFailed(job_id=row.job_id, cause=str(error))
        await self.ref.send(outcome)

    def _take_verified(self, done: PageDone) -> None:
        going = self._going.get(done.job_id)
        if going is None:
            return
        row, page = going.row, done.page
        going.row = replace(row, ids_done=row.ids_done + page.ids, result=found_with(row.result or Findings(), page))
        going.pace.take(Sample(at=self.owner.clock.monotonic(), ids=going.row.ids_done, posts=0))

    async def _end_walk(self, job_id: JobId) -> None:
        going = self._going.get(job_id)
        if going is None:
            return
        result = going.row.result
        if result is not None and result.differences.total:
            log.emit(log.VERIFY_DIFFERED, channel=going.name, found=result.differences.words, mended=result.mended)
        await self._end(job_id, "success", None)

    # --- backfill --------------------------------------------------------------------------------------------------

    async def _start_backfill(self, request: StartBackfill) -> Errand:
        channel = await self._channel(request.channel_id)
        same = self._same("backfill", request.channel_id, request.wish.words)
        if same is not None:
            return self._told(same)
        row = ErrandRow(
            job_id=JobId(self._new_id()),
            kind="backfill",
            channel_id=request.channel_id,
            asked=request.wish.words,
            state="queued",
            base=channel.backfilled,
        )
        await self._store.jobs.save_errand(row)
        going = self._going[row.job_id] = Going(row=row, name=name_of(channel, row.channel_id))
        self._find_goal(going)
        return self._told(going)

    def _find_goal(self, going: Going) -> None:
        going.task = self.spawn_task(self._goal_of(going.row), name=f"goal of backfill {going.row.job_id}")

    async def _goal_of(self, row: ErrandRow) -> None:
        wish = Start.model_validate(row.asked)
        outcome: GoalFound | ErrandFailed
        try:
            outcome = GoalFound(job_id=row.job_id, goal=await self._goals.find(row.channel_id, wish))
        except Refused as error:
            outcome = ErrandFailed(job_id=row.job_id, cause=str(error))
        await self.ref.send(outcome)

    async def _take_goal(self, found: GoalFound) -> None:
        """Give the channel its goal, in the store first: an actor that starts meanwhile reads it there."""
        going = self._going.get(found.job_id)
        channel = None if going is None else await self._store.channels.one(going.row.channel_id)
        if going is None or channel is None:
            return
        if channel.start_id is None:
            self.tell_later(LOOK_EVERY, found)
            return
        goal = found.goal if channel.goal_id is None else min(found.goal, channel.goal_id)
        going.row = replace(
            going.row,
            state="running",
            low_id=found.goal,
            high_id=max(channel.start_id - 1, found.goal - 1),
            started_at=self.owner.clock.now(),
        )
        if goal < channel.start_id:
            await self._store.channels.set_goal(channel.channel_id, goal)
            post(self.owner, key_of(channel.channel_id), GoalSet(goal=goal))
        await self._store.jobs.save_errand(going.row)
        going.logged_at = self.owner.clock.monotonic()
        log.emit(log.BACKFILL_STARTED, channel=going.name, ids=going.row.ids_total, job_id=going.row.job_id)

    # --- watching --------------------------------------------------------------------------------------------------

    async def _look(self, number: int) -> None:
        try:
            for going in tuple(self._going.values()):
                if going.row.kind == "backfill" and going.row.state == "running":
                    await self._measure(going, save=number % SAVE_EVERY == 0)
        except StoreUnavailable as error:
            logger.debug("backfills can't be looked at: %s", error)
        self.tell_later(LOOK_EVERY, Look(number=number + 1))

    async def _measure(self, going: Going, *, save: bool) -> None:
        channel = await self._store.channels.one(going.row.channel_id)
        low, high = going.row.low_id, going.row.high_id
        if channel is None or low is None or high is None:
            return
        left = size(missing(channel.covered, low, high))
        waits = None if channel.condition == "active" else f"the channel is {channel.condition}"
        going.row = replace(
            going.row,
            ids_done=high - low + 1 - left,
            posts_added=channel.backfilled - (going.row.base or 0),
            error=waits,
        )
        if not left:
            await self._end(going.row.job_id, "success", None)
            return
        now = self.owner.clock.monotonic()
        going.pace.take(Sample(at=now, ids=going.row.ids_done, posts=going.row.posts_added))
        if now - going.logged_at >= LOG_EVERY:
            going.logged_at = now
            self._log_progress(going)
        if save:
            await self._store.jobs.save_errand(going.row)

    def _log_progress(self, going: Going) -> None:
        told = self._told(going)
        log.emit(
            log.BACKFILL_PROGRESS,
            channel=going.name,
            percent=told.percent,
            posts=told.posts_added,
            rate="?" if told.posts_per_second is None else told.posts_per_second,
            end="?" if told.expected_at is None else f"{told.expected_at:%Y-%m-%d %H:%M} UTC",
        )

    # --- ending ----------------------------------------------------------------------------------------------------

    async def _cancel(self, job_id: JobId) -> Errand:
        going = self._going.get(job_id)
        if going is None:
            return await self._describe(job_id)
        if going.row.kind == "backfill" and going.row.state == "running":
            channel = await self._store.channels.one(going.row.channel_id)
            goal = None if channel is None else reached(channel)
            await self._store.channels.set_goal(going.row.channel_id, goal)
            post(self.owner, key_of(going.row.channel_id), GoalSet(goal=goal))
        return await self._end(job_id, "cancelled", None) or await self._describe(job_id)

    async def _fail(self, job_id: JobId, cause: str) -> None:
        await self._end(job_id, "failed", cause)

    async def _end(self, job_id: JobId, state: JobState, error: str | None) -> Errand | None:
        going = self._going.get(job_id)
        if going is None:
            return None
        row = replace(going.row, state=state, error=error, finished_at=self.owner.clock.now())
        await self._store.jobs.save_errand(row)
        del self._going[job_id]
        if going.task is not None:
            going.task.cancel()
        self._metrics.jobs.labels(kind=row.kind, state=state).inc()
        log.emit(log.ERRAND_FINISHED, kind=row.kind, channel=going.name, state=state, posts=row.posts_added)
        told = described(row, None, self.owner.clock.now())
        for later, timer in going.askers:
            timer.cancel()
            later.reply(told)
        return told

    # --- telling ---------------------------------------------------------------------------------------------------

    def _told(self, going: Going) -> Errand:
        return described(going.row, going.pace, self.owner.clock.now())

    async def _describe(self, job_id: JobId) -> Errand:
        going = self._going.get(job_id)
        if going is not None:
            return self._told(going)
        row = await self._store.jobs.errand(job_id)
        if row is None:
            raise JobUnknown(job_id)
        return described(row, None, self.owner.clock.now())

    async def _await(self, request: AwaitErrand) -> Errand | Later[Errand]:
        going = self._going.get(request.job_id)
        if going is None or request.wait <= timedelta(0):
            return await self._describe(request.job_id)
        later: Later[Errand] = Later()
        timer = self.tell_later(request.wait.total_seconds(), WaitOver(job_id=request.job_id, later=later))
        going.askers.append((later, timer))
        return later

    def _end_wait(self, over: WaitOver) -> None:
        going = self._going.get(over.job_id)
        if going is None:
            return
        going.askers = [(later, timer) for later, timer in going.askers if later is not over.later]
        if not over.later.done:
            over.later.reply(self._told(going))
