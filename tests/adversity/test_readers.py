"""A channel goes on when its reader is lost, hears of what was never pushed, and waits for no call of its account."""

from collections import Counter

import pytest

from config.model import Start
from sandbox.faults import Rule
from tests.adversity.hours import follow_all, hurried_tree
from tests.adversity.storm import Storm
from tests.adversity.test_costs import caught_up

ALL = Start(policy="all")


def _signed_out_elsewhere(tree, reader):
    dc = tree.sandbox.dc
    for key in dc.keys.of(reader):
        dc.revoke(key, "SESSION_REVOKED")


def _banned(tree, reader):
    _answer_everything(tree, reader, error=(401, "USER_DEACTIVATED_BAN"))


def _cut_off(tree, reader):
    """Each of its connections falls at the first call."""
    _answer_everything(tree, reader, drop=True)
    tree.sandbox.drop_connections()


def _thrown_out(tree, reader):
    """The one of these that the service tells of."""
    world = tree.sandbox.dc.world
    for channel in world.channels.values():
        tree.sandbox.dc.move(channel, world.accounts[reader], "banned")


def _answer_everything(tree, reader, **fault):
    tree.sandbox.dc.dispatcher.faults.rules.append(Rule(method="*", account=reader, count=0, **fault))


@pytest.mark.parametrize(
    ("lose", "faster"), [(_signed_out_elsewhere, 20), (_banned, 20), (_cut_off, 10), (_thrown_out, 20)]
)
async def test_when_a_reader_is_lost_its_channels_go_on_within_a_minute(store, dsn, lose, faster):
    shape = {"accounts": 3, "channels": 4, "posts": 200, "prepare": follow_all(0, 1, 2)}
    async with hurried_tree(store, dsn, faster=faster, start=ALL, **shape) as tree:
        await tree.signed_in()
        await tree.parse()
        await caught_up(tree)
        dc = tree.sandbox.dc
        reader = Counter(row.reader_id for row in await store.channels.all()).most_common(1)[0][0]
        lose(tree, reader)
        lost_at = tree.owner.clock.monotonic()
        published = {channel.id: dc.publish(channel, count=1) for channel in dc.world.channels.values()}
        await caught_up(tree)
        assert tree.owner.clock.monotonic() - lost_at <= 60

        for _ in range(20):
            for channel in dc.world.channels.values():
                published[channel.id] += dc.publish(channel, count=1)
                await store.channels.one(channel.id)
        await caught_up(tree)
        for channel in dc.world.channels.values():
            assert not await Storm(tree, 1, 0, channel).differs()
        rows = await store.channels.all()
        assert sum(row.posts for row in rows) == sum(len(tree.exists(row.channel_id)) for row in rows)

        async def moved():
            return all(row.reader_id != reader for row in await store.channels.all())

        await tree.until(moved)


async def test_a_hundred_posts_that_were_never_pushed_are_stored_within_five_minutes(store, dsn):
    shape = {"accounts": 3, "channels": 10, "posts": 200, "prepare": follow_all(0, 1, 2)}
    async with hurried_tree(store, dsn, faster=40, start=ALL, **shape) as tree:
        await tree.signed_in()
        await tree.parse()
        await caught_up(tree)
        dc = tree.sandbox.dc
        published_at = tree.owner.clock.monotonic()
        found = {channel.id: dc.publish(channel, count=10, silent=True) for channel in dc.world.channels.values()}
        await caught_up(tree)
        assert tree.owner.clock.monotonic() - published_at <= 300
        held = {channel: await tree.held(channel) for channel in found}
        assert sum(post_id in held[channel] for channel, ids in found.items() for post_id in ids) == 100


async def test_a_channel_that_nobody_can_read_is_looked_at_again_and_goes_on(store, dsn, monkeypatch):
    monkeypatch.setattr("actors.lost.LOOKS", (60.0, 120.0, 600.0))
    shape = {"accounts": 2, "channels": 2, "posts": 40, "prepare": follow_all(0, 1)}
    async with hurried_tree(store, dsn, faster=20, start=ALL, **shape) as tree:
        await tree.signed_in()
        await tree.parse()
        await caught_up(tree)
        dc = tree.sandbox.dc
        channel = next(iter(dc.world.channels.values()))
        people = [dc.world.accounts[user_id] for user_id in (user["id"] for user in tree.users)]
        for account in people:
            dc.move(channel, account, "banned", silent=True)
        await tree.parse()

        async def told():
            rows = await store.alerts.page(ended=False, limit=10)
            return [row.channel_id for row in rows if row.kind == "channel_private"]

        await tree.until(told)
        lost_at = tree.owner.clock.monotonic()
        assert await told() == [channel.id]
        assert (await store.channels.one(channel.id)).condition == "private"
        dc.move(channel, people[1], "member", silent=True)
        dc.publish(channel, count=2, silent=True)
        await caught_up(tree)
        assert tree.owner.clock.monotonic() - lost_at >= 55

        async def is_over():
            return not await told()

        await tree.until(is_over)
        row = await store.channels.one(channel.id)
        assert (row.condition, row.reader_id) == ("active", people[1].id)
