"""The index that searching will go by is there, and is used for a query of its form."""

import asyncpg
import pytest

from tests.daemon.store.rows import NEWS

SEARCH = """
SELECT channel_id, message_id FROM posts
WHERE to_tsvector('russian', text) @@ websearch_to_tsquery('russian', $1)
"""
FILL = """
INSERT INTO posts (channel_id, message_id, kind, date, pinned, silent, noforwards, text)
SELECT $1, n, 'post', now(), false, false, false,
    CASE n WHEN 700 THEN 'Новые поезда вышли на линию' WHEN 701 THEN 'Trains are running' ELSE 'слово' || n END
FROM generate_series(1, 5000) n
"""


@pytest.fixture
async def connection(dsn):
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def test_a_search_goes_by_the_index_and_knows_the_forms_of_words_in_both_languages(connection):
    await connection.execute(FILL.replace("$1", str(int(NEWS))))
    await connection.execute("VACUUM ANALYZE posts")
    plan = "\n".join(row[0] for row in await connection.fetch("EXPLAIN " + SEARCH, "поездом"))
    assert "Bitmap Index Scan on posts_search" in plan, plan
    assert "Seq Scan" not in plan, plan
    for words, found in (("поездом", [700]), ("run train", [701]), ("самолёт", [])):
        assert [row["message_id"] for row in await connection.fetch(SEARCH, words)] == found, words
