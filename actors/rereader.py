"""Has posts read again some time after their publication: their figures then, their edits, and whether they are gone.

Off unless ``collection.reread_after`` says when. How far each plan has come stands in the database, so that neither a
restart nor an outage skips a post: what fell due meanwhile is read late. Calls give way to all else that an account
has to do, and are few: a page of up to 100 posts waits until it is full, or until its oldest post is late by a tenth.
"""

import logging
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from actors.channel import key_of
from actors.coverage import PAGE, Coverage, add, next_page, proven
from actors.errors import REFUSED_REST, FloodWaited, Refused, StoreUnavailable
from actors.messages.account import FetchHistory
from actors.messages.channel import Mend
from actors.messages.ids import ChannelId, Span
from actors.messages.rereads import DueReread
from actors.metrics import Metrics
from actors.neighbours import ASK_FAULTS
from actors.ports import Rereads
from actors.reading import Readers
from actors.runtime.actor import TaskActor

logger = logging.getLogger(__name__)

KEY = "rereader"
LOOK_EVERY = 30.0
"""Seconds between two looks for what is due: one look at an index."""
AT_ONCE = 50
"""Rereads that may be on their way, each one call at a time in its account's line."""
LATE = 0.1
"""The part of its age by which a post may be read late, so that it shares its call with others."""
AGAIN_AFTER = timedelta(minutes=5)
"""After what couldn't be read or stored for now."""
COMMIT_WITHIN = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """See what is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RereadDone:
    """One step of one plan is over; ``due`` as it stands then."""

    due: DueReread


RereaderMessage = Look | RereadDone


def next_look(after: timedelta, now: datetime, waiting: tuple[datetime, ...]) -> datetime:
    """When a plan is to be looked at again, given when the posts that wait were published, the oldest first.

    Where none waits, whatever is published from now on falls due ``after`` it.
    """
    if not waiting:
        return now + after
    patience = waiting[0] + after * (1 + LATE)
    return min(patience, waiting[PAGE - 1] + after) if len(waiting) >= PAGE else patience


def rest_after(fault: Exception) -> timedelta:
    """How long a plan rests in a channel that couldn't be read again."""
    if isinstance(fault, FloodWaited):
        return fault.wait
    return timedelta(seconds=REFUSED_REST) if isinstance(fault, Refused) else AGAIN_AFTER


class Rereader(TaskActor):
    """One step at a time for each channel and plan; a step that fails is taken again."""

    def __init__(self, *, rereads: Rereads, plans: tuple[timedelta, ...], metrics: Metrics, rng: random.Random) -> None:
        super().__init__()
        self._rereads = rereads
        self._plans = plans
        self._metrics = metrics
        self._readers = Readers(self.owner, rng)
        self._going: set[tuple[ChannelId, timedelta]] = set()

    async def started(self) -> None:
        self.tell_self(Look())

    async def on_receive(self, message: RereaderMessage) -> None:
        match message:
            case Look():
                await self._look()
                self.tell_later(LOOK_EVERY, Look())
            case RereadDone(due=due):
                self._going.discard((due.channel_id, due.after))
            case _:
                assert_never(message)

    async def _look(self) -> None:
        now = self.owner.clock.now()
        try:
            await self._rereads.begin(self._plans, now)
            for due in await self._rereads.due(self._plans, now, limit=AT_ONCE + len(self._going)):
                key = (due.channel_id, due.after)
                if key not in self._going and len(self._going) < AT_ONCE:
                    self._going.add(key)
                    self.spawn_task(self._take_step(due), name=f"reread of channel {due.channel_id}")
        except StoreUnavailable as error:
            logger.debug("what is due to be read again isn't known: %s", error)

    async def _take_step(self, due: DueReread) -> None:
        now = self.owner.clock.now()
        try:
            upto_id, due_at = await self._read_due(due, now)
            await self._rereads.keep(due, upto_id=upto_id, due_at=due_at)
        except (*ASK_FAULTS, StoreUnavailable) as fault:
            logger.info("channel %s is read again later: %s", due.channel_id, fault)
            await self._postpone(due, now + rest_after(fault))
        await self.ref.send(RereadDone(due=due))

    async def _read_due(self, due: DueReread, now: datetime) -> tuple[int, datetime]:
        """The id up to which the plan is done with afterwards, and when to look again."""
        waiting = await self._rereads.waiting(due, limit=PAGE)
        if waiting and waiting[0][1] + due.after < due.since:
            await self._rereads.skip_old(due)
            waiting = await self._rereads.waiting(due, limit=PAGE)
        look_at = next_look(due.after, now, tuple(date for _, date in waiting))
        ripe = [message_id for message_id, date in waiting if date + due.after <= now]
        if look_at > now or not ripe:
            return due.upto_id, look_at
        await self._reread(due.channel_id, (due.upto_id + 1, ripe[-1]))
        return ripe[-1], now  # there may be more of it

    async def _postpone(self, due: DueReread, until: datetime) -> None:
        try:
            await self._rereads.keep(due, upto_id=due.upto_id, due_at=until)
        except StoreUnavailable as error:
            logger.debug("it stays due: %s", error)

    async def _reread(self, channel_id: ChannelId, span: Span) -> None:
        """Read a span of ids again, newest first, and have it recorded: a call for a hundred posts."""
        done: Coverage = ()
        while (page := next_page(done, *span)) is not None:
            ask = FetchHistory(channel_id=channel_id, offset_id=page.offset_id, limit=page.limit, road="backfill")
            # One that waits here would keep others from being read: a plan has its due time to wait by.
            history = await self._readers.ask(channel_id, ask, patient=False)
            read = proven(page, history.lowest_id)
            posts = tuple(post for post in history.posts if read[0] <= post.message_id <= read[1])
            mend = Mend(span=read, posts=posts, pts=history.pts, series=True)
            if not await self.owner.find(key_of(channel_id)).call(mend, timeout=COMMIT_WITHIN):
                raise StoreUnavailable(f"channel {channel_id} couldn't record it")
            self._metrics.posts_reread.inc(len(posts))
            done = add(done, read)
