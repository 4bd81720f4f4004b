"""Channels and memberships. Coverage is written by Posts alone."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import asyncpg

from actors.errors import UserUnknown
from actors.ledger import Ledger, LedgerTotals
from actors.messages.content import Membership, WantedName
from actors.messages.ids import AccountId, ChannelCondition, ChannelId
from actors.messages.rows import ChannelRow
from actors.places import place_of
from daemon.store.errors import ChannelMissing
from daemon.store.ledger import ledger_of, ledger_totals
from daemon.store.pool import Connection, Database
from daemon.store.spans import spans

_ROWS = """
SELECT c.id AS channel_id, c.username, c.title, c.condition, c.reader_id, c.noforwards, c.migrated_from,
    (SELECT count(*) FROM memberships m WHERE m.channel_id = c.id AND m.active) AS subscriptions,
    v.added_total + v.backfilled_total - v.deleted_total - v.expired_total AS posts, v.start_id, v.top AS top_id,
    v.floor AS floor_id, v.pts, v.covered, v.goal_id, v.backfilled_total AS backfilled, v.doubt_since, v.doubt_why
FROM channels c JOIN coverage v ON v.channel_id = c.id
"""
_CONDITIONS = """
SELECT c.condition, count(*) FROM channels c
WHERE EXISTS (SELECT FROM memberships m WHERE m.channel_id = c.id AND m.active) GROUP BY c.condition
"""
_ALL = _ROWS + "ORDER BY c.id"
_ONE = _ROWS + "WHERE c.id = $1"
_BY_USERNAME = _ROWS + "WHERE lower(c.username) = lower($1)"
_OF_ACCOUNT = "SELECT channel_id FROM memberships WHERE account_id = $1 AND active ORDER BY channel_id"
_MEMBERSHIPS = """
SELECT m.account_id, m.channel_id, m.access_hash, c.username, c.title, c.broadcast, c.noforwards
FROM memberships m JOIN channels c ON c.id = m.channel_id
WHERE m.active AND ($1::bigint IS NULL OR m.account_id = $1) ORDER BY m.account_id, m.channel_id
"""

_FORMER = """
SELECT m.account_id, m.channel_id, m.access_hash, c.username, c.title, c.broadcast, c.noforwards
FROM memberships m JOIN channels c ON c.id = m.channel_id
WHERE m.channel_id = $1 AND NOT m.active ORDER BY m.ended_at DESC, m.account_id
"""
_LOST = """
SELECT c.id, coalesce(max(m.ended_at), c.changed_at) FROM channels c
LEFT JOIN memberships m ON m.channel_id = c.id AND NOT m.active WHERE c.condition = 'private' GROUP BY c.id
"""
_NAMES = "SELECT name, channel_ids, tried_at FROM names"
_KEEP_NAME = """
INSERT INTO names AS n (name, channel_ids) VALUES ($1, ARRAY[$2::bigint])
ON CONFLICT (name) DO UPDATE SET tried_at = NULL, cause = NULL,
    channel_ids = CASE WHEN $2 = ANY(n.channel_ids) THEN n.channel_ids ELSE n.channel_ids || $2::bigint END
"""
_MISS_NAME = """
INSERT INTO names AS n (name, tried_at, cause) VALUES ($1, $3, $2)
ON CONFLICT (name) DO UPDATE SET tried_at = excluded.tried_at, cause = excluded.cause
"""

# By the primary key alone: 200 entries of each channel, however many posts it has.
_TRAFFIC = """
SELECT c.id, count(p.date), min(p.date) FROM channels c LEFT JOIN LATERAL (
    SELECT date FROM posts WHERE channel_id = c.id ORDER BY message_id DESC LIMIT 200
) p ON p.date <= $1 GROUP BY c.id
"""
_SHORTEST_VIEW = 3600.0
"""Seconds: a channel that is younger tells too little of a day."""

# Two lists at once could each wait for a name that the other holds.
_ONE_LIST_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext('telewarden.memberships'))"
_FREE_NAMES = """
UPDATE channels c SET username = NULL, changed_at = now()
FROM unnest($1::bigint[], $2::text[]) AS n (channel_id, username)
WHERE lower(c.username) = lower(n.username) AND c.id <> n.channel_id
"""
_SAVE_CHANNELS = """
INSERT INTO channels AS c (id, username, title, broadcast, noforwards)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::boolean[], $5::boolean[])
ON CONFLICT (id) DO UPDATE SET username = excluded.username, title = excluded.title, broadcast = excluded.broadcast,
    noforwards = excluded.noforwards, changed_at = now(),
    condition = CASE c.condition WHEN 'private' THEN 'active' ELSE c.condition END
WHERE c.condition = 'private' OR (c.username, c.title, c.broadcast, c.noforwards)
    IS DISTINCT FROM (excluded.username, excluded.title, excluded.broadcast, excluded.noforwards)
"""
_SAVE_COVERAGE = "INSERT INTO coverage (channel_id) SELECT * FROM unnest($1::bigint[]) ON CONFLICT DO NOTHING"
_SAVE_MEMBERSHIPS = """
INSERT INTO memberships AS m (account_id, channel_id, access_hash)
SELECT $1, * FROM unnest($2::bigint[], $3::bigint[])
ON CONFLICT (account_id, channel_id) DO UPDATE SET access_hash = excluded.access_hash, active = true, ended_at = NULL,
    since = CASE WHEN m.active THEN m.since ELSE now() END
WHERE NOT m.active OR m.access_hash <> excluded.access_hash
"""
_END_OTHERS = """
UPDATE memberships SET active = false, ended_at = now()
WHERE account_id = $1 AND active AND channel_id <> ALL($2::bigint[])
"""
# What an account says of itself at every start is mostly known: one question instead of a transaction.
_KNOWN = """
SELECT NOT EXISTS (
    SELECT FROM unnest($2::bigint[], $3::text[], $4::text[], $5::boolean[], $6::boolean[], $7::bigint[])
        AS n (id, username, title, broadcast, noforwards, access_hash)
    LEFT JOIN channels c ON c.id = n.id LEFT JOIN coverage v ON v.channel_id = n.id
    LEFT JOIN memberships m ON m.account_id = $1 AND m.channel_id = n.id
    WHERE m.active IS NOT TRUE OR m.access_hash <> n.access_hash OR v.channel_id IS NULL OR c.condition = 'private'
        OR (c.username, c.title, c.broadcast, c.noforwards)
            IS DISTINCT FROM (n.username, n.title, n.broadcast, n.noforwards)
) AND NOT ($8 AND EXISTS (
    SELECT FROM memberships WHERE account_id = $1 AND active AND channel_id <> ALL($2::bigint[])
))
"""
_END = "UPDATE memberships SET active = false, ended_at = now() WHERE account_id = $1 AND channel_id = $2 AND active"
_SET_GOAL = "UPDATE coverage SET goal_id = $2 WHERE channel_id = $1 RETURNING channel_id"
_SET_READER = "UPDATE channels SET reader_id = $2 WHERE id = $1 RETURNING id"
_SET_CONDITION = "UPDATE channels SET condition = $2, cause = $3, changed_at = now() WHERE id = $1 RETURNING id"


class StoredChannels:
    """Implements ``actors.ports.Channels``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> tuple[ChannelRow, ...]:
        async with self._database.reading() as connection:
            return tuple(_row(row) for row in await connection.fetch(_ALL))

    async def one(self, channel_id: ChannelId) -> ChannelRow | None:
        return await self._find(_ONE, channel_id)

    async def by_name(self, name: str) -> ChannelRow | None:
        place = place_of(name)
        if place is None:
            return None
        if place.channel_id is not None:
            return await self._find(_ONE, place.channel_id)
        return None if place.username is None else await self._find(_BY_USERNAME, place.username)

    async def of_account(self, account_id: AccountId) -> tuple[ChannelId, ...]:
        async with self._database.reading() as connection:
            return tuple(row[0] for row in await connection.fetch(_OF_ACCOUNT, account_id))

    async def memberships(self, account_id: AccountId | None = None) -> tuple[Membership, ...]:
        async with self._database.reading() as connection:
            return tuple(Membership(**dict(row)) for row in await connection.fetch(_MEMBERSHIPS, account_id))

    async def save_memberships(
        self, account_id: AccountId, memberships: Iterable[Membership], *, complete: bool
    ) -> None:
        """As the port says. Raises: UserUnknown."""
        latest = {membership.channel_id: membership for membership in memberships}
        columns = _columns(latest)
        async with self._database.reading() as connection:
            if await connection.fetchval(_KNOWN, account_id, *columns, complete):
                return
        try:
            async with self._database.writing() as connection:
                await connection.execute(_ONE_LIST_AT_A_TIME)
                await _save(connection, account_id, columns)
                if complete:
                    await connection.execute(_END_OTHERS, account_id, list(latest))
        except asyncpg.ForeignKeyViolationError as error:
            raise UserUnknown(account_id) from error

    async def former_members(self, channel_id: ChannelId) -> tuple[Membership, ...]:
        async with self._database.reading() as connection:
            return tuple(Membership(**dict(row)) for row in await connection.fetch(_FORMER, channel_id))

    async def lost_since(self) -> Mapping[ChannelId, datetime]:
        async with self._database.reading() as connection:
            return {ChannelId(row[0]): row[1] for row in await connection.fetch(_LOST)}

    async def wanted_names(self) -> Mapping[str, WantedName]:
        async with self._database.reading() as connection:
            rows = await connection.fetch(_NAMES)
        return {
            row["name"]: WantedName(name=row["name"], channel_ids=tuple(row["channel_ids"]), tried_at=row["tried_at"])
            for row in rows
        }

    async def keep_name(self, name: str, channel_id: ChannelId) -> None:
        async with self._database.writing() as connection:
            await connection.execute(_KEEP_NAME, name, channel_id)

    async def miss_name(self, name: str, cause: str, at: datetime) -> None:
        async with self._database.writing() as connection:
            await connection.execute(_MISS_NAME, name, cause, at)

    async def end_membership(self, account_id: AccountId, channel_id: ChannelId) -> None:
        async with self._database.writing() as connection:
            await connection.execute(_END, account_id, channel_id)

    async def set_reader(self, channel_id: ChannelId, account_id: AccountId | None) -> None:
        await self._change(_SET_READER, channel_id, account_id)

    async def set_condition(self, channel_id: ChannelId, condition: ChannelCondition, cause: str | None) -> None:
        await self._change(_SET_CONDITION, channel_id, condition, cause)

    async def set_goal(self, channel_id: ChannelId, goal: int | None) -> None:
        await self._change(_SET_GOAL, channel_id, goal)

    async def ledger(self, channel_id: ChannelId) -> Ledger | None:
        async with self._database.reading() as connection:
            return await ledger_of(connection, channel_id)

    async def conditions(self) -> Mapping[ChannelCondition, int]:
        async with self._database.reading() as connection:
            return {row[0]: row[1] for row in await connection.fetch(_CONDITIONS)}

    async def ledger_totals(self) -> LedgerTotals:
        async with self._database.reading() as connection:
            return await ledger_totals(connection)

    async def traffic(self, now: datetime) -> Mapping[ChannelId, float]:
        async with self._database.reading() as connection:
            rows = await connection.fetch(_TRAFFIC, now)
        return {
            ChannelId(row[0]): row[1] * 86_400 / max(_SHORTEST_VIEW, (now - row[2]).total_seconds()) if row[1] else 0.0
            for row in rows
        }

    async def _find(self, query: str, argument: object) -> ChannelRow | None:
        async with self._database.reading() as connection:
            row = await connection.fetchrow(query, argument)
        return None if row is None else _row(row)

    async def _change(self, query: str, channel_id: ChannelId, *arguments: object) -> None:
        async with self._database.writing() as connection:
            if await connection.fetchval(query, channel_id, *arguments) is None:
                raise ChannelMissing(f"channel {channel_id} has no row")


def _columns(latest: dict[ChannelId, Membership]) -> tuple[list[Any], ...]:
    """Ids, names, titles, whether each broadcasts, whether it forbids forwarding, access hashes; ascending by id."""
    ids = sorted(latest)
    ordered = [latest[channel_id] for channel_id in ids]
    # One name can stand only once; within a list the later channel has it.
    holders = {m.username.lower(): m.channel_id for m in latest.values() if m.username}
    names = [m.username if m.username and holders[m.username.lower()] == m.channel_id else None for m in ordered]
    flags = [m.broadcast for m in ordered], [m.noforwards for m in ordered]
    return ids, names, [m.title for m in ordered], *flags, [m.access_hash for m in ordered]


async def _save(connection: Connection, account_id: AccountId, columns: tuple[list[Any], ...]) -> None:
    ids, names, titles, broadcast, noforwards, hashes = columns
    # First of all names free those that move, so that two channels may swap theirs.
    await connection.execute(_FREE_NAMES, ids, names)
    await connection.execute(_SAVE_CHANNELS, ids, names, titles, broadcast, noforwards)
    await connection.execute(_SAVE_COVERAGE, ids)
    await connection.execute(_SAVE_MEMBERSHIPS, account_id, ids, hashes)


def _row(row: Any) -> ChannelRow:
    values = dict(row)
    return ChannelRow(**values | {"covered": spans(values["covered"])})
