"""The database goes away and comes back."""

import asyncio
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from actors.errors import StoreUnavailable
from daemon.keys import MasterKeys
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.pool import RETRY_SECONDS
from daemon.store.state_lock import StateLock
from daemon.store.store import open_store
from tests.daemon.store.rows import NEWS, follow, membership, post, record


async def when_available(what):
    """The answer of the first call that the store takes."""
    while True:
        try:
            return await what()
        except StoreUnavailable:
            await asyncio.sleep(0.02)


async def test_a_stopped_server_makes_the_store_unavailable_and_a_started_one_makes_it_whole(tmp_path):
    server = EmbeddedPostgres(tmp_path / "postgres", fsync=False)
    dsn = await server.start()
    try:
        with StateLock(tmp_path) as lock:
            async with await open_store(dsn, pool_size=4, keys=MasterKeys(bytes(32))) as opened:
                await opened.owner.take(lock)
                store = opened.store
                await follow(store, membership(NEWS))
                await store.posts.record([record(post(1), covered=(1, 1))])
                await server.stop()
                for call in (store.channels.all, lambda: store.posts.record([record(post(2))]), opened.owner.heartbeat):
                    with pytest.raises(StoreUnavailable):
                        await call()
                with pytest.raises(StoreUnavailable):
                    await open_store(dsn, pool_size=2, keys=MasterKeys(bytes(32)))
                assert await attempts_while_down(dsn, store.channels.all) <= 4
                await server.start()
                (answer,) = await when_available(lambda: store.posts.record([record(post(2), covered=(2, 2))]))
                assert answer.added == 1
                assert (await store.channels.one(NEWS)).covered == ((1, 2),)
                await opened.owner.heartbeat()
    finally:
        await server.stop()


async def attempts_while_down(dsn: str, call) -> int:
    """Connections that a listener in the server's place sees in a second and a half, asked as fast as can be."""
    seen = 0

    def refuse(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        seen += 1
        writer.close()

    path = Path(parse_qs(urlsplit(dsn).query)["host"][0]) / ".s.PGSQL.5432"
    path.parent.mkdir(exist_ok=True)
    listener = await asyncio.start_unix_server(refuse, path)
    try:
        until = time.monotonic() + 3 * RETRY_SECONDS
        while time.monotonic() < until:
            for told in await asyncio.gather(*(call() for _ in range(20)), return_exceptions=True):
                assert isinstance(told, StoreUnavailable)
    finally:
        listener.close()
        await listener.wait_closed()
        path.unlink(missing_ok=True)  # Python 3.13 does it itself
    return seen


async def test_connections_cut_by_the_server_are_replaced(dsn, store, postgres):
    await follow(store, membership(NEWS))
    connection = await asyncpg.connect(postgres)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname LIKE 'test_%' AND application_name = 'telewarden'"
        )
    finally:
        await connection.close()
    assert len(await when_available(store.channels.all)) == 1
    await when_available(lambda: store.posts.record([record(post(1))]))


async def test_a_statement_that_takes_too_long_is_unavailable_not_a_defect(opened):
    with pytest.raises(StoreUnavailable, match="QueryCanceled"):
        async with opened.database.reading() as connection, connection.transaction():
            await connection.execute("SET LOCAL statement_timeout = 20; SELECT pg_sleep(10)")


async def test_a_value_that_cant_be_sent_is_a_defect(opened):
    with pytest.raises(asyncpg.DataError):
        async with opened.database.reading() as connection:
            await connection.fetchval("SELECT $1::integer", 2**40)
