"""How packets are marked in a stream: full, abridged, intermediate and padded intermediate.

https://core.telegram.org/mtproto/mtproto-transports
"""

import asyncio
import struct
from abc import ABC, abstractmethod
from zlib import crc32

MAX_PACKET = 2 * 1024 * 1024
"""Telegram closes at about 1 MiB; twice that leaves room and still bounds what one client can make us hold."""


class TransportError(Exception):
    """The peer speaks no transport of ours, or breaks its rules: the connection ends."""


class Framing(ABC):
    """How one connection marks where a packet ends."""

    @abstractmethod
    async def head(self, reader: asyncio.StreamReader) -> int:
        """Wait for the next packet to begin: how many bytes follow. Raises TransportError, or IncompleteReadError."""

    @abstractmethod
    def packet(self, rest: bytes) -> bytes:
        """The packet in the bytes that followed its head. Raises TransportError."""

    @abstractmethod
    def frame(self, packet: bytes) -> bytes: ...


class Full(Framing):
    """Length, sequence number, packet, CRC32. It has no tag, so its first length was read to recognise it."""

    def __init__(self, first_length: bytes) -> None:
        self._pending = first_length
        self._head = b""
        self._sent = 0

    async def head(self, reader: asyncio.StreamReader) -> int:
        self._head = self._pending or await reader.readexactly(4)
        self._pending = b""
        length = int.from_bytes(self._head, "little")
        if not 12 <= length <= MAX_PACKET:
            raise TransportError(f"a full packet of {length} bytes")
        return length - 4

    def packet(self, rest: bytes) -> bytes:
        if crc32(rest[:-4], crc32(self._head)) != int.from_bytes(rest[-4:], "little"):
            raise TransportError("a full packet's checksum is wrong")
        return rest[4:-4]

    def frame(self, packet: bytes) -> bytes:
        framed = struct.pack("<ii", len(packet) + 12, self._sent) + packet
        self._sent += 1
        return framed + struct.pack("<I", crc32(framed))


class Abridged(Framing):
    """One length byte, or four; lengths count words."""

    async def head(self, reader: asyncio.StreamReader) -> int:
        words = (await reader.readexactly(1))[0] & 0x7F  # the high bit asks for a quick ack, which is optional
        if words == 0x7F:
            words = int.from_bytes(await reader.readexactly(3), "little")
        if not 0 < words * 4 <= MAX_PACKET:
            raise TransportError(f"an abridged packet of {words * 4} bytes")
        return words * 4

    def packet(self, rest: bytes) -> bytes:
        return rest

    def frame(self, packet: bytes) -> bytes:
        words = len(packet) >> 2
        return (bytes([words]) if words < 0x7F else b"\x7f" + words.to_bytes(3, "little")) + packet


class Intermediate(Framing):
    """Four length bytes; the padded form may add up to 15 bytes that don't count."""

    def __init__(self, *, padded: bool) -> None:
        self._padded = padded

    async def head(self, reader: asyncio.StreamReader) -> int:
        length = int.from_bytes(await reader.readexactly(4), "little") & 0x7FFFFFFF
        if not 0 < length <= MAX_PACKET:
            raise TransportError(f"an intermediate packet of {length} bytes")
        return length

    def packet(self, rest: bytes) -> bytes:
        if not self._padded:
            return rest
        if len(rest) < 24:
            raise TransportError(f"a padded packet of {len(rest)} bytes")
        return rest[: _without_padding(rest)]

    def frame(self, packet: bytes) -> bytes:
        return len(packet).to_bytes(4, "little") + packet


def _without_padding(packet: bytes) -> int:
    """Where a padded packet ends: encrypted data counts in 16s, a plain message states its length."""
    if packet[:8] == bytes(8):
        return 20 + int.from_bytes(packet[16:20], "little")
    return len(packet) - (len(packet) - 24) % 16
