"""Pages of history and dialogs over a socket, and what is done where an answer can't be read."""

import asyncio
from datetime import timedelta

import pytest
from telethon.tl import functions, types

from actors.errors import AccountUnusable, FloodWaited, TryAgain
from actors.messages.account import FetchHistory
from actors.messages.content import Membership
from actors.messages.ids import AccountId, ChannelId
from actors.messages.rows import UpdateState
from actors.runtime.clock import ManualClock
from actors.telegram.caller import Caller, method_of
from actors.telegram.dialogs import fetch_dialogs, read_memberships
from actors.telegram.faults import Unreadable
from actors.telegram.link import connected
from actors.telegram.requests import fetch_difference, fetch_history, fetch_self, fetch_state, peek, peer_of
from config.model import Collection
from sandbox.client import Sandbox
from tests.actors.telegram.house import account_ids, calls, fail, open_client, send_letter

SELF = functions.users.GetUsersRequest([types.InputUserSelf()])


def caller_of(client, me, clock=None, **fields):
    return Caller(client, AccountId(me), clock=clock or ManualClock(), timeout=timedelta(seconds=5), **fields)


def peer(dc, me, channel):
    return peer_of(ChannelId(channel), dc.world.access_hash(me, "channel", channel))


def test_methods_have_telegrams_names():
    assert method_of(SELF) == "users.getUsers"
    assert method_of(functions.messages.GetPeerDialogsRequest([])) == "messages.getPeerDialogs"
    assert method_of(functions.PingRequest(1)) == "ping"


async def test_paging_down_reads_every_message_once(dc):
    me = account_ids(dc)[0]
    channel = dc.world.channels_of(me)[0]
    async with open_client(dc, me) as client:
        call, offset, read = caller_of(client, me), 0, []
        while True:
            ask = FetchHistory(channel_id=ChannelId(channel.id), offset_id=offset, limit=7)
            page = await fetch_history(call, peer(dc, me, channel.id), ask)
            if page.lowest_id is None:
                break
            read += [post.message_id for post in page.posts]
            offset = page.lowest_id
    assert read == sorted(channel.ids, reverse=True)


async def test_one_unreadable_message_costs_itself_alone(dc, monkeypatch):
    me = account_ids(dc)[0]
    channel = dc.world.channels_of(me)[0]
    bad = channel.ids[-3]
    async with open_client(dc, me) as client:
        call = caller_of(client, me)
        spoil(monkeypatch, client, bad)
        ask = FetchHistory(channel_id=ChannelId(channel.id), offset_id=0, limit=8)
        page = await fetch_history(call, peer(dc, me, channel.id), ask)
    kinds = {post.message_id: post.kind for post in page.posts}
    assert kinds.pop(bad) == "undecodable"
    assert "undecodable" not in kinds.values()
    assert (page.lowest_id, page.count) == (channel.top - 7, 8)
    assert sorted([*kinds, bad]) == [number for number in channel.ids if number >= channel.top - 7]


def spoil(monkeypatch, client, bad):
    """Let the client fail on any answer that holds message ``bad``, as it does on an unknown constructor."""
    from telethon.errors import TypeNotFoundError

    ask = client.ask

    async def spoiled(request, **where):
        result = await ask(request, **where)
        if type(result) is not types.messages.PeerDialogs and any(
            getattr(message, "id", 0) == bad for message in getattr(result, "messages", ())
        ):
            raise TypeNotFoundError(0xABCD, b"")
        return result

    monkeypatch.setattr(client, "ask", spoiled)


async def test_elsewhere_an_unreadable_answer_is_a_refusal(dc, monkeypatch):
    me = account_ids(dc)[0]
    async with open_client(dc, me) as client:
        call = caller_of(client, me)
        top = dc.world.channels_of(me)[0].top
        spoil(monkeypatch, client, top)
        with pytest.raises(Unreadable):
            async for _ in fetch_dialogs(call, AccountId(me)):
                pass


async def test_a_call_has_a_deadline(dc):
    me = account_ids(dc)[0]
    fail(dc, "users.getUsers", delay=30.0)
    async with open_client(dc, me) as client:
        call = Caller(client, AccountId(me), clock=ManualClock(), timeout=timedelta(seconds=0.05))
        with pytest.raises(TryAgain, match="TimeoutError"):
            await call(SELF)


async def test_a_wait_is_kept_by_the_actors_clock(dc):
    me, clock = account_ids(dc)[0], ManualClock()
    fail(dc, "users.getUsers", (420, "FLOOD_WAIT_100"))
    kept = []
    async with open_client(dc, me) as client:
        call = caller_of(client, me, clock, on_flood=lambda *wait: kept.append(wait))
        with pytest.raises(FloodWaited) as told:
            await call(SELF)
        assert timedelta(seconds=101) <= told.value.wait <= timedelta(seconds=110)
        assert kept == [("users.getUsers", clock.now() + told.value.wait)]
        assert call.waiting
        clock.advance(100)
        with pytest.raises(FloodWaited) as again:
            await call(SELF)
        assert again.value.wait == told.value.wait - timedelta(seconds=100)
        clock.advance(11)
        assert not call.waiting
        assert await call(SELF)
    assert calls(dc, me)["users.getUsers"] == 2


async def test_an_unreachable_service_is_tried_again_and_leaves_nothing_open(dc):
    me = account_ids(dc)[0]
    async with open_client(dc, me) as client:
        await client.disconnect()
        await dc.dc.close()
        client._sender._delay = 0
        with pytest.raises(TryAgain):
            async with connected(client, AccountId(me), on_end=lambda: None):
                pass


async def test_a_client_that_is_gone_for_good_says_why(dc):
    me, ended = account_ids(dc)[0], asyncio.Event()
    async with open_client(dc, me) as client:
        await client.disconnect()
        async with connected(client, AccountId(me), on_end=ended.set) as watch:
            watch.check()
            await client._sender._disconnect(error=ConnectionError())
            await ended.wait()
            with pytest.raises(TryAgain):
                watch.check()


async def test_hundreds_of_dialogs_are_read_page_by_page_once_and_then_one_page():
    async with Sandbox(accounts=1, channels=230, posts=230) as dc:
        me = account_ids(dc)[0]
        wanted = {channel.id for channel in dc.world.channels_of(me)}
        assert len(wanted) > 200
        async with open_client(dc, me) as client:
            call = caller_of(client, me)
            read, complete = await read_memberships(call, AccountId(me), (), Collection())
            assert {each.channel_id for each in read} == wanted
            assert complete
            assert calls(dc, me)["messages.getDialogs"] == 3
            again, complete = await read_memberships(call, AccountId(me), read, Collection())
            assert {each.channel_id for each in again} == wanted
            assert not complete
            assert calls(dc, me)["messages.getDialogs"] == 4
            fail(dc, "messages.getDialogs", (420, "FLOOD_WAIT_9"))
            kept, complete = await read_memberships(call, AccountId(me), read, Collection())
            assert (len(kept), complete) == (len(wanted), False)
            heads = await peek(call, {c: peer(dc, me, c) for c in list(wanted)[:100]}, list(wanted)[:100])
            assert len(heads.heads) == 100


async def test_private_chats_are_no_dialogs_of_ours(dc):
    me, other = account_ids(dc)
    send_letter(dc, other, me, "hello")
    async with open_client(dc, me) as client:
        read, _ = await read_memberships(caller_of(client, me), AccountId(me), (), Collection())
    assert all(isinstance(each, Membership) and each.channel_id != other for each in read)


async def test_a_difference_is_read_to_its_end(dc):
    me, other = account_ids(dc)
    async with open_client(dc, me) as client:
        call = caller_of(client, me)
        assert (await fetch_self(call)).account_id == me
        state = await fetch_state(call)
        for number in range(150):
            send_letter(dc, other, me, "hello", random_id=number + 1)
        slices = [after async for _, after in fetch_difference(call, state)]
        assert len(slices) == 2
        assert slices[-1].pts == dc.world.boxes[me].pts
        assert [after async for _, after in fetch_difference(call, slices[-1])][-1].pts == slices[-1].pts


async def test_a_state_that_means_nothing_is_forgotten(dc):
    me = account_ids(dc)[0]
    fail(dc, "updates.getDifference", (400, "PERSISTENT_TIMESTAMP_INVALID"))
    async with open_client(dc, me) as client:
        call = caller_of(client, me)
        ((part, after),) = [each async for each in fetch_difference(call, UpdateState(pts=1, qts=0, date=1, seq=1))]
        assert type(part) is types.UpdatesTooLong
        assert after.pts == dc.world.boxes[me].pts


async def test_a_key_of_nobody_is_unusable(dc):
    me = account_ids(dc)[0]
    async with open_client(dc, me) as client:
        await client.ask(functions.auth.LogOutRequest())
        with pytest.raises(AccountUnusable, match="revoked"):
            await fetch_self(caller_of(client, me))
