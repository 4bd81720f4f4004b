"""From the data centre to the row: whole posts by push and by page, alike for all readers, and raw when wanted."""

import zlib

import orjson
import pytest

from actors.messages.account import FetchHistory
from actors.messages.content import Post
from actors.messages.ids import AccountId, ChannelId
from actors.messages.recorder import Record
from actors.runtime.clock import LoopClock
from actors.runtime.owner import LoopOwner
from actors.supervisor import Parts, Root
from actors.telegram.caller import Caller
from actors.telegram.requests import fetch_history, peer_of
from config.model import Collection, Settings, Telegram
from sandbox.client import Sandbox
from tests.actors.telegram.house import open_client, place_of
from tests.actors.test_collection import ALL, Tree
from tests.daemon.store.rows import ask
from tests.processes import http

POSTS = [
    {"text": "bold", "entities": [["bold", 0, 4, ""]], "author": "Ann", "views": 10, "reactions": {"👍": 2}},
    {"media": "photo", "grouped_id": 77},
    {"media": "video", "grouped_id": 77},
    {"media": "poll"},
    {"media": "webpage", "text": "https://example.org"},
    {"media": "sticker"},
    {"media": "geo"},
    {"service": "title"},
    {"text": "", "forwarded_from": "Somebody"},
]


class RawTree(Tree):
    def start(self, start=ALL):
        self.owner = LoopOwner()
        parts = Parts(
            settings=Settings(collection=Collection(start=start, raw=True)),
            store=self.store,
            metrics=self.metrics,
            datacenter=place_of(self.sandbox),
            loopback_only=True,
            bot_token=None,
        )
        self.root = Root.start(parts=parts, key="supervisor")


@pytest.fixture
async def sandbox():
    async with Sandbox(accounts=2, channels=1, posts=10, seed=5) as sandbox:
        yield sandbox


async def publish(sandbox, channel, *, silent=False):
    body = {"channel": channel, "posts": POSTS, "silent": silent}
    return (await http("POST", f"{sandbox.control_url}/posts", body))["ids"]


async def test_two_accounts_read_the_same_bytes(sandbox):
    channel = next(iter(sandbox.world.channels.values()))
    ids = await publish(sandbox, channel.id)
    pages = []
    for me in sorted(channel.members)[:2]:
        peer = peer_of(ChannelId(channel.id), sandbox.world.access_hash(me, "channel", channel.id))
        async with open_client(sandbox, me) as client:
            call = Caller(client, AccountId(me), clock=LoopClock(), timeout=Telegram().request_timeout)
            page = await fetch_history(call, peer, FetchHistory(channel_id=ChannelId(channel.id), offset_id=0))
        pages.append({post.message_id: post for post in page.posts})
    assert pages[0] == pages[1]
    assert set(ids) <= set(pages[0])


async def test_pushed_and_fetched_posts_are_whole_in_the_database(sandbox, store, dsn):
    tree = RawTree(sandbox, store)
    await tree.sign_in()
    tree.start()
    try:
        await tree.signed_in()
        assert (await tree.parse()).state == "success"
        channel = tree.channels[0]["id"]
        pushed = await publish(sandbox, channel)
        fetched = await publish(sandbox, channel, silent=True)

        async def stored():
            return await ask(dsn, "SELECT count(*) FROM posts WHERE message_id = ANY($1)", pushed) == [(len(POSTS),)]

        await tree.until(stored)
        assert (await tree.parse()).state == "success"
        for ids in (pushed, fetched):
            assert await kinds(dsn, ids) == [
                ("post", None), ("post", "photo"), ("post", "document"), ("post", "poll"), ("post", "webpage"),
                ("post", "document"), ("post", "geo"), ("service", None), ("post", None),
            ]  # fmt: skip
        rows = await ask(dsn, "SELECT p.message_id, r.bytes FROM posts p LEFT JOIN post_raw r USING (message_id)")
        assert len(rows) == 10 + 2 * len(POSTS)
        assert all(orjson.loads(zlib.decompress(raw))["id"] == message_id for message_id, raw in rows)
    finally:
        await tree.stop()


async def test_what_cannot_be_read_is_counted_and_keeps_its_id(sandbox, store, dsn):
    tree = RawTree(sandbox, store)
    await tree.sign_in()
    tree.start()
    try:
        await tree.signed_in()
        channel = ChannelId(tree.channels[0]["id"])
        unread = Post(channel_id=channel, message_id=900, kind="undecodable", date=None)
        tree.owner.find("recorder").tell(Record(channel_id=channel, road="catchup", posts=(unread,)))

        async def stored():
            return await ask(dsn, "SELECT kind FROM posts WHERE message_id = 900") == [("undecodable",)]

        await tree.until(stored)

        async def counted():
            return tree.metrics.registry.get_sample_value("telewarden_posts_undecodable_total") == 1

        await tree.until(counted)
    finally:
        await tree.stop()


async def kinds(dsn, ids):
    query = "SELECT kind, media->>'type' FROM posts WHERE message_id = ANY($1) ORDER BY message_id"
    return await ask(dsn, query, ids)
