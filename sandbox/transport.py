"""Packets over TCP: the framing is told by a connection's first bytes, and what a client may hold is bounded."""

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from sandbox.framing import MAX_PACKET, Abridged, Framing, Full, Intermediate, TransportError

SMALL_PACKET = 64 * 1024
"""Packets up to this size are read from anybody at any time; longer ones share MAX_ARRIVING."""
MAX_ARRIVING = 64 * 1024 * 1024
"""Bytes of all longer packets that are half read at one time."""
MAX_UNSENT = 64 * 1024 * 1024
"""A client that stops reading is dropped once this many bytes wait for it."""
MAX_UNSENT_TOGETHER = 256 * 1024 * 1024
"""Once this many wait for all clients, the one that most of them wait for is dropped."""
MAX_CONNECTIONS = 5000
"""1,000 accounts need 2,000 while each moves to a new connection. Fewer where the process may open fewer files."""
SPARE_FILES = 200
"""Left for everything else."""
PATIENCE = 30.0
"""Seconds for a client's first packet, for the rest of one that has begun, and for taking any of what waits for it."""
FAREWELL = 5.0
"""Seconds for a client that goes away to take what is still queued for it."""


async def recognise(reader: asyncio.StreamReader) -> Framing:
    """Read just enough to tell which transport the client speaks. Raises TransportError, or IncompleteReadError."""
    async with _patience("the transport's first bytes"):
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


@asynccontextmanager
async def _patience(for_what: str) -> AsyncIterator[None]:
    """Raises TransportError when what is awaited inside takes too long."""
    try:
        async with asyncio.timeout(PATIENCE):
            yield
    except TimeoutError as error:
        raise TransportError(f"a client was waited for in vain: {for_what}") from error


async def part(writer: asyncio.StreamWriter) -> None:
    """Close after what is queued has gone out; but a client that doesn't take it holds nothing up for long."""
    writer.close()
    try:
        async with asyncio.timeout(FAREWELL):
            await writer.wait_closed()
    except TimeoutError:
        writer.transport.abort()
    except ConnectionError:
        pass


class Crowd:
    """All clients of one data centre: what each of them may hold, thousands can't hold at once."""

    def __init__(self, most: int = MAX_CONNECTIONS) -> None:
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = most if files == resource.RLIM_INFINITY else min(most, max(1, files - SPARE_FILES))
        self._unsent: dict[asyncio.StreamWriter, int] = {}
        """Bytes that wait for each client, as they were when something was last sent to it."""
        self._together = 0
        self._strangers: dict[asyncio.StreamWriter, None] = {}
        """Those that haven't shown an auth key, the oldest first."""
        self._arriving = 0

    @contextmanager
    def enter(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        """A client's stay. When there are too many, it takes the place of the oldest stranger.

        Raises TransportError when all the others have shown a key.
        """
        if len(self._unsent) >= self._most:
            if not self._strangers:
                raise TransportError(f"{self._most} clients are connected already")
            self._drop(next(iter(self._strangers)))
        self._unsent[writer] = 0
        self._strangers[writer] = None
        try:
            yield
        finally:
            self._forget(writer)

    def trust(self, writer: asyncio.StreamWriter) -> None:
        """The client has shown an auth key: nobody takes its place."""
        self._strangers.pop(writer, None)

    @contextmanager
    def arriving(self, length: int) -> Iterator[None]:
        """The time while so many bytes are being read. Raises TransportError when too many are already."""
        length = length if length > SMALL_PACKET else 0
        if length and self._arriving + length > MAX_ARRIVING:
            raise TransportError(f"a packet of {length} bytes, while others still arrive")
        self._arriving += length
        try:
            yield
        finally:
            self._arriving -= length

    def waits(self, writer: asyncio.StreamWriter, unsent: int) -> None:
        """So many bytes wait for this client now; whoever holds most is dropped when they are too many together."""
        if unsent > MAX_UNSENT:
            self._drop(writer)
            return
        self._together += unsent - self._unsent.get(writer, 0)
        self._unsent[writer] = unsent
        if self._together <= MAX_UNSENT_TOGETHER:
            return
        # What the others took since something was last sent to them isn't known yet.
        self._unsent = {each: each.transport.get_write_buffer_size() for each in self._unsent}
        self._together = sum(self._unsent.values())
        if self._together > MAX_UNSENT_TOGETHER:
            self._drop(max(self._unsent, key=self._unsent.__getitem__))

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        self._forget(writer)
        writer.transport.abort()

    def _forget(self, writer: asyncio.StreamWriter) -> None:
        self._together -= self._unsent.pop(writer, 0)
        self._strangers.pop(writer, None)


class Wire:
    """One client's connection as a stream of whole packets."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        framing: Framing,
        crowd: Crowd | None = None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._framing = framing
        self._crowd = crowd or Crowd()
        self._heard = False
        self._queued = 0

    @property
    def closing(self) -> bool:
        """Nothing that is sent will arrive any more."""
        return self._writer.transport.is_closing()

    async def read(self) -> bytes:
        """The next packet. Raises TransportError, or IncompleteReadError at the end of the stream."""
        if not self._heard:
            async with _patience("its first packet"):
                length = await self._framing.head(self._reader)
            self._heard = True
        else:
            length = await self._framing.head(self._reader)
        with self._crowd.arriving(length):
            async with _patience("the rest of a packet"):
                return self._framing.packet(await self._reader.readexactly(length))

    def trust(self) -> None:
        """The client has shown an auth key."""
        self._crowd.trust(self._writer)

    def send(self, packet: bytes) -> None:
        """Queue a packet; a client that reads too slowly is cut off rather than let memory grow."""
        if self.closing:
            return
        framed = self._framing.frame(packet)
        self._queued += len(framed)
        self._writer.write(framed)
        self._crowd.waits(self._writer, self._unsent())

    def _unsent(self) -> int:
        return self._writer.transport.get_write_buffer_size()

    async def drain(self) -> None:
        """Wait until a slow client has taken most of what was queued. Raises TransportError when it takes nothing."""
        while True:
            taken = self._queued - self._unsent()
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._writer.drain()
            except TimeoutError as error:
                if self._queued - self._unsent() == taken:
                    raise TransportError("a client takes nothing of what it asked for") from error
            else:
                return

    def abort(self) -> None:
        """Drop the connection at once, as a network failure would."""
        self._writer.transport.abort()

    def close(self) -> None:
        """Close after what is queued has gone out."""
        self._writer.close()
