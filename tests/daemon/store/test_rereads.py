"""How far the plans for rereading have come."""

from datetime import timedelta

from tests.daemon.store.rows import DAY, NEWS, SPORT, follow, membership, minute, post, record

HOUR = timedelta(hours=1)


async def test_a_plan_begins_everywhere_once_and_skips_what_had_fallen_due(store):
    await follow(store, membership(NEWS), membership(SPORT))
    old = [post(number, date=DAY - timedelta(days=1)) for number in range(1, 201)]
    new = [post(number, date=minute(number)) for number in range(201, 210)]
    await store.posts.record([record(*old, *new, covered=(1, 209))])
    await store.rereads.begin((HOUR,), DAY)
    await store.rereads.begin((HOUR, 2 * HOUR), DAY + HOUR)
    due = await store.rereads.due((HOUR,), DAY, limit=10)
    assert {(one.channel_id, one.after, one.since, one.upto_id) for one in due} == {
        (NEWS, HOUR, DAY, 0),
        (SPORT, HOUR, DAY, 0),
    }
    (news,) = [one for one in due if one.channel_id == NEWS]
    assert [number for number, _ in await store.rereads.waiting(news, limit=2)] == [1, 2]
    await store.rereads.skip_old(news)
    assert [number for number, _ in await store.rereads.waiting(news, limit=2)] == [201, 202]
    await store.rereads.keep(news, upto_id=205, due_at=DAY + HOUR)
    assert (await store.rereads.waiting(news, limit=1))[0] == (206, minute(206))
    assert [one.channel_id for one in await store.rereads.due((HOUR,), DAY, limit=10)] == [SPORT]
    assert len(await store.rereads.due((HOUR, 2 * HOUR), DAY + HOUR, limit=10)) == 4
    assert await store.rereads.due((), DAY + HOUR, limit=10) == ()


async def test_a_channel_that_nobody_can_read_waits(store):
    await follow(store, membership(NEWS))
    await store.rereads.begin((HOUR,), DAY)
    await store.channels.set_condition(NEWS, "private", "nobody belongs to it")
    assert await store.rereads.due((HOUR,), DAY, limit=10) == ()


async def test_figures_of_a_planned_rereading_are_a_point_of_the_series(store):
    await follow(store, membership(NEWS))
    await store.posts.record([record(post(1, views=5), post(2, views=7), covered=(1, 2))])
    assert (await store.posts.stats(NEWS, 1)).series == ()
    await store.posts.record([record(post(1, views=50, reactions=b'{"x": 1}'), series=True), record(post(2, views=8))])
    await store.posts.record([record(post(1, views=60), series=True)])
    stats = await store.posts.stats(NEWS, 1)
    assert [(point.views, point.reactions) for point in stats.series] == [(50, b'{"x": 1}'), (60, None)]
    assert (stats.now.views, stats.date) == (60, DAY)
    assert (await store.posts.stats(NEWS, 2)).series == ()
