"""Tokens for HTTP, and the audit of what was asked with them."""

from datetime import datetime, timedelta

import asyncpg

from actors.errors import NameTaken
from actors.messages.access import Audited, NewToken, Token
from daemon.store.pool import Database

KEPT = timedelta(days=400)
"""How long the audit goes back."""
_ROW = "id AS token_id, name, role, created_by, created_at, expires_at, last_used_at, revoked_at"
_CREATE = f"""
INSERT INTO tokens (name, role, digest, created_by, expires_at) VALUES ($1, $2, $3, $4, $5) RETURNING {_ROW}
"""  # noqa: S608 - columns
_FIND = f"SELECT {_ROW} FROM tokens WHERE digest = $1"  # noqa: S608 - columns
_ALL = f"SELECT {_ROW} FROM tokens WHERE id > $1 ORDER BY id LIMIT $2"  # noqa: S608 - columns
_REVOKE = f"""
UPDATE tokens SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 RETURNING {_ROW}
"""  # noqa: S608 - columns
_USED = "UPDATE tokens SET last_used_at = greatest(last_used_at, $2) WHERE id = $1"
_NOTE = "INSERT INTO audit (at, who, role, method, path, status) VALUES ($1, $2, $3, $4, $5, $6)"
_FORGET = "DELETE FROM audit WHERE at < $1"
_AUDIT = """
SELECT id AS audit_id, at, who, role, method, path, status FROM audit WHERE id < $1 ORDER BY id DESC LIMIT $2
"""


class StoredAccess:
    """Implements ``actors.ports.Access``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, token: NewToken) -> Token:
        async with self._database.writing() as connection:
            try:
                row = await connection.fetchrow(
                    _CREATE, token.name, token.role, token.digest, token.created_by, token.expires_at
                )
            except asyncpg.UniqueViolationError:
                raise NameTaken(token.name) from None
        assert row is not None, "an INSERT returns what it inserted"
        return Token(**dict(row))

    async def find(self, digest: bytes) -> Token | None:
        async with self._database.reading() as connection:
            row = await connection.fetchrow(_FIND, digest)
        return None if row is None else Token(**dict(row))

    async def tokens(self, *, after_id: int, limit: int) -> tuple[Token, ...]:
        async with self._database.reading() as connection:
            return tuple(Token(**dict(row)) for row in await connection.fetch(_ALL, after_id, limit))

    async def revoke(self, token_id: int) -> Token | None:
        async with self._database.writing() as connection:
            row = await connection.fetchrow(_REVOKE, token_id)
        return None if row is None else Token(**dict(row))

    async def used(self, token_id: int, at: datetime) -> None:
        async with self._database.writing() as connection:
            await connection.execute(_USED, token_id, at)

    async def note(self, audited: Audited) -> None:
        async with self._database.writing() as connection:
            await connection.execute(
                _NOTE, audited.at, audited.who, audited.role, audited.method, audited.path, audited.status
            )

    async def forget(self, now: datetime) -> int:
        async with self._database.writing() as connection:
            done = await connection.execute(_FORGET, now - KEPT)
        return int(done.rpartition(" ")[2])

    async def audit(self, *, before_id: int, limit: int) -> tuple[Audited, ...]:
        async with self._database.reading() as connection:
            return tuple(Audited(**dict(row)) for row in await connection.fetch(_AUDIT, before_id, limit))
