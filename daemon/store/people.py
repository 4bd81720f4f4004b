"""Roles, invites, consents and removals."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime

from actors.errors import InviteRefused, UserUnknown
from actors.messages.content import Profile
from actors.messages.ids import AccountId, ChannelId, Language
from actors.messages.people import Invite, NewInvite, SignInLink, UserRole
from daemon.store.pool import Connection, Database

_SET_ROLE = "UPDATE users SET role = $2, changed_at = now() WHERE id = $1 RETURNING id"
_SET_PLAN = "UPDATE users SET plan = $2, changed_at = now() WHERE id = $1 RETURNING id"
_SET_LANGUAGE = "UPDATE users SET language = $2 WHERE id = $1 RETURNING id"
_INVITE = """
INSERT INTO invites (digest, role, plan, uses, uses_left, created_by, expires_at) VALUES ($1, $2, $3, $4, $4, $5, $6)
"""
_ROW = "id AS invite_id, role, plan, uses, uses_left, created_by, created_at, expires_at, revoked_at"
_INVITES = f"SELECT {_ROW} FROM invites WHERE id < $1 ORDER BY id DESC LIMIT $2"  # noqa: S608 - columns
_REVOKE = "UPDATE invites SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 RETURNING id"
# Whoever comes with the same code waits here until the one before has used it or not.
_HELD = f"SELECT {_ROW} FROM invites WHERE digest = $1 FOR UPDATE"  # noqa: S608 - columns
_WAS_USED = "SELECT EXISTS (SELECT FROM invite_uses WHERE invite_id = $1 AND user_id = $2)"
_USE = "UPDATE invites SET uses_left = uses_left - 1 WHERE id = $1"
_NOTE_USE = "INSERT INTO invite_uses (invite_id, user_id) VALUES ($1, $2)"
_TAKE_IN = """
INSERT INTO users AS u (id, username, first_name, last_name, role, plan, invited_by) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (id) DO UPDATE SET plan = excluded.plan, changed_at = now(),
    invited_by = coalesce(u.invited_by, excluded.invited_by),
    role = CASE WHEN array_position($8::text[], excluded.role) > array_position($8::text[], u.role)
        THEN excluded.role ELSE u.role END
"""
_RANKED = ["user", "admin", "owner"]
_CONSENT = """
INSERT INTO consents (user_id, text_version, road) VALUES ($1, $2, $3)
ON CONFLICT (user_id, text_version, road) DO UPDATE SET given_at = now()
"""
_CONSENTED = "SELECT max(given_at) FROM consents WHERE user_id = $1 AND text_version = $2"
_LINK = "INSERT INTO sign_in_links (digest, user_id, sign_in_id, expires_at) VALUES ($1, $2, $3, $4)"
_LINK_STANDS = "SELECT EXISTS (SELECT FROM sign_in_links WHERE digest = $1 AND expires_at > $2 AND opened_at IS NULL)"
_OPEN_LINK = """
UPDATE sign_in_links SET opened_at = $2 WHERE digest = $1 AND expires_at > $2 AND opened_at IS NULL
RETURNING user_id, sign_in_id
"""
_ORPHANS = """
SELECT m.channel_id FROM memberships m WHERE m.account_id = $1 AND NOT EXISTS (
    SELECT FROM memberships o WHERE o.channel_id = m.channel_id AND o.account_id <> $1 AND o.active
) ORDER BY m.channel_id
"""
_REMOVE = "DELETE FROM users WHERE id = $1 RETURNING id"
_OF_CHANNELS = ("post_series", "post_raw", "post_stats", "post_versions", "post_files", "alerts")
_CHOICES = "SELECT channel_id, wanted FROM choices WHERE account_id = $1"
_CHOOSE = """
INSERT INTO choices (account_id, channel_id, wanted) SELECT $1, each, $3 FROM unnest($2::bigint[]) AS each
ON CONFLICT (account_id, channel_id) DO UPDATE SET wanted = excluded.wanted, chosen_at = now()
WHERE choices.wanted <> excluded.wanted
"""


class StoredPeople:
    """Implements ``actors.ports.People``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set_role(self, user_id: AccountId, role: UserRole) -> None:
        await self._set(_SET_ROLE, user_id, role)

    async def set_plan(self, user_id: AccountId, plan: str) -> None:
        await self._set(_SET_PLAN, user_id, plan)

    async def set_language(self, user_id: AccountId, language: Language) -> None:
        await self._set(_SET_LANGUAGE, user_id, language)

    async def _set(self, statement: str, user_id: AccountId, value: str) -> None:
        async with self._database.writing() as connection:
            if await connection.fetchval(statement, user_id, value) is None:
                raise UserUnknown(user_id)

    async def invite(self, new: NewInvite) -> Invite:
        statement = f"{_INVITE} RETURNING {_ROW}"
        async with self._database.writing() as connection:
            row = await connection.fetchrow(
                statement, _digest(new.code), new.role, new.plan, new.uses, new.created_by, new.expires_at
            )
        assert row is not None, "an INSERT returns what it inserted"
        return Invite(**dict(row))

    async def invites(self, *, before_id: int, limit: int) -> tuple[Invite, ...]:
        async with self._database.reading() as connection:
            return tuple(Invite(**dict(row)) for row in await connection.fetch(_INVITES, before_id, limit))

    async def revoke(self, invite_id: int) -> bool:
        async with self._database.writing() as connection:
            return await connection.fetchval(_REVOKE, invite_id) is not None

    async def redeem(self, code: str, profile: Profile, now: datetime) -> Invite:
        user_id = profile.account_id
        async with self._database.writing() as connection:
            row = await connection.fetchrow(_HELD, _digest(code))
            if row is None:
                raise InviteRefused("unknown")
            invite = Invite(**dict(row))
            if await connection.fetchval(_WAS_USED, invite.invite_id, user_id):
                return invite
            if invite.revoked_at is not None or invite.expires_at <= now:
                raise InviteRefused("expired")
            if not invite.uses_left:
                raise InviteRefused("used")
            await self._take_in(connection, invite, profile)
        return invite

    async def _take_in(self, connection: Connection, invite: Invite, profile: Profile) -> None:
        names = (profile.username, profile.first_name, profile.last_name)
        terms = (invite.role, invite.plan, invite.created_by)
        await connection.execute(_TAKE_IN, profile.account_id, *names, *terms, _RANKED)
        await connection.execute(_NOTE_USE, invite.invite_id, profile.account_id)
        await connection.execute(_USE, invite.invite_id)

    async def consent(self, user_id: AccountId, text_version: str, road: str) -> None:
        async with self._database.writing() as connection:
            await connection.execute(_CONSENT, user_id, text_version, road)

    async def consented_at(self, user_id: AccountId, text_version: str) -> datetime | None:
        async with self._database.reading() as connection:
            at: datetime | None = await connection.fetchval(_CONSENTED, user_id, text_version)
            return at

    async def make_link(self, token: str, link: SignInLink, expires_at: datetime) -> None:
        async with self._database.writing() as connection:
            await connection.execute("DELETE FROM sign_in_links WHERE expires_at < now()")
            await connection.execute(_LINK, _digest(token), link.user_id, link.sign_in_id, expires_at)

    async def link_stands(self, token: str, now: datetime) -> bool:
        async with self._database.reading() as connection:
            return bool(await connection.fetchval(_LINK_STANDS, _digest(token), now))

    async def open_link(self, token: str, now: datetime) -> SignInLink | None:
        async with self._database.writing() as connection:
            row = await connection.fetchrow(_OPEN_LINK, _digest(token), now)
        return None if row is None else SignInLink(**dict(row))

    async def followed_alone(self, user_id: AccountId) -> tuple[ChannelId, ...]:
        async with self._database.reading() as connection:
            return tuple(row[0] for row in await connection.fetch(_ORPHANS, user_id))

    async def remove(self, user_id: AccountId, channels: Iterable[ChannelId]) -> int:
        ids = list(channels)
        async with self._database.writing() as connection:
            if await connection.fetchval(_REMOVE, user_id) is None:
                raise UserUnknown(user_id)
            for table in _OF_CHANNELS:
                await connection.execute(f"DELETE FROM {table} WHERE channel_id = ANY ($1::bigint[])", ids)  # noqa: S608 - our names
            done = await connection.execute("DELETE FROM posts WHERE channel_id = ANY ($1::bigint[])", ids)
            await connection.execute("DELETE FROM channels WHERE id = ANY ($1::bigint[])", ids)
            await connection.execute("DELETE FROM alerts WHERE account_id = $1", user_id)
            await connection.execute("DELETE FROM jobs WHERE user_id = $1", user_id)
        return int(done.rpartition(" ")[2])

    async def choices(self, account_id: AccountId) -> Mapping[ChannelId, bool]:
        async with self._database.reading() as connection:
            return {row["channel_id"]: row["wanted"] for row in await connection.fetch(_CHOICES, account_id)}

    async def choose(self, account_id: AccountId, channel_ids: Iterable[ChannelId], *, wanted: bool) -> None:
        async with self._database.writing() as connection:
            await connection.execute(_CHOOSE, account_id, list(channel_ids), wanted)


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode("utf-8", "surrogateescape")).digest()
