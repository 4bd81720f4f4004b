"""Posts and the coverage that they prove, in one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from actors.messages import ChannelId, Post, Record, Recorded
from daemon.store.batch import COLUMNS, STATS, Copy, Counts, Key, newest_copies, predecessors, rows, sums
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

_COVER = """
UPDATE coverage c SET
    covered = c.covered + coalesce(s.covered, '{}'),
    start_id = coalesce(c.start_id, n.start_id),
    top = greatest(c.top, n.top),
    pts = greatest(c.pts, n.pts),
    added_total = c.added_total + n.added,
    edited_total = c.edited_total + n.edited,
    backfilled_total = c.backfilled_total + n.backfilled,
    deleted_total = c.deleted_total + n.deleted
FROM unnest($1::bigint[], $2::integer[], $3::integer[], $4::integer[], $5::bigint[], $6::bigint[], $7::bigint[],
    $8::bigint[]) AS n (channel_id, start_id, top, pts, added, edited, backfilled, deleted)
LEFT JOIN (
    SELECT channel_id, range_agg(int8range(low, high, '[]')) AS covered
    FROM unnest($9::bigint[], $10::bigint[], $11::bigint[]) AS span (channel_id, low, high) GROUP BY channel_id
) s USING (channel_id)
WHERE c.channel_id = n.channel_id
"""

_PAGE = f"""
SELECT {", ".join("p." + name for name in COLUMNS)}, {", ".join("s." + name for name in STATS)}
FROM posts p LEFT JOIN post_stats s USING (channel_id, message_id)
WHERE p.channel_id = $1 AND p.message_id > $2 AND p.kind = 'post' AND p.deleted_at IS NULL
ORDER BY p.message_id LIMIT $3
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
        async with self._database.writing() as connection:
            await _lock(connection, {record.channel_id for record in batch})
            if copies:
                await _store(connection, copies, counts)
            await _delete(connection, batch, counts)
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


async def _delete(connection: Connection, batch: Sequence[Record], counts: Sequence[Counts]) -> None:
    """Mark posts as deleted; ids never seen are remembered, so that a copy still on its way stays deleted."""
    named: dict[Key, int] = {}
    for index, record in enumerate(batch):
        for message_id in record.deleted_ids:
            named.setdefault((record.channel_id, message_id), index)
    if named:
        for row in await connection.fetch(_DELETE, *_columns(named)):
            counts[named[row[0], row[1]]].deleted += 1


async def _cover(connection: Connection, batch: Sequence[Record], counts: Sequence[Counts]) -> None:
    totals = (
        (channel_id, s.start_id, s.top_id, s.pts, s.added, s.edited, s.backfilled, s.deleted)
        for channel_id, s in sums(batch, counts).items()
    )
    spans = [(record.channel_id, *record.covered) for record in batch if record.covered is not None]
    await connection.execute(_COVER, *_columns(totals), *(_columns(spans) or ((), (), ())))


def _columns(table: Iterable[tuple[object, ...]]) -> tuple[tuple[object, ...], ...]:
    return tuple(zip(*table, strict=True))
