"""Floods and budgets: how often accounts may call what, which waits Telegram has told, and how to forget them."""

import re
from dataclasses import dataclass

from aiohttp import web

from actors.errors import UserNotSignedIn, UserUnknown
from actors.messages.account import DescribeCalls, ForgetLimits, MethodCalls
from actors.messages.ids import AccountId
from actors.messages.rows import FloodRow
from actors.runtime.errors import ActorMissing
from daemon.admin.access import Role
from daemon.admin.asking import STORE, ask, query, respond, user_id
from daemon.admin.problem import Problem
from daemon.admin.routes import Route

_METHOD = re.compile(r"[A-Za-z0-9._]{1,80}|takeout/[A-Za-z0-9._]{1,80}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Floods:
    floods: tuple[FloodRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    user_id: AccountId
    methods: tuple[MethodCalls, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    user_id: AccountId
    method: str
    forgotten: bool
    """Whether there was a wait or a learned pace."""


async def floods(request: web.Request) -> web.Response:
    """The waits that Telegram has told accounts, and that aren't over."""
    query(request)
    return respond(Floods(floods=tuple(await request.app[STORE].accounts.all_floods())))


async def budget(request: web.Request) -> web.Response:
    """How often an account may call each method, how often it has lately, and when it may again."""
    query(request)
    who = user_id(request)
    try:
        methods = await ask(request, f"account/{who}", DescribeCalls())
    except ActorMissing:
        raise await _absent(request, who) from None
    return respond(Budget(user_id=who, methods=methods))


async def forget(request: web.Request) -> web.Response:
    """Forget the wait and the learned pace of a method: its next call shows whether Telegram has forgotten too.

    Asking again inside a wait makes waits longer: only for one that is known to be over, or to be a mistake.
    """
    query(request)
    who, method = user_id(request), request.match_info["method"]
    if not _METHOD.fullmatch(method):
        raise Problem(404, f"There is no method {method[:80]!r}: GET /floods lists those that wait")
    try:
        known = await ask(request, f"account/{who}", ForgetLimits(method=method))
    except ActorMissing:
        if await request.app[STORE].accounts.one(who) is None:
            raise UserUnknown(who) from None
        known = await request.app[STORE].accounts.forget_limits(who, method)
    return respond(Forgotten(user_id=who, method=method, forgotten=known))


async def _absent(request: web.Request, who: AccountId) -> UserUnknown | UserNotSignedIn:
    row = await request.app[STORE].accounts.one(who)
    return UserUnknown(who) if row is None or row.bot else UserNotSignedIn(who, row.state)


ROUTES = (
    Route("GET", "/floods", floods, Role.VIEWER, Floods),
    Route("GET", "/users/{user_id}/budget", budget, Role.VIEWER, Budget, problems=(409,)),
    Route("DELETE", "/users/{user_id}/floods/{method}", forget, Role.OPERATOR, Forgotten, problems=(409,)),
)
