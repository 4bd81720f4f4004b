"""What all clients of a sandbox hold together, and what one of them leaves behind, over real sockets."""

import socket
import struct
from collections.abc import AsyncIterator

import pytest
from telethon.tl import types

from sandbox import transport
from sandbox.client import Sandbox
from sandbox.framing import MAX_PACKET, TransportError
from sandbox.transport import MAX_UNSENT, Crowd
from tests.sandbox.rawclient import (
    MIB,
    PING,
    KeyExchange,
    all_posts,
    besieged,
    container,
    history,
    member,
    plain,
    raw,
    say,
    silent,
    until,
)


@pytest.fixture
async def dc(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Sandbox]:
    """It must serve at the end of each test, and no traceback may have been logged."""
    async with besieged(caplog) as sandbox:
        yield sandbox


async def test_a_client_that_goes_without_taking_its_answers_holds_nothing(
    dc: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "FAREWELL", 0.05)
    client = member(dc)
    with await silent(dc.port) as sock:
        await until(lambda: dc.dc.doors.connections)
        ((writer, _),) = dc.dc.doors.connections.values()
        writer.transport.set_write_buffer_limits(MAX_UNSENT)  # it reads on to the end while answers are still queued
        await say(sock, client.seal(container(*[history(dc)] * 200)))
        sock.shutdown(socket.SHUT_WR)
        await until(lambda: dc.requests()["total"] and not dc.dc.doors.connections)


async def test_newcomers_take_the_place_of_silent_clients_but_not_of_known_ones(dc: Sandbox) -> None:
    dc.dc.doors.crowd = Crowd(most=10)
    client = member(dc)
    async with raw(dc.port) as known:
        known.send(client.seal(PING))
        await known.hear(client, types.Pong)
        async with raw(dc.port) as first:
            others = [await silent(dc.port) for _ in range(25)]
            assert await first.is_cut()
            assert await all_posts(dc.session("ann"), "gorod_news") == 30
            for sock in others:
                sock.close()
        known.send(client.seal(PING))
        await known.hear(client, types.Pong)


async def test_newcomers_are_refused_while_all_places_are_taken_by_known_clients(dc: Sandbox) -> None:
    dc.dc.doors.crowd = Crowd(most=1)
    client = member(dc)
    async with raw(dc.port) as known:
        known.send(client.seal(PING))
        await known.hear(client, types.Pong)
        async with raw(dc.port) as other:
            assert await other.is_cut()
            with pytest.raises(TransportError, match="connected already"), dc.dc.doors.crowd.enter(other.writer):
                pass


async def test_long_packets_may_not_all_arrive_at_once(dc: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_ARRIVING", 3 * MAX_PACKET)
    half = struct.pack("<i", MAX_PACKET) + bytes(100_000)
    async with raw(dc.port) as a, raw(dc.port) as b, raw(dc.port) as c, raw(dc.port) as late:
        for connection in (a, b, c):
            connection.writer.write(half)
        await until(lambda: dc.dc.doors.crowd._arriving == 3 * MAX_PACKET)
        late.writer.write(half)
        assert await late.is_cut()
        a.writer.write(bytes(MAX_PACKET))
        assert await a.is_cut()  # those bytes were no message
        async with raw(dc.port) as later:
            later.send(plain(KeyExchange(dc.dc.server_key).req_pq()))
            assert await later.read()


async def test_the_client_that_most_bytes_wait_for_goes_when_too_many_wait_together(
    dc: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_UNSENT_TOGETHER", 12 * MIB)
    client = member(dc)
    page = history(dc)
    with await silent(dc.port) as greedy, await silent(dc.port) as modest:
        await say(modest, client.seal(container(*[page] * 80)))
        await until(lambda: dc.requests()["total"] == 80)
        await say(greedy, client.seal(container(*[page] * 1000)))
        await until(lambda: len(dc.dc.doors.connections) == 1)
        assert 0 < dc.dc.doors.crowd._together <= 12 * MIB
