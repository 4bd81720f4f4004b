"""Where the data centre listens, on loopback alone, and who has come in."""

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from sandbox.connection import Connection
from sandbox.framing import TransportError
from sandbox.transport import Crowd, Wire, part, recognise
from sandbox.world import DC_IDS

logger = logging.getLogger(__name__)


class NotLoopbackError(ValueError):
    """The sandbox has no passwords worth the name: it listens on loopback and nowhere else."""


def loopback(host: str) -> str:
    """The address, if it is a loopback one. Raises NotLoopbackError."""
    if host == "localhost":
        return "127.0.0.1"
    with suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return host
    raise NotLoopbackError(f"{host} is no loopback address; the sandbox listens on 127.0.0.1 only")


@dataclass(slots=True)
class Door:
    """Where one data-centre id listens."""

    dc_id: int
    address: str = ""
    port: int = 0
    server: asyncio.Server | None = field(default=None, repr=False)


class Doors:
    """One for each data-centre id, and the connections of all of them."""

    def __init__(self, meet: Callable[[Wire, int], Connection]) -> None:
        """`meet` begins the life of a connection to a data centre of that id."""
        self.connections: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, Connection | None]] = {}
        """None until a client's transport is known."""
        self._meet = meet
        self._doors = tuple(Door(dc_id) for dc_id in DC_IDS)
        self.crowd = Crowd()
        self._reopening: asyncio.TimerHandle | None = None
        self._closed_until_reopened = False

    def __iter__(self) -> Iterator[Door]:
        return iter(self._doors)

    def find(self, dc_id: int) -> Door:
        return next(door for door in self._doors if door.dc_id == dc_id)

    async def open(self, host: str, port: int, earlier: Mapping[int, int]) -> None:
        """Begin to listen: the first data centre at this port, the second at any.

        "Any" (0 for the first) is the one it had `earlier`, by data-centre id, if that is free: clients come back to
        it. Raises NotLoopbackError, OSError.
        """
        for door in self._doors:
            asked = port if door is self._doors[0] else 0
            listen = partial(asyncio.start_server, partial(self._accept, door.dc_id), loopback(host))
            try:
                door.server = await listen(asked or earlier.get(door.dc_id, 0))
            except OSError:
                if asked:
                    raise
                door.server = await listen(0)
            door.address, door.port = door.server.sockets[0].getsockname()[:2]

    async def close(self) -> None:
        """Stop listening, drop every client; then nothing of it is left open."""
        if self._reopening:
            self._reopening.cancel()
        for door in self._doors:
            if door.server:
                door.server.close()
        clients = list(self.connections)
        self.drop()
        if clients:
            await asyncio.wait(clients)
        for door in self._doors:
            if door.server:
                await door.server.wait_closed()
            door.server = None

    def drop(self, *, down: float = 0.0) -> int:
        """Cut off every client, as a network failure would, and refuse new ones for `down` seconds; how many."""
        for writer, _ in self.connections.values():
            writer.transport.abort()
        if down > 0:
            if self._reopening:
                self._reopening.cancel()
            self._closed_until_reopened = True
            self._reopening = asyncio.get_running_loop().call_later(down, self._reopen)
        return len(self.connections)

    def _reopen(self) -> None:
        self._closed_until_reopened = False

    async def _accept(self, dc_id: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._closed_until_reopened:
            writer.transport.abort()
            return
        self.connections[task] = (writer, None)
        try:
            with self.crowd.enter(writer):
                connection = self._meet(Wire(reader, writer, await recognise(reader), self.crowd), dc_id)
                self.connections[task] = (writer, connection)
                await connection.run()
        except (TransportError, asyncio.IncompleteReadError, ConnectionError) as error:
            logger.info("a client was not understood: %s", error)
        finally:
            await part(writer)
            del self.connections[task]
