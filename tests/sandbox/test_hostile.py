"""Clients that want to bring the sandbox down, over real sockets: its memory stays bounded and it goes on serving."""

import asyncio
import contextlib
import functools
import gzip
import json
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from telethon import errors
from telethon.extensions import BinaryReader
from telethon.tl import functions, types

from sandbox import dispatch, keys, transport
from sandbox.client import Sandbox
from sandbox.connection import UNKNOWN_KEY
from sandbox.envelope import CONTAINER, GZIP, RPC_RESULT
from sandbox.framing import MAX_PACKET
from sandbox.methods import upload
from sandbox.transport import MAX_UNSENT
from tests.sandbox.conftest import signed_in
from tests.sandbox.rawclient import (
    LAYER,
    MIB,
    PING,
    KeyExchange,
    Sealer,
    all_posts,
    besieged,
    container,
    history,
    initialised,
    member,
    packed,
    plain,
    raw,
    say,
    silent,
    until,
)

ROOT = Path(__file__).parents[2]
LAYERED = functions.InvokeWithLayerRequest.CONSTRUCTOR_ID.to_bytes(4, "little") + struct.pack("<i", LAYER)
VECTOR = b"\x15\xc4\xb5\x1c"
EMPTY_MESSAGE = types.MessageEmpty.CONSTRUCTOR_ID.to_bytes(4, "little") + bytes(8)
"""12 bytes that Telethon reads into an object of 72 fields."""


# In this process, with bounds made small


@pytest.fixture
async def dc(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Sandbox]:
    """It must serve at the end of each test, and no traceback may have been logged."""
    async with besieged(caplog) as sandbox:
        yield sandbox


@pytest.mark.parametrize("sent", [b"", b"\xee\xee", b"\xee" * 4, b"\xee" * 8, b"\xef\x7f\xff\x0f\x00a"])
async def test_a_client_that_sends_no_whole_packet_is_cut_off(
    dc: Sandbox, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(transport, "PATIENCE", 0.05)
    async with raw(dc.port, sent) as client:
        assert await client.is_cut()
    monkeypatch.undo()


async def test_a_client_that_has_spoken_may_be_silent_but_not_within_a_packet(
    dc: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = member(dc)
    async with raw(dc.port) as connection:
        connection.send(client.seal(PING))
        await connection.hear(client, types.Pong)
        monkeypatch.setattr(transport, "PATIENCE", 0.05)
        async with raw(dc.port, b"") as other:
            assert await other.is_cut()  # by now the first one has been silent for as long
        connection.send(client.seal(PING))
        await connection.hear(client, types.Pong)
        connection.writer.write(struct.pack("<i", 1000) + b"half")
        assert await connection.is_cut()
    monkeypatch.undo()


async def test_a_client_that_takes_nothing_is_cut_off(dc: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    client = member(dc)
    with await silent(dc.port) as sock:
        monkeypatch.setattr(transport, "PATIENCE", 0.05)
        await say(sock, client.seal(container(*[history(dc)] * 200)))
        await until(lambda: dc.requests()["total"] and not dc.dc.doors.connections)
    monkeypatch.undo()


async def test_keys_made_by_the_dozen_push_out_strangers_and_nobody_else(
    dc: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "MAX_STRANGERS", 3)
    made = []
    async with raw(dc.port) as connection:

        async def ask(body: bytes) -> bytes:
            connection.send(plain(body))
            return (await connection.read())[20:]

        for _ in range(5):
            client = KeyExchange(dc.dc.server_key)
            inner = client.inner_data(await ask(client.req_pq()))
            data = client.client_data(await ask(client.req_dh_params(inner)))
            await ask(client.set_client_dh(data))
            made.append(Sealer(client.auth_key, 1))
        connection.send(made[0].seal(PING))
        assert await connection.read() == UNKNOWN_KEY
        connection.send(made[-1].seal(PING))
        await connection.hear(made[-1], types.BadServerSalt)


async def test_what_is_made_up_is_counted_within_bounds(dc: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "MAX_UNKNOWN", 3)
    counts = dc.dc.dispatcher.counts
    async with signed_in(dc) as client:
        for number in range(1, 6):
            peer = types.InputPeerChannel(number, 1)
            with pytest.raises(errors.ChannelInvalidError):
                await client.get_messages(peer, limit=1)
        for unknown in (
            functions.account.GetAccountTTLRequest(),
            functions.account.GetAllSecureValuesRequest(),
            functions.account.GetWebAuthorizationsRequest(),
            functions.account.GetContactSignUpNotificationRequest(),
            functions.account.GetGlobalPrivacySettingsRequest(),
        ):
            with pytest.raises(errors.RPCError, match="INPUT_METHOD_INVALID"):
                await client(unknown)
    assert (len(counts.unknown), counts.unknown["and others"]) == (4, 2)
    assert set(counts.history) == {(0, dc.world.account("ann").id)}
    assert sum(counts.history.values()) == 5
    monkeypatch.undo()


async def test_uploads_and_menus_are_held_within_bounds(dc: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "MAX_UPLOADED", 100_000)
    async with signed_in(dc) as client, signed_in(dc, "sandbox_bot") as bot:
        for number in range(10):
            await client(functions.upload.SaveFilePartRequest(number, 0, bytes(30_000)))
        assert [file for _, file in dc.dc.uploads] == [7, 8, 9]
        scope, command = types.BotCommandScopeDefault(), types.BotCommand("start", "Begin")
        for language, commands, error in (
            ("english", [command], errors.LangCodeInvalidError),
            ("en", [command] * 101, errors.BotCommandsTooMuchError),
            ("en", [types.BotCommand("Start!", "Begin")], errors.BotCommandInvalidError),
            ("en", [types.BotCommand("start", "x" * 257)], errors.BotCommandDescriptionInvalidError),
        ):
            with pytest.raises(error):
                await bot(functions.bots.SetBotCommandsRequest(scope, language, commands))
    assert dc.dc.menus == {}
    monkeypatch.undo()


# In a process of its own, with the real bounds


class Victim:
    def __init__(self, process: subprocess.Popen[bytes], place: dict[str, Any], log: Path) -> None:
        self.process, self.log = process, log
        self.dc, self.control = place["dc"], place["control"]

    async def get(self, path: str) -> Any:
        async with aiohttp.ClientSession(base_url=self.control, raise_for_status=True) as http, http.get(path) as got:
            return await got.json()

    def _memory(self, name: str) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name))

    @contextmanager
    def grows_at_most(self, size: int) -> Iterator[None]:
        """The peak of its resident memory counts, not what it has given back by the end."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        before = self._memory("VmRSS")
        yield
        grown = self._memory("VmHWM") - before
        assert grown <= size, f"{grown / MIB:.0f} MiB"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    log = tmp_path_factory.mktemp("victim") / "stderr"
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "sandbox",
                "--accounts",
                "2",
                "--channels",
                "2",
                "--posts",
                "400",
                "--log-level",
                "WARNING",
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=stderr,
        ) as running,
    ):
        assert running.stdout is not None
        try:
            yield Victim(running, json.loads(running.stdout.readline()), log)
        finally:
            running.kill()


@pytest.fixture
async def victim(process: Victim) -> AsyncIterator[Victim]:
    yield process
    whole = await process.get("/sessions/ann")
    assert await all_posts(whole["session"], "gorod_news") == 30
    assert "Traceback" not in process.log.read_text()


async def guest(victim: Victim) -> tuple[Sealer, bytes]:
    """A signed-in client that got its salt, and the request for a page of history."""
    told = await victim.get("/sessions/ann")
    client = Sealer(bytes.fromhex(told["auth_key"]), 0)
    async with raw(victim.dc["port"]) as connection:
        connection.send(client.seal(PING))
        answer = await connection.hear(client, types.BadServerSalt)
        client._state.salt = int.from_bytes(answer[-8:], "little", signed=True)
        resolve = bytes(initialised(functions.contacts.ResolveUsernameRequest("gorod_news")))
        connection.send(client.seal(resolve))
        chat = _result(await connection.hear_result(client)).chats[0]
    peer = types.InputPeerChannel(chat.id, chat.access_hash)
    return client, bytes(functions.messages.GetHistoryRequest(peer, 0, None, 0, 100, 0, 0, 0))


def _result(body: bytes) -> Any:
    inner = body[12:]
    if inner[:4] == GZIP:
        inner = gzip.decompress(BinaryReader(inner[4:]).tgread_bytes())
    return BinaryReader(inner).tgread_object()


BIG_BOMB = functools.cache(lambda: packed(bytes(128 * MIB)))
BOMBS: dict[str, Callable[[], bytes]] = {
    "gzip": BIG_BOMB,
    "container of gzip": lambda: container(*[packed(bytes(MIB))] * 1020),
    "gzip of a container of gzip": lambda: packed(container(*[packed(bytes(MIB))] * 1020)),
    "packed result": lambda: RPC_RESULT + bytes(8) + BIG_BOMB(),
    "layered result": lambda: LAYERED + RPC_RESULT + bytes(8) + BIG_BOMB(),
    "endless container": lambda: LAYERED + CONTAINER + struct.pack("<iqii", 2**31 - 1, 4, 1, -16) + PING,
    "deep": lambda: LAYERED * 100_000 + PING,
    "deep and packed": lambda: packed(LAYERED * 250_000 + PING),
    "deep vectors": lambda: (VECTOR + struct.pack("<i", 1)) * 100_000,
    "endless vector": lambda: VECTOR + struct.pack("<i", 2**31 - 1) + PING,
    "long vector": lambda: packed(VECTOR + struct.pack("<i", 170_000) + EMPTY_MESSAGE * 170_000),
    "long string": lambda: bytes(functions.contacts.ResolveUsernameRequest("a" * MIB)),
    "broken string": lambda: bytes(functions.contacts.ResolveUsernameRequest("a" * MIB))[: -MIB // 2],
}


async def test_bombs_cost_little_and_the_connection_goes_on(victim: Victim) -> None:
    client, _ = await guest(victim)
    bombs = {name: make() for name, make in BOMBS.items()}
    with victim.grows_at_most(64 * MIB):
        async with raw(victim.dc["port"]) as connection:
            for bomb in bombs.values():
                connection.send(*[client.seal(bomb)] * 3, client.seal(PING))
                await connection.hear(client, types.Pong)
    assert victim.log.stat().st_size < MIB


async def test_a_client_that_never_reads_holds_what_the_bound_says(victim: Victim) -> None:
    client, page = await guest(victim)
    # A buffer that grows is copied: for a moment there is twice its size.
    with victim.grows_at_most(MAX_UNSENT * 5 // 2), await silent(victim.dc["port"]) as sock:
        await say(sock, client.seal(container(*[page] * 1020)), client.seal(PING))
        await victim.get("/requests")


async def test_lengths_without_bodies_cost_nothing(victim: Victim) -> None:
    heads = [
        b"\xef\x7f\xff\xff\xff",
        b"\xee\xee\xee\xee\xff\xff\xff\x7f",
        b"\xdd\xdd\xdd\xdd\xff\xff\xff\xff",
        struct.pack("<i", MAX_PACKET + 1),
        struct.pack("<ii", 12, 0) + bytes(4),
        b"\xee\xee\xee\xee" + bytes(4),
        b"GET / HTTP/1.1\r\n\r\n",
    ]
    with victim.grows_at_most(8 * MIB):
        for head in heads:
            async with raw(victim.dc["port"], head) as connection:
                assert await connection.is_cut()
        half = [await silent(victim.dc["port"]) for _ in range(200)]
        for sock in half:
            await say(sock, tag=b"\xee\xee\xee\xee" + struct.pack("<i", MAX_PACKET))
        await victim.get("/requests")
        for sock in half:
            sock.close()


async def test_long_packets_that_never_end_hold_what_the_bound_says(victim: Victim) -> None:
    whole = b"\xee\xee\xee\xee" + struct.pack("<i", MAX_PACKET) + bytes(MAX_PACKET - 1)
    with victim.grows_at_most(transport.MAX_ARRIVING * 3 // 2):
        clients = [await asyncio.open_connection("127.0.0.1", victim.dc["port"]) for _ in range(80)]
        for _, writer in clients:
            writer.write(whole)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
        await victim.get("/requests")
        for _, writer in clients:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def test_thousands_of_sessions_and_pings_cost_nothing(victim: Victim) -> None:
    client, _ = await guest(victim)
    with victim.grows_at_most(16 * MIB):
        async with raw(victim.dc["port"]) as connection:
            for _ in range(2000):
                client.new_session()
                connection.send(client.seal(PING))
                await connection.hear(client, types.Pong)
            connection.send(*[client.seal(container(*[PING] * 1020)) for _ in range(10)])
            connection.send(client.seal(bytes(functions.help.GetNearestDcRequest())))
            await connection.hear_result(client)


async def test_a_crowd_of_strangers_keeps_no_known_client_out(dc: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the oldest that has shown no key makes room, and one that has shown a key never does."""
    monkeypatch.setattr(dc.dc.doors, "crowd", transport.Crowd(3))
    client = member(dc)
    async with raw(dc.port) as known:
        known.send(client.seal(PING))
        await known.hear(client, types.Pong)
        strangers = [await silent(dc.port) for _ in range(6)]
        try:
            await until(lambda: len(dc.dc.doors.connections) == 3)
            known.send(client.seal(PING))
            await known.hear(client, types.Pong)
        finally:
            for stranger in strangers:
                stranger.close()
