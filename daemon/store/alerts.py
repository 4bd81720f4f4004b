"""Alerts: one row for a cause as long as it lasts."""

from collections.abc import Iterable
from datetime import datetime

from actors.messages.alerts import AlertRow, EndAlert, RaiseAlert
from daemon.store.pool import Database

# The partial unique index alerts_open stands for "not over yet".
_RAISE = """
INSERT INTO alerts AS a (kind, account_id, channel_id, cause) VALUES ($1, $2, $3, $4)
ON CONFLICT (kind, coalesce(account_id, 0), coalesce(channel_id, 0), cause) WHERE ended_at IS NULL
DO UPDATE SET count = a.count + 1, last_at = now()
RETURNING a.count = 1
"""
_END = """
UPDATE alerts SET ended_at = now()
WHERE ended_at IS NULL AND kind = $1 AND account_id IS NOT DISTINCT FROM $2 AND channel_id IS NOT DISTINCT FROM $3
    AND ($4::text IS NULL OR cause = $4)
"""
_COUNTS = "SELECT kind, count(*)::int FROM alerts WHERE ended_at IS NULL GROUP BY kind"
_ROW = "id AS alert_id, kind, account_id, channel_id, cause, count, first_at, last_at, ended_at"
_CLOSE = f"UPDATE alerts SET ended_at = coalesce(ended_at, now()) WHERE id = $1 RETURNING {_ROW}"  # noqa: S608 - columns
_ONE = f"SELECT {_ROW} FROM alerts WHERE id = $1"  # noqa: S608 - columns
_PAGE = f"""
SELECT {_ROW} FROM alerts
WHERE (ended_at IS NULL OR $1) AND ($2::bigint IS NULL OR (ended_at IS NULL, last_at, id) < (
    SELECT ended_at IS NULL, last_at, id FROM alerts WHERE id = $2
)) ORDER BY ended_at IS NULL DESC, last_at DESC, id DESC LIMIT $3
"""  # noqa: S608 - columns


_UNTOLD = f"""
SELECT {_ROW} FROM alerts WHERE ended_at IS NULL AND told_at IS NULL AND first_at <= $1 ORDER BY id LIMIT $2
"""  # noqa: S608 - columns
_TELL = "UPDATE alerts SET told_at = now() WHERE id = ANY ($1::bigint[])"


class StoredAlerts:
    """Implements ``actors.ports.Alerts``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def raise_alert(self, alert: RaiseAlert) -> bool:
        async with self._database.writing() as connection:
            first: bool = await connection.fetchval(_RAISE, alert.kind, alert.account_id, alert.channel_id, alert.cause)
            return first

    async def end_alerts(self, alert: EndAlert) -> int:
        async with self._database.writing() as connection:
            done = await connection.execute(_END, alert.kind, alert.account_id, alert.channel_id, alert.cause)
        return int(done.rpartition(" ")[2])

    async def close_alert(self, alert_id: int) -> AlertRow | None:
        async with self._database.writing() as connection:
            row = await connection.fetchrow(_CLOSE, alert_id)
        return None if row is None else AlertRow(**dict(row))

    async def one(self, alert_id: int) -> AlertRow | None:
        async with self._database.reading() as connection:
            row = await connection.fetchrow(_ONE, alert_id)
        return None if row is None else AlertRow(**dict(row))

    async def open_counts(self) -> dict[str, int]:
        async with self._database.reading() as connection:
            return {row[0]: row[1] for row in await connection.fetch(_COUNTS)}

    async def page(self, *, ended: bool, after: int | None = None, limit: int) -> tuple[AlertRow, ...]:
        async with self._database.reading() as connection:
            return tuple(AlertRow(**dict(row)) for row in await connection.fetch(_PAGE, ended, after, limit))

    async def untold(self, before: datetime, *, limit: int) -> tuple[AlertRow, ...]:
        async with self._database.reading() as connection:
            return tuple(AlertRow(**dict(row)) for row in await connection.fetch(_UNTOLD, before, limit))

    async def mark_told(self, alert_ids: Iterable[int]) -> None:
        async with self._database.writing() as connection:
            await connection.execute(_TELL, list(alert_ids))
