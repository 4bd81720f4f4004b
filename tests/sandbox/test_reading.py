"""Dialogs, names and history as stock Telethon reads them, compared with the ledger."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from telethon import errors, functions, types, utils

from sandbox.client import Sandbox
from tests.sandbox.conftest import Connect, signed_in


def row(message) -> dict:
    """A message that Telethon read, in the ledger's words."""
    service = {types.MessageActionChannelCreate: "create", types.MessageActionPinMessage: "pin"}
    media = {types.MessageMediaPhoto: "photo", types.MessageMediaDocument: "document"}
    return {
        "id": message.id,
        "date": message.date.isoformat(),
        "text": message.message or "",
        "edited": message.edit_date.isoformat() if message.edit_date else None,
        "media": media.get(type(message.media)),
        "service": service.get(type(message.action), "title") if message.action else None,
        "grouped_id": message.grouped_id,
        "reply_to": message.reply_to.reply_to_msg_id if message.reply_to else None,
        "views": message.views or 0,
        "forwards": message.forwards or 0,
        "reactions": {row.reaction.emoticon: row.count for row in message.reactions.results}
        if message.reactions
        else {},
    }


def written(dc: Sandbox, channel: int | str) -> list[dict]:
    return dc.ledger(channel)["channels"][0]["posts"]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("posts", [1, 50, 100, 101, 350])
async def test_history_read_either_way_equals_the_ledger(*, reverse: bool, posts: int) -> None:
    async with Sandbox(channels=1, posts=posts, seed=5) as dc, signed_in(dc) as client:
        found = [row(m) async for m in client.iter_messages("gorod_news", reverse=reverse, wait_time=0)]
        assert (found if reverse else found[::-1]) == written(dc, "gorod_news")
        assert len(found) == posts
        assert dc.requests()["unknown"] == []


async def test_parts_of_a_history_are_found_by_id_and_by_date(dc: Sandbox, connect: Connect) -> None:
    client = await connect("boris")
    ids = [post["id"] for post in written(dc, "morning_markets")]
    dates = {post["id"]: datetime.fromisoformat(post["date"]) for post in written(dc, "morning_markets")}

    async def read(**options) -> list[int]:
        return [m.id async for m in client.iter_messages("morning_markets", wait_time=0, **options)]

    middle = ids[20]
    assert await read(offset_id=middle) == ids[:20][::-1]
    assert await read(offset_id=middle, limit=5) == ids[15:20][::-1]
    assert await read(offset_id=middle, reverse=True) == ids[21:]
    assert await read(offset_id=middle, reverse=True, limit=7) == ids[21:28]
    assert await read(min_id=middle) == ids[21:][::-1]
    assert await read(min_id=middle, reverse=True) == ids[21:]
    assert await read(max_id=middle) == ids[:20][::-1]
    assert await read(offset_date=dates[middle]) == [i for i in reversed(ids) if dates[i] < dates[middle]]
    assert await read(offset_date=dates[middle], reverse=True) == [i for i in ids if dates[i] >= dates[middle]]
    assert await read(limit=3, add_offset=2) == ids[-5:-2][::-1]


async def test_a_page_holds_a_hundred_and_min_and_max_thin_it_out(connect: Connect, dc: Sandbox) -> None:
    await dc.publish("gorod_news", count=150)
    client = await connect()
    peer = await client.get_input_entity("gorod_news")
    ids = [post["id"] for post in written(dc, "gorod_news")]

    async def page(*, offset_id=0, add_offset=0, limit=100, max_id=0, min_id=0) -> list[int]:
        request = functions.messages.GetHistoryRequest(peer, offset_id, None, add_offset, limit, max_id, min_id, 0)
        answer = await client(request)
        assert answer.count == len(ids)
        assert answer.pts == dc.world.channel("gorod_news").pts
        return [message.id for message in answer.messages]

    assert await page(limit=1000) == ids[-100:][::-1]
    assert await page(limit=0) == ids[-100:][::-1]
    assert await page(offset_id=1) == []
    assert await page(offset_id=ids[-1] + 1, add_offset=-100) == []
    assert await page(offset_id=ids[-10], add_offset=-100) == ids[-10:][::-1]
    assert await page(max_id=ids[-3]) == ids[-100:-3][::-1]
    assert await page(max_id=ids[0] + 1) == []
    assert await page(min_id=ids[-4], limit=10) == ids[-3:][::-1]


async def test_named_messages_come_as_asked_and_holes_are_empty(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    ids = [post["id"] for post in written(dc, "gorod_news")]
    hole = next(i for i in range(1, ids[-1]) if i not in ids)
    assert [m and m.id for m in await client.get_messages("gorod_news", ids=[ids[3], hole, ids[0]])] == [
        ids[3],
        None,
        ids[0],
    ]


async def test_dialogs_are_paged_newest_first() -> None:
    async with Sandbox(accounts=1, channels=230, posts=690, seed=2) as dc, signed_in(dc) as client:
        dialogs = await client.get_dialogs()
        calls = dc.requests()["by_account"][str(dc.world.account("ann").id)]["messages.getDialogs"]
        dates = [dialog.date for dialog in dialogs]
        assert dates == sorted(dates, reverse=True)
        assert {dialog.entity.id for dialog in dialogs} == set(dc.world.channels)
        for dialog in dialogs:
            channel = dc.world.channels[dialog.entity.id]
            assert (dialog.message.id, dialog.dialog.top_message, dialog.dialog.pts) == (
                channel.top,
                channel.top,
                channel.pts,
            )
        assert calls == 3
        await dc.publish(dialogs[150].entity.id, text="newest")
        assert (await client.get_dialogs(limit=1))[0].message.text == "newest"
        since = [dialog.entity.id async for dialog in client.iter_dialogs(offset_date=dates[100])]
        assert since == [dialog.entity.id for dialog in dialogs[:150] + dialogs[151:] if dialog.date <= dates[100]]


async def test_dialogs_of_named_peers_fail_together(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    peers = [await client.get_input_entity(name) for name in ("gorod_news", "night_trains")]
    wanted = [types.InputDialogPeer(peer) for peer in peers]
    found = await client(functions.messages.GetPeerDialogsRequest(wanted))
    tops = [(d.peer.channel_id, d.top_message, d.pts) for d in found.dialogs]
    assert tops == [(peer.channel_id, dc.world.channels[peer.channel_id].top, 50) for peer in peers]
    assert found.state.pts >= 1
    wrong = types.InputDialogPeer(types.InputPeerChannel(peers[0].channel_id, 1))
    with pytest.raises(errors.ChannelInvalidError):
        await client(functions.messages.GetPeerDialogsRequest([*wanted, wrong]))


async def test_a_stranger_reads_a_public_channel_that_he_resolved(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    entity = await client.get_entity("MORNING_markets")
    assert entity.left
    assert entity.id == dc.world.channel("morning_markets").id
    assert [m.id for m in await client.get_messages(entity, limit=1)] == [dc.world.channel("morning_markets").top]
    full = await client(functions.channels.GetFullChannelRequest(entity))
    assert (full.full_chat.pts, full.full_chat.participants_count) == (50, 1)
    with pytest.raises(errors.UsernameNotOccupiedError):
        await client(functions.contacts.ResolveUsernameRequest("nobody_here"))
    with pytest.raises(errors.UsernameInvalidError):
        await client(functions.contacts.ResolveUsernameRequest("no spaces"))


async def test_users_and_channels_are_described_to_who_may_know_them(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    boris = await client.get_input_entity("boris")
    full = await client(functions.users.GetFullUserRequest(boris))
    assert (full.full_user.id, full.users[0].username, full.users[0].phone) == (boris.user_id, "boris", None)
    stranger = types.InputUser(boris.user_id, boris.access_hash + 1)
    found = await client(functions.users.GetUsersRequest([types.InputUserSelf(), boris, stranger]))
    assert [user.username for user in found] == ["ann", "boris"]
    with pytest.raises(errors.PeerIdInvalidError):
        await client(functions.users.GetFullUserRequest(stranger))
    named = [await client.get_input_entity(name) for name in ("gorod_news", "night_trains")]
    chats = (await client(functions.channels.GetChannelsRequest(named))).chats
    assert [chat.username for chat in chats] == ["gorod_news", "night_trains"]


async def test_access_hashes_belong_to_one_account(dc: Sandbox, connect: Connect) -> None:
    ann, boris = await connect("ann"), await connect("boris")
    of_ann = await ann.get_input_entity("gorod_news")
    assert of_ann.access_hash != (await boris.get_input_entity("gorod_news")).access_hash
    with pytest.raises(errors.ChannelInvalidError):
        await boris.get_messages(of_ann, limit=1)


async def test_a_private_channel_is_closed_to_strangers(dc: Sandbox, connect: Connect) -> None:
    private = next(channel for channel in dc.world.channels.values() if channel.username is None)
    (member,) = private.members
    stranger = next(a.id for a in dc.world.accounts.values() if a.id != member and not a.is_bot)
    client = await connect(dc.world.accounts[member].username)
    await client.get_dialogs()
    assert len(await client.get_messages(types.PeerChannel(private.id), limit=60)) == 50
    client = await connect(dc.world.accounts[stranger].username)
    peer = types.InputPeerChannel(private.id, dc.world.access_hash(stranger, "channel", private.id))
    with pytest.raises(errors.ChannelPrivateError):
        await client.get_messages(peer, limit=1)
    with pytest.raises(errors.ChannelPrivateError):
        await client(functions.channels.GetFullChannelRequest(peer))


async def test_posts_of_a_folder_are_read_literally(posts_dir: Path) -> None:
    async with Sandbox(channels=1, posts_dir=posts_dir) as dc:
        loaded = [channel for channel in dc.world.channels.values() if not channel.generated]
        assert loaded
        for channel in loaded:
            assert len(channel.members) == 2
            member = dc.world.accounts[min(channel.members)]
            async with signed_in(dc, member.id) as client:
                found = [m async for m in client.iter_messages(channel.username, reverse=True, wait_time=0)]
            assert [row(m) for m in found] == written(dc, channel.id)
            replies = {m.id: m.reply_to.reply_to_msg_id for m in found if m.reply_to}
            ids = [m.id for m in found]
            assert all(before == ids[ids.index(i) - 1] for i, before in replies.items())


async def test_generated_posts_have_every_shape_that_a_reader_meets() -> None:
    async with Sandbox(channels=3, posts=600, seed=3) as dc:
        posts = [post for channel in dc.world.channels.values() for post in channel.posts.values()]
        assert {post.media for post in posts} == {"", "photo", "document"}
        assert {post.service for post in posts} == {"", "create", "pin", "title"}
        for shape in (
            "edited",
            "entities",
            "forwarded_from",
            "forwarded_post",
            "forwards",
            "grouped_id",
            "reactions",
            "reply_to",
            "views",
        ):
            assert any(getattr(post, shape) for post in posts), shape
        albums = Counter(post.grouped_id for post in posts if post.grouped_id)
        assert max(albums.values()) in range(2, 5)
        assert any(not post.text and not post.service for post in posts)
        assert any(channel.ids[0] > 1000 for channel in dc.world.channels.values())
        for channel in dc.world.channels.values():
            assert channel.ids[-1] - channel.ids[0] >= len(channel.ids)
        async with signed_in(dc) as client:
            messages = await client.get_messages("gorod_news", limit=100)
        for message in messages:
            for entity, text in message.get_entities_text():
                assert text
                if isinstance(entity, types.MessageEntityHashtag):
                    assert text == f"#n{message.id}"
            assert utils.get_peer_id(message.peer_id) == -1000000000000 - dc.world.channel("gorod_news").id
            assert message.date < datetime(2026, 1, 2, tzinfo=UTC)
