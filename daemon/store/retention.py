"""Lets go of posts that are older than they are kept."""

from datetime import datetime

from actors.messages.ids import ChannelId
from daemon.store.pool import Database

_DEPENDENTS = ("post_series", "post_raw", "post_stats", "post_versions", "post_files")

# Ids ascend with time, so what lies below the first post that is young enough is old.
_CUT = """
SELECT coalesce(
    (SELECT min(p.message_id) FROM posts p WHERE p.channel_id = v.channel_id AND p.date >= $2), v.top + 1
) FROM coverage v WHERE v.channel_id = $1 AND v.start_id IS NOT NULL
"""
_OLDER = "SELECT count(*) FROM posts WHERE channel_id = $1 AND message_id < $2 AND kind = 'post' AND deleted_at IS NULL"
_ANY = "SELECT EXISTS (SELECT FROM posts WHERE channel_id = $1 AND message_id < $2)"
# The channel begins here from now on: what lies below is asked for by nobody, and the ledger says so.
_BEGIN = """
UPDATE coverage SET covered = covered - int8multirange(int8range(1, $2)), start_id = greatest(start_id, $2::integer),
    goal_id = CASE WHEN goal_id < $2 THEN NULL ELSE goal_id END
WHERE channel_id = $1
"""
_DELETE = """
WITH gone AS (
    DELETE FROM posts WHERE channel_id = $1 AND message_id IN (
        SELECT message_id FROM posts WHERE channel_id = $1 AND message_id < $2 ORDER BY message_id LIMIT $3
    ) RETURNING message_id, kind = 'post' AND deleted_at IS NULL AS counted
)
SELECT coalesce(array_agg(message_id), '{}') AS ids, count(*) FILTER (WHERE counted) AS counted FROM gone
"""
_COUNT = "UPDATE coverage SET expired_total = expired_total + $2 WHERE channel_id = $1"


class StoredRetention:
    """Implements ``actors.ports.Retention``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def older(self, channel_id: ChannelId, than: datetime) -> int:
        async with self._database.reading() as connection:
            cut = await connection.fetchval(_CUT, channel_id, than)
            count: int = 0 if cut is None else await connection.fetchval(_OLDER, channel_id, cut)
            return count

    async def begin(self, channel_id: ChannelId, than: datetime) -> int | None:
        async with self._database.writing() as connection:
            cut: int | None = await connection.fetchval(_CUT, channel_id, than)
            if cut is None or not await connection.fetchval(_ANY, channel_id, cut):
                return None
            await connection.execute(_BEGIN, channel_id, cut)
            return cut

    async def expire(self, channel_id: ChannelId, below: int, *, limit: int) -> tuple[int, int]:
        async with self._database.writing() as connection:
            row = await connection.fetchrow(_DELETE, channel_id, below, limit)
            assert row is not None, "an aggregate is a row"
            for table in _DEPENDENTS:
                await connection.execute(
                    f"DELETE FROM {table} WHERE channel_id = $1 AND message_id = ANY ($2::integer[])",  # noqa: S608 - our names
                    channel_id,
                    row["ids"],
                )
            await connection.execute(_COUNT, channel_id, row["counted"])
        return len(row["ids"]), row["counted"]
