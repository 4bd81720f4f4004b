"""Files of posts from the data centre into the store: the whole tree, a real database, a real folder."""

from contextlib import asynccontextmanager
from datetime import timedelta
from hashlib import sha256

import pytest

from actors import downloader, log
from actors.downloader import Look, RemoveUnused
from actors.keeper import Keeper
from actors.messages.account import PART
from actors.runtime.owner import LoopOwner
from actors.supervisor import Parts, Root
from config.model import Collection, Media, MediaRule, Retention, Settings
from daemon.media.folder import FolderBlobs
from sandbox.client import Sandbox
from sandbox.world import OTHER_DC_ID
from tests.actors.files import MEGABYTE, key_and_content, publish
from tests.actors.telegram.house import fail, place_of
from tests.actors.test_collection import ALL, Tree
from tests.daemon.store.rows import ask


class Fetching(Tree):
    """A tree that fetches files."""

    def __init__(self, sandbox, store, folder, dsn):
        super().__init__(sandbox, store)
        self.blobs, self.dsn = FolderBlobs(folder), dsn

    def fetch(self, *rules, blobs=None):
        self.owner = LoopOwner()
        settings = Settings(
            collection=Collection(start=ALL), media=Media(channels=tuple(MediaRule(**rule) for rule in rules))
        )
        parts = Parts(
            settings=settings,
            store=self.store,
            metrics=self.metrics,
            datacenter=place_of(self.sandbox),
            loopback_only=True,
            bot_token=None,
            blobs=blobs or self.blobs,
        )
        self.root = Root.start(parts=parts, key="supervisor")

    async def run(self, *rules, **more):
        """Start, parse, and have the files noted."""
        self.fetch(*rules, **more)
        await self.signed_in()
        assert (await self.parse()).state == "success"
        await self.look()

    async def look(self):
        await self.owner.find("downloader").send(Look())

    async def files(self, channel_id):
        return {row.message_id: row for row in await self.store.media.page(channel_id, after_id=0, limit=1000)}

    async def settled(self, channel_id, post_id, state="stored"):
        async def has_state():
            found = (await self.files(channel_id)).get(post_id)
            return found is not None and found.state == state

        await self.until(has_state)
        return (await self.files(channel_id))[post_id]

    async def content(self, name):
        return b"".join([chunk async for chunk in await self.blobs.read(name)])

    async def make_due(self):
        await ask(self.dsn, "UPDATE files SET due_at = now()")

    @property
    def public(self):
        return next(channel["id"] for channel in self.channels if channel["username"])

    def counted(self, state):
        return self.metrics.registry.get_sample_value("telewarden_media_files_total", {"state": state}) or 0


@pytest.fixture
async def tree(store, tmp_path, dsn):
    async with Sandbox(accounts=2, channels=3, posts=60, seed=3) as sandbox:
        tree = Fetching(sandbox, store, tmp_path / "media", dsn)
        await tree.sign_in()
        tree.owner = None
        yield tree
        if tree.owner is not None:
            await tree.stop()


@asynccontextmanager
async def running(tree, *rules, **more):
    await tree.run(*rules, **more)
    yield tree
    await tree.stop()
    tree.owner = None


@pytest.mark.parametrize("dc_id", [203, OTHER_DC_ID])
async def test_photos_and_documents_arrive_as_they_are_from_both_data_centres(tree, dc_id):
    tree.sandbox.world.move_files(dc_id)
    channel = tree.public
    posts = [
        publish(tree.sandbox, channel, "photo"),
        publish(tree.sandbox, channel, "document", size=2 * PART + 77, name="a.pdf"),
        publish(tree.sandbox, channel, "voice"),
    ]
    await tree.run({"channel": str(channel)})
    for post_id in posts:
        row = await tree.settled(channel, post_id)
        key, content = key_and_content(tree.sandbox, channel, post_id)
        assert (row.file_key, row.sha256, row.size) == (key, sha256(content).hexdigest(), len(content))
        assert await tree.content(row.sha256) == content


async def test_files_of_all_channels_are_fetched_and_those_that_come_later(tree):
    await tree.run({"channel": "*"})
    for channel in tree.channels:
        post_id = publish(tree.sandbox, channel["id"], "photo")

        async def stored(channel_id=channel["id"], post_id=post_id):
            return post_id in await tree.held(channel_id)

        await tree.until(stored)
    await tree.look()

    async def all_done():
        return await tree.store.media.waiting() == 0

    await tree.until(all_done)
    for channel in tree.channels:
        rows = await tree.files(channel["id"])
        assert rows
        for post_id, row in rows.items():
            assert row.sha256 == sha256(key_and_content(tree.sandbox, channel["id"], post_id)[1]).hexdigest()
    assert tree.counted("stored") == sum([len(await tree.files(channel["id"])) for channel in tree.channels])
    assert tree.counted("failed") == 0


async def test_a_file_that_two_posts_carry_is_fetched_once(tree):
    channel = tree.public
    first = publish(tree.sandbox, channel, "document", size=2 * PART)
    second = publish(tree.sandbox, channel, "document", size=2 * PART, of=(channel, first))
    await tree.run({"channel": str(channel), "kinds": ["document"]})
    rows = [await tree.settled(channel, post_id) for post_id in (first, second)]
    assert rows[0].sha256 == rows[1].sha256
    others = [row for number, row in (await tree.files(channel)).items() if number not in (first, second)]
    for row in others:
        await tree.settled(channel, row.message_id, "stored" if row.kind == "document" else "skipped")
    parts = sum(-(-row.size // PART) for row in others if row.kind == "document")
    assert tree.calls("upload.getFile") == parts + 2
    third = publish(tree.sandbox, channel, "document", size=2 * PART, of=(channel, first))

    async def stored():
        return third in await tree.held(channel)

    await tree.until(stored)
    await tree.look()
    assert (await tree.settled(channel, third)).sha256 == rows[0].sha256
    assert tree.calls("upload.getFile") == parts + 2


async def test_a_download_that_is_cut_off_goes_on_after_the_reconnect(tree):
    channel = tree.public
    post_id = publish(tree.sandbox, channel, "document", size=6 * PART + 5)
    fail(tree.sandbox, "upload.getFile", skip=3, drop=True)
    await tree.run({"channel": str(channel), "kinds": ["document"], "max_size": "10MiB"})
    row = await tree.settled(channel, post_id)
    assert await tree.content(row.sha256) == key_and_content(tree.sandbox, channel, post_id)[1]
    assert fetched(tree) - row.size == sum(file.size for file in (await stored_of(tree, channel)) if file != row)


async def stored_of(tree, channel):
    return [row for row in (await tree.files(channel)).values() if row.state == "stored"]


def fetched(tree):
    """Bytes that came, each part as often as it did."""
    return tree.metrics.registry.get_sample_value("telewarden_media_bytes_total")


async def test_a_download_goes_on_where_an_earlier_process_ended(tree):
    channel = tree.public
    post_id = publish(tree.sandbox, channel, "document", size=6 * PART + 5)
    key, content = key_and_content(tree.sandbox, channel, post_id)
    await only(tree, channel, post_id)
    rule = fail(tree.sandbox, "upload.getFile", (500, "TIMEOUT"), skip=3, count=0)
    rules = {"channel": str(channel), "kinds": ["document"], "max_size": "10MiB"}
    async with running(tree, rules):

        async def failed():
            return any(file.attempts for file in await due(tree))

        await tree.until(failed)
    assert await tree.blobs.held(key) == 3 * PART
    tree.sandbox.dc.dispatcher.faults.rules.remove(rule)
    before = tree.calls("upload.getFile")
    await tree.make_due()
    await tree.run(rules)
    row = await tree.settled(channel, post_id)
    assert await tree.content(row.sha256) == content
    assert tree.calls("upload.getFile") - before == 4
    assert await tree.blobs.held(key) == 0


async def due(tree):
    await tree.make_due()
    return await tree.store.media.wanted(limit=10)


async def only(tree, channel, post_id):
    """Let the channel have no other file than this post's."""
    posts = tree.sandbox.world.channels[channel].posts
    others = [number for number in tree.sandbox.world.channels[channel].ids if number != post_id and posts.get(number)]
    tree.sandbox.dc.delete(tree.sandbox.world.channels[channel], others)


async def test_a_reference_that_expires_on_the_way_is_read_again(tree):
    channel = tree.public
    post_id = publish(tree.sandbox, channel, "document", size=3 * PART)
    await only(tree, channel, post_id)
    fail(tree.sandbox, "upload.getFile", (400, "FILE_REFERENCE_EXPIRED"), skip=1, count=2)
    await tree.run({"channel": str(channel)})
    row = await tree.settled(channel, post_id)
    assert await tree.content(row.sha256) == key_and_content(tree.sandbox, channel, post_id)[1]
    assert (tree.calls("channels.getMessages"), tree.calls("upload.getFile")) == (3, 5)


async def test_a_reference_that_is_never_good_fails_its_file_after_two_more_tries(tree, caplog):
    channel = tree.public
    post_id = publish(tree.sandbox, channel, "photo")
    await only(tree, channel, post_id)
    fail(tree.sandbox, "upload.getFile", (400, "FILE_REFERENCE_EXPIRED"), count=0)
    await tree.run({"channel": str(channel)})
    row = await tree.settled(channel, post_id, "failed")
    assert row.cause == "FILE_REFERENCE_EXPIRED, 3 times"
    assert tree.calls("upload.getFile") == 3
    assert tree.counted("failed") == 1
    assert [r.fields["cause"] for r in caplog.records if getattr(r, "event", None) is log.FILE_FAILED] == [row.cause]


async def test_a_refusal_fails_one_file_and_not_the_next(tree):
    channel = tree.public
    bad, good = (publish(tree.sandbox, channel, "photo") for _ in range(2))
    fail(tree.sandbox, "upload.getFile", (400, "FILE_ID_BROKEN"), count=1)
    await tree.run({"channel": str(channel), "kinds": ["photo"]})
    states = set()

    async def both():
        rows = await tree.files(channel)
        states.update(rows[each].state for each in (bad, good) if each in rows)
        return await tree.store.media.waiting() == 0 and bad in rows

    await tree.until(both)
    rows = list((await tree.files(channel)).values())
    assert [row.cause for row in rows if row.state == "failed"] == ["FILE_ID_BROKEN"]
    assert all(row.state == "stored" for row in rows if row.kind == "photo" and row.cause is None)


async def test_what_the_rules_dont_want_is_skipped_with_its_cause_until_they_do(tree):
    channel = tree.public
    photo = publish(tree.sandbox, channel, "photo")
    large = publish(tree.sandbox, channel, "document", size=MEGABYTE + 1)
    small = publish(tree.sandbox, channel, "document", size=MEGABYTE)
    async with running(tree, {"channel": str(channel), "kinds": ["document"], "max_size": "1MiB"}):
        assert (await tree.settled(channel, photo, "skipped")).cause == "kind: photo"
        assert (await tree.settled(channel, large, "skipped")).cause == f"size: {MEGABYTE + 1}"
        await tree.settled(channel, small)
        assert tree.counted("skipped") >= 2
    await tree.run({"channel": str(channel), "max_size": "2MiB"})
    await tree.settled(channel, photo)
    await tree.settled(channel, large)


async def test_files_of_a_protected_channel_are_left_alone_unless_a_rule_says_otherwise(tree):
    channel = tree.public
    tree.sandbox.world.channels[channel].noforwards = True
    post_id = publish(tree.sandbox, channel, "photo")
    async with running(tree, {"channel": "*"}):
        assert (await tree.settled(channel, post_id, "skipped")).cause == "protected"
    await tree.run({"channel": "*", "protected": True})
    await tree.settled(channel, post_id)


async def test_without_rules_nothing_is_fetched_and_nothing_asked(tree):
    publish(tree.sandbox, tree.public, "photo")
    tree.fetch()
    await tree.signed_in()
    await tree.parse()
    assert tree.owner.get("downloader") is None
    assert tree.calls("upload.getFile") == tree.calls("channels.getMessages") == 0
    assert await tree.files(tree.public) == {}


async def test_a_post_that_was_deleted_unnoticed_loses_its_file(tree):
    channel = tree.public
    post_id = publish(tree.sandbox, channel, "photo")
    await only(tree, channel, post_id)
    fail(tree.sandbox, "channels.getMessages", (500, "TIMEOUT"))
    await tree.run({"channel": str(channel)})

    async def failed():
        return any(file.attempts for file in await due(tree))

    await tree.until(failed)
    tree.sandbox.dc.delete(tree.sandbox.world.channels[channel], [post_id], silent=True)
    await tree.look()
    assert (await tree.settled(channel, post_id, "failed")).cause == "gone"


async def test_a_flood_wait_is_waited_for(tree):
    channel = tree.public
    post_id = publish(tree.sandbox, channel, "document", size=3 * PART)
    await only(tree, channel, post_id)
    fail(tree.sandbox, "upload.getFile", (420, "FLOOD_PREMIUM_WAIT_2"), skip=1)
    await tree.run({"channel": str(channel)})
    await tree.settled(channel, post_id)
    assert tree.calls("upload.getFile") == 4
    assert (await tree.files(channel))[post_id].cause is None


async def test_where_files_cant_be_kept_they_wait_and_the_operator_is_told(tree, tmp_path, caplog):
    channel = tree.public
    publish(tree.sandbox, channel, "photo")
    (tmp_path / "full").write_text("no folder")
    await tree.run({"channel": str(channel)}, blobs=FolderBlobs(tmp_path / "full"))

    async def told():
        waits = await tree.store.media.waiting() > 0
        return waits and any(getattr(record, "event", None) is log.BLOBS_UNAVAILABLE for record in caplog.records)

    await tree.until(told)
    assert tree.counted("failed") == 0


async def test_blobs_that_no_post_carries_are_removed_on_request(tree):
    channel = tree.public
    post_id = publish(tree.sandbox, channel, "photo")
    await tree.run({"channel": str(channel)})
    row = await tree.settled(channel, post_id)
    ref = tree.owner.find("downloader")
    assert await ref.call(RemoveUnused()) == 0
    await ask(tree.dsn, "DELETE FROM post_files WHERE message_id = $1", post_id)
    assert await ref.call(RemoveUnused()) == 1
    assert await tree.blobs.read(row.sha256) is None
    assert await tree.store.media.blob(row.sha256) is None


async def test_files_go_with_the_posts_that_are_let_go_and_no_others(tree):
    channel = tree.public
    old, young = publish(tree.sandbox, channel, "photo"), publish(tree.sandbox, channel, "photo")
    await tree.run({"channel": str(channel)})
    gone, kept = await tree.settled(channel, old), await tree.settled(channel, young)
    days = timedelta(days=30)
    await ask(
        tree.dsn,
        "UPDATE posts SET date = now() - CASE WHEN message_id > $1 THEN '0' ELSE 2 * $2::interval END",
        old,
        days,
    )
    Keeper.start(store=tree.store, rules=(Retention(keep=days),), groups=(), metrics=tree.metrics, key="keeper")

    async def is_gone():
        return await tree.blobs.read(gone.sha256) is None

    await tree.until(is_gone)
    assert await tree.store.media.blob(gone.sha256) is None
    assert len(await tree.content(kept.sha256)) == kept.size
    assert list(await tree.files(channel)) == [young]


def test_the_waits_between_attempts_make_a_day():
    waits = [min(downloader.AGAIN_MOST, downloader.REST * 2.0**tried) for tried in range(downloader.ATTEMPTS - 1)]
    assert 18 * 3600 < sum(waits) < 30 * 3600
