"""``GET /users`` and ``GET /clients``."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from actors.messages.account import AccountSnapshot, DescribeAccount
from actors.messages.ids import UP, AccountId, AccountState
from actors.messages.people import UserRole
from actors.messages.rows import AccountRow
from actors.runtime.errors import ActorDeadError
from daemon.admin.access import Role
from daemon.admin.asking import OWNER, STORE, ask, query, respond
from daemon.admin.params import Whole, after_id
from daemon.admin.routes import Route

SIGNED_IN = frozenset({"connecting", "active", "flooded", "frozen", "disabled"})
"""States in which Telegram's consent still stands, whether or not the account works now."""
AFTER = after_id("Only users with a larger id.")
LIMIT = Whole(name="limit", about="At most so many; without it all.", low=1, high=5000)


async def users(request: web.Request) -> web.Response:
    """Every user account, by id: all of them, or so many as ``limit`` says, after ``after_id``.

    The bot isn't a user: it reads no channels.
    """
    params = query(request)
    after, limit = AFTER.of(params), LIMIT.given(params)
    rows = [row for row in await request.app[STORE].accounts.all() if not row.bot]
    page = sorted((row for row in rows if row.account_id > after), key=lambda row: row.account_id)
    shown = page[:limit]
    more = shown[-1].account_id if len(shown) < len(page) else None
    return respond(Users(total=len(rows), users=tuple(map(told, shown)), next_after_id=more))


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user as HTTP answers it."""

    id: AccountId
    username: str | None
    first_name: str | None
    last_name: str | None
    state: AccountState
    cause: str | None
    """Why it is in that state, where that isn't the usual one."""
    state_since: datetime
    is_authenticated: bool
    """Whether Telegram's consent still stands."""
    is_active: bool
    """Whether it collects."""
    channels: int
    role: UserRole
    plan: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    total: int
    users: tuple[User, ...]
    next_after_id: AccountId | None
    """Where the next page begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    id: AccountId
    loop: int
    same: bool
    """Whether it was built on the daemon's loop, as it must be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    loop: int
    clients: tuple[Client, ...]


def told(row: AccountRow) -> User:
    return User(
        id=row.account_id,
        username=row.username,
        first_name=row.first_name,
        last_name=row.last_name,
        state=row.state,
        cause=row.cause,
        state_since=row.state_since,
        is_authenticated=row.has_session and row.state in SIGNED_IN,
        is_active=row.state in UP,
        channels=row.channels,
        role=row.role,
        plan=row.plan,
    )


async def clients(request: web.Request) -> web.Response:
    """Clients that live in memory, each with the loop on which it was built; ``same`` says that it is ours."""
    query(request)
    owner = request.app[OWNER]
    snapshots = await asyncio.gather(*(_describe(request, key) for key in owner.keys("account/")))
    here = owner.loop_id
    listed = tuple(
        Client(id=client.account_id, loop=client.loop_id, same=client.loop_id == here)
        for client in sorted((one for one in snapshots if one is not None), key=lambda one: one.account_id)
        if client.loop_id is not None
    )
    return respond(Clients(loop=here, clients=listed))


async def _describe(request: web.Request, key: str) -> AccountSnapshot | None:
    """None for an account that ended between being listed and being asked: its client is gone too."""
    try:
        return await ask(request, key, DescribeAccount())
    except ActorDeadError:
        return None


ROUTES = (
    Route("GET", "/users", users, Role.VIEWER, Users, query=(AFTER, LIMIT)),
    Route("GET", "/clients", clients, Role.VIEWER, Clients),
)
