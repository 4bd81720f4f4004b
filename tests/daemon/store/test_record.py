"""One commit for posts and the coverage that they prove."""

import asyncio
import json
from dataclasses import replace

import asyncpg
import orjson
import pytest

from actors.errors import PostRefused, StoreUnavailable
from actors.messages.ids import ChannelId
from actors.messages.recorder import Recorded
from actors.ports import Store
from daemon.store.errors import ChannelMissing
from tests.daemon.store.rows import NEWS, SPORT, ask, figures, follow, membership, minute, post, record


@pytest.fixture
async def posts(store: Store):
    await follow(store, membership(NEWS), membership(SPORT))
    return store.posts


async def one(posts, *what, **more) -> Recorded:
    (answer,) = await posts.record([record(*what, **more)])
    return answer


async def texts(posts, channel_id=NEWS) -> dict[int, str]:
    return {post.message_id: post.text for post in await posts.page(channel_id, after_id=0, limit=1000)}


async def test_a_page_is_stored_with_its_coverage_and_counted_once(store, posts):
    page = record(post(1), post(2), covered=(1, 5), top_id=5, channel_pts=40, start_id=1, ticket=9)
    assert await posts.record([page]) == (Recorded(channel_id=NEWS, ticket=9, added=2, edited=0, deleted=0),)
    assert await posts.record([page]) == (Recorded(channel_id=NEWS, ticket=9, added=0, edited=0, deleted=0),)
    row = await store.channels.one(NEWS)
    assert (row.covered, row.top_id, row.pts, row.start_id, row.posts) == (((1, 5),), 5, 40, 1, 2)


async def test_every_field_of_a_post_comes_back(posts):
    full = post(
        3,
        "текст 🙂",
        edited=4,
        entities=b'[{"type": "bold", "length": 5, "offset": 0}]',
        media=b'{"type": "photo"}',
        forward=b'{"from": "x"}',
        reply_to_id=2,
        grouped_id=2**60,
        author="А. Б.",
        sender=b'{"id": 2, "type": "user"}',
        reply=b'{"quote_text": "q"}',
        discussion_id=2**40,
        details=b'{"via_bot": 7}',
        results=b'{"voters": 1}',
        views=10,
        forwards=3,
        reactions=b'[{"count": 1, "emoji": "\xf0\x9f\x91\x8d"}]',
        replies=0,
        pinned=True,
        silent=True,
        noforwards=True,
    )
    await one(posts, full)
    (found,) = await posts.page(NEWS, after_id=0, limit=10)
    for name in ("entities", "media", "forward", "reactions", "sender", "reply", "details", "results"):
        assert orjson.loads(getattr(found, name)) == orjson.loads(getattr(full, name))
        found, full = replace(found, **{name: None}), replace(full, **{name: None})
    assert found == full


async def test_reading_a_page_again_writes_nothing_to_posts(dsn, posts):
    page = [post(n, entities=b'[{"a":1}]', views=5) for n in range(1, 50)]
    await one(posts, *page, covered=(1, 50))
    before = await ask(
        dsn, "SELECT p.xmin::text, p.ctid::text, s.ctid::text FROM posts p JOIN post_stats s USING (message_id)"
    )
    await one(posts, *page, covered=(1, 50))
    after = await ask(
        dsn, "SELECT p.xmin::text, p.ctid::text, s.ctid::text FROM posts p JOIN post_stats s USING (message_id)"
    )
    assert after == before


async def test_a_batch_of_several_channels_answers_each_record_in_order(posts):
    answers = await posts.record(
        [
            record(post(1), post(2), ticket=1),
            record(post(1, channel_id=SPORT), channel_id=SPORT, ticket=2, road="backfill"),
            record(ticket=3, covered=(1, 9)),
            record(post(2), post(3), ticket=4),
        ]
    )
    assert [(a.channel_id, a.ticket, a.added) for a in answers] == [
        (NEWS, 1, 2),
        (SPORT, 2, 1),
        (NEWS, 3, 0),
        (NEWS, 4, 1),
    ]


async def test_an_empty_batch_is_no_work(posts):
    assert await posts.record([]) == ()


async def test_an_edit_keeps_the_former_version(dsn, posts):
    await one(posts, post(1, "first"))
    assert (await one(posts, post(1, "second", edited=1))).edited == 1
    assert (await one(posts, post(1, "third", edited=2))).edited == 1
    assert await texts(posts) == {1: "third"}
    versions = await ask(dsn, "SELECT version, text, edited_at FROM post_versions ORDER BY version")
    assert versions == [(1, "first", None), (2, "second", minute(1))]


@pytest.mark.parametrize("name", ["entities", "media"])
async def test_entities_or_media_that_changed_make_a_version_too(dsn, posts, name):
    former = b'[{"type": "bold"}]'
    await one(posts, post(1, **{name: former}))
    assert (await one(posts, post(1, edited=1))).edited == 1
    assert await ask(dsn, f"SELECT {name} FROM post_versions") == [(former.decode(),)]


async def test_a_change_beside_the_text_is_stored_but_is_no_version(dsn, posts):
    await one(posts, post(1, "first"))
    answer = await one(posts, post(1, "first", edited=3, pinned=True, reactions=b"[]"))
    assert (answer.added, answer.edited) == (0, 0)
    assert await ask(dsn, "SELECT pinned, edited_at FROM posts") == [(True, minute(3))]
    assert await ask(dsn, "SELECT 1 FROM post_versions") == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"edited": 5, "pts": None}, {"edited": 4, "pts": None}),
        ({"edited": 5, "pts": 10}, {"edited": None, "pts": 11}),
        ({"edited": None, "pts": 10}, {"edited": None, "pts": 9}),
        ({"edited": 4, "pts": 10}, {"edited": 5, "pts": 9}),
    ],
)
@pytest.mark.parametrize("together", [False, True])
async def test_an_older_copy_never_undoes_a_newer_one(posts, old, new, together):
    stored = record(post(1, "stored", edited=old["edited"]), pts=old["pts"])
    late = record(post(1, "late", edited=new["edited"]), pts=new["pts"])
    for batch in [[stored, late]] if together else [[stored], [late]]:
        await posts.record(batch)
    assert await texts(posts) == {1: "stored"}


async def test_copies_without_pts_dont_hide_the_pts_of_those_before(posts):
    await posts.record([record(post(1, "a"), pts=5), record(post(1, "b")), record(post(1, "c"), pts=3)])
    assert await texts(posts) == {1: "b"}


async def test_one_post_twice_in_a_batch_is_added_by_the_first_and_ends_as_the_newest(store, posts):
    answers = await posts.record(
        [
            record(post(1, "pushed", views=1), road="live"),
            record(post(1, "pushed", views=2), road="backfill"),
            record(post(1, "edited", edited=1), road="backfill"),
        ]
    )
    assert [(a.added, a.edited) for a in answers] == [(1, 0), (0, 0), (0, 0)]
    assert await texts(posts) == {1: "edited"}
    assert (await store.jobs.summarize(None, NEWS)).added == 1


async def test_an_edit_that_backfill_repeats_counts_for_the_push(store, posts):
    await one(posts, post(1, "first"))
    await posts.record([record(post(1, "second", edited=1)), record(post(1, "second", edited=1), road="backfill")])
    assert (await store.jobs.summarize(None, NEWS)).edited == 1


async def test_a_deleted_post_stays_and_is_never_resurrected(dsn, store, posts):
    await one(posts, post(1), post(2))
    assert (await one(posts, deleted_ids=(1, 2, 1))).deleted == 2
    assert (await one(posts, deleted_ids=(1,))).deleted == 0
    answer = await one(posts, post(1, "late", edited=9), pts=99)
    assert (answer.added, answer.edited) == (0, 0)
    assert await texts(posts) == {}
    assert await ask(dsn, "SELECT text FROM posts WHERE deleted_at IS NOT NULL ORDER BY message_id") == [
        ("late",),
        ("text",),
    ]
    assert (await store.channels.one(NEWS)).posts == 0


async def test_a_post_deleted_before_it_was_seen_doesnt_appear(dsn, store, posts):
    assert (await one(posts, deleted_ids=(1,))).deleted == 0
    assert (await one(posts, post(1, "late"))).added == 0
    assert await texts(posts) == {}
    assert await ask(dsn, "SELECT kind, text FROM posts") == [("post", "late")]
    assert (await store.channels.one(NEWS)).posts == 0


async def test_service_messages_and_undecodable_ones_are_kept_but_arent_posts(dsn, store, posts):
    service = post(1, "", kind="service", action=b'{"type":"pin"}')
    answer = await one(posts, service, post(2, "", kind="undecodable", date=None), post(3))
    assert answer.added == 1
    assert await texts(posts) == {3: "text"}
    assert await ask(dsn, "SELECT message_id, kind FROM posts ORDER BY 1") == [
        (1, "service"),
        (2, "undecodable"),
        (3, "post"),
    ]
    assert (await store.channels.one(NEWS)).posts == 1


async def test_a_post_that_became_decodable_is_added_and_never_lost_again(posts):
    await one(posts, post(1, "", kind="undecodable", date=None), pts=50)
    assert (await one(posts, post(1, "now"), pts=40)).added == 1
    await one(posts, post(1, "", kind="undecodable", date=None), pts=60)
    assert await texts(posts) == {1: "now"}


async def test_nul_characters_are_stripped_from_text_and_json(posts):
    await one(
        posts,
        post(1, "a\0b", author="x\0", media=b'{"title":"q\\u0000\\\\u0000","list":["\\u0000"]}', entities=b"[]"),
    )
    (found,) = await posts.page(NEWS, after_id=0, limit=1)
    assert (found.text, found.author) == ("ab", "x")
    assert orjson.loads(found.media) == {"title": "q\\u0000", "list": [""]}


async def test_figures_change_without_touching_the_post(dsn, posts):
    await one(posts, post(1, views=10, forwards=1, reactions=b"[1]"))
    before = await ask(dsn, "SELECT ctid::text FROM posts")
    await one(posts, post(1, views=12, forwards=2, reactions=b"[2]"))
    await one(posts, post(1, views=11))
    await one(posts, post(1))
    assert await ask(dsn, "SELECT ctid::text FROM posts") == before
    (found,) = await posts.page(NEWS, after_id=0, limit=1)
    assert (found.views, found.forwards, found.reactions) == (12, 2, b"[2]")


async def test_what_stands_beside_the_text_is_written_and_is_no_version(dsn, posts):
    await one(posts, post(1))
    changed = {
        "sender": b'{"id": 2, "type": "user"}',
        "reply": b'{"quote_text": "q"}',
        "discussion_id": 9,
        "details": b'{"via_bot": 7}',
    }
    given = {}
    for name, value in changed.items():
        given[name] = value
        assert (await one(posts, post(1, **given))).edited == 0
        (found,) = await posts.page(NEWS, after_id=0, limit=1)
        assert getattr(found, name) == value
    assert await ask(dsn, "SELECT 1 FROM post_versions") == []


async def test_votes_are_figures_and_what_one_reader_saw_stays(dsn, posts):
    poll = b'{"type": "poll"}'
    await one(posts, post(1, media=poll, results=b'{"voters": 5, "votes": [2, 3]}'))
    before = await ask(dsn, "SELECT ctid::text FROM posts")
    await one(posts, post(1, media=poll, results=b'{"voters": 6}'))
    await one(posts, post(1, media=poll))
    assert await ask(dsn, "SELECT ctid::text FROM posts") == before
    assert await ask(dsn, "SELECT 1 FROM post_versions") == []
    (found,) = await posts.page(NEWS, after_id=0, limit=1)
    assert orjson.loads(found.results) == {"voters": 6, "votes": [2, 3]}


async def test_raw_is_kept_with_the_copy_that_is_stored(dsn, posts):
    async def kept():
        return dict(await ask(dsn, "SELECT message_id, bytes FROM post_raw"))

    await one(posts, post(1, raw=b"first"), post(2))
    assert await kept() == {1: b"first"}
    await one(posts, post(1, views=9, raw=b"other reader"), post(2, raw=b"late"))
    assert await kept() == {1: b"first", 2: b"late"}
    await posts.record([record(post(1, "new", edited=2, raw=b"edited")), record(post(1, edited=1, raw=b"old"))])
    assert await kept() == {1: b"edited", 2: b"late"}


async def test_raw_costs_nothing_when_it_is_off(dsn, posts):
    await one(posts, post(1), post(2))
    assert await ask(dsn, "SELECT 1 FROM post_raw") == []


async def test_raw_falls_with_the_batch_that_falls(dsn, posts):
    with pytest.raises(PostRefused):
        await one(posts, post(1, raw=b"x"), post(2, media=b"{not json", raw=b"y"))
    assert await ask(dsn, "SELECT 1 FROM post_raw") == []


async def test_a_group_that_migrated_names_its_predecessor(store, posts):
    migrated = b'{"chat_id":55,"title":"channel_migrate_from","type":"channel_migrate_from"}'
    renamed = b'{"title":"channel_migrate_from","type":"chat_edit_title"}'
    await posts.record(
        [
            record(post(1, "", kind="service", action=migrated)),
            record(post(1, "", kind="service", action=renamed, channel_id=SPORT), channel_id=SPORT),
        ]
    )
    assert (await store.channels.one(NEWS)).migrated_from == 55
    assert (await store.channels.one(SPORT)).migrated_from is None


async def test_coverage_is_a_set(store, posts):
    for span in [(5, 9), (1, 1), (20, 30), (10, 10), (25, 40)]:
        await one(posts, covered=span)
    assert (await store.channels.one(NEWS)).covered == ((1, 1), (5, 10), (20, 40))
    await posts.record([record(covered=(2, 4)), record(covered=(11, 19)), record(covered=(7, 7), channel_id=SPORT)])
    assert (await store.channels.one(NEWS)).covered == ((1, 40),)
    assert (await store.channels.one(SPORT)).covered == ((7, 7),)


async def test_top_never_falls_pts_is_the_last_and_the_start_is_set_once(store, posts):
    await one(posts, top_id=10, channel_pts=100, floor_id=10, start_id=5)
    await posts.record([record(top_id=9, channel_pts=99, floor_id=8, start_id=1), record(top_id=None)])
    row = await store.channels.one(NEWS)
    # A sequence that goes back is what a channel does whose recorder refused something.
    assert (row.top_id, row.pts, row.floor_id, row.start_id) == (10, 99, 8, 5)


async def test_a_post_that_a_page_lacks_is_deleted_unless_its_copy_is_newer_than_the_page(dsn, store, posts):
    await posts.record([record(post(1), post(2), post(3), pts=10), record(post(4), pts=13)])
    answer = await one(posts, post(2), pts=12, covered=(1, 4), absent=(1, 4))
    assert answer.deleted == 2
    rows = await ask(dsn, "SELECT message_id FROM posts WHERE deleted_at IS NULL ORDER BY 1")
    assert [row[0] for row in rows] == [2, 4]


async def test_two_pages_of_one_batch_are_judged_in_their_order(posts):
    pages = [
        record(post(1), post(2), pts=10, covered=(1, 2), absent=(1, 2)),
        record(post(1), pts=11, doubt=(1, 2), covered=(1, 2), absent=(1, 2)),
    ]
    assert [answer.deleted for answer in await posts.record(pages)] == [0, 1]


async def test_a_doubt_is_subtracted_and_known_until_everything_is_covered_again(store, posts):
    await one(posts, start_id=1, top_id=9, channel_pts=5, floor_id=9, covered=(1, 9))
    await one(posts, doubt=(4, 6), doubt_why="a test")
    row = await store.channels.one(NEWS)
    assert (row.covered, row.doubt_why) == (((1, 3), (7, 9)), "a test")
    assert row.doubt_since is not None
    await posts.record([record(covered=(4, 5)), record(doubt=(1, 5), doubt_why="more"), record(covered=(1, 4))])
    row_later = await store.channels.one(NEWS)
    assert (row_later.covered, row_later.doubt_since, row_later.doubt_why) == (
        ((1, 4), (7, 9)),
        row.doubt_since,
        "more",
    )
    await one(posts, covered=(5, 6))
    whole = await store.channels.one(NEWS)
    assert (whole.covered, whole.doubt_since, whole.doubt_why) == (((1, 9),), None, None)


async def test_figures_of_stored_posts_are_kept_and_others_passed_over(dsn, posts):
    await one(posts, post(1, views=5))
    seen = [figures(1, views=9), figures(1, reactions=b'{"x":2}'), figures(2, views=3), figures(1, views=7)]
    await one(posts, figures=tuple(seen))
    rows = await ask(dsn, "SELECT message_id, views, reactions::text FROM post_stats")
    assert [(row[0], row[1], json.loads(row[2])) for row in rows] == [(1, 9, {"x": 2})]


async def test_backfill_is_counted_apart(store, posts):
    await one(posts, post(9), road="catchup")
    await one(posts, post(1), post(2), road="backfill")
    summary = await store.jobs.summarize(None, NEWS)
    assert (summary.added, (await store.channels.one(NEWS)).posts) == (1, 3)


async def test_pages_go_on_after_an_id(posts):
    await one(posts, *(post(n) for n in range(1, 8)))
    page = await posts.page(NEWS, after_id=3, limit=2)
    assert [post.message_id for post in page] == [4, 5]


async def test_a_channel_without_a_row_is_a_clear_defect(posts):
    with pytest.raises(ChannelMissing, match="999"):
        await posts.record([record(post(1)), record(channel_id=ChannelId(999))])
    assert await texts(posts) == {}


async def test_a_post_of_another_channel_is_a_defect(posts):
    with pytest.raises(ValueError, match="200"):
        await one(posts, post(1, channel_id=SPORT))


async def test_a_batch_that_fails_leaves_neither_posts_nor_coverage(store, posts):
    with pytest.raises(PostRefused, match=r"^InvalidTextRepresentationError$"):
        await posts.record([record(post(1), covered=(1, 1)), record(post(2, media=b"{not json"), covered=(2, 2))])
    row = await store.channels.one(NEWS)
    assert (await texts(posts), row.covered, row.posts) == ({}, (), 0)
    assert (await one(posts, post(1), covered=(1, 1))).added == 1


async def test_a_connection_cut_between_posts_and_coverage_leaves_neither(dsn, store, posts):
    await one(posts, post(9), covered=(9, 9))
    blocker = await asyncpg.connect(dsn)
    try:
        async with blocker.transaction():
            await blocker.execute("SELECT 1 FROM posts FOR UPDATE")
            # It has inserted post 1 and waits to mark post 9.
            writing = asyncio.create_task(one(posts, post(1), covered=(1, 1), deleted_ids=(9,)))
            while not (waiting := await blocker.fetchval("SELECT pid FROM pg_locks WHERE NOT granted LIMIT 1")):
                await asyncio.sleep(0)
            await blocker.execute("SELECT pg_terminate_backend($1)", waiting)
            with pytest.raises(StoreUnavailable):
                await writing
    finally:
        await blocker.close()
    assert await texts(posts) == {9: "text"}
    assert (await store.channels.one(NEWS)).covered == ((9, 9),)
    assert (await one(posts, post(1), covered=(1, 1))).added == 1


async def test_two_batches_at_once_add_each_post_once(posts):
    batches = [[record(*(post(n) for n in range(start, start + 60)))] for start in (1, 30, 60, 1)]
    answers = await asyncio.gather(*(posts.record(batch) for batch in batches))
    assert sum(answer.added for (answer,) in answers) == 119
