"""What the database says of every id of a channel, and of all channels together."""

import asyncpg
import pytest

from actors.ledger import LedgerTotals
from daemon.store import ledger as asked
from tests.daemon.store.rows import DAY, NEWS, SPORT, ask, follow, membership, post, record


@pytest.fixture
async def filled(store):
    """Of ids 1 to 40: started at 21, a backfill down to 11 that has come to 16; doubt about 30 to 32."""
    await follow(store, membership(NEWS, "news"), membership(SPORT))
    kinds = [
        post(16),
        post(17, kind="service", action=b'{"type": "pin"}'),
        *(post(number) for number in range(21, 34)),
        post(34, noforwards=True),
        post(35, kind="undecodable", date=None),
        post(36, noforwards=True),
        post(40),
    ]
    await store.posts.record(
        [
            record(*kinds, covered=(21, 40), start_id=21, top_id=40, channel_pts=9, floor_id=40),
            record(covered=(16, 20)),
            record(deleted_ids=(22, 36, 38)),
            record(doubt=(30, 32), doubt_why="too much happened to be told"),
        ]
    )
    return store


async def test_every_id_is_in_one_state_and_what_is_doubted_is_told(filled, dsn):
    await ask(dsn, "UPDATE coverage SET goal_id = 11 WHERE channel_id = $1", NEWS)
    told = await filled.channels.ledger(NEWS)
    assert told.doubt_why == "too much happened to be told"
    assert told.doubt_since > DAY.min.replace(tzinfo=DAY.tzinfo)
    counts = (told.stored, told.deleted, told.service, told.undecodable, told.empty)
    # stored: 16, 21, 23 to 34, 40; deleted: 22, 36, and 38, which nobody saw; nothing at 18 to 20, 37 and 39
    assert counts == (15, 3, 1, 1, 5)
    assert (told.restricted, told.doubted) == (1, 3)
    assert (told.missing, told.awaited, told.unasked, told.unknown) == (3, 5, 10, 18)
    assert sum(counts) + told.unknown - told.doubted == told.top_id == 40


async def test_a_channel_that_forbids_forwarding_restricts_all_its_posts(filled):
    await follow(filled, membership(NEWS, "news", noforwards=True))
    told = await filled.channels.ledger(NEWS)
    assert told.restricted == told.stored == 15


async def test_a_channel_whose_start_isn_t_known_has_nothing_missing(filled):
    told = await filled.channels.ledger(SPORT)
    assert (told.top_id, told.stored, told.unknown, told.start_id) == (0, 0, 0, None)
    await filled.posts.record([record(channel_id=SPORT, top_id=7)])
    told = await filled.channels.ledger(SPORT)
    assert (told.unknown, told.unasked, told.missing) == (7, 7, 0)


async def test_an_unknown_channel_has_no_ledger(filled):
    assert await filled.channels.ledger(999) is None


async def test_the_totals_are_the_sums_of_the_ledgers(filled, dsn):
    await ask(dsn, "UPDATE coverage SET goal_id = 11 WHERE channel_id = $1", NEWS)
    await filled.posts.record(
        [
            record(post(5, channel_id=SPORT), channel_id=SPORT, covered=(4, 5), start_id=3, top_id=6),
            record(channel_id=SPORT, doubt=(4, 4), doubt_why="the database took no more"),
        ]
    )
    await ask(dsn, "UPDATE coverage SET doubt_since = now() - interval '90 s' WHERE channel_id = $1", SPORT)
    totals = await filled.channels.ledger_totals()
    ledgers = [await filled.channels.ledger(channel_id) for channel_id in (NEWS, SPORT)]
    assert totals.covered == sum(one.top_id - one.unknown for one in ledgers)
    for name in ("missing", "awaited", "unasked", "stored"):
        assert getattr(totals, name) == sum(getattr(one, name) for one in ledgers), name
    assert totals.deleted == 2  # posts: 38 was never seen
    assert totals.channels_in_doubt == 2
    assert 90 <= totals.oldest_doubt < 120


async def test_the_totals_of_nothing_are_nothing(store):
    assert await store.channels.ledger_totals() == LedgerTotals(
        covered=0, missing=0, awaited=0, unasked=0, stored=0, deleted=0, channels_in_doubt=0, oldest_doubt=0.0
    )


async def test_a_large_channel_is_counted_by_indexes_alone(filled, dsn):
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            """
            INSERT INTO posts (channel_id, message_id, kind, date, pinned, silent, noforwards, text)
            SELECT $1, n, CASE WHEN n % 50 = 0 THEN 'service' ELSE 'post' END, now(), false, false, false, 'text'
            FROM generate_series(41, 20000) n
            """.replace("$1", str(int(NEWS)))
        )
        await connection.execute("UPDATE coverage SET top = 20000, covered = '{[21,20001)}'")
        await connection.execute("VACUUM ANALYZE posts")
        lines = [row[0] for row in await connection.fetch("EXPLAIN " + asked._ONE, NEWS)]
    finally:
        await connection.close()
    plan = "\n".join(lines)
    assert "Seq Scan on posts" not in plan, plan
    assert plan.count("Index Only Scan") == 3, plan
    assert "posts_classified" in plan, plan
