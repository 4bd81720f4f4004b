import asyncio

import asyncpg
import pytest

from actors.errors import StoreUnavailable
from daemon.store.errors import DatabaseRefused, SchemaTooNew
from daemon.store.migrate import Migration, apply, migrate, migrations
from daemon.store.store import open_store
from tests.daemon.store.rows import ask
from tests.postgres import dsn_of, execute, fresh_database


@pytest.fixture
async def empty(postgres):
    async with fresh_database(postgres, template="template1") as dsn:
        yield dsn


async def test_a_fresh_database_gets_all_migrations_and_a_second_run_none(empty):
    assert await migrate(empty) == len(migrations())
    assert await migrate(empty) == 0
    assert await ask(empty, "SELECT version, name FROM schema_migrations ORDER BY 1") == [
        (migration.version, migration.name) for migration in migrations()
    ]


async def test_of_three_runners_at_once_each_migration_runs_once(empty):
    assert sorted(await asyncio.gather(*(migrate(empty) for _ in range(3)))) == [0, 0, len(migrations())]


async def test_a_newer_schema_is_refused_and_left_alone(empty):
    await migrate(empty)
    await execute(empty, "INSERT INTO schema_migrations (version, name) VALUES (9999, 'future')")
    with pytest.raises(SchemaTooNew, match="9999"):
        await open_store(empty, pool_size=2, keys=None)


async def test_a_migration_that_fails_leaves_nothing_behind_and_keeps_those_before(empty):
    good = Migration(version=1, name="0001", sql="CREATE TABLE one ()")
    bad = Migration(version=2, name="0002", sql="CREATE TABLE two (); CREATE TABLE one ()")
    connection = await asyncpg.connect(empty)
    try:
        with pytest.raises(asyncpg.DuplicateTableError):
            await apply(connection, (good, bad))
    finally:
        await connection.close()
    tables = await ask(empty, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    assert tables == [("one",), ("schema_migrations",)]
    assert await ask(empty, "SELECT version FROM schema_migrations") == [(1,)]


def test_migrations_are_numbered_without_gaps_and_say_what_they_are_for():
    known = migrations()
    assert [migration.version for migration in known] == list(range(1, len(known) + 1))
    assert all(migration.sql.startswith("-- ") for migration in known)


async def test_a_database_that_isn_t_there_is_told_by_the_setting_and_without_the_password(postgres):
    dsn = dsn_of(postgres, "nowhere").replace("telewarden@", "telewarden:hunter2@")
    with pytest.raises(DatabaseRefused, match=r'"nowhere" does not exist; check database\.dsn') as refused:
        await migrate(dsn)
    assert "hunter2" not in str(refused.value)


async def test_a_server_that_isn_t_there_is_told_by_its_place(unused_tcp_port):
    with pytest.raises(StoreUnavailable, match=rf"127\.0\.0\.1:{unused_tcp_port}/tw.*database\.dsn") as away:
        await migrate(f"postgresql://somebody:hunter2@127.0.0.1:{unused_tcp_port}/tw")
    assert "hunter2" not in str(away.value)


SHAPE = """
SELECT 'column', table_name, column_name, data_type, is_nullable, coalesce(column_default, '')
FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT 'index', tablename, indexname, indexdef, '', '' FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', ''
FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2, 3
"""


async def test_from_the_first_schema_and_later_ones_the_same_one_is_reached_and_users_and_jobs_are_kept(postgres):
    known = migrations()
    async with fresh_database(postgres, template="template1") as dsn:
        await migrate(dsn)
        expected = await ask(dsn, SHAPE)
    for count in (1, 4, *range(6, len(known), 3), len(known) - 1):
        async with fresh_database(postgres, template="template1") as dsn:
            connection = await asyncpg.connect(dsn)
            try:
                await apply(connection, known[:count])
                await connection.execute("INSERT INTO users (id, first_name) VALUES (7, 'Ann')")
                if count >= 4:
                    await connection.execute(
                        "INSERT INTO jobs (id, kind, state, channels_total, channels_done, posts_added, posts_edited) "
                        "VALUES ('a', 'all', 'success', 3, 3, 9, 1)"
                    )
            finally:
                await connection.close()
            assert await migrate(dsn) == len(known) - count
            assert await ask(dsn, SHAPE) == expected, f"from schema {count}"
            assert await ask(dsn, "SELECT id, first_name FROM users") == [(7, "Ann")]
            assert await ask(dsn, "SELECT id, posts_added FROM jobs") == ([("a", 9)] if count >= 4 else [])
