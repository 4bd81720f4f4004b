"""A client of bare bytes, for what no honest client sends. Its ciphers are Telethon's, not the sandbox's."""

import asyncio
import gzip
import itertools
import logging
import secrets
import socket
import struct
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from hashlib import sha1, sha256
from typing import Any

import pytest
from telethon import TelegramClient
from telethon.crypto import AES, AuthKey
from telethon.extensions import BinaryReader
from telethon.network.mtprotostate import MTProtoState
from telethon.sessions import StringSession
from telethon.tl import functions, types
from telethon.tl.alltlobjects import LAYER
from telethon.tl.tlobject import TLObject

from sandbox.client import Sandbox
from sandbox.crypto import DH_PRIME, ServerKey
from sandbox.envelope import CONTAINER, GZIP, RPC_RESULT

MIB = 1024 * 1024
PING = bytes(functions.PingRequest(1))
_numbers = itertools.count()


def message_id() -> int:
    """As a client makes them: by the clock, divisible by four, no two the same."""
    return (int(time.time()) << 32) + 4 * next(_numbers)


def message(body: bytes, number: int | None = None) -> bytes:
    """A message with its id, sequence number and length."""
    return struct.pack("<qii", message_id() if number is None else number, 1, len(body)) + body


def container(*bodies: bytes, first: int | None = None) -> bytes:
    """Messages with new ids, or with ids that rise from the given one."""
    numbers = [None if first is None else first + 4 * place for place in range(len(bodies))]
    inner = b"".join(message(body, number) for body, number in zip(bodies, numbers, strict=True))
    return CONTAINER + struct.pack("<i", len(bodies)) + inner


def packed(body: bytes) -> bytes:
    return GZIP + TLObject.serialize_bytes(gzip.compress(body, mtime=0))


def plain(body: bytes) -> bytes:
    """An unencrypted packet."""
    return struct.pack("<qqi", 0, message_id(), len(body)) + body


def initialised(query: Any) -> Any:
    """What a client wraps its first call in."""
    first = functions.InitConnectionRequest(1, "device", "system", "1.0", "en", "", "en", query)
    return functions.InvokeWithLayerRequest(LAYER, first)


class Sealer:
    """Seals with one auth key, within one session."""

    def __init__(self, auth_key: bytes, salt: int) -> None:
        self._state = MTProtoState(AuthKey(auth_key), defaultdict(logging.getLogger))
        self._state.salt = salt

    def new_session(self) -> None:
        self._state.id = secrets.randbits(62)

    def seal(self, body: bytes, number: int | None = None) -> bytes:
        return self._state.encrypt_message_data(message(body, number))

    @property
    def session_id(self) -> int:
        return self._state.id

    def open(self, packet: bytes) -> bytes:
        """The body of what the server sealed."""
        key = self._state.auth_key.key
        aes_key, aes_iv = MTProtoState._calc_key(key, packet[8:24], client=False)
        inside = AES.decrypt_ige(packet[24:], aes_key, aes_iv)
        assert sha256(key[96:128] + inside).digest()[8:24] == packet[8:24]
        length = int.from_bytes(inside[28:32], "little")
        return inside[32 : 32 + length]


class KeyExchange:
    """The client's steps to an auth key, each from the server's answer to the one before."""

    B = 1300
    """The client's secret: the least that makes g_b lie in the safe range, so that it costs nothing."""

    def __init__(self, server_key: ServerKey) -> None:
        self._server = server_key
        self.nonce = secrets.randbits(126)
        self.new_nonce = secrets.randbits(254)
        self.server_nonce = 0
        self.auth_key = b""

    def req_pq(self) -> bytes:
        return bytes(functions.ReqPqMultiRequest(self.nonce))

    def inner_data(self, res_pq: bytes) -> bytes:
        answer = BinaryReader(res_pq).tgread_object()
        self.server_nonce = answer.server_nonce
        pq = int.from_bytes(answer.pq, "big")
        p = next(n for n in range(40001, 46341, 2) if pq % n == 0)
        self._p, self._q = (min(p, pq // p).to_bytes(4, "big"), max(p, pq // p).to_bytes(4, "big"))
        return bytes(
            types.PQInnerDataDc(answer.pq, self._p, self._q, self.nonce, self.server_nonce, self.new_nonce, 203)
        )

    def req_dh_params(self, inner_data: bytes) -> bytes:
        """With the inner data sealed by the RSA key, in the older padding."""
        hashed = (sha1(inner_data).digest() + inner_data)[:255]
        block = int.from_bytes(hashed + bytes(255 - len(hashed)), "big")
        cipher = pow(block, self._server.e, self._server.n).to_bytes(256, "big")
        fingerprint = self._server.fingerprint()
        return bytes(functions.ReqDHParamsRequest(self.nonce, self.server_nonce, self._p, self._q, fingerprint, cipher))

    def _temporary(self) -> tuple[bytes, bytes]:
        new, server = self.new_nonce.to_bytes(32, "little"), self.server_nonce.to_bytes(16, "little", signed=True)
        ns, sn, nn = sha1(new + server).digest(), sha1(server + new).digest(), sha1(new + new).digest()
        return ns + sn[:12], sn[12:] + nn + new[:4]

    def client_data(self, dh_params: bytes) -> bytes:
        answer = BinaryReader(dh_params).tgread_object()
        inner = BinaryReader(AES.decrypt_ige(answer.encrypted_answer, *self._temporary())[20:]).tgread_object()
        g_a = int.from_bytes(inner.g_a, "big")
        self.auth_key = pow(g_a, self.B, DH_PRIME).to_bytes(256, "big")
        g_b = pow(inner.g, self.B, DH_PRIME).to_bytes(256, "big")
        return bytes(types.ClientDHInnerData(self.nonce, self.server_nonce, 0, g_b))

    def set_client_dh(self, client_data: bytes) -> bytes:
        """With the client's data sealed by the temporary key."""
        hashed = sha1(client_data).digest() + client_data
        cipher = AES.encrypt_ige(hashed + bytes(-len(hashed) % 16), *self._temporary())
        return bytes(functions.SetClientDHParamsRequest(self.nonce, self.server_nonce, cipher))


class Raw:
    """A connection in the intermediate transport, by which a client says whatever it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, *packets: bytes) -> None:
        for packet in packets:
            self.writer.write(struct.pack("<i", len(packet)) + packet)

    async def read(self) -> bytes:
        async with asyncio.timeout(10):
            return await self.reader.readexactly(int.from_bytes(await self.reader.readexactly(4), "little"))

    async def hear(self, client: Sealer, name: type) -> bytes:
        """Read on until an answer of this type comes."""
        return await self._hear(client, name.CONSTRUCTOR_ID.to_bytes(4, "little"))

    async def hear_result(self, client: Sealer) -> bytes:
        return await self._hear(client, RPC_RESULT)

    async def _hear(self, client: Sealer, name: bytes) -> bytes:
        while (body := client.open(await self.read()))[:4] != name:
            pass
        return body

    async def is_cut(self) -> bool:
        """Wait until the server ends the connection; what it still says is thrown away."""
        try:
            async with asyncio.timeout(10):
                while await self.reader.read(MIB):
                    pass
        except ConnectionError:
            pass
        return True


@asynccontextmanager
async def raw(port: int, tag: bytes = b"\xee\xee\xee\xee") -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(tag)
    try:
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def silent(port: int) -> socket.socket:
    """A connection on which nothing is read, whatever comes; its buffer is small."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return sock


async def say(sock: socket.socket, *packets: bytes, tag: bytes = b"\xee\xee\xee\xee") -> None:
    data = tag + b"".join(struct.pack("<i", len(packet)) + packet for packet in packets)
    await asyncio.get_running_loop().sock_sendall(sock, data)


async def until(condition: Callable[[], Any]) -> None:
    """Let the server, in this same loop, go on until something is so."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def all_posts(port_session: str, channel: Any) -> int:
    """What a well-behaved client finds."""
    client = TelegramClient(StringSession(port_session), 1, "hash", flood_sleep_threshold=0, connection_retries=1)
    await client.connect()
    try:
        async with asyncio.timeout(10):
            return len(await client.get_messages(channel, limit=30))
    finally:
        await client.disconnect()


@asynccontextmanager
async def besieged(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Sandbox]:
    """A sandbox that has to serve at the end, without having logged a traceback."""
    async with Sandbox(accounts=2, channels=2, posts=400, seed=1) as sandbox:
        yield sandbox
        assert await all_posts(sandbox.session("ann"), "gorod_news") == 30
    assert [record for record in caplog.records if record.exc_info or record.name == "asyncio"] == []


def member(dc: Sandbox) -> Sealer:
    """A signed-in client."""
    key, _ = dc.dc.session(dc.world.account("ann"))
    dc.dc.keys.change(key, layer=LAYER)
    return Sealer(key.key, dc.dc.salts.current(key))


def history(dc: Sandbox, limit: int = 100) -> bytes:
    channel = dc.world.channel("gorod_news")
    peer = types.InputPeerChannel(channel.id, dc.world.access_hash(dc.world.account("ann").id, "channel", channel.id))
    return bytes(functions.messages.GetHistoryRequest(peer, 0, None, 0, limit, 0, 0, 0))
