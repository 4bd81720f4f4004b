"""What collecting costs in calls and pushes, counted by the data centre."""

import asyncio
import time
from collections import Counter

from actors.coverage import missing
from actors.messages.jobs import ParseAll
from config.model import Start
from sandbox.limits import Limit
from tests.adversity.hours import follow_all, hurried_tree, total_calls
from tests.processes import breathe

NEWEST = Start(policy="last", count=1)


async def caught_up(tree, within=60):
    """Every channel is stored as it stands at the data centre, from its start to its top."""
    channels = tree.sandbox.dc.world.channels

    def is_there(row):
        is_whole = row.start_id is not None and not missing(row.covered, row.start_id, row.top_id)
        return is_whole and row.pts == channels[row.channel_id].pts

    async def all_there():
        rows = await tree.store.channels.all()
        return len(rows) == len(channels) and all(is_there(row) for row in rows)

    await tree.until(all_there, within=within)


async def test_a_cycle_without_news_costs_a_call_for_a_hundred_channels_and_news_one_more_each(store, dsn):
    shape = {"accounts": 1, "channels": 500, "posts": 1000, "prepare": follow_all(0)}
    async with hurried_tree(store, dsn, faster=5, start=NEWEST, **shape) as tree:
        await tree.signed_in()
        assert (await tree.parse()).state == "success"
        await caught_up(tree)

        before = total_calls(tree)
        job = await tree.parse()
        assert (job.state, job.channels_done, job.posts_added) == ("success", 500, 0)
        assert total_calls(tree) - before <= 5

        moved = list(tree.sandbox.dc.world.channels.values())[::50]
        for channel in moved:
            tree.sandbox.dc.publish(channel, count=3, silent=True)
        before = total_calls(tree)
        job = await tree.parse()
        assert (job.state, job.posts_added) == ("success", 3 * len(moved))
        assert total_calls(tree) - before <= 15
        assert tree.metrics.calls_avoided._value.get() >= 500 + 490


async def test_fifty_followers_of_the_same_channels_fetch_each_post_once_and_three_are_pushed_to(store, dsn):
    shape = {"accounts": 50, "channels": 200, "posts": 400, "prepare": follow_all(*range(50))}
    async with hurried_tree(store, dsn, faster=5, start=NEWEST, **shape) as tree:
        await tree.signed_in()
        assert (await tree.parse()).state == "success"
        await caught_up(tree)
        dc = tree.sandbox.dc

        async def at_most_three_listen():
            return len(dc.hub._listening) <= 3

        await tree.until(at_most_three_listen)
        pushed = dc.hub.pushed
        for channel in dc.world.channels.values():
            dc.publish(channel, count=1)
        await caught_up(tree)
        assert dc.hub.pushed - pushed <= 3 * 200

        dc.dispatcher.counts.reset()
        for channel in dc.world.channels.values():
            dc.publish(channel, count=1, silent=True)
        assert (await tree.parse()).posts_added == 400
        asked = Counter()
        for methods in tree.sandbox.requests()["by_account"].values():
            asked.update(methods)
        assert asked["updates.getChannelDifference"] + asked["messages.getHistory"] == 200


async def test_after_an_hour_away_five_hundred_channels_are_caught_up_in_four_minutes(store, dsn):
    """Of the clock by which the data centre enforces its limits; it limits differences as it does pages here."""
    faster = 16
    shape = {"accounts": 3, "channels": 500, "posts": 1000, "prepare": follow_all(0, 1, 2)}
    async with hurried_tree(store, dsn, faster=faster, start=NEWEST, **shape) as tree:
        await tree.signed_in()
        await tree.owner.find("scheduler").call(ParseAll())
        await caught_up(tree)
        readers = Counter(row.reader_id for row in await tree.store.channels.all())
        assert max(readers.values()) - min(readers.values()) <= 20, readers

        dc = tree.sandbox.dc
        dc.dispatcher.limits.enforce(
            {"messages.getHistory": (Limit(30, 30),), "updates.getChannelDifference": (Limit(30, 30),)}
        )
        dc.drop_connections(down=0.5)
        for channel in dc.world.channels.values():
            dc.publish(channel, count=4)
        tree.haste.skip(3600)
        dc.dispatcher.counts.reset()
        async with asyncio.timeout(60):
            while not any("updates.getDifference" in each for each in tree.sandbox.requests()["by_account"].values()):
                await breathe()
        began = time.monotonic()
        await caught_up(tree)
        took = (time.monotonic() - began) * faster
        calls = total_calls(tree, "help.getConfig", "users.getUsers", "updates.getDifference")
        assert took <= 240
        assert calls <= 1.2 * 500, tree.sandbox.requests()["by_account"]
