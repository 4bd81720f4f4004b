"""A daemon's place in the embedded tests, run by path: starts the server, stores a row, says so, waits to be killed."""

import asyncio
import os
import sys
from pathlib import Path

import asyncpg

from daemon.store.embedded import EmbeddedPostgres


async def main() -> None:
    async with EmbeddedPostgres(Path(sys.argv[1])) as server:
        connection = await asyncpg.connect(server.dsn)
        await connection.execute("CREATE TABLE IF NOT EXISTS told (n integer); INSERT INTO told VALUES (1)")
        count = await connection.fetchval("SELECT count(*) FROM told")
        await connection.close()
        pid = (server.data / "postmaster.pid").read_text().split()[0]
        print(os.geteuid(), pid, count, flush=True)  # noqa: T201
        await asyncio.to_thread(sys.stdin.read)


asyncio.run(main())
