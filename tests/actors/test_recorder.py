"""The recorder against a real PostgreSQL, in which a transaction waits for a lock as it would for a slow disk."""

import asyncio
from contextlib import asynccontextmanager

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from actors import recorder
from actors.messages.recorder import Recorded, RecordFailed
from actors.metrics import Metrics
from actors.recorder import BULK, KEY, WRITERS, Recorder
from actors.runtime.actor import TaskActor
from actors.runtime.owner import LoopOwner
from sandbox.client import Sandbox
from tests.actors.test_collection import Tree
from tests.daemon.store.rows import NEWS, SPORT, ask, follow, membership, post, record
from tests.processes import breathe

SLOW = (
    "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END $$",
    "CREATE TRIGGER dawdle AFTER INSERT ON posts FOR EACH STATEMENT EXECUTE FUNCTION dawdle()",
)
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
HELD = "SELECT 1 FROM coverage WHERE channel_id = $1 FOR UPDATE"


class Asker(TaskActor):
    """Stands in a channel's place and keeps what it is answered."""

    def __init__(self, answers):
        super().__init__()
        self._answers = answers

    def on_control(self, message):
        if isinstance(message, Recorded | RecordFailed):
            self._answers.put_nowait((message.channel_id, message.ticket, type(message)))


class Desk:
    def __init__(self, store, dsn):
        self.dsn, self.store = dsn, store
        self.owner = LoopOwner()
        self.answers = asyncio.Queue()
        self.metrics = Metrics(CollectorRegistry())
        Asker.start(self.answers, key="asker")
        self.recorder = Recorder.start(posts=store.posts, metrics=self.metrics, key=KEY)

    def hand_in(self, channel_id, ticket, ids):
        posts = (post(message_id, channel_id=channel_id) for message_id in ids)
        self.recorder.tell(record(*posts, channel_id=channel_id, ticket=ticket, reply_key="asker"))

    async def answered(self, count):
        async with asyncio.timeout(10):
            return [await self.answers.get() for _ in range(count)]

    async def held_up(self, count=1):
        """Until so many transactions wait for a lock."""
        async with asyncio.timeout(10):
            while await ask(self.dsn, WAITING) != [(count,)]:
                await breathe()

    async def stored(self):
        rows = await ask(self.dsn, "SELECT channel_id, count(*)::int FROM posts GROUP BY 1 ORDER BY 1")
        return dict(rows)

    def transactions(self):
        samples = (one for family in self.metrics.registry.collect() for one in family.samples)
        return next(one.value for one in samples if one.name == "telewarden_record_batch_posts_count")


@pytest.fixture
async def desk(store, dsn):
    await follow(store, membership(NEWS, "news"), membership(SPORT, "sport"))
    desk = Desk(store, dsn)
    yield desk
    await desk.owner.close()


@asynccontextmanager
async def holding(dsn, *channel_ids):
    """Another client's transaction has the channels' coverage."""
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            for channel_id in channel_ids:
                await connection.execute(HELD, channel_id)
            yield
    finally:
        await connection.close()


async def test_in_bulk_another_channels_posts_are_stored_while_one_is_held_up(desk):
    async with holding(desk.dsn, NEWS):
        desk.hand_in(NEWS, 1, range(1, 600))
        await desk.held_up()
        desk.hand_in(NEWS, 2, range(600, 1200))
        desk.hand_in(SPORT, 3, range(1, 1 + BULK))
        assert await desk.answered(1) == [(SPORT, 3, Recorded)]
        assert await desk.stored() == {SPORT: BULK}
    assert await desk.answered(2) == [(NEWS, 1, Recorded), (NEWS, 2, Recorded)]


async def test_a_channels_records_are_never_written_side_by_side(desk):
    async with holding(desk.dsn, NEWS):
        for ticket in range(1, 6):
            desk.hand_in(NEWS, ticket, range(ticket * 1000, ticket * 1000 + 600))
        await desk.held_up()
        desk.hand_in(SPORT, 6, range(1, 1 + BULK))
        await desk.answered(1)
        assert await ask(desk.dsn, WAITING) == [(1,)]
    assert await desk.answered(5) == [(NEWS, ticket, Recorded) for ticket in range(1, 6)]


async def test_a_few_posts_wait_and_share_the_next_transaction(desk):
    async with holding(desk.dsn, NEWS):
        desk.hand_in(NEWS, 1, [1])
        await desk.held_up()
        for ticket in range(2, 12):
            desk.hand_in(SPORT, ticket, [ticket])
    await desk.answered(11)
    assert desk.transactions() == 2


async def test_what_is_being_written_at_the_end_is_written_all_the_same(desk):
    async with holding(desk.dsn, NEWS, SPORT):
        desk.hand_in(NEWS, 1, range(1, 600))
        desk.hand_in(SPORT, 2, range(1, 600))
        desk.hand_in(NEWS, 3, range(600, 1200))
        await desk.held_up(WRITERS)
        desk.recorder.stop(block=False)
        async with asyncio.timeout(10):
            while desk.recorder.is_alive() and await ask(desk.dsn, WAITING) == [(WRITERS,)]:
                await breathe()
    assert await desk.recorder.wait_stopped(10)
    assert await desk.stored() == {NEWS: 1199, SPORT: 599}


async def test_a_database_slower_than_the_channels_gives_no_record_back(store, dsn, monkeypatch):
    """Each page is fetched once: whoever asked for more than can be kept would have to ask again."""
    monkeypatch.setattr(recorder, "PENDING_POSTS", 1000)
    monkeypatch.setattr(recorder, "CROWDED", (200, 500))
    for statement in SLOW:
        await ask(dsn, statement)
    async with Sandbox(accounts=2, channels=6, posts=3000, seed=3) as sandbox:
        tree = Tree(sandbox, store)
        await tree.sign_in()
        tree.start()
        await tree.signed_in()
        try:
            assert (await tree.parse()).state == "success"
            for channel in tree.channels:
                assert await tree.held(channel["id"]) == tree.exists(channel["id"])
        finally:
            await tree.stop()
        pages = [-(-len(channel["posts"]) // 100) for channel in sandbox.ledger()["channels"]]
    assert len(pages) == 6
    # A last one may be asked for to see that there is no more.
    assert sum(pages) <= tree.calls("messages.getHistory") <= sum(pages) + len(pages)
