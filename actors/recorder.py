"""The one writer of posts: gathers records while a commit runs, then commits them together with their coverage."""

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta
from typing import assert_never

from actors import log
from actors.errors import PostRefused, StoreUnavailable
from actors.messages.account import Room
from actors.messages.content import Post
from actors.messages.ids import ChannelId
from actors.messages.recorder import Flush, Record, Recorded, RecorderUp, RecordFailed
from actors.metrics import Metrics
from actors.neighbours import post
from actors.ports import Posts
from actors.runtime.actor import TaskActor

logger = logging.getLogger(__name__)

KEY = "recorder"
COMMIT_POSTS = 1000
"""Most posts in one transaction: larger ones gain nothing and hold their locks over a second (measured)."""
PENDING_POSTS = 20_000
"""Most posts kept while the database is away (about 40 MB); beyond, records are given back to their channels."""
WRITERS = 2
"""Most transactions at once, of different channels: while one waits for the other side, that one works."""
BULK = 500
"""Posts waiting from which on a second transaction pays; below, small ones are better gathered into one."""
CROWDED = (4_000, 8_000)
"""With more posts than the second figure accounts fetch no more of them, until there are fewer than the first: a page
that can't be kept is fetched in vain. What is on its way then (a call of each account) still has room."""
RETRY = (timedelta(milliseconds=250), timedelta(seconds=5))
"""First and longest wait between attempts while the database is away."""

RecorderMessage = Record | Flush


def undecodable(refused: Post) -> Post:
    """What stands in the place of a post that can't be stored."""
    return Post(channel_id=refused.channel_id, message_id=refused.message_id, kind="undecodable", date=None)


class Recorder(TaskActor):
    """Commits what channels ask for and tells them ``Recorded``, or ``RecordFailed`` when there is no room to wait.

    A batch that fails because the database is away is kept and tried again. Records of one channel are committed in
    the order in which they came, and after one that was refused none is taken until the channel has begun a new
    generation. A post that PostgreSQL can't keep is found by halving, and stored as undecodable: it stops nobody else.
    """

    mailbox_size = 4096

    def __init__(self, *, posts: Posts, metrics: Metrics) -> None:
        super().__init__()
        self._posts = posts
        self._metrics = metrics
        self._pending: list[Record] = []
        self._pending_posts = 0
        """Of what is pending and of what is being written."""
        self._writing: list[list[Record]] = []
        self._crowded = False
        self._flushing = False
        self._retrying = False
        self._failures = 0
        self._refused: dict[ChannelId, int] = {}
        """The generation of a channel of which nothing is taken any more."""

    async def started(self) -> None:
        for key in self.owner.keys("channel/"):
            self._answer(key, RecorderUp())
        self._tell_accounts()

    def on_receive(self, message: RecorderMessage) -> None:
        match message:
            case Record():
                self._gather(message)
            case Flush():
                self._flushing = self._retrying = False
                self._begin()
            case _:
                assert_never(message)

    async def stopping(self) -> None:
        """Commit what is left; what the database doesn't take now is uncovered and fetched again after the start."""
        try:
            while batch := self._take():
                await self._commit(batch)
        except StoreUnavailable as error:
            logger.warning("%s records not committed at stop: %s", len(self._pending), error)

    def _gather(self, record: Record) -> None:
        refused = record.generation <= self._refused.get(record.channel_id, -1)
        if refused or self._pending_posts + len(record.posts) > PENDING_POSTS:
            self._refused[record.channel_id] = record.generation
            self._answer(record.reply_key, RecordFailed(channel_id=record.channel_id, ticket=record.ticket))
            return
        self._pending.append(record)
        self._weigh(len(record.posts))
        if not (self._flushing or self._retrying) and len(self._writing) < WRITERS:
            self._flushing = True
            self.tell_self(Flush())  # behind the mail that is there: it goes into the same transaction

    def _begin(self) -> None:
        while not self._retrying and len(self._writing) < WRITERS:
            posts = sum(len(record.posts) for record in self._pending)
            if (self._writing and posts < BULK) or not (batch := self._take()):
                return
            self._writing.append(batch)
            self.spawn_task(self._write(batch), name="write")

    def _take(self) -> list[Record]:
        """The oldest records of channels that aren't being written, up to a commit's size, at least one."""
        taken: list[Record] = []
        left: list[Record] = []
        held = {record.channel_id for batch in self._writing for record in batch}
        posts = 0
        for at, record in enumerate(self._pending):
            if record.channel_id in held:
                left.append(record)
                continue
            if taken and posts + len(record.posts) > COMMIT_POSTS:
                left += self._pending[at:]
                break
            taken.append(record)
            posts += len(record.posts)
        self._pending = left
        return taken

    async def _write(self, batch: list[Record]) -> None:
        try:
            await self._commit(batch)
            self._failures = 0
        except StoreUnavailable as error:
            self._retry(error)
        finally:
            self._writing = [each for each in self._writing if each is not batch]
        if not self.is_ending:
            self._begin()

    def _retry(self, error: StoreUnavailable) -> None:
        if self._retrying:
            return
        first, most = RETRY
        wait = min(first * 2**self._failures, most)
        if self._failures in {0, 5} or self._failures % 60 == 0:
            log.emit(log.STORE_UNAVAILABLE, seconds=wait.total_seconds(), cause=str(error))
        self._failures += 1
        self._retrying = True
        self.tell_later(wait.total_seconds(), Flush())

    async def _commit(self, batch: list[Record]) -> None:
        started = self.owner.clock.monotonic()
        try:
            answers = await self._to_the_end(batch)
        except (StoreUnavailable, asyncio.CancelledError):
            self._pending[:0] = batch
            raise
        self._metrics.record_seconds.observe(self.owner.clock.monotonic() - started)
        posts = sum(len(record.posts) for record in batch)
        self._weigh(-posts)
        self._metrics.record_posts.observe(posts)
        self._metrics.posts_undecodable.inc(
            sum(post.kind == "undecodable" for record in batch for post in record.posts)
        )
        for record, answer in zip(batch, answers, strict=True):
            self._metrics.posts_parsed.inc(answer.added)
            self._metrics.posts_by_road.labels(record.road).inc(answer.added)
            if record.road == "live":
                self._note_lag(record)
            self._metrics.posts_edited.inc(answer.edited)
            self._metrics.posts_deleted.inc(answer.deleted)
            self._answer(record.reply_key, answer)

    def _note_lag(self, record: Record) -> None:
        now = self.owner.clock.now()
        for each in record.posts:
            if each.date is not None and each.edited_at is None:
                self._metrics.record_lag.observe(max(0.0, (now - each.date).total_seconds()))

    async def _to_the_end(self, batch: list[Record]) -> tuple[Recorded, ...]:
        """A transaction that has begun is finished when the recorder ends; only the second cancellation breaks it."""
        work = asyncio.ensure_future(self._stored(batch))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            return await work

    async def _stored(self, batch: list[Record]) -> tuple[Recorded, ...]:
        """Commit; where PostgreSQL refuses a value, in halves, down to the post that it can't keep."""
        try:
            return await self._posts.record(batch)
        except PostRefused as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                return (*await self._stored(batch[:middle]), *await self._stored(batch[middle:]))
            (record,) = batch
            if not record.posts:
                raise
            return (await self._stored_apart(record, error),)

    async def _stored_apart(self, record: Record, error: PostRefused) -> Recorded:
        """Post by post, and what the record says beside them last, so that nothing is covered before it is stored."""
        added = edited = 0
        kept = []
        for one in record.posts:
            alone = replace(record, posts=(one,), covered=None, absent=None, doubt=None, deleted_ids=(), figures=())
            alone = replace(alone, start_id=None, channel_pts=None)
            try:
                (answer,) = await self._posts.record([alone])
            except PostRefused:
                log.emit(
                    log.POST_UNDECODABLE, channel_id=record.channel_id, message_id=one.message_id, cause=str(error)
                )
                one = undecodable(one)  # noqa: PLW2901 - it takes the post's place
                (answer,) = await self._posts.record([replace(alone, posts=(one,))])
            kept.append(one)
            added, edited = added + answer.added, edited + answer.edited
        (answer,) = await self._posts.record([replace(record, posts=tuple(kept))])
        return replace(answer, added=answer.added + added, edited=answer.edited + edited)

    def _weigh(self, posts: int) -> None:
        self._pending_posts += posts
        few, many = CROWDED
        crowded = self._pending_posts > (few if self._crowded else many)
        if crowded != self._crowded:
            self._crowded = crowded
            self._tell_accounts()

    def _tell_accounts(self) -> None:
        for key in self.owner.keys("account/"):
            self._answer(key, Room(enough=not self._crowded))

    def _answer(self, key: str, answer: Recorded | RecorderUp | RecordFailed | Room) -> None:
        """By the control lane, which is never full: a lost answer would leave its span claimed for ever.

        A channel that is gone needs none: its successor reads its state from the store.
        """
        post(self.owner, key, answer)
