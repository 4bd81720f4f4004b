"""Posts read again some time after their publication: when, at what cost, and what is kept of it."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from actors.coverage import PAGE
from actors.errors import FloodWaited, Refused, TryAgain
from actors.messages.ids import AccountId
from actors.rereader import next_look, rest_after
from actors.runtime.errors import ActorMissing
from config.model import Start
from sandbox.faults import Turbulence
from tests.actors.telegram.house import fail
from tests.adversity.hours import hurried_tree
from tests.adversity.test_costs import caught_up
from tests.daemon.store.rows import ask

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
PLANS = (HOUR, timedelta(days=1))


@pytest.mark.parametrize(
    ("published", "look"),
    [
        ((), NOON + HOUR),
        ((NOON,), NOON + 66 * MINUTE),
        ((NOON - 2 * HOUR,), NOON - 54 * MINUTE),
        ((NOON,) * (PAGE - 1), NOON + 66 * MINUTE),
        ((NOON,) * PAGE, NOON + HOUR),
        ((NOON - 10 * MINUTE,) * 50 + (NOON,) * 50, NOON + 56 * MINUTE),
    ],
)
def test_a_plan_is_looked_at_when_a_page_is_full_or_its_oldest_post_is_a_tenth_late(published, look):
    assert next_look(HOUR, NOON, published) == look


class Years:
    """A tree whose clock leaps."""

    def __init__(self, tree, dsn):
        self.tree, self.dsn = tree, dsn

    def leap(self, by):
        self.tree.owner.clock._began += by

    async def points(self):
        rows = await ask(self.dsn, "SELECT message_id, views FROM post_series ORDER BY at, message_id")
        return Counter(post_id for post_id, _ in rows), dict(rows)

    async def read_again(self, times):
        async def is_read():
            counted, _ = await self.points()
            return counted == times

        await self.tree.until(is_read)


async def test_each_plan_reads_new_posts_again_once_a_page_a_call_through_a_restart(store, dsn):
    shape = {"accounts": 1, "channels": 1, "posts": 40, "collection": {"reread_after": PLANS}}
    async with hurried_tree(store, dsn, faster=40, start=Start(policy="all"), **shape) as tree:
        await tree.signed_in()
        await tree.parse()
        await caught_up(tree)
        years, dc = Years(tree, dsn), tree.sandbox.dc
        (channel,) = dc.world.channels.values()

        async def begun():
            return len(await ask(dsn, "SELECT 1 FROM rereads")) == len(PLANS)

        await tree.until(begun)
        new = dc.publish(channel, count=150)
        await caught_up(tree)
        dc.hub.turbulence = Turbulence(loss=1.0)
        for post_id in new:
            dc.count(channel, post_id, views=10_000 + post_id)
        dc.edit(channel, new[3], "edited while nobody listened", silent=True)
        dc.delete(channel, new[:2], silent=True)
        kept = Counter(dict.fromkeys(new[2:], 1))

        before = tree.calls("messages.getHistory")
        years.leap(HOUR + 10 * MINUTE)
        await years.read_again(kept)
        _, views = await years.points()
        assert views == {post_id: 10_000 + post_id for post_id in new[2:]}
        assert tree.calls("messages.getHistory") - before <= 3
        assert await tree.held(channel.id) == tree.exists(channel.id)
        assert tree.metrics.posts_reread._value.get() == len(new) - 2

        await tree.stop()
        tree.start(start=Start(policy="all"), reread_after=PLANS)
        await tree.signed_in()
        years.leap(timedelta(days=1.2))
        await years.read_again(Counter(dict.fromkeys(new[2:], 2)))
        stats = await store.posts.stats(channel.id, new[5])
        assert [point.views for point in stats.series] == [10_000 + new[5]] * 2
        assert stats.now.views == 10_000 + new[5]
        assert await store.posts.stats(channel.id, new[-1] + 1) is None


async def test_what_can_not_be_read_again_now_rests_and_keeps_nobody_waiting(store, dsn):
    shape = {"accounts": 1, "channels": 1, "posts": 40, "collection": {"reread_after": PLANS[:1]}}
    async with hurried_tree(store, dsn, faster=40, start=Start(policy="all"), **shape) as tree:
        await tree.signed_in()
        await tree.parse()
        await caught_up(tree)
        (channel,) = tree.sandbox.dc.world.channels.values()

        async def begun():
            return await ask(dsn, "SELECT 1 FROM rereads")

        await tree.until(begun)
        tree.sandbox.dc.publish(channel, count=3)
        await caught_up(tree)
        fail(tree.sandbox, "messages.getHistory", (420, "FLOOD_WAIT_4000"), count=0)
        before = tree.calls("messages.getHistory")
        Years(tree, dsn).leap(2 * HOUR)

        async def rests():
            ((due_at,),) = await ask(dsn, "SELECT due_at FROM rereads")
            return due_at > tree.owner.clock.now() + timedelta(seconds=3500)

        await tree.until(rests)
        assert tree.calls("messages.getHistory") - before == 1
        assert await ask(dsn, "SELECT 1 FROM post_series") == []


@pytest.mark.parametrize(
    ("fault", "rest"),
    [
        (FloodWaited(AccountId(1), "messages.getHistory", timedelta(seconds=77)), timedelta(seconds=77)),
        (Refused(AccountId(1), "messages.getHistory", "X"), HOUR),
        (TryAgain(AccountId(1), "messages.getHistory", "X"), 5 * MINUTE),
        (ActorMissing("a reader"), 5 * MINUTE),
    ],
)
def test_it_rests_as_long_as_its_fault_says(fault, rest):
    assert rest_after(fault) == rest


async def test_without_plans_nothing_is_read_again(store, dsn):
    async with hurried_tree(store, dsn, faster=40, accounts=1, channels=1, posts=40) as tree:
        await tree.signed_in()
        assert tree.owner.get("rereader") is None
