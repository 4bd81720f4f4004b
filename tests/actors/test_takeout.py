"""Older posts through a takeout session: only where the owner has allowed it, and never only through it."""

from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from actors.errand import AwaitErrand, StartBackfill
from actors.messages.account import FetchHistory
from actors.messages.ids import ChannelId
from actors.telegram.line import BACKFILL, Task
from config.model import Start
from sandbox.faults import Rule
from tests.adversity.hours import hurried_tree

INIT, FINISH = "account.initTakeoutSession", "account.finishTakeoutSession"
POSTS = 700


def test_only_pages_of_older_posts_are_read_in_a_takeout():
    old = FetchHistory(channel_id=ChannelId(1), offset_id=0, road="backfill")
    new = FetchHistory(channel_id=ChannelId(1), offset_id=0)
    assert Task(request=old, since=0.0).lane(in_takeout=True) == (BACKFILL, True)
    assert Task(request=old, since=0.0).lane(in_takeout=False) == ("messages.getHistory", True)
    assert Task(request=new, since=0.0).lane(in_takeout=True) == ("messages.getHistory", False)


class Older:
    def __init__(self, tree):
        self.tree = tree
        (self.channel,) = tree.sandbox.dc.world.channels.values()

    async def backfilled(self):
        errands = self.tree.owner.find("errands")
        job = await errands.call(StartBackfill(channel_id=self.channel.id, wish=Start(policy="all")))
        job = await errands.call(AwaitErrand(job_id=job.job_id, wait=timedelta(seconds=500)), timeout=600)
        assert job.state == "success"
        assert await self.tree.held(self.channel.id) == self.tree.exists(self.channel.id)

    def made(self, method):
        return self.tree.metrics.registry.get_sample_value(
            "telewarden_calls_total", {"method": method, "outcome": "ok"}
        )


@asynccontextmanager
async def allowed(store, dsn, *rules, allow=True):
    def prepare(sandbox):
        sandbox.dc.dispatcher.faults.rules.extend(rules)
        collection["takeout"] = tuple(each for each in sandbox.dc.world.accounts) if allow else ()

    collection = {}
    shape = {"accounts": 1, "channels": 1, "posts": POSTS, "prepare": prepare, "collection": collection}
    async with hurried_tree(store, dsn, faster=20, start=Start(policy="last", count=10), **shape) as tree:
        await tree.signed_in()
        assert (await tree.parse()).state == "success"
        yield Older(tree)


async def test_where_it_is_allowed_a_backfill_reads_through_one_session_that_is_finished_when_idle(
    store, dsn, monkeypatch
):
    monkeypatch.setattr("actors.telegram.takeout.IDLE", 20.0)
    async with allowed(store, dsn) as older:
        assert older.tree.calls(INIT) == 0
        await older.backfilled()
        assert older.tree.calls(INIT) == 1
        assert older.made(BACKFILL) >= POSTS / 100 - 1

        async def finished():
            return older.tree.calls(FINISH) == 1

        await older.tree.until(finished)


async def test_without_leave_nobody_is_asked_for_a_takeout(store, dsn):
    async with allowed(store, dsn, allow=False) as older:
        await older.backfilled()
        assert (older.tree.calls(INIT), older.made(BACKFILL)) == (0, None)


@pytest.mark.parametrize("error", [(420, "TAKEOUT_INIT_DELAY_86400"), (403, "TAKEOUT_REQUIRED")])
async def test_one_that_is_put_off_or_refused_is_asked_for_once_and_done_without(store, dsn, error):
    async with allowed(store, dsn, Rule(method=INIT, error=error, count=0)) as older:
        await older.backfilled()
        assert (older.tree.calls(INIT), older.made(BACKFILL)) == (1, None)


async def test_one_that_ends_elsewhere_is_opened_anew(store, dsn):
    async with allowed(store, dsn) as older:
        takeouts = older.tree.sandbox.dc.logins.takeouts
        await older.backfilled()
        takeouts.clear()
        older.tree.sandbox.dc.dispatcher.counts.reset()
        reader = older.tree.owner.find(f"account/{older.tree.users[0]['id']}")
        for _ in range(2):
            page = await reader.call(FetchHistory(channel_id=older.channel.id, offset_id=50, road="backfill"))
            assert page.count
        assert older.tree.calls(INIT) == 1
        assert older.tree.calls("messages.getHistory") == 2
