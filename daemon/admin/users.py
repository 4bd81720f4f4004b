"""``GET /users`` and ``GET /clients``."""

import asyncio
from typing import Any

from aiohttp import web

from actors.messages.account import AccountSnapshot, DescribeAccount
from actors.messages.ids import UP
from actors.messages.rows import AccountRow
from actors.runtime.errors import ActorDeadError
from daemon.admin.access import Role
from daemon.admin.asking import OWNER, STORE, ask, query, respond
from daemon.admin.routes import Route

SIGNED_IN = frozenset({"connecting", "active", "flooded", "frozen", "disabled"})
"""States in which Telegram's consent still stands, whether or not the account works now."""


async def users(request: web.Request) -> web.Response:
    """Every user account. The bot isn't a user: it reads no channels."""
    query(request)
    rows = [told(row) for row in await request.app[STORE].accounts.all() if not row.bot]
    return respond({"total": len(rows), "users": rows})


def told(row: AccountRow) -> dict[str, Any]:
    """A user as HTTP answers it."""
    return {
        "id": row.account_id,
        "username": row.username,
        "first_name": row.first_name,
        "last_name": row.last_name,
        "state": row.state,
        "cause": row.cause,
        "state_since": row.state_since,
        "is_authenticated": row.has_session and row.state in SIGNED_IN,
        "is_active": row.state in UP,
        "channels": row.channels,
        "role": row.role,
        "plan": row.plan,
    }


async def clients(request: web.Request) -> web.Response:
    """Clients that live in memory, each with the loop on which it was built; ``same`` says that it is ours."""
    query(request)
    owner = request.app[OWNER]
    snapshots = await asyncio.gather(*(_describe(request, key) for key in owner.keys("account/")))
    here = owner.loop_id
    listed = [
        {"id": client.account_id, "loop": client.loop_id, "same": client.loop_id == here}
        for client in sorted((one for one in snapshots if one is not None), key=lambda one: one.account_id)
        if client.loop_id is not None
    ]
    return respond({"loop": here, "clients": listed})


async def _describe(request: web.Request, key: str) -> AccountSnapshot | None:
    """None for an account that ended between being listed and being asked: its client is gone too."""
    try:
        return await ask(request, key, DescribeAccount())
    except ActorDeadError:
        return None


ROUTES = (Route("GET", "/users", users, Role.VIEWER), Route("GET", "/clients", clients, Role.VIEWER))
