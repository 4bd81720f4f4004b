"""Brings a database to the schema of this program: numbered SQL, each file once, each in a transaction."""

import asyncio
from dataclasses import dataclass
from importlib.resources import files
from urllib.parse import parse_qs, urlsplit

import asyncpg

from actors.errors import StoreUnavailable
from daemon.store.errors import DatabaseRefused, SchemaTooNew, StoreRefused
from daemon.store.faults import translated
from daemon.store.pool import SERVER_SETTINGS, RawConnection

_LOCK = 0x7E1E_3A5D
"""Of pg_try_advisory_lock. Polled: waiting inside pg_advisory_lock deadlocks with CREATE INDEX CONCURRENTLY."""
_POLL_SECONDS = 0.05
_LOCKED_FOR = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    version: int
    name: str
    sql: str


def migrations() -> tuple[Migration, ...]:
    """All that this program knows, in order."""
    found = (file for file in files("daemon.store.migrations").iterdir() if file.name.endswith(".sql"))
    return tuple(
        Migration(version=int(file.name.partition("_")[0]), name=file.name, sql=file.read_text(encoding="utf-8"))
        for file in sorted(found, key=lambda file: file.name)
    )


async def migrate(dsn: str) -> int:
    """Apply what is missing; how many that were. Safe with several daemons at once.

    Raises: StoreUnavailable, DatabaseRefused, SchemaTooNew.
    """
    known = await asyncio.to_thread(migrations)
    # A schema change may take longer than any statement of the daemon's own.
    settings = SERVER_SETTINGS | {"statement_timeout": "0"}
    connection = await connect(dsn, settings)
    with translated():
        try:
            await _lock(connection)
            return await apply(connection, known)
        finally:
            await connection.close()  # and with it the lock


async def connect(dsn: str, settings: dict[str, str]) -> RawConnection:
    """The first connection of all: what is wrong with the setting shows here, and is told by its name."""
    try:
        return await asyncpg.connect(dsn, server_settings=settings, timeout=10)
    except (
        asyncpg.InvalidAuthorizationSpecificationError,  # 28: no such role, a wrong password, pg_hba.conf
        asyncpg.InvalidCatalogNameError,
        asyncpg.InsufficientPrivilegeError,
        asyncpg.ClientConfigurationError,
    ) as error:
        raise DatabaseRefused(f"PostgreSQL at {place_of(dsn)} refuses: {error}; check database.dsn") from error
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        text = f"PostgreSQL can't be reached at {place_of(dsn)}: {reason}; check that it runs, and database.dsn"
        raise StoreUnavailable(text) from error
    except (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, asyncpg.InterfaceError) as error:
        raise StoreUnavailable(f"PostgreSQL at {place_of(dsn)} isn't ready: {error}") from error


def place_of(dsn: str) -> str:
    """Host, port and database of a DSN; neither user nor password."""
    parts = urlsplit(dsn)
    host = parts.hostname or "".join(parse_qs(parts.query).get("host", ["its default socket"]))
    return f"{host}{f':{parts.port}' if parts.port else ''}{parts.path}"


async def _lock(connection: RawConnection) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _LOCKED_FOR
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
        if loop.time() > deadline:
            raise StoreRefused(f"another process has been migrating this database for {_LOCKED_FOR:.0f} s")
        await asyncio.sleep(_POLL_SECONDS)


async def apply(connection: RawConnection, known: tuple[Migration, ...]) -> int:
    """Apply those of ``known`` that the database doesn't have. The caller holds the lock."""
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations ("
        "version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    applied = await connection.fetchval("SELECT coalesce(max(version), 0) FROM schema_migrations")
    newest = known[-1].version
    if applied > newest:
        raise SchemaTooNew(
            f"the database has schema {applied}, this program knows up to {newest}: "
            "run the newer Telewarden again, or restore a backup from before its upgrade"
        )
    missing = [migration for migration in known if migration.version > applied]
    for migration in missing:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO schema_migrations (version, name) VALUES ($1, $2)", migration.version, migration.name
            )
    return len(missing)
