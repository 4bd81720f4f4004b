"""What one decrypted packet holds: messages, containers, gzip; and how answers are packed."""

import gzip
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from telethon.errors import TypeNotFoundError
from telethon.extensions import BinaryReader

from sandbox.crypto import tl_bytes

CONTAINER = b"\xdc\xf8\xf1\x73"
GZIP = b"\xa1\xcf\x72\x30"
RPC_RESULT = b"\x01\x6d\x5c\xf3"

MAX_MESSAGES = 1020
MAX_UNPACKED = 2 * 1024 * 1024
"""What all gzip of one packet may hold together: as much as a packet that isn't packed."""
MAX_OBJECTS = 5000
"""TL objects in one request. Each may take 4 bytes of it and a kilobyte here; no method needs more than hundreds."""
PACKED_SIZES = range(512, 16 * 1024)
"""Answers of these sizes are gzipped. A page of history is longer and goes as it is: packing it would cost too much."""


class EnvelopeError(Exception):
    """A message that breaks MTProto's rules; `code` is bad_msg_notification's."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Message:
    id: int
    seq: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """A decrypted packet's head and its message."""

    salt: int
    session_id: int
    message: Message


def open_packet(plain: bytes) -> Opened:
    """Raises EnvelopeError when the message's length isn't within the packet."""
    if len(plain) < 32:
        raise EnvelopeError(64, "the packet is shorter than its head")
    salt, session_id, message_id, seq, length = struct.unpack_from("<qqqii", plain)
    padding = len(plain) - 32 - length
    if length < 4 or length % 4 or not 12 <= padding <= 1024:
        raise EnvelopeError(64, "the message's length doesn't fit its packet")
    return Opened(salt, session_id, Message(message_id, seq, plain[32 : 32 + length]))


def check_id(message_id: int, now: float) -> None:
    """Raises EnvelopeError as the service would: ids follow the clock within -300 to +30 s, in steps of 4."""
    if message_id % 4:
        raise EnvelopeError(18, "a client's message id must be divisible by 4")
    if (message_id >> 32) < now - 300:
        raise EnvelopeError(16, "the message id is too low")
    if (message_id >> 32) > now + 30:
        raise EnvelopeError(17, "the message id is too high")


def unfold(message: Message) -> Iterator[Message]:
    """The messages inside: of a container, of gzip, or just this one. Raises EnvelopeError."""
    room = MAX_UNPACKED
    if message.body[:4] == GZIP:
        message = unzip(message, room)
        room -= len(message.body)
    if message.body[:4] != CONTAINER:
        yield message
        return
    count = int.from_bytes(message.body[4:8], "little")
    if count > MAX_MESSAGES:
        raise EnvelopeError(64, f"a container of {count} messages")
    place = 8
    for _ in range(count):
        if place + 16 > len(message.body):
            raise EnvelopeError(64, "a container ends too early")
        message_id, seq, length = struct.unpack_from("<qii", message.body, place)
        body = message.body[place + 16 : place + 16 + length]
        if length < 4 or len(body) != length:
            raise EnvelopeError(64, "a container's message doesn't fit")
        inner = Message(message_id, seq, body)
        if body[:4] == GZIP:
            inner = unzip(inner, room)
            room -= len(inner.body)
        if inner.body[:4] == CONTAINER:
            raise EnvelopeError(64, "a container in a container")
        yield inner
        place += 16 + length


def unzip(message: Message, room: int = MAX_UNPACKED) -> Message:
    """The message that gzip holds, of at most `room` bytes; one that isn't packed as it is. Raises EnvelopeError."""
    if message.body[:4] != GZIP:
        return message
    try:
        packed = BinaryReader(message.body[4:]).tgread_bytes()
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: gzip or zlib, by the header
        # One byte more than there is room for: 0 would mean "no limit" to zlib.
        body = unpacker.decompress(packed, room + 1)
    except (zlib.error, BufferError, struct.error) as error:
        raise EnvelopeError(64, f"broken gzip: {_reason(error)}") from error
    # A packed message that was cut short, or whose last bytes zlib still holds back, hasn't reached its end.
    if not unpacker.eof or len(body) > room or len(body) < 4 or body[:4] == GZIP:
        raise EnvelopeError(64, "gzip holds too much, too little, or gzip again")
    return Message(message.id, message.seq, body)


class _Reader(BinaryReader):  # type: ignore[misc]  # telethon has no types
    """Reads one request, within bounds that Telethon's own reading doesn't have."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self._objects = 0

    def tgread_object(self) -> Any:
        # What only packets and servers may hold. Telethon would unpack gzip without a bound, an rpc_result's too,
        # and read one message of a container for ever when its length is negative.
        if self.stream[self.position : self.position + 4] in (GZIP, CONTAINER, RPC_RESULT):
            raise ValueError("a container, a result or gzip inside a request")
        self._objects += 1
        if self._objects > MAX_OBJECTS:
            raise ValueError(f"a request of more than {MAX_OBJECTS} objects")
        return super().tgread_object()


class UnknownConstructorError(Exception):
    def __init__(self, constructor: int) -> None:
        super().__init__(f"{constructor:#x}")
        self.constructor = constructor


def read_object(body: bytes) -> tuple[Any, int]:
    """The TL object that bytes begin with, and its length.

    Raises:
        UnknownConstructorError: Telethon's schema doesn't have it.
        ValueError: they aren't a whole object.
    """
    reader = _Reader(body)
    try:
        return reader.tgread_object(), reader.tell_position()
    except TypeNotFoundError as error:
        raise UnknownConstructorError(error.invalid_constructor_id) from error
    except (struct.error, BufferError, IndexError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(f"no whole object: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    # Telethon's BufferError quotes all the bytes it had: megabytes for the log, and somebody's message.
    return "it ends too early" if isinstance(error, BufferError) else str(error)[:100]


def rpc_result(request_id: int, answer: bytes) -> bytes:
    head = RPC_RESULT + request_id.to_bytes(8, "little", signed=True)
    if len(answer) in PACKED_SIZES:
        packed = GZIP + tl_bytes(gzip.compress(answer, compresslevel=1, mtime=0))
        if len(packed) < len(answer):
            return head + packed
    return head + answer


class MessageIds:
    """A server's message ids: they follow the clock, rise with it, and say by their last bits what they are.

    They fall only when the clock is set back, by more than BACK seconds: a client believes their time.
    """

    BACK = 2

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._last = 0

    def next(self, *, answer: bool) -> int:
        """1 mod 4 for what a request caused, 3 mod 4 for what the server says by itself."""
        clock = int(self._now() * 2**32) & ~3
        follows = (self._last & ~3) + 4
        base = clock if follows - clock > self.BACK << 32 else max(clock, follows)
        self._last = base | (1 if answer else 3)
        return self._last
