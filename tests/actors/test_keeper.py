"""Posts that are older than they are kept are let go with all that belongs to them, and aren't fetched again."""

import logging
from datetime import UTC, datetime, timedelta

import pytest

from actors.keeper import AT_ONCE, keep_for
from config.model import Group, Retention
from sandbox.client import Sandbox
from tests.actors.test_collection import Tree
from tests.actors.test_schedules import told
from tests.daemon.store.rows import NEWS, SPORT, ask, figures, follow, membership, post, record

DAYS = timedelta(days=1)
NOW = datetime(2026, 11, 30, tzinfo=UTC)


class Channel:
    def __init__(self, channel_id, username):
        self.channel_id, self.username = channel_id, username


NAMED = Channel(5, "News")
RULES = (
    Retention(keep=700 * DAYS),
    Retention(keep=30 * DAYS, users=(7, 8)),
    Retention(keep=60 * DAYS, users=(7,)),
    Retention(keep=90 * DAYS, channels=("@news",)),
    Retention(keep=10 * DAYS, groups=("markets",)),
)
GROUPS = (Group(name="markets", channels=("6", "https://t.me/news")),)


@pytest.mark.parametrize(
    ("channel", "followers", "days"),
    [
        (NAMED, {7, 9}, 90),  # of two that name it the one that keeps longest
        (Channel(6, None), {9}, 10),
        (Channel(4, "other"), {7}, 60),
        (Channel(4, "other"), {7, 8}, 30),
        (Channel(4, "other"), {7, 9}, 700),  # somebody else follows it too
        (Channel(4, "other"), set(), 700),
    ],
)
def test_who_names_a_channel_holds_before_who_names_its_users_and_those_before_all(channel, followers, days):
    assert keep_for(channel, followers, RULES, GROUPS) == days * DAYS


def test_without_a_rule_that_fits_posts_are_kept_for_ever():
    assert keep_for(Channel(4, "other"), {9}, RULES[1:], GROUPS) is None


async def test_old_posts_go_with_all_that_belongs_to_them_and_the_ledger_counts_them_as_unasked(store, dsn):
    await follow(store, membership(NEWS), membership(SPORT))
    old = [post(number, date=NOW - 100 * DAYS) for number in range(1, 6)]
    young = [post(number, date=NOW - 10 * DAYS) for number in range(6, 9)]
    await store.posts.record([record(*old, *young, covered=(1, 8), start_id=1, top_id=8)])
    await store.posts.record(
        [record(post(2, "changed", date=NOW - 100 * DAYS, edited=1), figures=(figures(2, views=4),))]
    )
    await store.posts.record([record(deleted_ids=(3,))])
    other = post(1, channel_id=SPORT, date=NOW - 100 * DAYS)
    await store.posts.record([record(other, channel_id=SPORT, covered=(1, 1), start_id=1, top_id=1)])
    retention = store.retention
    assert await retention.older(NEWS, NOW - 30 * DAYS) == 4, "the deleted one isn't counted"
    below = await retention.begin(NEWS, NOW - 30 * DAYS)
    assert below == 6
    assert await retention.expire(NEWS, below, limit=2) == (2, 2)
    assert await retention.expire(NEWS, below, limit=AT_ONCE) == (3, 2)
    assert await retention.begin(NEWS, NOW - 30 * DAYS) is None, "there is nothing more"
    assert [each.message_id for each in await store.posts.page(NEWS, after_id=0, limit=10)] == [6, 7, 8]
    for table in ("post_versions", "post_stats", "post_series", "post_raw", "post_files"):
        assert await ask(dsn, f"SELECT 1 FROM {table} WHERE channel_id = {NEWS} AND message_id < 6") == []
    row = await store.channels.one(NEWS)
    assert (row.start_id, row.covered, row.posts) == (6, ((6, 8),), 3)
    ledger = await store.channels.ledger(NEWS)
    assert (ledger.stored, ledger.missing, ledger.unasked, ledger.deleted) == (3, 0, 5, 0)
    assert (await store.channels.ledger_totals()).stored == 4
    assert len(await store.posts.page(SPORT, after_id=0, limit=10)) == 1


async def test_where_all_is_old_the_channel_begins_after_it(store):
    await follow(store, membership(NEWS))
    await store.posts.record([record(post(4, date=NOW - 9 * DAYS), covered=(1, 4), start_id=1, top_id=4)])
    assert await store.retention.begin(NEWS, NOW) == 5
    assert await store.retention.expire(NEWS, 5, limit=AT_ONCE) == (1, 1)
    row = await store.channels.one(NEWS)
    assert (row.start_id, row.covered, row.posts) == (5, (), 0)


async def test_a_tree_lets_go_of_what_is_old_and_fetches_none_of_it_again(store, caplog):
    caplog.set_level(logging.INFO)
    async with Sandbox(accounts=2, channels=3, posts=90, seed=3) as sandbox:
        tree = Tree(sandbox, store)
        await tree.sign_in()
        tree.start()
        await tree.signed_in()
        assert (await tree.parse()).posts_added > 50
        new = {channel["id"]: await sandbox.publish(channel["id"], count=2) for channel in tree.channels}
        assert (await tree.parse()).state == "success"
        await tree.stop()
        for _ in range(2):
            tree.start(retention=(Retention(keep=30 * DAYS),))
            await tree.signed_in()
            expired = await told(tree, caplog, "posts_expired", len(tree.channels))
            before = tree.calls("messages.getHistory")
            job = await tree.parse()
            assert (job.state, job.posts_added) == ("success", 0)
            assert tree.calls("messages.getHistory") == before
            for channel_id, ids in new.items():
                assert sorted(await tree.held(channel_id)) == ids
                assert (await store.channels.ledger(channel_id)).missing == 0
            await tree.stop()
        assert sum(each["count"] for each in expired) > 50
        assert tree.metrics.registry.get_sample_value("telewarden_posts_expired_total") == sum(
            each["count"] for each in expired
        )
