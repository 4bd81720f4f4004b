"""Roles, plans and invites, signing a user out, and removing one."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from aiohttp import web
from pydantic import AfterValidator, Field

from actors.errors import UserUnknown
from actors.messages.ids import AccountId
from actors.messages.people import DEFAULT_PLAN, Invite, NewInvite, Removed, UserRole
from actors.messages.signin import DisableUser, EnableUser, RemoveUser, SignOut
from config.values import parse_duration
from daemon.admin.access import Role
from daemon.admin.asking import STORE, ask, query, respond, settings_of, user_id
from daemon.admin.bodies import Body, Text, body
from daemon.admin.params import Whole, before_id, page_limit
from daemon.admin.problem import Problem
from daemon.admin.routes import Route
from daemon.admin.signin import SIGN_IN, TIMEOUT
from daemon.admin.users import User, told

CODE_BYTES = 16
LONGEST = timedelta(weeks=52)
USES_MOST = 10_000
BEFORE = before_id("Only invites with a smaller id.")
LIMIT = page_limit(1000, 1000)
POSTS = Whole(
    name="posts", about="1: delete the posts too of channels that nobody else follows.", low=0, high=1, default=0
)


class RoleWish(Body):
    role: UserRole


class PlanWish(Body):
    plan: Text


def _is_lifetime(text: str) -> str:
    if not timedelta(0) < parse_duration(text) <= LONGEST:
        raise ValueError("must be a duration up to 52w, such as 12h or 7d")
    return text


class InviteWish(Body):
    role: UserRole = "user"
    plan: Text = DEFAULT_PLAN
    uses: int = Field(default=1, ge=1, le=USES_MOST)
    """How many people may come in by it."""
    expires: Annotated[str, AfterValidator(_is_lifetime)] = "7d"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOut:
    id: AccountId
    signed_out: bool
    """Whether Telegram confirmed it; the session is deleted here in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteTold:
    id: int
    role: UserRole
    plan: str
    uses: int
    uses_left: int
    created_by: AccountId | None
    """None: the operator, over HTTP."""
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteMade(InviteTold):
    code: str
    """Shown this once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invites:
    invites: tuple[InviteTold, ...]
    next_before_id: int | None
    """Where older ones begin; None where there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    id: int
    revoked: bool


async def set_role(request: web.Request) -> web.Response:
    """Make a user owner, admin or plain user: it decides what the bot does for whom."""
    query(request)
    wish = await body(request, RoleWish)
    await request.app[STORE].people.set_role(user_id(request), wish.role)
    return await _user(request)


async def set_plan(request: web.Request) -> web.Response:
    """Give a user one of the settings' plans."""
    query(request)
    wish = await body(request, PlanWish)
    await request.app[STORE].people.set_plan(user_id(request), _plan(request, wish.plan))
    return await _user(request)


async def sign_out(request: web.Request) -> web.Response:
    """200 once the session is over: its key is deleted here, and Telegram was asked to end it."""
    query(request)
    confirmed = await ask(request, SIGN_IN, SignOut(account_id=user_id(request)), timeout=TIMEOUT)
    return respond(SignedOut(id=user_id(request), signed_out=confirmed))


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
    posts = POSTS.of(query(request))
    wish = RemoveUser(account_id=user_id(request), posts=bool(posts))
    return respond(await ask(request, SIGN_IN, wish, timeout=TIMEOUT))


async def invite(request: web.Request) -> web.Response:
    """201 with the invite and its code, which is shown this once."""
    query(request)
    wish = await body(request, InviteWish)
    code = secrets.token_urlsafe(CODE_BYTES)
    new = NewInvite(
        code=code,
        role=wish.role,
        plan=_plan(request, wish.plan),
        uses=wish.uses,
        expires_at=datetime.now(UTC) + parse_duration(wish.expires),
    )
    made = await request.app[STORE].people.invite(new)
    return respond(InviteMade(**_fields(made), code=code), status=201)


async def invites(request: web.Request) -> web.Response:
    """The newest first, those that are over too; older ones before ``next_before_id``."""
    params = query(request)
    limit = LIMIT.of(params)
    found = await request.app[STORE].people.invites(before_id=BEFORE.of(params), limit=limit)
    more = found[-1].invite_id if len(found) == limit else None
    return respond(Invites(invites=tuple(InviteTold(**_fields(each)) for each in found), next_before_id=more))


async def revoke(request: web.Request) -> web.Response:
    """200 once nobody comes in by it any more."""
    query(request)
    text = request.match_info["invite_id"]
    known = text.isascii() and text.isdecimal() and len(text) < 19
    if not known or not await request.app[STORE].people.revoke(int(text)):
        raise Problem(404, f"There is no invite {text[:40]!r}: GET /invites lists those that there are")
    return respond(Revoked(id=int(text), revoked=True))


def _fields(invite: Invite) -> dict[str, Any]:
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


def _plan(request: web.Request, plan: str) -> str:
    known = [each.name for each in settings_of(request).plans]
    if plan not in known:
        raise Problem(400, f"The settings know these plans: {', '.join(known)}", field="plan")
    return plan


ROUTES = (
    Route("PUT", "/users/{user_id}/role", set_role, Role.ADMIN, User, body=RoleWish),
    Route("PUT", "/users/{user_id}/plan", set_plan, Role.OPERATOR, User, body=PlanWish),
    Route("POST", "/users/{user_id}/logout", sign_out, Role.OPERATOR, SignedOut, problems=(409,)),
    Route("POST", "/users/{user_id}/disable", disable, Role.OPERATOR, User, problems=(409,)),
    Route("POST", "/users/{user_id}/enable", enable, Role.OPERATOR, User, problems=(409,)),
    Route("DELETE", "/users/{user_id}", remove, Role.OPERATOR, Removed, query=(POSTS,), problems=(409,)),
    Route("GET", "/invites", invites, Role.OPERATOR, Invites, (BEFORE, LIMIT)),
    Route("POST", "/invites", invite, Role.OPERATOR, InviteMade, body=InviteWish, status=(201,)),
    Route("DELETE", "/invites/{invite_id}", revoke, Role.OPERATOR, Revoked),
)
