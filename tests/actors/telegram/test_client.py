"""The seam: what we lean on in Telethon, and what comes through it."""

import asyncio
import inspect
from dataclasses import replace
from importlib.metadata import version

import pytest
import telethon
from hypothesis import given, settings
from hypothesis import strategies as st
from telethon import TelegramClient, password
from telethon._updates import MessageBox, SessionState
from telethon.crypto import AuthKey
from telethon.network import ConnectionTcpFull, MTProtoSender, authenticator
from telethon.tl import functions, types

from actors.errors import LoopbackViolated
from actors.messages.ids import AccountId
from actors.messages.rows import Device
from actors.telegram.arithmetic import power
from actors.telegram.client import (
    AccountClient,
    LoopbackOnly,
    QuietLogger,
    SettingsIncomplete,
    build_client,
    is_loopback,
)
from actors.telegram.link import connected
from actors.telegram.session import AccountSession
from config.model import Datacenter, Telegram
from tests.actors.telegram.house import account_ids, calls, fail, key_of, open_client, place_of

SELF = functions.users.GetUsersRequest([types.InputUserSelf()])


def parameters(function):
    return list(inspect.signature(function).parameters)


def test_telethon_is_the_version_whose_private_names_are_known():
    assert version("telethon").startswith("1.45.")
    assert parameters(TelegramClient._update_loop) == ["self"]
    assert parameters(TelegramClient._handle_auto_reconnect) == ["self"]
    assert parameters(MessageBox.load) == ["self", "session_state", "channel_states"]
    state = ["self", "user_id", "dc_id", "bot", "pts", "qts", "date", "seq", "takeout_id"]
    assert parameters(SessionState.__init__) == state
    assert parameters(MTProtoSender.send) == ["self", "request", "ordered"]
    assert parameters(ConnectionTcpFull._connect) == ["self", "timeout", "ssl"]
    assert parameters(TelegramClient._borrow_exported_sender) == ["self", "dc_id"]
    assert parameters(TelegramClient._return_exported_sender) == ["self", "sender"]
    assert parameters(TelegramClient._create_exported_sender) == ["self", "dc_id"]
    assert parameters(TelegramClient._get_dc) == ["self", "dc_id", "cdn"]
    assert inspect.iscoroutinefunction(TelegramClient._update_loop)
    assert inspect.iscoroutinefunction(TelegramClient._handle_auto_reconnect)


def test_telethon_takes_its_powers_where_they_are_fast():
    assert authenticator.pow is password.pow is power
    assert "pow(g_a, b, dh_prime)" in inspect.getsource(authenticator.do_authentication)
    assert "pow(g_b, a_ux, p)" in inspect.getsource(password.compute_check)


@given(st.integers(2, 2**2048), st.integers(1, 2**2048), st.integers(2**2046, 2**2047))
@settings(max_examples=30, deadline=None)
def test_powers_are_pythons(base, exponent, half):
    modulus = 2 * half + 1
    assert power(base % modulus, exponent, modulus) == pow(base, exponent, modulus)


async def test_a_client_has_the_attributes_that_we_lean_on():
    session = AccountSession()
    session.set_dc(203, "127.0.0.1", 1)
    client = build_client(
        session,
        Telegram(),
        datacenter=Datacenter(id=203, address="127.0.0.1", port=1),
        on_update=lambda _: None,
        on_doubt=lambda: None,
    )
    assert isinstance(client._updates_queue, asyncio.Queue)
    assert not client._message_box.is_empty()
    assert client._sender._updates_queue is client._updates_queue
    assert client._sender._auto_reconnect_callback == client._handle_auto_reconnect
    assert client.flood_sleep_threshold == 0
    assert client._borrowed_senders == {}
    assert hasattr(client._init_request, "query")
    assert hasattr(telethon.TelegramClient, "_config")


async def test_connecting_costs_one_request(dc):
    me = account_ids(dc)[0]
    async with open_client(dc, me):
        assert calls(dc, me) == {"help.getConfig": 1}


async def test_a_client_calls_itself_as_its_session_always_did(dc):
    me = account_ids(dc)[0]
    device = Device(model="An older name", system="Plan 9", app="0.0.1")
    session = AccountSession(replace(key_of(dc, me, "old"), device=device))
    client = build_client(
        session, Telegram(), datacenter=place_of(dc), loopback_only=True, on_update=lambda _: None,
        on_doubt=lambda: None,
    )  # fmt: skip
    await client.connect()
    try:
        (key,) = (key for key in dc.dc.keys.of(me) if key.name == "old")
        assert (key.device.model, key.device.system, key.device.app) == ("An older name", "Plan 9", "0.0.1")
        assert session.key(AccountId(me)).device == device
    finally:
        await client.disconnect()


async def test_new_edited_and_deleted_posts_come_raw_and_cost_no_request(dc):
    me, got = account_ids(dc)[0], asyncio.Queue()
    async with open_client(dc, me, on_update=got.put_nowait) as client:
        await client.ask(SELF)
        channel = dc.world.channels_of(me)[0].id
        (post,) = await dc.publish(channel, text="one")
        await dc.edit(channel, post, "two")
        await dc.delete(channel, [post])
        kinds = [type((await got.get()).updates[0]) for _ in range(3)]
        assert kinds == [
            types.UpdateNewChannelMessage,
            types.UpdateEditChannelMessage,
            types.UpdateDeleteChannelMessages,
        ]
        assert calls(dc, me) == {"help.getConfig": 1, "users.getUsers": 1}


async def test_after_a_drop_the_owner_is_told_and_asking_once_brings_pushes_back(dc):
    me, got, doubt = account_ids(dc)[0], asyncio.Queue(), asyncio.Queue()
    async with open_client(dc, me, on_update=got.put_nowait, on_doubt=lambda: doubt.put_nowait(None)) as client:
        await client.ask(SELF)
        assert dc.drop_connections() == 1
        await doubt.get()
        assert await client.ask(SELF)
        (post,) = await dc.publish(dc.world.channels_of(me)[0].id, text="after")
        update = await got.get()
        assert update.updates[0].message.id == post


async def test_a_client_without_updates_is_pushed_nothing(dc):
    me, got = account_ids(dc)[0], asyncio.Queue()
    async with open_client(dc, me, on_update=got.put_nowait, receive_updates=False) as client:
        await client.ask(SELF)
        await dc.publish(dc.world.channels_of(me)[0].id, text="unseen")
        await client.ask(SELF)
        assert got.empty()


async def test_a_flood_of_pushes_is_dropped_and_doubted_at_a_bound(dc, monkeypatch):
    monkeypatch.setattr("actors.telegram.client.BACKLOG", 10)
    got, doubt = [], asyncio.Queue()
    me = account_ids(dc)[0]
    async with open_client(dc, me, on_update=got.append, on_doubt=lambda: doubt.put_nowait(None)) as client:
        for _ in range(200):
            client._updates_queue.put_nowait(types.UpdatesTooLong())
        await doubt.get()
        assert len(got) <= 11


async def test_a_failing_owner_ends_the_client_with_its_own_error(dc):
    def burst(_):
        raise ZeroDivisionError

    me = account_ids(dc)[0]
    async with open_client(dc, me, on_update=burst) as client:
        client._updates_queue.put_nowait(types.UpdatesTooLong())
        with pytest.raises(ZeroDivisionError):
            await client.ended()


async def test_disconnecting_fails_what_waits_and_cancels_nobody(dc):
    me = account_ids(dc)[0]
    async with open_client(dc, me) as client:
        fail(dc, "*", delay=60)
        asking = asyncio.create_task(client.ask(SELF))
        await asyncio.sleep(0)
        await client.disconnect()
        with pytest.raises(ConnectionError):
            await asking
        assert not asking.cancelled()


async def test_keepalive_and_disconnect_write_no_update_state(dc):
    me = account_ids(dc)[0]
    async with open_client(dc, me) as client:
        await client._save_states_and_entities()
        assert list(client.session.get_update_states()) == []


@pytest.mark.parametrize("address", ["149.154.167.51", "localhost", "example.org", "10.0.0.1", "::2", "", None])
def test_only_literal_loopback_addresses_are_loopback(address):
    assert not is_loopback(address)
    assert is_loopback("127.0.0.1")
    assert is_loopback("127.8.8.8")
    assert is_loopback("::1")


async def test_in_sandbox_mode_a_session_from_elsewhere_is_refused(dc):
    session = AccountSession()
    session.set_dc(2, "149.154.167.51", 443)
    session.auth_key = AuthKey(bytes(256))
    with pytest.raises(LoopbackViolated):
        build_client(
            session,
            Telegram(),
            datacenter=place_of(dc),
            loopback_only=True,
            on_update=lambda _: None,
            on_doubt=lambda: None,
        )


async def test_in_sandbox_mode_no_connection_leaves_the_machine(dc):
    me = account_ids(dc)[0]
    async with open_client(dc, me) as client:
        await client.disconnect()
        client.session.set_dc(2, "192.0.2.1", 443)  # as a migration would
        assert client._connection is LoopbackOnly
        with pytest.raises(LoopbackViolated):
            async with connected(client, me, on_end=lambda: None):
                pass


async def test_production_needs_credentials_and_says_so():
    with pytest.raises(SettingsIncomplete, match="api_id"):
        build_client(AccountSession(), Telegram(), on_update=lambda _: None, on_doubt=lambda: None)


async def test_a_key_follows_its_data_centre_to_a_new_address(dc):
    session = AccountSession(key_of(dc, account_ids(dc)[0]))
    session.set_dc(session.dc_id, "127.0.0.1", 1)
    build_client(session, Telegram(), datacenter=place_of(dc), on_update=lambda _: None, on_doubt=lambda: None)
    assert session.port == dc.port


async def test_the_session_gives_full_channels_only(dc):
    me, seen = account_ids(dc)[0], []
    async with open_client(dc, me, on_channels=seen.extend) as client:
        await client.ask(
            functions.messages.GetDialogsRequest(
                offset_date=None, offset_id=0, offset_peer=types.InputPeerEmpty(), limit=100, hash=0
            )
        )
    assert {channel.id for channel in seen} == {channel.id for channel in dc.world.channels_of(me)}
    assert all(channel.access_hash for channel in seen)
    session = AccountSession(on_channels=seen.append)
    seen.clear()
    session.process_entities(types.contacts.ResolvedPeer(None, [types.Channel(1, "t", None, None, min=True)], []))
    assert seen == []


def test_telethons_own_log_loses_what_it_quotes(caplog):
    logger = QuietLogger("telethon").getChild("network")
    logger.warning("could not read %r", b"private words")
    logger.info("Type %08x not found, remaining data %r", 0xABCD, b"private words")
    assert "private words" not in caplog.text
    assert "0000abcd" in caplog.text
    assert "could not read %r" in caplog.text


async def test_a_new_client_forgets_another_data_centres_addresses(dc):
    async with open_client(dc, account_ids(dc)[0]) as client:
        await client._get_dc(203)
        assert AccountClient._config is not None
        async with open_client(dc, account_ids(dc)[1]):
            assert AccountClient._config is None
