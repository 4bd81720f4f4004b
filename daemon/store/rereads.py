"""How far the plans for rereading have come in each channel."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from actors.messages.ids import ChannelId
from actors.messages.rereads import DueReread
from daemon.store.pool import Database

_BEGIN = """
INSERT INTO rereads (channel_id, after_seconds, since, upto_id, due_at)
SELECT c.id, a, $2, 0, $2 FROM channels c CROSS JOIN unnest($1::integer[]) AS a
WHERE NOT EXISTS (SELECT FROM rereads r WHERE r.channel_id = c.id AND r.after_seconds = a) ON CONFLICT DO NOTHING
"""
_DUE = """
SELECT r.channel_id, r.after_seconds, r.since, r.upto_id FROM rereads r JOIN channels c ON c.id = r.channel_id
WHERE r.due_at <= $2 AND r.after_seconds = ANY($1::integer[]) AND c.condition = 'active' ORDER BY r.due_at LIMIT $3
"""
_WAITING = """
SELECT p.message_id, p.date FROM posts p JOIN rereads r ON r.channel_id = p.channel_id AND r.after_seconds = $2
WHERE p.channel_id = $1 AND p.message_id > r.upto_id AND p.date IS NOT NULL AND p.deleted_at IS NULL
ORDER BY p.message_id LIMIT $3
"""
# From the top down to the first that is old: what is newer than a plan is little.
_SKIP = """
UPDATE rereads r SET upto_id = greatest(r.upto_id, coalesce((
    SELECT p.message_id FROM posts p
    WHERE p.channel_id = r.channel_id AND p.date < r.since - make_interval(secs => r.after_seconds)
    ORDER BY p.message_id DESC LIMIT 1
), 0)) WHERE r.channel_id = $1 AND r.after_seconds = $2
"""
_KEEP = """
UPDATE rereads SET upto_id = greatest(upto_id, $3), due_at = $4 WHERE channel_id = $1 AND after_seconds = $2
"""


class StoredRereads:
    """Implements ``actors.ports.Rereads``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, plans: Sequence[timedelta], now: datetime) -> None:
        async with self._database.writing() as connection:
            await connection.execute(_BEGIN, [_seconds(after) for after in plans], now)

    async def due(self, plans: Sequence[timedelta], now: datetime, *, limit: int) -> tuple[DueReread, ...]:
        async with self._database.reading() as connection:
            rows = await connection.fetch(_DUE, [_seconds(after) for after in plans], now, limit)
        return tuple(
            DueReread(
                channel_id=ChannelId(row["channel_id"]),
                after=timedelta(seconds=row["after_seconds"]),
                since=row["since"],
                upto_id=row["upto_id"],
            )
            for row in rows
        )

    async def waiting(self, due: DueReread, *, limit: int) -> tuple[tuple[int, datetime], ...]:
        async with self._database.reading() as connection:
            rows = await connection.fetch(_WAITING, due.channel_id, _seconds(due.after), limit)
        return tuple((row["message_id"], row["date"]) for row in rows)

    async def skip_old(self, due: DueReread) -> None:
        async with self._database.writing() as connection:
            await connection.execute(_SKIP, due.channel_id, _seconds(due.after))

    async def keep(self, due: DueReread, *, upto_id: int, due_at: datetime) -> None:
        async with self._database.writing() as connection:
            await connection.execute(_KEEP, due.channel_id, _seconds(due.after), upto_id, due_at)


def _seconds(after: timedelta) -> int:
    return int(after.total_seconds())
