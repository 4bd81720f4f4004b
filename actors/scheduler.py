"""Schedules and parses: schedule times become parse jobs, a job becomes one message per channel, answers become a sum.

One run at a time: a user's parse, the parse of all, and that of a schedule with channels of its own, each have one job
that runs; whoever asks again gets that job, and a schedule passes or waits for it.
"""

import asyncio
import logging
import random
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, assert_never

from actors import log
from actors.channel import FLOOD_PATIENCE, key_of
from actors.errors import FloodWaited, JobUnknown, Refused, UserNotSignedIn, UserUnknown
from actors.heads import PEEK
from actors.messages.account import PeekChannels
from actors.messages.channel import ParseChannel
from actors.messages.ids import UP, AccountId, ChannelId, JobId, JobKind, JobState
from actors.messages.jobs import (
    AwaitJob,
    CancelParse,
    ChannelParsed,
    ChannelUp,
    DescribeJob,
    DescribeSchedules,
    Job,
    ParseAll,
    ParseUser,
    ScheduleTimes,
)
from actors.messages.roster import MembershipLost, ReadersFor
from actors.messages.settings import SetSchedules
from actors.metrics import Metrics
from actors.neighbours import ASK_FAULTS, once_stored, or_again, post
from actors.ports import Store
from actors.runs import (
    ALL,
    FindReaders,
    FinishRun,
    Fire,
    HeadsFailed,
    HeadsRead,
    LookAtClock,
    PeekBatch,
    Run,
    RunAfter,
    RunOverdue,
    Runs,
    StartRun,
    Target,
    WaitOver,
    tell_errors,
    unmet,
)
from actors.runtime.actor import TaskActor
from actors.runtime.clock import Timer
from actors.runtime.reply import Later
from actors.telegram.follow import is_named
from actors.timetable import Timetable, plan, told_of
from config.model import Group, Plan, Schedule, plan_of
from config.schedule import names_of

logger = logging.getLogger(__name__)

KEY = "scheduler"
PEEK_ATTEMPTS = 5
"""Attempts to read heads before the channels of that call count as failed."""
PEEK_AGAIN = 2.0
"""Seconds between those attempts."""
RUN_MOST = 3600.0
"""Seconds that one run may take: a long backlog in one channel must not keep the others' runs from beginning."""
READER_ATTEMPTS = 20
READER_AGAIN = 1.0
"""Attempts, and seconds between them, to find the readers that are on their way back; then a job goes on without."""
TOLD_AT_ONCE = 50
"""Schedules told between two turns of the loop: a hundred firings of each take 15 ms."""
LOOK_MOST = 30.0
"""Seconds between two looks at the wall clock: how long one that was set may pass unseen."""


Question = ParseUser | ParseAll | AwaitJob | CancelParse | DescribeJob | DescribeSchedules
SchedulerMessage = (
    Question
    | ChannelParsed
    | SetSchedules
    | LookAtClock
    | Fire
    | RunAfter
    | StartRun
    | FindReaders
    | FinishRun
    | RunOverdue
    | PeekBatch
    | HeadsRead
    | HeadsFailed
    | WaitOver
)


class Scheduler(TaskActor):
    """Runs schedules and jobs; every job is in the store from its acceptance on."""

    mailbox_size = 16_384

    def __init__(
        self,
        *,
        store: Store,
        schedules: tuple[Schedule, ...],
        plans: tuple[Plan, ...],
        metrics: Metrics,
        rng: random.Random,
        groups: tuple[Group, ...] = (),
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        super().__init__()
        self._store = store
        self._schedules = schedules
        self._groups = groups
        self._plans = plans
        self._metrics = metrics
        self._new_id = new_id
        self._rng = rng
        self._timetable = Timetable(rng)
        self._timer: Timer | None = None
        self._ahead = timedelta(0)
        """Of the wall clock to the time that went by, at the last look."""
        self._runs = Runs()

    async def started(self) -> None:
        self._ahead = self._ahead_now()
        await once_stored(self, self._begin)
        log.emit(log.SERVICE_READY)

    async def _begin(self) -> None:
        now = self.owner.clock.now()
        interrupted = await self._store.jobs.end_interrupted(now)
        if interrupted:
            logger.info("%s jobs of an earlier run were interrupted", interrupted)
        marks = await self._store.schedules.marks()
        planned = plan(self._schedules, now, self._rng, marks=marks)
        await self._set(
            SetSchedules(schedules=self._schedules, groups=self._groups, plans=self._plans, planned=planned)
        )

    def on_control(self, message: ChannelParsed | ChannelUp) -> None:
        """A channel's word must not be refused for want of room: a job would wait for it for ever."""
        match message:
            case ChannelParsed():
                self.tell_self(message)
            case ChannelUp(channel_id=channel_id):
                for job_id, run in self._runs.going.items():
                    if channel_id in run.waiting:
                        self.tell_self(FindReaders(job_id=job_id, channel_ids=(channel_id,)))
            case _:
                assert_never(message)

    def on_receive(self, message: SchedulerMessage) -> object:
        match message:
            case ParseUser() | ParseAll() | AwaitJob() | CancelParse() | DescribeJob() | DescribeSchedules():
                return self._answer(message)
            case ChannelParsed():
                return or_again(self, self._take_parsed(message), message)
            case LookAtClock():
                self._look()
            case SetSchedules():
                return self._set(message)
            case Fire():
                return or_again(self, self._fire(message), message)
            case RunAfter(schedule=schedule, target=target):
                return or_again(self, self._parse_by(schedule, target), message)
            case StartRun(job_id=job_id):
                return or_again(self, self._start_run(job_id), message)
            case FindReaders():
                return or_again(self, self._find_readers(message), message)
            case RunOverdue(job_id=job_id):
                self._cut_short(job_id)
            case FinishRun(job_id=job_id):
                return or_again(self, self._finish(job_id), message)
            case PeekBatch():
                self._send_peek(message)
            case HeadsRead():
                self._spread(message)
            case HeadsFailed():
                self._take_failed_heads(message)
            case WaitOver():
                self._end_wait(message)
            case _:
                assert_never(message)
        return None

    def _answer(self, question: Question) -> object:
        match question:
            case ParseUser():
                return self._parse_user(question)
            case ParseAll():
                return self._running_or_new("all", ALL)
            case AwaitJob():
                return self._await_job(question)
            case CancelParse(job_id=job_id):
                return self._cancel(job_id)
            case DescribeJob(job_id=job_id):
                return self._describe(job_id)
            case DescribeSchedules():
                return self._tell_times(question)
            case _:
                assert_never(question)

    # --- schedules -------------------------------------------------------------------------------------------------

    def _ahead_now(self) -> timedelta:
        return timedelta(seconds=self.owner.clock.now().timestamp() - self.owner.clock.monotonic())

    async def _set(self, message: SetSchedules) -> None:
        await self._store.schedules.save([each.mark for each in message.planned if each.mark is not None])
        await self._store.schedules.keep_only([schedule.name for schedule in message.schedules])
        self._schedules, self._groups, self._plans = message.schedules, message.groups, message.plans
        self._timetable.set(message.schedules, message.planned)
        self._arm()

    def _look(self) -> None:
        now, ahead = self.owner.clock.now(), self._ahead_now()
        self._timetable.jumped(ahead - self._ahead, now)
        self._ahead = ahead
        for firing in self._timetable.take(now):
            self.tell_self(Fire(firing=firing))
        self._arm()

    def _arm(self) -> None:
        """Look again when the next schedule fires, and not much later in any case."""
        if self._timer is not None:
            self._timer.cancel()
        at = self._timetable.next_at
        wait = LOOK_MOST if at is None else (at - self.owner.clock.now()).total_seconds()
        self._timer = self.tell_later(min(max(0.0, wait), LOOK_MOST), LookAtClock())

    async def _fire(self, fire: Fire) -> None:
        """Begin the runs, then note that it fired: a crash between has interrupted them, and they begin anew."""
        schedule = fire.firing.schedule
        if schedule.name not in self._timetable:
            return  # a reload has taken it away
        for user_id in schedule.users:
            await self._parse_for(AccountId(user_id), schedule)
        if not schedule.users:
            await self._parse_by(schedule, (None, schedule.name) if schedule.channels or schedule.groups else ALL)
        await self._store.schedules.save([fire.firing.mark])
        self._timetable.done(fire.firing, self.owner.clock.now())
        self._arm()

    async def _tell_times(self, question: DescribeSchedules) -> tuple[ScheduleTimes, ...] | None:
        names = [schedule.name for schedule in self._schedules]
        if question.after is not None and question.after not in names:
            return None
        begin = 0 if question.after is None else names.index(question.after) + 1
        end = None if question.limit is None else begin + question.limit
        told = []
        for each in self._schedules[begin:end]:
            told.append(told_of(each, self._timetable.times(each.name, question.count)))
            if len(told) % TOLD_AT_ONCE == 0:
                await asyncio.sleep(0)
        return tuple(told)

    async def _parse_for(self, account_id: AccountId, schedule: Schedule) -> None:
        """Begin one user's run, or say why there is none."""
        row = await self._store.accounts.one(account_id)
        theirs = [each.name for each in self._schedules if account_id in each.users]
        most = None if row is None else plan_of(row.plan, self._plans).schedules
        cause = f"its plan allows {most} schedules of its own"
        if schedule.name in theirs[:most]:
            try:
                await self._check_user(account_id)
            except (UserUnknown, UserNotSignedIn) as fault:
                cause = str(fault)
            else:
                await self._parse_by(schedule, (account_id, None))
                return
        log.emit(log.SCHEDULE_SKIPPED, schedule=schedule.name, account_id=account_id, cause=cause)
        self._metrics.firings.labels(result="skipped").inc()

    async def _parse_by(self, schedule: Schedule, target: Target) -> None:
        running = self._runs.of(target)
        if running is None:
            await self._accept("schedule", target, schedule)
            self._metrics.firings.labels(result="run").inc()
            return
        result = "waiting" if schedule.overlap == "wait" else "overlapped"
        if result == "waiting":
            self._runs.wait_for(target, schedule)
        log.emit(log.SCHEDULE_OVERLAPPED, schedule=schedule.name, job_id=running.job.job_id, overlap=schedule.overlap)
        self._metrics.firings.labels(result=result).inc()

    # --- accepting -------------------------------------------------------------------------------------------------

    async def _check_user(self, account_id: AccountId) -> None:
        """Raises: ``UserUnknown``, ``UserNotSignedIn``."""
        row = await self._store.accounts.one(account_id)
        if row is None or row.bot:
            raise UserUnknown(account_id)
        # One that connects again is as good as signed in, as long as there is something that it reads.
        connecting = row.state == "connecting" and row.channels > 0
        if row.state not in UP and not connecting:
            raise UserNotSignedIn(account_id, row.state)

    async def _parse_user(self, request: ParseUser) -> Job:
        await self._check_user(request.account_id)
        return await self._running_or_new("user", (request.account_id, None))

    async def _running_or_new(self, kind: JobKind, target: Target) -> Job:
        running = self._runs.of(target)
        return await self._accept(kind, target) if running is None else running.job

    async def _accept(self, kind: JobKind, target: Target, schedule: Schedule | None = None) -> Job:
        user_id, own = target
        name = None if schedule is None else schedule.name
        job = Job(job_id=JobId(self._new_id()), kind=kind, user_id=user_id, state="queued", schedule=name)
        await self._store.jobs.save(job)
        only = names_of(schedule, self._groups) if schedule is not None and own is not None else None
        self._runs.begin(Run(job=job, target=target, only=only))
        log.emit(log.PARSE_TASK_CREATED, job_id=job.job_id)
        self.tell_self(StartRun(job_id=job.job_id))
        return job

    # --- running ---------------------------------------------------------------------------------------------------

    async def _start_run(self, job_id: JobId) -> None:
        run = self._runs.going.get(job_id)
        if run is None:
            return  # cancelled before it began
        wanted = None
        if run.job.user_id is not None:
            wanted = set(await self._store.channels.of_account(run.job.user_id))
        rows = [row for row in await self._store.channels.all() if row.subscriptions and row.condition == "active"]
        run.names = {
            row.channel_id: f"@{row.username}" if row.username else row.title
            for row in rows
            if (wanted is None or row.channel_id in wanted) and (run.only is None or is_named(row, run.only))
        }
        if run.only is not None:
            run.errors += unmet(run.only, rows)
        run.waiting = set(run.names)
        run.job = replace(run.job, state="running", channels_total=len(run.waiting), started_at=self.owner.clock.now())
        await self._store.jobs.save(run.job)
        self.tell_self(FindReaders(job_id=job_id, channel_ids=tuple(run.waiting)))
        self.tell_later(RUN_MOST, RunOverdue(job_id=job_id))
        if not run.waiting:
            self.tell_self(FinishRun(job_id=job_id))

    async def _find_readers(self, find: FindReaders) -> None:
        """Let each reader read the heads of its channels; a reader that is on its way back is given some time."""
        if find.job_id not in self._runs.going:
            return
        readers = await self.owner.find("roster").call(ReadersFor(channel_ids=find.channel_ids))
        for account_id, channel_ids in readers.by_account.items():
            for at in range(0, len(channel_ids), PEEK):
                self.tell_self(
                    PeekBatch(job_id=find.job_id, account_id=account_id, channel_ids=channel_ids[at : at + PEEK])
                )
        lost = set(find.channel_ids).difference(readers.awaited, *readers.by_account.values())
        if readers.awaited and find.attempt < READER_ATTEMPTS:
            self.tell_later(READER_AGAIN, replace(find, channel_ids=readers.awaited, attempt=find.attempt + 1))
        else:
            lost.update(readers.awaited)
        for channel_id in lost:
            self._fail_channel(find.job_id, channel_id, "no signed-in account can read it now")

    def _send_peek(self, batch: PeekBatch) -> None:
        if batch.job_id in self._runs.going:
            self.spawn_task(self._peek(batch), name=f"heads for job {batch.job_id}")

    async def _peek(self, batch: PeekBatch) -> None:
        outcome: HeadsRead | HeadsFailed
        try:
            account = self.owner.find(f"account/{batch.account_id}")
            peeked = await account.call(PeekChannels(channel_ids=batch.channel_ids), timeout=60.0)
            outcome = HeadsRead(batch=batch, peeked=peeked)
        except ASK_FAULTS as error:
            outcome = HeadsFailed(batch=batch, error=error)
        await self.ref.send(outcome)

    def _spread(self, heads: HeadsRead) -> None:
        job_id = heads.batch.job_id
        for channel_id in heads.peeked.lost:
            post(self.owner, "roster", MembershipLost(account_id=heads.batch.account_id, channel_id=channel_id))
        if job_id not in self._runs.going:
            return
        told = set()
        for head in heads.peeked.heads:
            if post(self.owner, key_of(head.channel_id), ParseChannel(job_id=job_id, head=head)):
                told.add(head.channel_id)
        if heads.peeked.left:
            self.tell_self(replace(heads.batch, channel_ids=heads.peeked.left))
        for channel_id in set(heads.batch.channel_ids) - told - set(heads.peeked.left):
            self._fail_channel(job_id, channel_id, "it can't be read by its reader now")

    def _take_failed_heads(self, failed: HeadsFailed) -> None:
        batch, error = failed.batch, failed.error
        if batch.job_id not in self._runs.going:
            return
        if isinstance(error, FloodWaited) and error.wait <= FLOOD_PATIENCE:
            self.tell_later(error.wait.total_seconds(), batch)
        elif batch.attempt < PEEK_ATTEMPTS and not isinstance(error, FloodWaited | Refused):
            self.tell_later(PEEK_AGAIN, replace(batch, attempt=batch.attempt + 1))
        else:
            for channel_id in batch.channel_ids:
                self._fail_channel(batch.job_id, channel_id, str(error))

    def _cut_short(self, job_id: JobId) -> None:
        """Channels go on collecting; only this job stops waiting for them, so that the next run can begin."""
        run = self._runs.going.get(job_id)
        for channel_id in tuple(run.waiting) if run is not None else ():
            self._fail_channel(job_id, channel_id, "it is still being collected")

    def _fail_channel(self, job_id: JobId, channel_id: ChannelId, cause: str) -> None:
        self.tell_self(ChannelParsed(job_id=job_id, channel_id=channel_id, error=cause))

    async def _take_parsed(self, parsed: ChannelParsed) -> None:
        run = self._runs.going.get(parsed.job_id)
        if run is None or parsed.channel_id not in run.waiting:
            return
        summary = await self._store.jobs.summarize(run.job.user_id, parsed.channel_id)
        run.waiting.discard(parsed.channel_id)
        if parsed.error is not None:
            run.errors.append(f"{run.names[parsed.channel_id]}: {parsed.error}")
        if summary.added:
            log.emit(
                log.POSTS_ADDED,
                channel=run.names[parsed.channel_id],
                count=summary.added,
                job_id=parsed.job_id,
                channel_id=parsed.channel_id,
            )
        run.job = replace(
            run.job,
            channels_done=run.job.channels_done + 1,
            posts_added=run.job.posts_added + summary.added,
            posts_edited=run.job.posts_edited + summary.edited,
        )
        if not run.waiting:
            self.tell_self(FinishRun(job_id=parsed.job_id))

    async def _finish(self, job_id: JobId) -> None:
        run = self._runs.going.get(job_id)
        if run is not None:
            await self._end(run, "failed" if run.errors else "success")

    async def _cancel(self, job_id: JobId) -> Job:
        """Ask nothing more for it. Its channels go on with what they were told: they are to be whole in any case."""
        run = self._runs.going.get(job_id)
        return await self._describe(job_id) if run is None else await self._end(run, "cancelled")

    async def _end(self, run: Run, state: JobState) -> Job:
        job = replace(run.job, state=state, error=tell_errors(run.errors), finished_at=self.owner.clock.now())
        await self._store.jobs.save(job)
        waiting = self._runs.end(run, job)
        if waiting is not None and waiting.name in self._timetable:
            self.tell_self(RunAfter(schedule=self._timetable[waiting.name], target=run.target))
        whose: dict[str, Any] = {"job_id": job.job_id, "user_id": job.user_id, "schedule": job.schedule}
        if state == "cancelled":
            log.emit(log.PARSE_CANCELLED, count=job.posts_added, **whose)
        else:
            if job.error is not None:
                log.emit(log.PARSE_FAILED, error=job.error, **whose)
            log.emit(log.PARSE_FINISHED, count=job.posts_added, **whose)
        self._metrics.jobs.labels(kind=job.kind, state=state).inc()
        for later, timer in run.askers:
            timer.cancel()
            later.reply(job)
        return job

    # --- telling ---------------------------------------------------------------------------------------------------

    async def _describe(self, job_id: JobId) -> Job:
        run = self._runs.going.get(job_id)
        job = run.job if run is not None else self._runs.ended.get(job_id) or await self._store.jobs.one(job_id)
        if job is None:
            raise JobUnknown(job_id)
        return job

    async def _await_job(self, request: AwaitJob) -> Job | Later[Job]:
        run = self._runs.going.get(request.job_id)
        if run is None or request.wait <= timedelta(0):
            return await self._describe(request.job_id)
        later: Later[Job] = Later()
        timer = self.tell_later(request.wait.total_seconds(), WaitOver(job_id=request.job_id, later=later))
        run.askers.append((later, timer))
        return later

    def _end_wait(self, over: WaitOver) -> None:
        run = self._runs.going.get(over.job_id)
        if run is None:
            return
        run.askers = [(later, timer) for later, timer in run.askers if later is not over.later]
        if not over.later.done:
            over.later.reply(run.job)
