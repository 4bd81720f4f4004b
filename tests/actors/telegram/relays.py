"""Proxies on loopback: SOCKS5 with a password, HTTP CONNECT, and MTProxy, each a few lines of what it is."""

import asyncio
import base64
import hashlib
from contextlib import asynccontextmanager

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

USER, PASSWORD = "user", "p@ss:word"
SECRET = bytes(range(16))
PADDED = b"\xdd\xdd\xdd\xdd"
"""How a client says that it speaks the padded intermediate transport."""


class Relay:
    """Counts whom it let through; ``refused`` those that it didn't."""

    def __init__(self, serve, target):
        self._serve, self._target = serve, target
        self.passed, self.refused = 0, 0
        self._tasks = set()

    async def meet(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            await self._serve(self, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def connect(self):
        self.passed += 1
        return await asyncio.open_connection(*self._target)

    async def end(self):
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _pump(reader, writer, change=lambda data: data):
    while data := await reader.read(65_536):
        writer.write(change(data))
        await writer.drain()


async def _join(near, far, inward=lambda data: data, outward=lambda data: data):
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_pump(near[0], far[1], inward))
            group.create_task(_pump(far[0], near[1], outward))
    except* ConnectionError:
        pass
    finally:
        far[1].close()


async def socks5(relay, reader, writer):
    _, methods = await reader.readexactly(2)
    assert 2 in await reader.readexactly(methods)
    writer.write(b"\x05\x02")
    await reader.readexactly(1)
    user = await reader.readexactly((await reader.readexactly(1))[0])
    password = await reader.readexactly((await reader.readexactly(1))[0])
    if (user.decode(), password.decode()) != (USER, PASSWORD):
        relay.refused += 1
        writer.write(b"\x01\x01")
        return
    writer.write(b"\x01\x00")
    _, _, _, kind = await reader.readexactly(4)
    await reader.readexactly({1: 4, 4: 16}.get(kind) or (await reader.readexactly(1))[0])
    await reader.readexactly(2)
    far = await relay.connect()
    writer.write(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
    await _join((reader, writer), far)


async def http(relay, reader, writer):
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    assert head.startswith("CONNECT ")
    given = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    if f"Basic {given}" not in head:
        relay.refused += 1
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        return
    far = await relay.connect()
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    await _join((reader, writer), far)


async def mtproxy(relay, reader, writer):
    """https://core.telegram.org/mtproto/mtproto-transports#transport-obfuscation, with a secret."""
    start = await reader.readexactly(64)
    turned = start[55:7:-1]
    inward = _stream(start[8:40], start[40:56])
    outward = _stream(turned[:32], turned[32:])
    if inward.update(start)[56:60] != PADDED:
        relay.refused += 1
        return
    far = await relay.connect()
    far[1].write(PADDED)
    await _join((reader, writer), far, inward.update, outward.update)


def _stream(key, iv):
    return Cipher(algorithms.AES(hashlib.sha256(key + SECRET).digest()), modes.CTR(iv)).encryptor()


@asynccontextmanager
async def relay(serve, target):
    """A relay to ``target``, and the port at which it listens."""
    one = Relay(serve, target)
    server = await asyncio.start_server(one.meet, "127.0.0.1", 0)
    try:
        yield one, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await one.end()
