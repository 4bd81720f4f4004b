"""Calls that are sent again, dropped, or wait for others, and sessions that are destroyed: from hand-made packets."""

import struct
from typing import Any

import pytest
from telethon.extensions import BinaryReader
from telethon.tl import functions, types

from sandbox import memory
from sandbox.client import Sandbox
from sandbox.envelope import Message, unzip
from sandbox.faults import Rule
from tests.sandbox.rawclient import Raw, Sealer, member, message_id, raw, until

EXPORT = functions.auth.ExportAuthorizationRequest(204)
NEAREST = functions.help.GetNearestDcRequest()
DIALOGS = functions.messages.GetDialogFiltersRequest()


def say(connection: Raw, client: Sealer, request: Any, number: int = 0) -> int:
    number = number or message_id()
    connection.send(client.seal(bytes(request), number))
    return number


async def result(connection: Raw, client: Sealer) -> tuple[int, Any]:
    """The next one: of which call, and what."""
    body = await connection.hear_result(client)
    answer = BinaryReader(unzip(Message(0, 0, body[12:])).body).tgread_object()
    return struct.unpack_from("<q", body, 4)[0], answer


async def said(connection: Raw, client: Sealer, kind: type) -> Any:
    return BinaryReader(await connection.hear(client, kind)).tgread_object()


def hold(dc: Sandbox, method: str, **fault: Any) -> None:
    dc.dc.dispatcher.faults.rules.append(Rule(method=method, **fault))


def asked(dc: Sandbox, method: str) -> int:
    return dc.requests()["by_account"].get(str(dc.world.account("ann").id), {}).get(method, 0)


async def test_a_call_that_comes_again_over_a_new_connection_is_answered_and_not_carried_out(dc: Sandbox) -> None:
    client = member(dc)
    async with raw(dc.port) as connection:
        number = say(connection, client, EXPORT)
        first = await result(connection, client)
    async with raw(dc.port) as connection:
        say(connection, client, EXPORT, number)
        again = await result(connection, client)
    assert (again[0], again[1].id) == (first[0], first[1].id)
    assert asked(dc, "auth.exportAuthorization") == 1


async def test_a_call_whose_answer_was_lost_is_carried_out_once(dc: Sandbox) -> None:
    client = member(dc)
    hold(dc, "auth.exportAuthorization", lose=True)
    async with raw(dc.port) as connection:
        number = say(connection, client, EXPORT)
        assert await connection.is_cut()
    async with raw(dc.port) as connection:
        say(connection, client, EXPORT, number)
        assert (await result(connection, client))[0] == number
    assert len(dc.dc.logins._handovers) == 1


async def test_a_call_that_comes_again_while_it_runs_is_carried_out_once(dc: Sandbox) -> None:
    client = member(dc)
    hold(dc, "auth.exportAuthorization", delay=0.1)
    async with raw(dc.port) as connection:
        number = say(connection, client, EXPORT)
        say(connection, client, EXPORT, number)
        say(connection, client, types.MsgsStateReq([number, *range(4, 804, 4)]))
        states = (await said(connection, client, types.MsgsStateInfo)).info
        assert states == (bytes([4 | 32]) + bytes([1]) * 200).decode()
        assert (await result(connection, client))[0] == number
        last = say(connection, client, NEAREST)
        assert (await result(connection, client))[0] == last
    assert asked(dc, "auth.exportAuthorization") == 1


async def test_a_call_that_runs_can_be_dropped(dc: Sandbox) -> None:
    client = member(dc)
    hold(dc, "auth.exportAuthorization", delay=60)
    async with raw(dc.port) as connection:
        number = say(connection, client, EXPORT)
        for answer in (types.RpcAnswerDroppedRunning, types.RpcAnswerUnknown):
            drop = say(connection, client, functions.RpcDropAnswerRequest(number))
            whose, told = await result(connection, client)
            assert (whose, type(told)) == (drop, answer)
    assert not dc.dc.logins._handovers


async def test_a_call_waits_for_those_it_names_and_fails_with_them(dc: Sandbox) -> None:
    client = member(dc)
    hold(dc, "auth.exportAuthorization", delay=0.1)
    async with raw(dc.port) as connection:
        first = say(connection, client, EXPORT)
        second = say(connection, client, functions.InvokeAfterMsgRequest(first, NEAREST))
        third = say(connection, client, functions.InvokeAfterMsgsRequest([first, second], DIALOGS))
        assert [(await result(connection, client))[0] for _ in range(3)] == [first, second, third]
        hold(dc, "auth.exportAuthorization", delay=0.1, error=(400, "DC_ID_INVALID"))
        first = say(connection, client, EXPORT)
        second = say(connection, client, functions.InvokeAfterMsgRequest(first, NEAREST))
        third = say(connection, client, functions.InvokeAfterMsgRequest(second, NEAREST))
        told = [await result(connection, client) for _ in range(3)]
    assert [number for number, _ in told] == [first, second, third]
    assert [answer.error_message for _, answer in told] == ["DC_ID_INVALID", "MSG_WAIT_FAILED", "MSG_WAIT_FAILED"]


async def test_a_call_that_was_held_back_is_refused_when_its_key_is_revoked_meanwhile(dc: Sandbox) -> None:
    client = member(dc)
    hold(dc, "messages.getDialogFilters", delay=0.1)
    async with raw(dc.port) as connection:
        say(connection, client, DIALOGS)
        await connection.hear(client, types.MsgsAck)
        (key,) = dc.dc.keys.of(dc.world.account("ann").id)
        dc.dc.revoke(key, "SESSION_REVOKED")
        _, answer = await result(connection, client)
    assert answer.error_message == "SESSION_REVOKED"


async def test_a_destroyed_session_hears_nothing_more(dc: Sandbox) -> None:
    client, other = member(dc), member(dc)
    other._state.auth_key = client._state.auth_key
    other._state.salt = client._state.salt
    async with raw(dc.port) as connection, raw(dc.port) as second:
        say(connection, client, DIALOGS)
        await result(connection, client)
        for answer in (types.DestroySessionOk, types.DestroySessionNone):
            say(second, other, functions.DestroySessionRequest(client.session_id))
            assert (await said(second, other, answer)).session_id == client.session_id
        await dc.publish("gorod_news", text="unheard")
        assert dc.dc.hub.pushed == 0
        say(connection, client, DIALOGS)  # and so it begins anew
        await connection.hear(client, types.NewSessionCreated)
    await until(lambda: not dc.dc.doors.connections)


def test_what_is_remembered_is_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_ANSWERS", 10_000)
    kept = memory.Memory()
    for number in range(100):
        kept.keep((b"key", number), 1, bytes(600))
    kept.keep((b"key", 99), 1, bytes(500))
    assert [n for n in range(100) if kept.answer((b"key", n), 1)] == list(range(90, 100))
    kept.keep((b"key", 0), 1, bytes(memory.MAX_ANSWER + 1))
    assert kept.answer((b"key", 0), 1) is None
