"""One embedded PostgreSQL for a test run, and a fresh, migrated database for each test that asks."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Self
from urllib.parse import parse_qs, urlsplit

import asyncpg

from daemon.store.migrate import migrate

TEMPLATE = "telewarden_template"
VERSIONS = "schema_migrations"
"""The table of the migrations that were run; a test that changes it takes a ``fresh_database``."""
_numbers = itertools.count(1)


def dsn_of(server_dsn: str, database: str) -> str:
    """The same server, another database."""
    head, _, options = server_dsn.partition("?")
    return f"{head.rpartition('/')[0]}/{database}?{options}"


async def make_template(server_dsn: str) -> None:
    await execute(server_dsn, f"CREATE DATABASE {TEMPLATE}")
    await migrate(dsn_of(server_dsn, TEMPLATE))


@asynccontextmanager
async def fresh_database(server_dsn: str, *, template: str = TEMPLATE) -> AsyncIterator[str]:
    """DSN of a new database, dropped afterwards with whoever is still connected to it."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    # Copying files takes 39 ms, the default (through the log) 54 to 107.
    await execute(server_dsn, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    try:
        yield dsn_of(server_dsn, name)
    finally:
        await execute(server_dsn, f"DROP DATABASE {name} WITH (FORCE)")


class Databases:
    """Migrated databases of one server, emptied after each use and used again: making one costs ten times as much."""

    def __init__(self, server_dsn: str) -> None:
        self._server_dsn = server_dsn
        self._idle: list[str] = []

    @asynccontextmanager
    async def one(self) -> AsyncIterator[str]:
        """DSN of an empty, migrated database; whoever is still connected to it afterwards is thrown out."""
        if self._idle:
            name = self._idle.pop()
        else:
            name = f"test_{os.getpid()}_{next(_numbers)}"
            await execute(self._server_dsn, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
        yield dsn_of(self._server_dsn, name)
        await self._empty(name)
        self._idle.append(name)

    async def _empty(self, name: str) -> None:
        connection = await asyncpg.connect(dsn_of(self._server_dsn, name))
        try:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()",
                name,
            )
            tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
            names = ", ".join(row["tablename"] for row in tables if row["tablename"] != VERSIONS)
            await connection.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE")
        finally:
            await connection.close()


async def execute(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


class Wire:
    """Leads to a server's socket, and can go silent: connections stay open, and nothing comes through."""

    def __init__(self, dsn: str, port: int = 0) -> None:
        self._port = port
        parts = urlsplit(dsn)
        self._socket = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"
        self._name = f"{parts.username}@127.0.0.1", parts.path
        self._open = asyncio.Event()
        self._open.set()
        self._passing: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def dsn(self) -> str:
        return f"postgresql://{self._name[0]}:{self.port}{self._name[1]}?sslmode=disable"

    def silence(self) -> None:
        self._open.clear()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_unix_connection(self._socket)
        for source, sink in ((reader, there[1]), (there[0], writer)):
            task = asyncio.create_task(self._pass(source, sink))
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError):
                while data := await reader.read(65_536):
                    await self._open.wait()
                    writer.write(data)
                    await writer.drain()
        finally:
            writer.transport.abort()
