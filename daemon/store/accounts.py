"""Accounts: who they are, how they are, and their sealed sessions."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg
import orjson

from actors.errors import SessionRejected, UserUnknown
from actors.messages.content import Profile
from actors.messages.ids import AccountId, AccountState
from actors.messages.rows import AccountRow, Device, FloodRow, Pace, SessionKey, UpdateState
from actors.ports import Keys
from daemon.store.pool import Connection, Database

_ROWS = """
SELECT u.id AS account_id, u.username, u.first_name, u.last_name, u.bot, u.created_at AS since,
    CASE WHEN f.method IS NULL THEN u.state ELSE 'flooded' END AS state,
    CASE WHEN f.method IS NULL THEN u.cause
        ELSE format('%s, until %s UTC', f.method, to_char(f.until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'))
        END AS cause,
    coalesce(f.since, u.state_since) AS state_since, u.role, u.plan, u.language,
    EXISTS (SELECT FROM sessions s WHERE s.account_id = u.id) AS has_session,
    (SELECT count(*) FROM memberships m WHERE m.account_id = u.id AND m.active) AS channels
FROM users u
LEFT JOIN LATERAL (
    SELECT method, until, since FROM floods WHERE account_id = u.id AND until > now() AND u.state = 'active'
    ORDER BY until DESC LIMIT 1
) f ON true
"""
_ALL = _ROWS + "ORDER BY u.id"
_ONE = _ROWS + "WHERE u.id = $1"
_SAVE_PROFILE = """
INSERT INTO users AS u (id, username, first_name, last_name, bot) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (id) DO UPDATE SET username = excluded.username, first_name = excluded.first_name,
    last_name = excluded.last_name, bot = excluded.bot, changed_at = now()
WHERE (u.username, u.first_name, u.last_name, u.bot)
    IS DISTINCT FROM (excluded.username, excluded.first_name, excluded.last_name, excluded.bot)
"""
_SET_STATE = """
UPDATE users SET state = $2, cause = $3, changed_at = now(),
    state_since = CASE WHEN (state, cause) IS DISTINCT FROM ($2, $3) THEN now() ELSE state_since END
WHERE id = $1 RETURNING id
"""
_SESSION = "SELECT sealed, device_model, device_system, device_app FROM sessions WHERE account_id = $1"
_SAVE_SESSION = """
INSERT INTO sessions (account_id, sealed, device_model, device_system, device_app) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (account_id) DO UPDATE SET sealed = excluded.sealed, saved_at = now(), device_model = excluded.device_model,
    device_system = excluded.device_system, device_app = excluded.device_app
"""
_WIPE_SESSION = "DELETE FROM sessions WHERE account_id = $1"
_UPDATE_STATE = "SELECT pts, qts, date, seq FROM update_states WHERE account_id = $1"
_SAVE_UPDATE_STATE = """
INSERT INTO update_states (account_id, pts, qts, date, seq) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (account_id) DO UPDATE
SET pts = excluded.pts, qts = excluded.qts, date = excluded.date, seq = excluded.seq
"""
_FLOODS = "SELECT method, until FROM floods WHERE account_id = $1 AND until > now()"
_SAVE_FLOOD = """
INSERT INTO floods AS f (account_id, method, until) VALUES ($1, $2, $3)
ON CONFLICT (account_id, method) DO UPDATE SET until = greatest(f.until, excluded.until),
    since = CASE WHEN f.until > now() THEN f.since ELSE now() END
"""
_ALL_FLOODS = "SELECT account_id, method, since, until FROM floods WHERE until > now() ORDER BY account_id, method"
_FORGET_FLOOD = "DELETE FROM floods WHERE account_id = $1 AND method = $2 RETURNING until > now()"
_FORGET_PACE = "DELETE FROM paces WHERE account_id = $1 AND method = $2 RETURNING TRUE"
_PACES = "SELECT method, calls, seconds FROM paces WHERE account_id = $1"
_SAVE_PACE = """
INSERT INTO paces (account_id, method, calls, seconds) VALUES ($1, $2, $3, $4)
ON CONFLICT (account_id, method) DO UPDATE SET calls = excluded.calls, seconds = excluded.seconds, learned_at = now()
"""


logger = logging.getLogger(__name__)


class StoredAccounts:
    """Implements ``actors.ports.Accounts``. Writes for an account without a row raise UserUnknown."""

    def __init__(self, database: Database, keys: Keys) -> None:
        self._database = database
        self._keys = keys

    async def all(self) -> tuple[AccountRow, ...]:
        async with self._database.reading() as connection:
            return tuple(AccountRow(**dict(row)) for row in await connection.fetch(_ALL))

    async def one(self, account_id: AccountId) -> AccountRow | None:
        async with self._database.reading() as connection:
            row = await connection.fetchrow(_ONE, account_id)
        return None if row is None else AccountRow(**dict(row))

    async def save_profile(self, profile: Profile) -> None:
        async with self._database.writing() as connection:
            await connection.execute(
                _SAVE_PROFILE,
                *(profile.account_id, profile.username, profile.first_name, profile.last_name, profile.bot),
            )

    async def set_state(self, account_id: AccountId, state: AccountState, cause: str | None) -> None:
        async with self._database.writing() as connection:
            if await connection.fetchval(_SET_STATE, account_id, state, cause) is None:
                raise UserUnknown(account_id)

    async def session(self, account_id: AccountId) -> SessionKey | None:
        async with self._database.reading() as connection:
            row = await connection.fetchrow(_SESSION, account_id)
        if row is None:
            return None
        device = Device(model=row["device_model"], system=row["device_system"], app=row["device_app"])
        return _parsed(account_id, self._keys.open(account_id, row["sealed"]), device)

    async def save_session(self, key: SessionKey) -> None:
        keys = self._keys
        async with self._writing_for(key.account_id) as connection:
            sealed = None
            # A rotation holds the table while it seals anew: what waited for it was sealed with the former key.
            while sealed is None or keys.sealed_with(sealed) != keys.current:
                sealed = keys.seal(key.account_id, _packed(key))
                device = key.device
                names = (device.model, device.system, device.app)
                await connection.execute(_SAVE_SESSION, key.account_id, sealed, *names)

    async def reseal(self) -> int:
        """Seal with the present master key what was sealed with another; how many. All of them or none.

        One that no known key opens is left as it is: no key that is given up could open it.
        """
        async with self._database.writing() as connection:
            await connection.execute("LOCK TABLE sessions IN SHARE ROW EXCLUSIVE MODE")
            rows = await connection.fetch("SELECT account_id, sealed FROM sessions")
            anew = await asyncio.to_thread(self._resealed, [(row["account_id"], row["sealed"]) for row in rows])
            await connection.executemany("UPDATE sessions SET sealed = $2 WHERE account_id = $1", anew)
        return len(anew)

    def _resealed(self, rows: list[tuple[AccountId, bytes]]) -> list[tuple[AccountId, bytes]]:
        keys, anew = self._keys, []
        for account_id, sealed in rows:
            if keys.sealed_with(sealed) == keys.current:
                continue
            try:
                anew.append((account_id, keys.seal(account_id, keys.open(account_id, sealed))))
            except SessionRejected as fault:
                logger.warning("a session isn't sealed anew: %s", fault)
        return anew

    async def wipe_session(self, account_id: AccountId) -> None:
        async with self._database.writing() as connection:
            await connection.execute(_WIPE_SESSION, account_id)

    async def update_state(self, account_id: AccountId) -> UpdateState | None:
        async with self._database.reading() as connection:
            row = await connection.fetchrow(_UPDATE_STATE, account_id)
        return None if row is None else UpdateState(**dict(row))

    async def save_update_state(self, account_id: AccountId, state: UpdateState) -> None:
        async with self._writing_for(account_id) as connection:
            await connection.execute(_SAVE_UPDATE_STATE, account_id, state.pts, state.qts, state.date, state.seq)

    async def floods(self, account_id: AccountId) -> Mapping[str, datetime]:
        """Past by the database's clock."""
        async with self._database.reading() as connection:
            return {row["method"]: row["until"] for row in await connection.fetch(_FLOODS, account_id)}

    async def save_flood(self, account_id: AccountId, method: str, until: datetime) -> None:
        """A shorter wait never ends a longer one."""
        async with self._writing_for(account_id) as connection:
            await connection.execute(_SAVE_FLOOD, account_id, method, until)

    async def all_floods(self) -> tuple[FloodRow, ...]:
        async with self._database.reading() as connection:
            return tuple(FloodRow(**dict(row)) for row in await connection.fetch(_ALL_FLOODS))

    async def forget_limits(self, account_id: AccountId, method: str) -> bool:
        async with self._writing_for(account_id) as connection:
            flood = await connection.fetchval(_FORGET_FLOOD, account_id, method)
            pace = await connection.fetchval(_FORGET_PACE, account_id, method)
            return bool(flood) or bool(pace)

    async def paces(self, account_id: AccountId) -> Mapping[str, Pace]:
        async with self._database.reading() as connection:
            rows = await connection.fetch(_PACES, account_id)
        return {row["method"]: Pace(row["calls"], row["seconds"]) for row in rows}

    async def save_pace(self, account_id: AccountId, method: str, pace: Pace) -> None:
        async with self._writing_for(account_id) as connection:
            await connection.execute(_SAVE_PACE, account_id, method, pace.calls, pace.seconds)

    @asynccontextmanager
    async def _writing_for(self, account_id: AccountId) -> AsyncIterator[Connection]:
        try:
            async with self._database.writing() as connection:
                yield connection
        except asyncpg.ForeignKeyViolationError as error:
            raise UserUnknown(account_id) from error


def _packed(key: SessionKey) -> bytes:
    return orjson.dumps({"dc": key.dc_id, "address": key.address, "port": key.port, "key": key.auth_key.hex()})


def _parsed(account_id: AccountId, plain: bytes, device: Device) -> SessionKey:
    try:
        parts = orjson.loads(plain)
        return SessionKey(
            account_id=account_id,
            dc_id=int(parts["dc"]),
            address=str(parts["address"]),
            port=int(parts["port"]),
            auth_key=bytes.fromhex(parts["key"]),
            device=device,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise SessionRejected(f"the session of account {account_id} opens, but isn't a session") from error
