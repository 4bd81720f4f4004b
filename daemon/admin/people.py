"""Roles, plans and invites, signing a user out, and removing one."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from aiohttp import web

from actors.errors import UserUnknown
from actors.messages.ids import AccountId
from actors.messages.people import DEFAULT_PLAN, Invite, NewInvite, UserRole
from actors.messages.signin import DisableUser, EnableUser, RemoveUser, SignOut
from config.values import parse_duration
from daemon.admin.access import Role
from daemon.admin.asking import STORE, ask, document, fields, integer, query, respond, settings_of, user_id
from daemon.admin.problem import Problem
from daemon.admin.routes import Route
from daemon.admin.signin import SIGN_IN, TIMEOUT
from daemon.admin.users import told

CODE_BYTES = 16
LONGEST = timedelta(weeks=52)
USES_MOST = 10_000
LISTED = 1000


async def set_role(request: web.Request) -> web.Response:
    query(request)
    (role,) = await fields(request, "role")
    await request.app[STORE].people.set_role(user_id(request), _role(role))
    return await _user(request)


async def set_plan(request: web.Request) -> web.Response:
    query(request)
    (plan,) = await fields(request, "plan")
    await request.app[STORE].people.set_plan(user_id(request), _plan(request, plan))
    return await _user(request)


async def sign_out(request: web.Request) -> web.Response:
    """200 once the session is over: its key is deleted here, and Telegram was asked to end it."""
    query(request)
    confirmed = await ask(request, SIGN_IN, SignOut(account_id=user_id(request)), timeout=TIMEOUT)
    return respond({"id": user_id(request), "signed_out": confirmed})


async def disable(request: web.Request) -> web.Response:
    """200 with the user once its account is disconnected; its session is kept."""
    query(request)
    await ask(request, SIGN_IN, DisableUser(account_id=user_id(request)), timeout=TIMEOUT)
    return await _user(request)


async def enable(request: web.Request) -> web.Response:
    """200 with the user; its account connects in the background."""
    query(request)
    await ask(request, SIGN_IN, EnableUser(account_id=user_id(request)), timeout=TIMEOUT)
    return await _user(request)


async def remove(request: web.Request) -> web.Response:
    """200 once nothing is kept of the user any more; with ``posts=1`` neither of channels that nobody else follows."""
    posts = integer(query(request, "posts"), "posts", default=0, low=0, high=1)
    wish = RemoveUser(account_id=user_id(request), posts=bool(posts))
    return respond(await ask(request, SIGN_IN, wish, timeout=TIMEOUT))


async def invite(request: web.Request) -> web.Response:
    """201 with the invite and its code, which is shown this once."""
    query(request)
    wish = await document(request, "role", "plan", "uses", "expires")
    uses = wish.get("uses", 1)
    if type(uses) is not int or not 1 <= uses <= USES_MOST:
        raise Problem(400, f"The field 'uses' must be a whole number from 1 to {USES_MOST}", field="uses")
    code = secrets.token_urlsafe(CODE_BYTES)
    new = NewInvite(
        code=code,
        role=_role(wish.get("role", "user")),
        plan=_plan(request, wish.get("plan", DEFAULT_PLAN)),
        uses=uses,
        expires_at=datetime.now(UTC) + _lifetime(wish.get("expires", "7d")),
    )
    made = await request.app[STORE].people.invite(new)
    return respond({**_told(made), "code": code}, status=201)


async def invites(request: web.Request) -> web.Response:
    query(request)
    return respond({"invites": [_told(each) for each in await request.app[STORE].people.invites(limit=LISTED)]})


async def revoke(request: web.Request) -> web.Response:
    query(request)
    text = request.match_info["invite_id"]
    known = text.isascii() and text.isdecimal() and len(text) < 19
    if not known or not await request.app[STORE].people.revoke(int(text)):
        raise Problem(404, f"There is no invite {text[:40]!r}: GET /invites lists those that there are")
    return respond({"id": int(text), "revoked": True})


def _told(invite: Invite) -> dict[str, Any]:
    return {
        "id": invite.invite_id,
        "role": invite.role,
        "plan": invite.plan,
        "uses": invite.uses,
        "uses_left": invite.uses_left,
        "created_by": invite.created_by,
        "created_at": invite.created_at,
        "expires_at": invite.expires_at,
        "revoked_at": invite.revoked_at,
    }


async def _user(request: web.Request) -> web.Response:
    who = user_id(request)
    row = await request.app[STORE].accounts.one(AccountId(who))
    if row is None:
        raise UserUnknown(who)
    return respond(told(row))


def _role(role: Any) -> UserRole:
    if role not in get_args(UserRole):
        raise Problem(400, f"The field 'role' must be one of {', '.join(get_args(UserRole))}", field="role")
    return role  # type: ignore[no-any-return]  # one of them


def _plan(request: web.Request, plan: Any) -> str:
    known = [each.name for each in settings_of(request).plans]
    if plan not in known:
        raise Problem(400, f"The settings know these plans: {', '.join(known)}", field="plan")
    return str(plan)


def _lifetime(text: Any) -> timedelta:
    try:
        lifetime = parse_duration(text) if isinstance(text, str) else timedelta()
    except ValueError:
        lifetime = timedelta()
    if not timedelta(0) < lifetime <= LONGEST:
        raise Problem(400, "The field 'expires' must be a duration up to 52w, such as 12h or 7d", field="expires")
    return lifetime


ROUTES = (
    Route("PUT", "/users/{user_id}/role", set_role, Role.ADMIN),
    Route("PUT", "/users/{user_id}/plan", set_plan, Role.OPERATOR),
    Route("POST", "/users/{user_id}/logout", sign_out, Role.OPERATOR),
    Route("POST", "/users/{user_id}/disable", disable, Role.OPERATOR),
    Route("POST", "/users/{user_id}/enable", enable, Role.OPERATOR),
    Route("DELETE", "/users/{user_id}", remove, Role.OPERATOR),
    Route("GET", "/invites", invites, Role.OPERATOR),
    Route("POST", "/invites", invite, Role.OPERATOR),
    Route("DELETE", "/invites/{invite_id}", revoke, Role.OPERATOR),
)
