"""Looks at a database without changing it: for the doctor, beside a daemon that runs or in place of one."""

from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg

from actors.errors import SessionRejected
from actors.messages.ids import AccountId
from actors.ports import Keys
from daemon.store.faults import translated
from daemon.store.migrate import connect, migrations
from daemon.store.owner import Holder, find_holder
from daemon.store.pool import SERVER_SETTINGS, RawConnection

_SCHEMA = "SELECT coalesce(max(version), 0) FROM schema_migrations"
_SESSIONS = "SELECT account_id, sealed FROM sessions ORDER BY account_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    version: str
    """PostgreSQL's own."""
    schema: int
    """The newest migration that was applied; 0 for none."""
    newest: int
    """The newest one that this program knows."""
    clock_ahead: float
    """Seconds that the server's clock is ahead of this machine's, by half the round trip at most."""
    owner: Holder | None
    sessions: int
    closed: tuple[AccountId, ...]
    """Whose session no key at hand opens."""


async def inspect(dsn: str, keys: Keys | None) -> Inspection:
    """``keys``: None where there is no master key. Raises: StoreUnavailable, DatabaseRefused."""
    connection = await connect(dsn, SERVER_SETTINGS | {"default_transaction_read_only": "on"})
    with translated():
        try:
            return await _inspect(connection, keys)
        finally:
            await connection.close()


async def _inspect(connection: RawConnection, keys: Keys | None) -> Inspection:
    asked = datetime.now(UTC)
    told: datetime = await connection.fetchval("SELECT clock_timestamp()")
    ahead = (told - (asked + (datetime.now(UTC) - asked) / 2)).total_seconds()
    version = ".".join(map(str, connection.get_server_version()[:2]))
    try:
        schema: int = await connection.fetchval(_SCHEMA)
    except asyncpg.UndefinedTableError:
        schema = 0
    owner = await find_holder(connection) if schema else None
    sealed = await connection.fetch(_SESSIONS) if schema else []
    closed = tuple(row["account_id"] for row in sealed if not _opens(keys, row["account_id"], row["sealed"]))
    return Inspection(
        version=version,
        schema=schema,
        newest=migrations()[-1].version,
        clock_ahead=ahead,
        owner=owner,
        sessions=len(sealed),
        closed=closed,
    )


def _opens(keys: Keys | None, account_id: AccountId, sealed: bytes) -> bool:
    if keys is None:
        return False
    try:
        keys.open(account_id, sealed)
    except SessionRejected:
        return False
    return True
