"""Parses that were asked for, and what has been summed up of each channel."""

from datetime import datetime
from typing import Any

import orjson

from actors.errand import Difference, ErrandRow, Findings, Kinds
from actors.messages.ids import AccountId, ChannelId, JobId, JobKind, JobState
from actors.messages.jobs import Job
from actors.messages.rows import JobRow, Summary
from daemon.store.errors import ChannelMissing
from daemon.store.pool import Database

_SAVE = """
INSERT INTO jobs (id, kind, user_id, state, channels_total, channels_done, posts_added, posts_edited, error,
    started_at, finished_at, schedule)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, user_id = excluded.user_id, state = excluded.state,
    channels_total = excluded.channels_total, channels_done = excluded.channels_done,
    posts_added = excluded.posts_added, posts_edited = excluded.posts_edited, error = excluded.error,
    started_at = excluded.started_at, finished_at = excluded.finished_at, saved_at = now()
"""
_ONE = """
SELECT id AS job_id, kind, user_id, state, channels_total, channels_done, posts_added, posts_edited, error,
    started_at, finished_at, schedule
FROM jobs WHERE id = $1
"""
_PAGE = """
SELECT number, id AS job_id, kind, user_id, channel_id, schedule, asked, state, channels_total, channels_done,
    posts_added, posts_edited, error, started_at, finished_at
FROM jobs
WHERE number < $1 AND ($3::text IS NULL OR state = $3) AND ($4::text IS NULL OR kind = $4)
ORDER BY number DESC LIMIT $2
"""
_END_INTERRUPTED = """
WITH ended AS (
    UPDATE jobs SET state = 'failed', error = 'interrupted by a restart', finished_at = $1, saved_at = now()
    WHERE state IN ('queued', 'running') AND kind NOT IN ('backfill', 'verify') RETURNING 1
) SELECT count(*) FROM ended
"""

_ERRAND = """
SELECT id AS job_id, kind, channel_id, asked, state, low_id, high_id, ids_done, base, posts_added, result, error,
    started_at, finished_at
FROM jobs
"""
_ONE_ERRAND = _ERRAND + "WHERE id = $1 AND kind IN ('backfill', 'verify')"
_UNFINISHED_ERRANDS = (
    _ERRAND + "WHERE state IN ('queued', 'running') AND kind IN ('backfill', 'verify') ORDER BY saved_at"
)
_SAVE_ERRAND = """
INSERT INTO jobs (id, kind, channel_id, asked, state, low_id, high_id, ids_done, base, posts_added, result, error,
    started_at, finished_at, channels_total, channels_done, posts_edited)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 1, ($5 = 'success')::integer, 0)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, low_id = excluded.low_id, high_id = excluded.high_id,
    ids_done = excluded.ids_done, base = excluded.base, posts_added = excluded.posts_added, result = excluded.result,
    error = excluded.error, started_at = excluded.started_at, finished_at = excluded.finished_at,
    channels_done = excluded.channels_done, saved_at = now()
"""

# The coverage row is locked first, so that two summaries at once can't both report the same posts.
_COUNTERS = "SELECT added_total, edited_total FROM coverage WHERE channel_id = $1 FOR NO KEY UPDATE"
_MARK = "SELECT added, edited FROM summary_marks WHERE kind = $1 AND account_id = $2 AND channel_id = $3"
_SET_MARK = """
INSERT INTO summary_marks (kind, account_id, channel_id, added, edited) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (kind, account_id, channel_id) DO UPDATE SET added = excluded.added, edited = excluded.edited
"""


class StoredJobs:
    """Implements ``actors.ports.Jobs``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, job: Job) -> None:
        async with self._database.writing() as connection:
            await connection.execute(
                _SAVE,
                *(job.job_id, job.kind, job.user_id, job.state, job.channels_total, job.channels_done),
                *(job.posts_added, job.posts_edited, job.error, job.started_at, job.finished_at, job.schedule),
            )

    async def one(self, job_id: JobId) -> Job | None:
        async with self._database.reading() as connection:
            row = await connection.fetchrow(_ONE, job_id)
        return None if row is None else Job(**dict(row))

    async def page(
        self, *, before: int, limit: int, state: JobState | None, kind: JobKind | None
    ) -> tuple[JobRow, ...]:
        async with self._database.reading() as connection:
            return tuple(JobRow(**dict(row)) for row in await connection.fetch(_PAGE, before, limit, state, kind))

    async def end_interrupted(self, now: datetime) -> int:
        async with self._database.writing() as connection:
            ended: int = await connection.fetchval(_END_INTERRUPTED, now)
            return ended

    async def save_errand(self, errand: ErrandRow) -> None:
        async with self._database.writing() as connection:
            await connection.execute(
                _SAVE_ERRAND,
                *(errand.job_id, errand.kind, errand.channel_id, errand.asked, errand.state),
                *(errand.low_id, errand.high_id, errand.ids_done, errand.base, errand.posts_added),
                None if errand.result is None else orjson.dumps(errand.result),
                *(errand.error, errand.started_at, errand.finished_at),
            )

    async def errand(self, job_id: JobId) -> ErrandRow | None:
        async with self._database.reading() as connection:
            row = await connection.fetchrow(_ONE_ERRAND, job_id)
        return None if row is None else _errand(row)

    async def unfinished_errands(self) -> tuple[ErrandRow, ...]:
        async with self._database.reading() as connection:
            return tuple(_errand(row) for row in await connection.fetch(_UNFINISHED_ERRANDS))

    async def summarize(self, account_id: AccountId | None, channel_id: ChannelId) -> Summary:
        """As the port says. Raises: ChannelMissing."""
        mark = ("all", 0, channel_id) if account_id is None else ("user", account_id, channel_id)
        async with self._database.writing() as connection:
            total = await connection.fetchrow(_COUNTERS, channel_id)
            if total is None:
                raise ChannelMissing(f"channel {channel_id} has no row")
            before = await connection.fetchrow(_MARK, *mark) or (0, 0)
            if tuple(total) != tuple(before):
                await connection.execute(_SET_MARK, *mark, *total)
        return Summary(channel_id=channel_id, added=total[0] - before[0], edited=total[1] - before[1])


def _errand(row: Any) -> ErrandRow:
    values = dict(row)
    result = values["result"]
    return ErrandRow(**values | {"result": None if result is None else _findings(orjson.loads(result))})


def _findings(told: dict[str, Any]) -> Findings:
    first = tuple(Difference(**one) for one in told["first"])
    return Findings(**told | {"differences": Kinds(**told["differences"]), "first": first})
