"""Posts and the coverage that they prove, in one transaction."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from actors.errand import Difference
from actors.errors import PostRefused
from actors.messages.content import Post
from actors.messages.ids import ChannelId, Span
from actors.messages.recorder import Record, Recorded
from actors.messages.rereads import Figures, PostStats
from daemon.store.batch import (
    COLUMNS,
    STATS,
    Copy,
    Counts,
    Key,
    newest_copies,
    newest_figures,
    predecessors,
    rows,
    sums,
)
from daemon.store.compare import differences
from daemon.store.errors import ChannelMissing
from daemon.store.pool import Connection, Database

# Measured, 20,000 posts of 503 characters with stats, batches of 1,000 on one connection: COPY to this table and
# INSERT from it 28,000 rows/s and 6.9 µs of client CPU a post; unnest 22,000 and 17.7; executemany 15,000 and 11.5.
_INCOMING = """
CREATE TEMPORARY TABLE incoming (
    channel_id bigint, message_id integer, kind text, date timestamptz, edited_at timestamptz, grouped_id bigint,
    reply_to_id integer, pinned boolean, silent boolean, noforwards boolean, text text, author text,
    entities jsonb, media jsonb, forward jsonb, action jsonb, sender jsonb, reply jsonb, discussion_id bigint,
    details jsonb, views integer, forwards integer, replies integer, reactions jsonb, results jsonb, raw bytea,
    pts integer
) ON COMMIT DELETE ROWS
"""

# Custom plans: one made while posts was small would scan it whole ever after.
_LOCK = """
SELECT channel_id, to_regclass('pg_temp.incoming') IS NULL, set_config('plan_cache_mode', 'force_custom_plan', true)
FROM coverage WHERE channel_id = ANY($1::bigint[]) ORDER BY channel_id FOR NO KEY UPDATE
"""

# Of figures: a copy without them leaves them as they are; views never fall, so a late copy doesn't lower them. Results
# are told in part to those who haven't voted: what one reader sees is laid over what another saw.
_INSERT = f"""
WITH inserted AS (
    INSERT INTO posts ({", ".join(COLUMNS)}, pts)
    SELECT {", ".join(COLUMNS)}, pts FROM incoming
    ON CONFLICT DO NOTHING RETURNING 1
), figures AS (
    INSERT INTO post_stats AS s (channel_id, message_id, {", ".join(STATS)})
    SELECT channel_id, message_id, {", ".join(STATS)} FROM incoming
    WHERE num_nonnulls({", ".join(STATS)}) > 0
    ON CONFLICT (channel_id, message_id) DO UPDATE SET
        views = greatest(s.views, excluded.views),
        forwards = coalesce(excluded.forwards, s.forwards),
        replies = coalesce(excluded.replies, s.replies),
        reactions = coalesce(excluded.reactions, s.reactions),
        results = coalesce(s.results || excluded.results, excluded.results, s.results)
    WHERE (s.views, s.forwards, s.replies, s.reactions, s.results) IS DISTINCT FROM (
        greatest(s.views, excluded.views), coalesce(excluded.forwards, s.forwards),
        coalesce(excluded.replies, s.replies), coalesce(excluded.reactions, s.reactions),
        coalesce(s.results || excluded.results, excluded.results, s.results)
    )
)
SELECT count(*) FROM inserted
"""  # noqa: S608 - names of columns

# Runs only where some post was stored already. All its parts see the table as it was before; xmin leaves out what this
# very transaction inserted. Nothing is written for a copy that is older or says nothing new.
_MERGE = """
WITH met AS MATERIALIZED (
    SELECT i.*, p.deleted_at, p.kind AS old_kind,
        (p.text, p.entities, p.media) IS DISTINCT FROM (i.text, i.entities, i.media) AS rewritten,
        p.kind IN ('undecodable', 'gone') AND i.kind NOT IN ('undecodable', 'gone') OR (
            p.kind = i.kind
            AND (i.pts >= p.pts) IS NOT FALSE
            AND coalesce(i.edited_at, '-infinity') >= coalesce(p.edited_at, '-infinity')
            AND (p.edited_at, p.text, p.entities, p.media, p.author, p.pinned, p.noforwards, p.silent,
                p.forward, p.action, p.date, p.grouped_id, p.reply_to_id, p.sender, p.reply, p.discussion_id, p.details)
            IS DISTINCT FROM (i.edited_at, i.text, i.entities, i.media, i.author, i.pinned, i.noforwards, i.silent,
                i.forward, i.action, i.date, i.grouped_id, i.reply_to_id, i.sender, i.reply, i.discussion_id, i.details)
        ) AS newer
    FROM incoming i JOIN posts p USING (channel_id, message_id)
    WHERE p.xmin <> pg_current_xact_id()::xid
), kept AS (
    INSERT INTO post_versions (channel_id, message_id, version, edited_at, text, entities, media)
    SELECT p.channel_id, p.message_id, 1 + coalesce((
            SELECT max(v.version) FROM post_versions v
            WHERE v.channel_id = p.channel_id AND v.message_id = p.message_id
        ), 0), p.edited_at, p.text, p.entities, p.media
    FROM met m JOIN posts p USING (channel_id, message_id)
    WHERE m.newer AND m.rewritten AND m.old_kind = m.kind
), written AS (
    UPDATE posts p SET kind = m.kind, pts = greatest(p.pts, m.pts), date = m.date, edited_at = m.edited_at,
        grouped_id = m.grouped_id, reply_to_id = m.reply_to_id, pinned = m.pinned, silent = m.silent,
        noforwards = m.noforwards, text = m.text, author = m.author, entities = m.entities, media = m.media,
        forward = m.forward, action = m.action, sender = m.sender, reply = m.reply, discussion_id = m.discussion_id,
        details = m.details
    FROM met m WHERE m.newer AND p.channel_id = m.channel_id AND p.message_id = m.message_id
)
SELECT channel_id, message_id,
    newer AND kind = 'post' AND old_kind <> 'post' AND deleted_at IS NULL AS added,
    newer AND kind = 'post' AND old_kind = 'post' AND deleted_at IS NULL AND rewritten AS edited
FROM met
"""

# Of the copies that posts has just taken over (xmin names this transaction), and of those it had without.
_KEEP_RAW = """
INSERT INTO post_raw (channel_id, message_id, bytes)
SELECT i.channel_id, i.message_id, i.raw
FROM incoming i JOIN posts p USING (channel_id, message_id) LEFT JOIN post_raw r USING (channel_id, message_id)
WHERE i.raw IS NOT NULL AND (p.xmin = pg_current_xact_id()::xid OR r.bytes IS NULL)
ON CONFLICT (channel_id, message_id) DO UPDATE SET bytes = excluded.bytes
"""

_MIGRATED = "UPDATE channels SET migrated_from = $2 WHERE id = $1 AND migrated_from IS DISTINCT FROM $2"

_DELETE = """
WITH named AS (
    SELECT * FROM unnest($1::bigint[], $2::integer[]) AS n (channel_id, message_id)
), marked AS (
    UPDATE posts p SET deleted_at = now() FROM named n
    WHERE p.channel_id = n.channel_id AND p.message_id = n.message_id AND p.deleted_at IS NULL
    RETURNING p.channel_id, p.message_id, p.kind
), unseen AS (
    INSERT INTO posts (channel_id, message_id, kind, deleted_at, pinned, silent, noforwards, text)
    SELECT channel_id, message_id, 'gone', now(), false, false, false, '' FROM named
    ON CONFLICT DO NOTHING
)
SELECT channel_id, message_id FROM marked WHERE kind = 'post'
"""

# A post that a page should hold and doesn't is deleted, unless its copy was made after the page was read. NOT IN is
# hashed whatever the planner believes of the tables' sizes; as an anti-join it compared each post with each.
_ABSENT = """
WITH spans AS (
    SELECT * FROM unnest($1::integer[], $2::bigint[], $3::integer[], $4::integer[], $5::integer[])
        AS s (record, channel_id, low, high, pts)
), present AS (
    SELECT * FROM unnest($6::integer[], $7::integer[]) AS n (record, message_id)
)
UPDATE posts p SET deleted_at = now() FROM spans s
WHERE p.channel_id = s.channel_id AND p.message_id BETWEEN s.low AND s.high AND p.deleted_at IS NULL
    AND (p.pts > s.pts) IS NOT TRUE
    AND (s.record, p.message_id) NOT IN (SELECT record, message_id FROM present)
RETURNING s.record, p.kind
"""

_FIGURES = """
INSERT INTO post_stats AS s (channel_id, message_id, views, forwards, reactions)
SELECT channel_id, message_id, f.views, f.forwards, f.reactions
FROM unnest($1::bigint[], $2::integer[], $3::integer[], $4::integer[], $5::jsonb[])
    AS f (channel_id, message_id, views, forwards, reactions)
JOIN posts p USING (channel_id, message_id) WHERE p.deleted_at IS NULL
ON CONFLICT (channel_id, message_id) DO UPDATE SET
    views = greatest(s.views, excluded.views),
    forwards = coalesce(excluded.forwards, s.forwards),
    reactions = coalesce(excluded.reactions, s.reactions)
"""

_COVER = """
WITH new AS (
    SELECT n.*, c.covered - coalesce(less.ids, '{}') + coalesce(more.ids, '{}') AS covered,
        coalesce(c.start_id, n.start_id) AS first_id, greatest(c.top, n.top) AS top_id
    FROM unnest($1::bigint[], $2::integer[], $3::integer[], $4::integer[], $5::integer[], $6::bigint[], $7::bigint[],
        $8::bigint[], $9::bigint[], $10::text[])
        AS n (channel_id, start_id, top, floor, pts, added, edited, backfilled, deleted, why)
    JOIN coverage c USING (channel_id)
    LEFT JOIN (
        SELECT channel_id, range_agg(int8range(low, high, '[]')) AS ids
        FROM unnest($11::bigint[], $12::bigint[], $13::bigint[]) AS span (channel_id, low, high) GROUP BY channel_id
    ) less USING (channel_id)
    LEFT JOIN (
        SELECT channel_id, range_agg(int8range(low, high, '[]')) AS ids
        FROM unnest($14::bigint[], $15::bigint[], $16::bigint[]) AS span (channel_id, low, high) GROUP BY channel_id
    ) more USING (channel_id)
), judged AS (
    -- "now" begins above the newest id
    SELECT *, CASE WHEN first_id <= top_id THEN int8range(first_id, top_id, '[]') <@ covered
        ELSE first_id IS NOT NULL END AS is_whole
    FROM new
)
UPDATE coverage c SET
    covered = j.covered,
    start_id = j.first_id,
    top = j.top_id,
    floor = CASE WHEN j.pts IS NULL THEN c.floor ELSE j.floor END,
    pts = coalesce(j.pts, c.pts),
    doubt_since = CASE WHEN j.is_whole THEN NULL WHEN j.why IS NULL THEN c.doubt_since
        ELSE coalesce(c.doubt_since, now()) END,
    doubt_why = CASE WHEN j.is_whole THEN NULL ELSE coalesce(j.why, c.doubt_why) END,
    added_total = c.added_total + j.added,
    edited_total = c.edited_total + j.edited,
    backfilled_total = c.backfilled_total + j.backfilled,
    deleted_total = c.deleted_total + j.deleted
FROM judged j WHERE c.channel_id = j.channel_id
"""

# Of the copies that planned rereadings brought. Two in one transaction have the same time: the later one stays.
_SERIES = """
INSERT INTO post_series AS s (channel_id, message_id, views, forwards, replies, reactions)
SELECT channel_id, message_id, i.views, i.forwards, i.replies, i.reactions
FROM incoming i JOIN unnest($1::bigint[], $2::integer[]) AS n (channel_id, message_id) USING (channel_id, message_id)
WHERE num_nonnulls(i.views, i.forwards, i.replies, i.reactions) > 0 ON CONFLICT DO NOTHING
"""

_STATS = """
SELECT p.date, p.deleted_at, s.views, s.forwards, s.replies, s.reactions
FROM posts p LEFT JOIN post_stats s USING (channel_id, message_id)
WHERE p.channel_id = $1 AND p.message_id = $2 AND p.kind <> 'gone'
"""
_POINTS = """
SELECT at, views, forwards, replies, reactions FROM post_series
WHERE channel_id = $1 AND message_id = $2 ORDER BY at
"""

_PAGE = f"""
SELECT {", ".join("p." + name for name in COLUMNS)}, {", ".join("s." + name for name in STATS)}
FROM posts p LEFT JOIN post_stats s USING (channel_id, message_id)
WHERE p.channel_id = $1 AND p.message_id > $2 AND p.kind = 'post' AND p.deleted_at IS NULL
ORDER BY p.message_id LIMIT $3
"""  # noqa: S608 - names of columns


_LATEST = f"""
SELECT {", ".join("p." + name for name in COLUMNS)}, {", ".join("s." + name for name in STATS)}
FROM unnest($1::bigint[]) AS c (id) CROSS JOIN LATERAL (
    SELECT * FROM posts WHERE channel_id = c.id AND kind = 'post' AND deleted_at IS NULL
    ORDER BY message_id DESC LIMIT $2
) p LEFT JOIN post_stats s USING (channel_id, message_id)
ORDER BY p.date DESC, p.channel_id, p.message_id DESC LIMIT $2
"""  # noqa: S608 - names of columns


class StoredPosts:
    """Implements ``actors.ports.Posts``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, batch: Sequence[Record]) -> tuple[Recorded, ...]:
        """As the port says. Raises: ChannelMissing (a defect) where a channel has no row."""
        if not batch:
            return ()
        copies = newest_copies(batch)
        counts = tuple(Counts() for _ in batch)
        async with _refusing(), self._database.writing() as connection:
            await _lock(connection, {record.channel_id for record in batch})
            if copies:
                await _store(connection, copies, counts)
                await _keep_series(connection, batch)
            await _mark_absent(connection, batch, counts)
            await _delete(connection, batch, counts)
            await _keep_figures(connection, batch)
            await _cover(connection, batch, counts)
        return tuple(
            Recorded(
                channel_id=record.channel_id,
                ticket=record.ticket,
                added=count.added,
                edited=count.edited,
                deleted=count.deleted,
            )
            for record, count in zip(batch, counts, strict=True)
        )

    async def page(self, channel_id: ChannelId, *, after_id: int, limit: int) -> tuple[Post, ...]:
        async with self._database.reading() as connection:
            found = await connection.fetch(_PAGE, channel_id, after_id, limit)
        return tuple(Post(**dict(row)) for row in found)

    async def latest(self, channel_ids: Iterable[ChannelId], *, limit: int) -> tuple[Post, ...]:
        async with self._database.reading() as connection:
            found = await connection.fetch(_LATEST, list(channel_ids), limit)
        return tuple(Post(**dict(row)) for row in found)

    async def stats(self, channel_id: ChannelId, message_id: int) -> PostStats | None:
        async with self._database.reading() as connection:
            row = await connection.fetchrow(_STATS, channel_id, message_id)
            if row is None:
                return None
            points = await connection.fetch(_POINTS, channel_id, message_id)
        values = dict(row)
        date, deleted_at = values.pop("date"), values.pop("deleted_at")
        return PostStats(
            message_id=message_id,
            date=date,
            deleted_at=deleted_at,
            now=Figures(at=None, **values),
            series=tuple(Figures(**dict(point)) for point in points),
        )

    async def differences(
        self, channel_id: ChannelId, span: Span, posts: Sequence[Post], pts: int | None
    ) -> tuple[Difference, ...]:
        async with self._database.reading() as connection:
            return await differences(connection, channel_id, span, posts, pts)


@asynccontextmanager
async def _refusing() -> AsyncIterator[None]:
    """A value that can't be sent or stored. Not "from error": the server's DETAIL quotes the row."""
    try:
        yield
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError) as error:
        raise PostRefused(type(error).__name__) from None


async def _lock(connection: Connection, channel_ids: set[ChannelId]) -> None:
    """Hold the coverage of these channels, in one order everywhere, and have the table to copy to."""
    held = await connection.fetch(_LOCK, sorted(channel_ids))
    if missing := channel_ids - {row[0] for row in held}:
        raise ChannelMissing(f"posts of channels that have no row: {sorted(missing)}")
    if held[0][1]:  # this connection's first batch
        await connection.execute(_INCOMING)


async def _store(connection: Connection, copies: Mapping[Key, Copy], counts: Sequence[Counts]) -> None:
    columns = (*COLUMNS, *STATS, "raw", "pts")
    await connection.copy_records_to_table("incoming", records=rows(copies.values()), columns=columns)
    met: dict[Key, Any] = {}
    if await connection.fetchval(_INSERT) < len(copies):
        met = {(row[0], row[1]): row for row in await connection.fetch(_MERGE)}
    if any(copy.post.raw is not None for copy in copies.values()):
        await connection.execute(_KEEP_RAW)
    for predecessor in predecessors(copies.values()):
        await connection.execute(_MIGRATED, *predecessor)
    for key, copy in copies.items():
        if (row := met.get(key)) is not None:
            counts[copy.newest].added += row["added"]
            counts[copy.newest].edited += row["edited"]
        elif copy.post.kind == "post":
            counts[copy.first].added += 1


async def _keep_series(connection: Connection, batch: Sequence[Record]) -> None:
    if named := [(post.channel_id, post.message_id) for record in batch if record.series for post in record.posts]:
        await connection.execute(_SERIES, *_columns(named))


async def _delete(connection: Connection, batch: Sequence[Record], counts: Sequence[Counts]) -> None:
    """Mark posts as deleted; ids never seen are remembered, so that a copy still on its way stays deleted."""
    named: dict[Key, int] = {}
    for index, record in enumerate(batch):
        for message_id in record.deleted_ids:
            named.setdefault((record.channel_id, message_id), index)
    if named:
        for row in await connection.fetch(_DELETE, *_columns(named)):
            counts[named[row[0], row[1]]].deleted += 1


async def _mark_absent(connection: Connection, batch: Sequence[Record], counts: Sequence[Counts]) -> None:
    """Mark what a page proves to be gone. A batch's pages stand in the order in which they were read."""
    spans = [
        (index, record.channel_id, *record.absent, record.pts)
        for index, record in enumerate(batch)
        if record.absent is not None and record.pts is not None
    ]
    if not spans:
        return
    present = [(index, post.message_id) for index, *_ in spans for post in batch[index].posts]
    for row in await connection.fetch(_ABSENT, *_columns(spans), *(_columns(present) or ((), ()))):
        counts[row["record"]].deleted += row["kind"] == "post"


async def _keep_figures(connection: Connection, batch: Sequence[Record]) -> None:
    if figures := newest_figures(batch):
        await connection.execute(_FIGURES, *_columns(figures))


async def _cover(connection: Connection, batch: Sequence[Record], counts: Sequence[Counts]) -> None:
    found = sums(batch, counts)
    totals = (
        (
            *(channel_id, s.start_id, s.top_id, s.floor_id, s.pts),
            *(s.added, s.edited, s.backfilled, s.deleted, s.why),
        )
        for channel_id, s in found.items()
    )
    less = [(channel_id, *span) for channel_id, s in found.items() for span in s.less]
    more = [(channel_id, *span) for channel_id, s in found.items() for span in s.more]
    nothing = ((), (), ())
    await connection.execute(_COVER, *_columns(totals), *(_columns(less) or nothing), *(_columns(more) or nothing))


def _columns(table: Iterable[tuple[object, ...]]) -> tuple[tuple[object, ...], ...]:
    return tuple(zip(*table, strict=True))
