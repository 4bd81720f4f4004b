"""Connections: few, checked, and never the server's undoing while it is down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from actors.errors import OwnershipLost
from daemon.store.faults import translated

if TYPE_CHECKING:  # the stubs' classes are generic, asyncpg's aren't
    Connection = PoolConnectionProxy[asyncpg.Record]
    RawConnection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = PoolConnectionProxy
    RawConnection = asyncpg.Connection

ACQUIRE_SECONDS = 10.0
COMMAND_SECONDS = 35.0
"""When a server doesn't answer at all; its own statement_timeout comes first."""
RETRY_SECONDS = 0.5
"""Between attempts to connect while the server is down: two a second, whoever asks."""

SERVER_SETTINGS = {
    "application_name": "telewarden",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "60s",
    # Without these a lost peer keeps its locks for two hours.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "timezone": "UTC",
}


class _PlainConnection(RawConnection):
    """Nothing of ours outlives a transaction, so the round trip that resets a returned connection is saved."""

    def get_reset_query(self) -> str:
        return ""


class Database:
    """The pool, and the epoch under which this process writes."""

    def __init__(self, dsn: str, *, pool_size: int) -> None:
        self.epoch: int | None = None
        """Set by Owner; None before ownership is taken and after it is released."""
        self._failed: OSError | asyncpg.PostgresError | asyncpg.InterfaceError | None = None
        self._failed_at = 0.0
        self._connecting = asyncio.Lock()
        self._pool = asyncpg.create_pool(
            dsn,
            min_size=0,  # more, and the pool itself would knock on a server that is down
            max_size=pool_size,
            connect=self._connect,
            init=_use_json_bytes,
            connection_class=_PlainConnection,
            command_timeout=COMMAND_SECONDS,
            server_settings=SERVER_SETTINGS,
            timeout=ACQUIRE_SECONDS,
        )

    async def open(self) -> None:
        """Make a first connection. Raises: StoreUnavailable."""
        with translated():
            await self._pool
        try:
            async with self.reading() as connection:
                await connection.execute("SELECT 1")
        except BaseException:
            self._pool.terminate()
            raise

    @property
    def connections(self) -> tuple[int, int, int]:
        """How many are in use, how many wait to be used, and how many there may be."""
        idle = self._pool.get_idle_size()
        return self._pool.get_size() - idle, idle, self._pool.get_max_size()

    def cut_off(self) -> None:
        """End every connection at once; whoever waits for an answer gets StoreUnavailable, and nobody another one."""
        self._pool.terminate()

    async def close(self) -> None:
        """Wait for what is running, up to five seconds, then cut it off."""
        try:
            async with asyncio.timeout(5):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection, each statement its own transaction. Raises: StoreUnavailable."""
        with translated():
            async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Connection]:
        """A transaction that holds the owner's epoch until it ends. Raises: StoreUnavailable, OwnershipLost."""
        async with self.reading() as connection, connection.transaction():
            epoch = await connection.fetchval("SELECT epoch FROM owner FOR KEY SHARE")
            if self.epoch is None or epoch != self.epoch:
                raise OwnershipLost(f"the database is at epoch {epoch}, this process at {self.epoch}")
            yield connection

    async def _connect(self, *args: Any, **settings: Any) -> RawConnection:
        """Connect, unless an attempt has just failed: then fail the same way without asking the server."""
        async with self._connecting:
            now = asyncio.get_running_loop().time()
            if self._failed is not None and now - self._failed_at < RETRY_SECONDS:
                raise ConnectionRefusedError(f"not tried again yet: {self._failed}") from self._failed
            self._failed_at = now
            try:
                connection: RawConnection = await asyncpg.connect(*args, **settings)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                self._failed = error
                raise
            self._failed = None
            return connection


async def _use_json_bytes(connection: RawConnection) -> None:
    """Give and take jsonb as the bytes of its text, neither decoded nor encoded here."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", format="binary", encoder=_jsonb_encoded, decoder=_jsonb_decoded
    )


def _jsonb_encoded(text: bytes) -> bytes:
    return b"\x01" + text


def _jsonb_decoded(wire: bytes) -> bytes:
    return bytes(wire[1:])
