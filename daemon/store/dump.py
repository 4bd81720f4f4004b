"""A database as one file, and back: PostgreSQL's own pg_dump and pg_restore."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from daemon.store.errors import StoreRefused
from daemon.store.faults import translated
from daemon.store.migrate import connect, migrations
from daemon.store.pool import SERVER_SETTINGS
from daemon.store.programs import find_programs

COUNTED = ("users", "sessions", "channels", "memberships", "posts", "post_versions", "jobs")
"""Tables whose rows are counted, to be compared after a restore."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dumped:
    """What a dump holds."""

    postgres: str
    """The server's version."""
    schema: int
    rows: Mapping[str, int]


class DumpFailed(StoreRefused):
    """pg_dump or pg_restore says why."""


async def dump(dsn: str, to: Path) -> Dumped:
    """The whole database as it is at one moment, while a daemon may run. Raises: StoreUnavailable, DumpFailed."""
    connection = await connect(dsn, SERVER_SETTINGS | {"statement_timeout": "0"})
    async with AsyncExitStack() as stack:
        stack.push_async_callback(connection.close)
        with translated():
            # The dump sees what these counts see.
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                if await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
                    raise DumpFailed("the database holds nothing of Telewarden yet: start the daemon first")
                snapshot: str = await connection.fetchval("SELECT pg_export_snapshot()")
                schema: int = await connection.fetchval("SELECT max(version) FROM schema_migrations")
                rows = {name: await connection.fetchval(f"SELECT count(*) FROM {name}") for name in COUNTED}  # noqa: S608 - our own names
                version = ".".join(map(str, connection.get_server_version()[:2]))
                await _run("pg_dump", dsn, "--format=custom", f"--snapshot={snapshot}", f"--file={to}")
    return Dumped(postgres=version, schema=schema, rows=rows)


async def tables(dsn: str) -> int:
    """How many there are."""
    connection = await connect(dsn, SERVER_SETTINGS)
    with translated():
        try:
            count: int = await connection.fetchval(
                "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
            )
        finally:
            await connection.close()
    return count


async def restore(dsn: str, dumped: Path) -> Dumped:
    """All of it or nothing, into an empty database; what is there then. Raises: StoreUnavailable, DumpFailed."""
    await _run("pg_restore", dsn, "--exit-on-error", "--single-transaction", str(dumped))
    connection = await connect(dsn, SERVER_SETTINGS | {"statement_timeout": "0"})
    with translated():
        try:
            schema: int = await connection.fetchval("SELECT max(version) FROM schema_migrations")
            rows = {name: await connection.fetchval(f"SELECT count(*) FROM {name}") for name in COUNTED}  # noqa: S608 - our own names
            await connection.execute("ANALYZE")
            version = ".".join(map(str, connection.get_server_version()[:2]))
        finally:
            await connection.close()
    return Dumped(postgres=version, schema=schema, rows=rows)


async def readable(dumped: Path) -> None:
    """Raises: DumpFailed for what pg_restore can't read."""
    await _finish([_program("pg_restore"), "--list", str(dumped)], dict(os.environ))


def newest_schema() -> int:
    """That this program knows."""
    return migrations()[-1].version


async def _run(program: str, dsn: str, *arguments: str) -> None:
    address, environ = without_password(dsn)
    common = ["--no-owner", "--no-privileges", f"--dbname={address}"]
    await _finish([_program(program), *common, *arguments], {**os.environ, **environ})


async def _finish(command: list[str], environ: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, env=environ, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        _, said = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        words = said.decode(errors="replace").strip().splitlines() or [f"exit code {process.returncode}"]
        raise DumpFailed(words[0])


def without_password(dsn: str) -> tuple[str, dict[str, str]]:
    """The address for a command line, which everybody here can read, and the password for its environment."""
    parts = urlsplit(dsn)
    if parts.password is None:
        return dsn, {}
    user, _, host = parts.netloc.rpartition("@")
    bare = parts._replace(netloc=f"{user.partition(':')[0]}@{host}")
    return urlunsplit(bare), {"PGPASSWORD": unquote(parts.password)}


def _program(name: str) -> str:
    path = find_programs().folder / name
    if not path.is_file():
        raise DumpFailed(f"there is no {path}: install PostgreSQL's client programs")
    return str(path)
