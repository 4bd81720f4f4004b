"""Files of posts in the database: found, noted, fetched, lost."""

from datetime import timedelta

import orjson
import pytest

from actors.messages.files import PostFile
from actors.messages.ids import Sha256
from tests.daemon.store.rows import NEWS, SPORT, ask, follow, membership, post, record

RULES = "rules 1"
ONE, TWO = Sha256("11" * 32), Sha256("22" * 32)


def media(**fields):
    return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)


def photo(number, size=1000):
    return media(type="photo", id=number, size=size, w=10, h=10)


def document(number, **more):
    return media(**{"type": "document", "id": number, "mime": "application/pdf", "size": 5000} | more)


@pytest.fixture
async def followed(store):
    await follow(store, membership(NEWS, "News"), membership(SPORT))
    return store


async def unseen_channels(store, rules=RULES, **asked):
    asked = {"ids": (), "usernames": (), "all_channels": not asked} | asked
    return {found.channel_id: found for found in await store.media.unseen_channels(rules, **asked)}


async def note_all(store, channel_id=NEWS, **changed):
    found = await store.media.unseen(channel_id, limit=100)
    await store.media.note([PostFile(**{name: getattr(file, name) for name in PostFile.__slots__} | changed)
                            for file in found])  # fmt: skip
    return found


async def keys(store):
    return [file.file_key for file in await store.media.wanted(limit=100)]


async def states(store, channel_id=NEWS):
    return {row.message_id: (row.state, row.cause) for row in await store.media.page(channel_id, after_id=0, limit=100)}


async def test_files_of_posts_are_found_with_what_their_description_says(followed):
    await followed.posts.record(
        [
            record(
                post(1, media=photo(11)),
                post(2, media=document(12, kind="round", mime="video/mp4")),
                post(3, media=document(13, file_name="a.pdf"), noforwards=True),
                post(4, media=media(type="webpage", url="x", photo={"id": 5})),
                post(5, media=media(type="photo", spoiler=True)),
                post(6),
                post(7, media=document(14, kind="custom_emoji")),
            )
        ]
    )
    found = await followed.media.unseen(NEWS, limit=100)
    assert [(file.message_id, file.file_key, file.kind) for file in found] == [
        (1, "photo-11", "photo"),
        (2, "document-12", "video"),
        (3, "document-13", "document"),
        (7, "document-14", "sticker"),
    ]
    pdf = found[2]
    assert (pdf.size, pdf.mime, pdf.name, pdf.protected, pdf.skipped) == (5000, "application/pdf", "a.pdf", True, None)
    assert not found[0].protected
    assert len(await followed.media.unseen(NEWS, limit=2)) == 2


async def test_all_files_of_a_protected_channel_are_protected(followed):
    await follow(followed, membership(NEWS, "News", noforwards=True))
    await followed.posts.record([record(post(1, media=photo(11)))])
    assert [file.protected for file in await followed.media.unseen(NEWS, limit=9)] == [True]


async def test_a_channel_is_unseen_until_it_is_marked_and_again_when_its_posts_or_the_rules_change(followed):
    await followed.posts.record([record(post(1, media=photo(11)))])
    for change in (
        record(post(2, media=photo(12))),
        record(post(1, media=photo(13), edited=5)),
        record(post(-1 + 2**20), road="backfill"),
    ):
        counted = (await unseen_channels(followed))[NEWS].counted
        await followed.media.mark(NEWS, counted=counted, rules=RULES)
        assert NEWS not in await unseen_channels(followed)
        await followed.posts.record([change])
        assert NEWS in await unseen_channels(followed)
    await followed.media.mark(NEWS, counted=(await unseen_channels(followed))[NEWS].counted, rules=RULES)
    assert NEWS in await unseen_channels(followed, "rules 2")
    assert (await followed.media.rules_of(NEWS), await followed.media.rules_of(SPORT)) == (RULES, None)


async def test_what_is_recorded_after_the_question_keeps_the_channel_unseen(followed):
    counted = (await unseen_channels(followed))[NEWS].counted
    await followed.posts.record([record(post(1, media=photo(11)))])
    await followed.media.mark(NEWS, counted=counted, rules=RULES)
    assert NEWS in await unseen_channels(followed)


async def test_channels_are_named_by_id_and_by_name(followed):
    assert set(await unseen_channels(followed)) == {NEWS, SPORT}
    assert set(await unseen_channels(followed, usernames=["news"])) == {NEWS}
    assert set(await unseen_channels(followed, ids=[SPORT])) == {SPORT}
    assert set(await unseen_channels(followed, ids=[12345])) == set()


async def test_a_file_of_many_posts_is_wanted_once_and_stored_for_all(followed):
    await followed.posts.record([record(post(1, media=photo(11)), post(2, media=photo(11)))])
    await followed.posts.record([record(post(7, media=photo(11), channel_id=SPORT), channel_id=SPORT)])
    await note_all(followed)
    await note_all(followed, SPORT)
    (wanted,) = await followed.media.wanted(limit=9)
    assert (wanted.file_key, wanted.size, wanted.attempts) == ("photo-11", 1000, 0)
    assert wanted.carriers == ((SPORT, 7), (NEWS, 2), (NEWS, 1))
    assert await followed.media.keep("photo-11", ONE, 1000)
    assert await followed.media.wanted(limit=9) == ()
    assert await states(followed) == {1: ("stored", None), 2: ("stored", None)}
    await followed.posts.record([record(post(3, media=photo(11)))])
    await note_all(followed)
    assert (await states(followed))[3] == ("stored", None)
    assert await followed.media.waiting() == 0


async def test_two_files_of_one_content_share_a_blob(followed):
    await followed.posts.record([record(post(1, media=photo(11)), post(2, media=document(12, file_name="x.bin")))])
    await note_all(followed)
    assert [await followed.media.keep(key, ONE, 1000) for key in ("photo-11", "document-12")] == [True, False]
    blob = await followed.media.blob(ONE)
    assert (blob.sha256, blob.size, blob.name) == (ONE, 1000, "x.bin")
    assert await followed.media.blob(TWO) is None


async def test_what_is_skipped_isnt_wanted_until_the_rules_are_others(followed):
    await followed.posts.record([record(post(1, media=photo(11)))])
    await note_all(followed, skipped="kind")
    assert await states(followed) == {1: ("skipped", "kind")}
    assert (await keys(followed), await followed.media.unseen(NEWS, limit=9)) == ([], ())
    await followed.media.forget_skipped(NEWS)
    await note_all(followed)
    assert await keys(followed) == ["photo-11"]


async def test_noting_twice_changes_nothing(followed):
    await followed.posts.record([record(post(1, media=photo(11)))])
    found = await note_all(followed)
    await followed.media.keep("photo-11", ONE, 1000)
    await followed.media.note(found)
    assert await states(followed) == {1: ("stored", None)}


async def test_a_postponed_file_is_due_later_and_counts_its_failures(followed):
    await followed.posts.record([record(post(1, media=photo(11)))])
    await note_all(followed)
    await followed.media.postpone("photo-11", "no reader", timedelta(hours=1), failed=False)
    assert (await keys(followed), await followed.media.waiting()) == ([], 1)
    await followed.media.postpone("photo-11", "timeout", timedelta(seconds=-1), failed=True)
    assert [(file.file_key, file.attempts) for file in await followed.media.wanted(limit=9)] == [("photo-11", 1)]
    assert await states(followed) == {1: ("wanted", "timeout")}


async def test_files_of_some_channels_can_be_passed_over(followed):
    await followed.posts.record([record(post(1, media=photo(11)))])
    await followed.posts.record([record(post(7, media=photo(17), channel_id=SPORT), channel_id=SPORT)])
    await note_all(followed)
    await note_all(followed, SPORT)
    assert [file.file_key for file in await followed.media.wanted(limit=9, besides=[NEWS])] == ["photo-17"]


async def test_a_file_goes_with_its_last_post_and_comes_back_with_another(followed):
    await followed.posts.record([record(post(1, media=photo(11)), post(2, media=photo(11)))])
    await note_all(followed)
    await followed.media.lose("photo-11", NEWS, 2)
    assert [file.carriers for file in await followed.media.wanted(limit=9)] == [((NEWS, 1),)]
    assert await states(followed) == {1: ("wanted", None), 2: ("failed", "gone")}
    await followed.media.lose("photo-11", NEWS, 1)
    assert await keys(followed) == []
    assert (await states(followed))[1] == ("failed", "gone")
    await followed.posts.record([record(post(3, media=photo(11)))])
    await note_all(followed)
    assert [file.carriers for file in await followed.media.wanted(limit=9)] == [((NEWS, 3),)]


async def test_a_deleted_post_carries_nothing(followed):
    await followed.posts.record([record(post(1, media=photo(11)))])
    await note_all(followed)
    await followed.posts.record([record(deleted_ids=(1,))])
    assert [file.carriers for file in await followed.media.wanted(limit=9)] == [()]
    await followed.media.give_up("photo-11", "gone")
    assert await keys(followed) == []


async def test_an_edit_that_replaces_the_file_is_unseen(followed):
    await followed.posts.record([record(post(1, media=photo(11)))])
    await note_all(followed)
    await followed.posts.record([record(post(1, media=photo(12), edited=5))])
    assert [file.file_key for file in await note_all(followed)] == ["photo-12"]
    assert [row.file_key for row in await followed.media.page(NEWS, after_id=0, limit=9)] == ["photo-11", "photo-12"]


async def test_only_blobs_that_no_post_carries_are_released(followed, dsn):
    await followed.posts.record([record(post(1, media=photo(11)), post(2, media=photo(12)))])
    await note_all(followed)
    await followed.media.keep("photo-11", ONE, 1000)
    await followed.media.keep("photo-12", TWO, 1000)
    assert await followed.media.release_unused(10) == ()
    await ask(dsn, "DELETE FROM post_files WHERE message_id = 1")
    assert await followed.media.release_unused(10) == (ONE,)
    assert await followed.media.blob(ONE) is None
    assert (await followed.media.blob(TWO)).size == 1000
    assert await ask(dsn, "SELECT file_key FROM files") == [("photo-12",)]


async def test_pages_of_files_ascend(followed):
    await followed.posts.record([record(*(post(number, media=photo(number)) for number in range(1, 6)))])
    await note_all(followed)
    page = await followed.media.page(NEWS, after_id=2, limit=2)
    assert [row.message_id for row in page] == [3, 4]
    assert (page[0].kind, page[0].size, page[0].sha256, page[0].stored_at) == ("photo", 1000, None, None)
