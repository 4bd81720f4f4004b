"""Stock Telethon and hand-made packets against the transports, the key exchange and MTProto's own messages."""

import asyncio
import os
import struct
import time
from hashlib import sha1, sha256
from zlib import crc32

import pytest
from telethon import errors, functions, types
from telethon.extensions import BinaryReader
from telethon.network import ConnectionTcpAbridged, ConnectionTcpFull, ConnectionTcpIntermediate

from sandbox.client import Sandbox
from sandbox.crypto import CipherError, ServerKey, ige_encrypt
from sandbox.handshake import Handshake, HandshakeError
from tests.sandbox.conftest import Connect, hear, soon


@pytest.mark.parametrize("connection", [ConnectionTcpFull, ConnectionTcpAbridged, ConnectionTcpIntermediate])
async def test_a_fresh_key_is_exchanged_over_each_transport(connect: Connect, connection) -> None:
    client = await connect(None, connection=connection)
    config = await client(functions.help.GetConfigRequest())
    assert config.this_dc == 203
    assert [(option.id, option.ip_address) for option in config.dc_options] == [(203, "127.0.0.1"), (204, "127.0.0.1")]


@pytest.mark.parametrize("connection", [ConnectionTcpFull, ConnectionTcpAbridged, ConnectionTcpIntermediate])
async def test_a_ready_session_reads_long_pages_over_each_transport(dc: Sandbox, connect: Connect, connection) -> None:
    client = await connect("ann", connection=connection)
    assert (await client.get_me()).username == "ann"
    assert len(await client.get_messages("gorod_news", limit=100)) == 50


def rsa_pad(key: ServerKey, data: bytes) -> bytes:
    """RSA_PAD as core.telegram.org/mtproto/auth_key words it."""
    padded = data + os.urandom(192 - len(data))
    while True:
        temp = os.urandom(32)
        sealed = ige_encrypt(padded[::-1] + sha256(temp + padded).digest(), temp, bytes(32))
        block = bytes(a ^ b for a, b in zip(temp, sha256(sealed).digest(), strict=True)) + sealed
        if int.from_bytes(block, "big") < key.n:
            return pow(int.from_bytes(block, "big"), key.e, key.n).to_bytes(256, "big")


def begin(handshake: Handshake):
    with BinaryReader(handshake.answer(bytes(functions.ReqPqMultiRequest(77)))[0]) as reader:
        answer = reader.tgread_object()
    pq = int.from_bytes(answer.pq, "big")
    p = next(n for n in range(3, 1 << 16, 2) if pq % n == 0)
    factors = [n.to_bytes(4, "big").lstrip(b"\0") for n in (p, pq // p)]
    inner = types.PQInnerDataDc(answer.pq, *factors, 77, answer.server_nonce, 5, 203)
    return answer, factors, bytes(inner)


def dh_params(answer, factors, cipher: bytes) -> bytes:
    return bytes(functions.ReqDHParamsRequest(77, answer.server_nonce, *factors, 1, cipher))


def test_rsa_pad_and_the_older_padding_are_both_understood() -> None:
    key = ServerKey.generate()
    handshake = Handshake(key)
    for pad in (rsa_pad, older_pad):
        answer, factors, inner = begin(handshake)
        reply, auth_key = handshake.answer(dh_params(answer, factors, pad(key, inner)))
        assert auth_key is None
        with BinaryReader(reply) as reader:
            assert isinstance(reader.tgread_object(), types.ServerDHParamsOk)


def older_pad(key: ServerKey, data: bytes) -> bytes:
    block = (sha1(data).digest() + data).ljust(255, b"\7")
    return pow(int.from_bytes(block, "big"), key.e, key.n).to_bytes(256, "big")


def test_a_broken_key_exchange_is_refused() -> None:
    key = ServerKey.generate()
    handshake = Handshake(key)
    answer, factors, inner = begin(handshake)
    wrong_factors = dh_params(
        answer, factors[::-1], rsa_pad(key, inner.replace(factors[0], b"\1\1\1\1"[: len(factors[0])]))
    )
    for body in (
        b"",
        b"\0\0\0\0",
        bytes(functions.PingRequest(1)),
        wrong_factors,
        dh_params(answer, factors, bytes(256)),
    ):
        with pytest.raises(HandshakeError):
            handshake.answer(body)
    with pytest.raises(CipherError):
        key.decrypt_inner_data(b"short")


async def raw(dc: Sandbox, data: bytes) -> bytes:
    """Send bytes, return all that comes until the server closes."""
    reader, writer = await asyncio.open_connection(dc.address, dc.port)
    try:
        writer.write(data)
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def test_an_unknown_key_is_answered_with_404(dc: Sandbox) -> None:
    reader, writer = await asyncio.open_connection(dc.address, dc.port)
    writer.write(b"\xee\xee\xee\xee" + struct.pack("<i", 72) + os.urandom(72))
    async with asyncio.timeout(5):
        assert await reader.readexactly(8) == struct.pack("<ii", 4, -404)
    writer.close()
    await writer.wait_closed()


async def test_a_client_that_speaks_no_transport_or_breaks_one_is_cut_off(dc: Sandbox) -> None:
    too_long = b"\xee\xee\xee\xee" + struct.pack("<i", 1 << 30)
    wrong_sum = struct.pack("<ii", 16, 0) + b"abcd" + struct.pack("<I", crc32(b"") ^ 1)
    for data in (b"GET / HTTP/1.1\r\n\r\n", too_long, b"\xef\x7f\xff\xff\xff", wrong_sum, b"\xef\0"):
        assert await raw(dc, data) == b""


async def test_a_client_that_says_nothing_does_not_hold_up_the_end() -> None:
    async with Sandbox(channels=1) as dc:
        reader, writer = await asyncio.open_connection(dc.address, dc.port)
    assert await reader.read() == b""
    writer.close()


async def test_a_client_with_a_wrong_clock_is_put_right(connect: Connect) -> None:
    client = await connect()
    client._sender._state.time_offset = 4000
    assert (await client.get_me()).username == "ann"
    assert abs(client._sender._state.time_offset) < 5


async def test_pings_and_future_salts_are_answered_outside_rpc_results(connect: Connect) -> None:
    client = await connect()
    assert (await client(functions.PingRequest(42))).ping_id == 42
    assert (await client(functions.PingDelayDisconnectRequest(43, 75))).ping_id == 43
    salts = (await client(functions.GetFutureSaltsRequest(3))).salts
    assert len(salts) == 3
    assert salts[0].valid_since.timestamp() <= time.time() < salts[0].valid_until.timestamp()
    assert client._sender._state.salt == salts[0].salt


async def test_a_wrong_salt_is_corrected_in_mid_session(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    dc.dc.salts.epoch += 1
    assert (await client.get_me()).username == "ann"


async def test_long_requests_and_answers_travel_gzipped(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    text = "long " * 700
    sent = await client.send_message("boris", text)
    assert sent.text == text.strip()
    assert (await client.get_messages("boris", limit=1))[0].text == text.strip()


async def test_updates_come_back_after_a_drop_once_the_client_has_asked_for_something(
    dc: Sandbox, connect: Connect
) -> None:
    client = await connect()
    await client.get_dialogs()
    heard = hear(client)
    first = await dc.publish("gorod_news", text="before")
    assert (await soon(heard)).message.id == first[0]
    assert dc.drop_connections() == 1
    assert (await client.get_me()).username == "ann"  # sent again by Telethon over its new connection
    second = await dc.publish("gorod_news", text="after")
    assert (await soon(heard)).message.id == second[0]


async def test_a_new_session_that_asked_nothing_is_not_pushed_to(
    dc: Sandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await connect()
    await client.get_dialogs()
    heard = hear(client)

    async def ask_nothing() -> None: ...

    monkeypatch.setattr(client._sender, "_auto_reconnect_callback", ask_nothing)
    dc.drop_connections()
    await client(functions.PingRequest(1))  # resent over the new connection; a ping is no API call
    await dc.publish("gorod_news", text="nobody hears it")
    await client(functions.PingRequest(2))  # what was pushed would have come before its answer
    assert heard.empty()
    await client.get_me()
    await dc.publish("gorod_news", text="heard, with what was missed")
    assert [(await soon(heard)).message.text for _ in range(2)] == ["nobody hears it", "heard, with what was missed"]


async def test_a_method_that_is_not_here_is_refused_and_listed(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    with pytest.raises(errors.BadRequestError, match="INPUT_METHOD_INVALID"):
        await client(functions.account.GetContentSettingsRequest())
    assert dc.requests()["unknown"] == ["account.getContentSettings"]


async def test_a_key_that_nobody_signed_in_with_is_refused(connect: Connect) -> None:
    client = await connect(None)
    assert not await client.is_user_authorized()
    with pytest.raises(errors.AuthKeyUnregisteredError):
        await client(functions.updates.GetStateRequest())
