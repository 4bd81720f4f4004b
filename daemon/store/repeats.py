"""Requests that may be repeated, and their answers, sealed: some hold what is shown once."""

from datetime import datetime, timedelta

from actors.messages.access import Asked
from actors.ports import Keys
from daemon.store.pool import Database

KEPT_FOR = timedelta(days=1)
"""The IETF's draft leaves it to the server."""
KEPT = 10_000
"""Keys at most; the oldest are forgotten."""
# What is too old is a new key, whether it was swept or not.
_BEGIN = """
INSERT INTO repeats (who, key, asked, at) VALUES ($1, $2, $3, $4)
ON CONFLICT (who, key) DO UPDATE SET asked = excluded.asked, at = excluded.at, sealed = NULL WHERE repeats.at < $5
RETURNING true
"""
_KNOWN = "SELECT asked, sealed FROM repeats WHERE who = $1 AND key = $2"
_END = "UPDATE repeats SET sealed = $3 WHERE who = $1 AND key = $2"
_DROP = "DELETE FROM repeats WHERE who = $1 AND key = $2"
_FORGET = """
DELETE FROM repeats WHERE at < $1 OR at < (SELECT at FROM repeats ORDER BY at DESC OFFSET $2 LIMIT 1)
"""


class StoredRepeats:
    """Implements ``actors.ports.Repeats``."""

    def __init__(self, database: Database, keys: Keys) -> None:
        self._database = database
        self._keys = keys

    async def begin(self, who: str, key: str, asked: bytes, now: datetime) -> Asked | None:
        async with self._database.writing() as connection:
            if await connection.fetchval(_BEGIN, who, key, self._keys.digest(asked), now, now - KEPT_FOR):
                return None
            row = await connection.fetchrow(_KNOWN, who, key)
        assert row is not None, "it was in the way of an INSERT"
        return Asked(same=self._keys.is_digest_of(row["asked"], asked) is not False, sealed=row["sealed"])

    def open(self, who: str, key: str, sealed: bytes) -> bytes:
        return self._keys.open_answer(_name(who, key), sealed)

    async def end(self, who: str, key: str, answer: bytes) -> None:
        async with self._database.writing() as connection:
            await connection.execute(_END, who, key, self._keys.seal_answer(_name(who, key), answer))

    async def drop(self, who: str, key: str) -> None:
        async with self._database.writing() as connection:
            await connection.execute(_DROP, who, key)

    async def forget(self, now: datetime) -> int:
        async with self._database.writing() as connection:
            done = await connection.execute(_FORGET, now - KEPT_FOR, KEPT)
        return int(done.rpartition(" ")[2])


def _name(who: str, key: str) -> bytes:
    """No two pairs make the same: a key holds no NUL."""
    return f"{who}\0{key}".encode()
