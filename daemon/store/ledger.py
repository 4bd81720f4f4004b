"""What the ledger asks the database: one statement a channel, one for all of them together."""

from typing import Any

from actors.ledger import Ledger, LedgerTotals, unknown_of
from actors.messages.ids import ChannelId
from daemon.store.pool import Connection
from daemon.store.spans import spans

# Measured with 1,000,000 posts, 4.5 % of them not plain: 68 ms, and 99 with 2,000 holes, from the primary key and the
# index posts_classified alone; 570 ms where no vacuum has been there since they were written.
_ONE = """
SELECT v.channel_id, v.top AS top_id, v.start_id, v.goal_id, v.covered, v.doubt_since, v.doubt_why,
    c.noforwards, held.ids AS held, apart.deleted, apart.service, apart.undecodable, apart.restricted,
    doubted.ids AS doubted
FROM coverage v JOIN channels c ON c.id = v.channel_id,
LATERAL (
    SELECT count(*) AS ids FROM posts p WHERE p.channel_id = v.channel_id AND p.message_id BETWEEN 1 AND v.top
) held,
LATERAL (
    SELECT count(*) FILTER (WHERE p.deleted_at IS NOT NULL) AS deleted,
        count(*) FILTER (WHERE p.deleted_at IS NULL AND p.kind = 'service') AS service,
        count(*) FILTER (WHERE p.deleted_at IS NULL AND p.kind = 'undecodable') AS undecodable,
        count(*) FILTER (WHERE p.deleted_at IS NULL AND p.kind = 'post') AS restricted
    FROM posts p
    WHERE p.channel_id = v.channel_id AND p.message_id BETWEEN 1 AND v.top
        AND (p.kind <> 'post' OR p.deleted_at IS NOT NULL OR p.noforwards)
) apart,
LATERAL (
    SELECT coalesce(sum(part.ids), 0)::bigint AS ids
    FROM unnest(int8multirange(int8range(1, v.top + 1)) - v.covered) AS hole,
    LATERAL (
        SELECT count(*) AS ids FROM posts p
        WHERE p.channel_id = v.channel_id AND p.message_id >= lower(hole) AND p.message_id < upper(hole)
    ) part
) doubted
WHERE v.channel_id = $1
"""

# From coverage alone: 60 ms for 10,000 channels, however many posts there are.
_TOTALS = """
WITH parts AS (
    SELECT v.*, coalesce(v.start_id, v.top + 1) AS first_id,
        CASE WHEN v.start_id IS NULL THEN v.top + 1 ELSE least(v.goal_id, v.start_id) END AS bottom_id
    FROM coverage v
), counted AS (
    SELECT p.*, whole.ids AS covered_ids, above.ids AS above_ids, wanted.ids AS wanted_ids
    FROM parts p,
    LATERAL (SELECT coalesce(sum(upper(r) - lower(r)), 0)::bigint AS ids
        FROM unnest(p.covered * int8multirange(int8range(1, p.top + 1))) r) whole,
    LATERAL (SELECT coalesce(sum(upper(r) - lower(r)), 0)::bigint AS ids
        FROM unnest(int8multirange(int8range(least(p.first_id, p.top + 1), p.top + 1)) - p.covered) r) above,
    LATERAL (SELECT coalesce(sum(upper(r) - lower(r)), 0)::bigint AS ids
        FROM unnest(int8multirange(
            int8range(least(p.bottom_id, p.top + 1), least(p.first_id, p.top + 1))
        ) - p.covered) r) wanted
)
SELECT coalesce(sum(covered_ids), 0)::bigint AS covered, coalesce(sum(above_ids), 0)::bigint AS missing,
    coalesce(sum(wanted_ids), 0)::bigint AS awaited,
    coalesce(sum(top - covered_ids - above_ids - wanted_ids), 0)::bigint AS unasked,
    coalesce(sum(added_total + backfilled_total - deleted_total - expired_total), 0)::bigint AS stored,
    coalesce(sum(deleted_total), 0)::bigint AS deleted,
    count(doubt_since) AS channels_in_doubt,
    coalesce(greatest(extract(epoch FROM now() - min(doubt_since)), 0), 0)::float8 AS oldest_doubt
FROM counted
"""


async def ledger_of(connection: Connection, channel_id: ChannelId) -> Ledger | None:
    row = await connection.fetchrow(_ONE, channel_id)
    return None if row is None else _ledger(row)


async def ledger_totals(connection: Connection) -> LedgerTotals:
    row = await connection.fetchrow(_TOTALS)
    assert row is not None, "a sum over nothing is a row too"
    return LedgerTotals(**dict(row))


def _ledger(row: Any) -> Ledger:
    covered = spans(row["covered"])
    unknown = unknown_of(covered, start=row["start_id"], goal=row["goal_id"], top=row["top_id"])
    apart = row["deleted"] + row["service"] + row["undecodable"]
    stored = row["held"] - apart
    return Ledger(
        channel_id=row["channel_id"],
        top_id=row["top_id"],
        start_id=row["start_id"],
        goal_id=row["goal_id"],
        stored=stored,
        restricted=stored if row["noforwards"] else row["restricted"],
        deleted=row["deleted"],
        service=row["service"],
        undecodable=row["undecodable"],
        empty=row["top_id"] - unknown.total - (row["held"] - row["doubted"]),
        unknown=unknown.total,
        missing=unknown.missing,
        awaited=unknown.awaited,
        unasked=unknown.unasked,
        doubted=row["doubted"],
        doubt_since=row["doubt_since"],
        doubt_why=row["doubt_why"],
    )
