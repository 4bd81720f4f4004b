"""MTProto itself: transports, salts, clocks, containers, gzip, and the messages that are no API calls."""

import asyncio
import struct
import time
from contextlib import suppress
from typing import Any

import pytest
from telethon import errors, functions, types
from telethon.network import ConnectionTcpAbridged, ConnectionTcpFull, ConnectionTcpIntermediate
from telethon.network.connection.tcpintermediate import RandomizedIntermediatePacketCodec
from telethon.tl.alltlobjects import LAYER
from telethon.tl.core import GzipPacked, MessageContainer

from tests.conformance.raw import RawClient, TransportCode
from tests.conformance.stage import Stage, history

NEAREST = functions.help.GetNearestDcRequest()


class PaddedCodec(RandomizedIntermediatePacketCodec):
    """Telethon speaks it to proxies alone, which it tells so in another way."""

    tag = RandomizedIntermediatePacketCodec.obfuscate_tag


class ConnectionTcpPadded(ConnectionTcpIntermediate):
    packet_codec = PaddedCodec


TRANSPORTS = (ConnectionTcpFull, ConnectionTcpAbridged, ConnectionTcpIntermediate, ConnectionTcpPadded)


@pytest.mark.parametrize("base", TRANSPORTS)
async def test_a_new_key_is_made_over_each_transport(stage: Stage, base: type[Any]) -> None:
    client = await stage.new_client(base=base)
    assert (await client(functions.help.GetConfigRequest())).this_dc == stage.target.dc_id
    assert not await client.is_user_authorized()


@pytest.mark.parametrize("base", TRANSPORTS)
async def test_short_and_long_answers_come_over_each_transport(stage: Stage, base: type[Any]) -> None:
    client = await stage.client(base=base)
    peer = await client.get_input_entity(await stage.channel())
    sizes = [len((await client(history(peer, limit=limit))).messages) for limit in (1, 40)]
    assert sizes == [1, 40]


async def test_pings_and_future_salts_are_answered(stage: Stage) -> None:
    client = await stage.anyone()
    assert (await client(functions.PingRequest(42))).ping_id == 42
    assert (await client(functions.PingDelayDisconnectRequest(43, 75))).ping_id == 43
    salts = (await client(functions.GetFutureSaltsRequest(3))).salts
    assert 1 <= len(salts) <= 64
    assert salts[0].valid_since.timestamp() <= time.time() + 60
    assert all(one.valid_until > one.valid_since for one in salts)


async def test_a_salt_that_was_told_ahead_is_taken(stage: Stage) -> None:
    raw = await stage.raw()
    told = await raw.ask(functions.GetFutureSaltsRequest(2))
    raw.state.salt = told.salts[-1].salt
    seen = len(raw.first)
    assert isinstance(await raw.ask(NEAREST), types.NearestDc)
    assert [type(each) for each in raw.first[seen:]] == []


async def test_who_asked_to_be_cut_off_and_says_no_more_is(stage: Stage) -> None:
    raw = await stage.raw()
    await raw.ask(functions.PingDelayDisconnectRequest(1, 1))
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await raw.read()


async def test_other_sessions_are_destroyed_and_answers_dropped_as_if_there_were_none(stage: Stage) -> None:
    client = await stage.anyone()
    gone = await client(functions.DestroySessionRequest(77))
    assert (type(gone), gone.session_id) == (types.DestroySessionNone, 77)
    assert isinstance(await client(functions.RpcDropAnswerRequest(77)), types.RpcAnswerUnknown)


async def test_the_state_of_messages_is_told(stage: Stage) -> None:
    raw = await stage.raw()
    answered, message = raw.message(bytes(functions.PingRequest(5)))
    raw.send(message)
    await raw.answer(answered)
    asked, call = raw.message(bytes(NEAREST))
    raw.send(call)
    await raw.answer(asked)
    number, question = raw.message(bytes(types.MsgsStateReq([asked, asked + 4])))
    raw.send(question)
    states = [ord(state) & 7 for state in (await raw.answer(number)).info]  # Telethon takes the bytes for text
    assert states[0] == 4
    assert states[1:] in ([1], [2], [3])


async def test_acknowledgements_are_not_answered(stage: Stage) -> None:
    raw = await stage.raw()
    raw.send(raw.message(bytes(types.MsgsAck(raw.ids[-1:])), content=False)[1])
    seen = len(raw.ids)
    await raw.ask(functions.PingRequest(6))
    assert len(raw.ids) == seen + 1


async def test_many_requests_at_once_are_each_answered(stage: Stage) -> None:
    """Telethon packs what is sent together into containers."""
    client = await stage.anyone()
    pings = await asyncio.gather(*(client(functions.PingRequest(number)) for number in range(200)))
    assert [pong.ping_id for pong in pings] == list(range(200))
    ordered = await client([NEAREST] * 5, ordered=True)  # each in invokeAfterMsg of the one before
    assert [answer.this_dc for answer in ordered] == [stage.target.dc_id] * 5


async def test_the_messages_of_a_container_are_taken_one_by_one(stage: Stage) -> None:
    raw = await stage.raw()
    inner = [raw.message(bytes(functions.PingRequest(number))) for number in (1, 2)]
    body = struct.pack("<Ii", MessageContainer.CONSTRUCTOR_ID, 2) + b"".join(message for _, message in inner)
    raw.send(raw.message(body, content=False)[1])
    assert [(await raw.answer(number)).ping_id for number, _ in inner] == [1, 2]


async def test_long_requests_and_answers_travel_gzipped(stage: Stage) -> None:
    raw = await stage.raw()
    many = functions.users.GetUsersRequest([types.InputUserSelf()] * 200)
    assert raw.message(bytes(many))[1][16:20] == struct.pack("<I", GzipPacked.CONSTRUCTOR_ID)
    found = await raw.ask(many)
    assert isinstance(found, list)
    assert len(found) == 200
    assert raw.size < sum(len(bytes(user)) for user in found)


async def test_a_salt_that_expired_is_replaced_in_mid_session(stage: Stage) -> None:
    client, raw = await stage.client(), await stage.raw()
    old = raw.state.salt
    await stage.control.delete("/salts")
    assert (await client(NEAREST)).this_dc == stage.target.dc_id
    assert isinstance(await raw.ask(NEAREST), types.NearestDc)
    (bad,) = [each for each in raw.first if isinstance(each, types.BadServerSalt)][1:]
    assert (bad.error_code, bad.new_server_salt == old) == (48, False)


async def test_salts_change_with_the_hour(stage: Stage) -> None:
    raw = await stage.raw()
    await stage.control.post("/clock", skew=3 * 3600)
    raw.state.time_offset = 3 * 3600
    before = len(raw.first)
    assert isinstance(await raw.ask(NEAREST), types.NearestDc)
    assert [type(each) for each in raw.first[before:]] == [types.BadServerSalt]


@pytest.mark.parametrize("skew", [-4000.0, -200.0, 200.0, 4000.0])
async def test_a_server_whose_clock_is_wrong_is_believed(stage: Stage, skew: float) -> None:
    await stage.control.post("/clock", skew=skew)
    client = await stage.client()
    state = await client(functions.updates.GetStateRequest())
    assert abs(state.date.timestamp() - time.time() - skew) < 5


@pytest.mark.parametrize(
    "skews",
    [
        (4000.0, 8000.0),  # by less than 300 s nobody is wrong enough for the server to say so
        (4000.0, 0.0, -4000.0),
    ],
    ids=["ahead", "back"],
)
async def test_a_clock_that_jumps_in_mid_session_is_believed_too(stage: Stage, skews: tuple[float, ...]) -> None:
    client = await stage.client()
    for skew in skews:
        await stage.control.post("/clock", skew=skew)
        async with asyncio.timeout(1):
            state = await client(functions.updates.GetStateRequest())
        assert abs(state.date.timestamp() - time.time() - skew) < 5


async def complaint(raw: RawClient, message: bytes, message_id: int) -> int:
    raw.send(message)
    answer = await raw.answer(message_id)
    assert isinstance(answer, types.BadMsgNotification), answer
    return answer.error_code


async def test_messages_that_break_the_rules_are_named_with_what_is_wrong(stage: Stage) -> None:
    raw = await stage.raw()
    now, ping = int(time.time()), bytes(functions.PingRequest(1))
    for wrong, code in (((now - 1000) << 32, 16), ((now + 1000) << 32, 17), ((now << 32) + 1, 18)):
        _, message = raw.message(ping, message_id=wrong)
        assert await complaint(raw, message, wrong) == code
    container = struct.pack("<Iiqii", MessageContainer.CONSTRUCTOR_ID, 1, 4, 1, 4000) + ping
    number, message = raw.message(container, content=False)
    assert await complaint(raw, message, number) == 64
    assert (await raw.ask(functions.PingRequest(2))).ping_id == 2  # none of it cost the connection


async def test_a_request_that_comes_again_is_answered_from_memory(stage: Stage) -> None:
    raw = await stage.raw()
    number, message = raw.message(bytes(functions.help.GetConfigRequest()))
    counted = await stage.asked("help.getConfig") if stage.has_control else 0
    raw.send(message)
    first = await raw.answer(number)
    raw.send(message)
    second = await raw.answer(number)
    assert bytes(first) == bytes(second)
    if stage.has_control:
        assert await stage.asked("help.getConfig") == counted + 1


async def test_a_session_begins_with_its_first_message_whose_salt_is_right(stage: Stage) -> None:
    raw = await stage.raw(init=False)
    number, ping = raw.message(bytes(functions.PingRequest(1)))
    raw.send(ping)
    assert isinstance(await raw.answer(number), types.BadServerSalt)
    assert raw.first == []
    number, ping = raw.message(bytes(functions.PingRequest(2)))
    raw.send(ping)
    assert (await raw.answer(number)).ping_id == 2
    (begun,) = raw.first
    assert (type(begun), begun.first_msg_id, begun.server_salt) == (types.NewSessionCreated, number, raw.state.salt)


async def test_server_message_ids_rise_and_follow_the_clock(stage: Stage) -> None:
    raw = await stage.raw()
    for number in range(5):
        await raw.ask(functions.PingRequest(number))
    assert raw.ids == sorted(set(raw.ids))
    assert {id_ % 4 for id_ in raw.ids} <= {1, 3}
    assert all(abs((id_ >> 32) - time.time()) < 30 for id_ in raw.ids)


async def test_an_auth_key_that_nobody_knows_is_answered_with_404(stage: Stage) -> None:
    raw = await stage.raw()
    raw.send_packet(b"\x01" * 72)
    with pytest.raises(TransportCode, match="-404"):
        await raw.read()


async def test_each_data_centre_knows_its_own_keys_alone(stage: Stage) -> None:
    client = await stage.client("ann")
    doors = {option.id: option for option in (await client(functions.help.GetConfigRequest())).dc_options}
    other = doors[max(doors)]
    session = client.session.clone()
    session.set_dc(other.id, other.ip_address, other.port)
    session.auth_key = client.session.auth_key
    with pytest.raises(TransportCode, match="-404"):
        await stage.raw(session=session.save())


async def test_a_key_must_say_which_layer_it_speaks(stage: Stage) -> None:
    raw = await stage.raw("ann", init=False)
    refused = await raw.ask(NEAREST)
    assert (refused.error_code, refused.error_message) == (400, "CONNECTION_NOT_INITED")
    await raw.initialise()
    assert isinstance(await raw.ask(NEAREST), types.NearestDc)


async def test_what_is_no_request_is_refused_and_what_is_not_here_is_listed(stage: Stage) -> None:
    raw, client = await stage.raw(), await stage.client()
    whole = bytes(functions.InvokeWithLayerRequest(LAYER, NEAREST))
    for body in (whole[:-4], struct.pack("<I", 0x12345678)):
        number, message = raw.message(body)
        raw.send(message)
        assert (await raw.answer(number)).error_code == 400
    unknown = functions.messages.GetAllStickersRequest(0)
    if stage.has_control:  # another server may well have it
        with pytest.raises(errors.BadRequestError, match="INPUT_METHOD_INVALID"):
            await client(unknown)
        assert (await stage.control.get("/requests"))["unknown"] == ["0x12345678", "messages.getAllStickers"]


@pytest.mark.parametrize(
    "sent",
    [b"GET / HTTP/1.1\r\n\r\n", b"\xee\xee\xee\xee" + struct.pack("<i", 1 << 30), b"\xef\x7f\xff\xff\xff"],
    ids=["no transport", "intermediate", "abridged"],
)
async def test_who_speaks_no_transport_is_cut_off(stage: Stage, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection(stage.target.address, stage.target.port)
    writer.write(sent)
    async with asyncio.timeout(10):
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
    writer.close()


async def test_a_packet_that_was_tampered_with_ends_the_connection(stage: Stage) -> None:
    raw = await stage.raw()
    packet = bytearray(raw.state.encrypt_message_data(raw.message(bytes(functions.PingRequest(1)))[1]))
    packet[-1] ^= 1
    raw.send_packet(bytes(packet))
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await raw.read()
