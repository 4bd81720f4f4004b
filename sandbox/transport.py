"""Packets over TCP: full, abridged, intermediate and padded intermediate, told apart by a connection's first bytes.

https://core.telegram.org/mtproto/mtproto-transports
"""

import asyncio
import struct
from abc import ABC, abstractmethod
from zlib import crc32

MAX_PACKET = 2 * 1024 * 1024
"""Telegram closes at about 1 MiB; twice that leaves room and still bounds what one client can make us hold."""
MAX_UNSENT = 64 * 1024 * 1024
"""A client that stops reading is dropped once this many bytes wait for it."""


class TransportError(Exception):
    """The peer speaks no transport of ours, or breaks its rules: the connection ends."""


class Framing(ABC):
    """How one connection marks where a packet ends."""

    @abstractmethod
    async def read(self, reader: asyncio.StreamReader) -> bytes:
        """The next packet. Raises TransportError, or IncompleteReadError at the end of the stream."""

    @abstractmethod
    def frame(self, packet: bytes) -> bytes: ...


class Full(Framing):
    """Length, sequence number, packet, CRC32. It has no tag, so its first length was read to recognise it."""

    def __init__(self, first_length: bytes) -> None:
        self._pending = first_length
        self._sent = 0

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        head = self._pending or await reader.readexactly(4)
        self._pending = b""
        length = int.from_bytes(head, "little")
        if not 12 <= length <= MAX_PACKET:
            raise TransportError(f"a full packet of {length} bytes")
        rest = await reader.readexactly(length - 4)
        if crc32(head + rest[:-4]) != int.from_bytes(rest[-4:], "little"):
            raise TransportError("a full packet's checksum is wrong")
        return rest[4:-4]

    def frame(self, packet: bytes) -> bytes:
        framed = struct.pack("<ii", len(packet) + 12, self._sent) + packet
        self._sent += 1
        return framed + struct.pack("<I", crc32(framed))


class Abridged(Framing):
    """One length byte, or four; lengths count words."""

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        words = (await reader.readexactly(1))[0] & 0x7F  # the high bit asks for a quick ack, which is optional
        if words == 0x7F:
            words = int.from_bytes(await reader.readexactly(3), "little")
        if not 0 < words * 4 <= MAX_PACKET:
            raise TransportError(f"an abridged packet of {words * 4} bytes")
        return await reader.readexactly(words * 4)

    def frame(self, packet: bytes) -> bytes:
        words = len(packet) >> 2
        return (bytes([words]) if words < 0x7F else b"\x7f" + words.to_bytes(3, "little")) + packet


class Intermediate(Framing):
    """Four length bytes; the padded form may add up to 15 bytes that don't count."""

    def __init__(self, *, padded: bool) -> None:
        self._padded = padded

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        length = int.from_bytes(await reader.readexactly(4), "little") & 0x7FFFFFFF
        if not 0 < length <= MAX_PACKET:
            raise TransportError(f"an intermediate packet of {length} bytes")
        packet = await reader.readexactly(length)
        return packet[: _without_padding(packet)] if self._padded else packet

    def frame(self, packet: bytes) -> bytes:
        return len(packet).to_bytes(4, "little") + packet


def _without_padding(packet: bytes) -> int:
    """Where a padded packet ends: encrypted data counts in 16s, a plain message states its length."""
    if packet[:8] == bytes(8) and len(packet) >= 20:
        return 20 + int.from_bytes(packet[16:20], "little")
    return len(packet) - (len(packet) - 24) % 16


async def recognise(reader: asyncio.StreamReader) -> Framing:
    """Read just enough to tell which transport the client speaks."""
    first = await reader.readexactly(1)
    if first == b"\xef":
        return Abridged()
    tag = first + await reader.readexactly(3)
    if tag == b"\xee\xee\xee\xee":
        return Intermediate(padded=False)
    if tag == b"\xdd\xdd\xdd\xdd":
        return Intermediate(padded=True)
    if not 12 <= int.from_bytes(tag, "little") <= MAX_PACKET:
        raise TransportError(f"the first bytes {tag.hex()} are no transport known here (obfuscated ones aren't)")
    return Full(tag)


class Wire:
    """One client's connection as a stream of whole packets."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, framing: Framing) -> None:
        self._reader = reader
        self._writer = writer
        self._framing = framing

    async def read(self) -> bytes:
        return await self._framing.read(self._reader)

    def send(self, packet: bytes) -> None:
        """Queue a packet; a client that reads too slowly is cut off rather than let memory grow."""
        transport = self._writer.transport
        if transport.is_closing():
            return
        self._writer.write(self._framing.frame(packet))
        if transport.get_write_buffer_size() > MAX_UNSENT:
            transport.abort()

    async def drain(self) -> None:
        """Wait until a slow client has taken most of what was queued."""
        await self._writer.drain()

    def abort(self) -> None:
        """Drop the connection at once, as a network failure would."""
        self._writer.transport.abort()

    def close(self) -> None:
        """Close after what is queued has gone out."""
        self._writer.close()
