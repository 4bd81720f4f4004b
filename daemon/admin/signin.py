"""Signing users in over HTTP: by phone, code and password, or with a session made elsewhere."""

import re

from aiohttp import web

from actors.messages.ids import SignInId
from actors.messages.signin import EnterCode, EnterPassword, ImportSession, SignInStep, StartSignIn
from actors.runtime.message import Request
from daemon.admin.access import Role
from daemon.admin.asking import STORE, ask, fields, query, respond
from daemon.admin.problem import Problem
from daemon.admin.routes import Route
from daemon.admin.users import told

SIGN_IN = "signin"
TIMEOUT = 75.0
"""Seconds: a step takes as long as Telegram does, for which the actor allows up to 60."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


async def start(request: web.Request) -> web.Response:
    """201 with the step: Telegram has sent a code."""
    query(request)
    (phone,) = await fields(request, "phone")
    if not 5 <= sum(each.isdecimal() for each in phone) <= 20:
        raise Problem(
            400, "The field 'phone' must be a number with its country code, such as +4930123456", field="phone"
        )
    step = await _take(request, StartSignIn(phone=phone))
    return respond(step, status=201, headers={"Location": f"/signin/{step.sign_in_id}"})


async def enter_code(request: web.Request) -> web.Response:
    """200 with the next step: done, or the password is needed too."""
    query(request)
    sign_in_id = _sign_in_id(request)
    (code,) = await fields(request, "code")
    return respond(await _take(request, EnterCode(sign_in_id=sign_in_id, code=code)))


async def enter_password(request: web.Request) -> web.Response:
    query(request)
    sign_in_id = _sign_in_id(request)
    (password,) = await fields(request, "password")
    return respond(await _take(request, EnterPassword(sign_in_id=sign_in_id, password=password)))


async def take_session(request: web.Request) -> web.Response:
    """201 with the user whose StringSession it is, once Telegram has confirmed it."""
    query(request)
    (session,) = await fields(request, "session")
    step = await _take(request, ImportSession(session=session))
    row = None if step.account_id is None else await request.app[STORE].accounts.one(step.account_id)
    if row is None:
        raise Problem(409, "The user was removed again while the session was taken over")
    return respond(told(row), status=201)


async def _take(request: web.Request, message: Request[SignInStep]) -> SignInStep:
    """The step; one that was refused is a 422 that says in ``state`` whether it may be entered again."""
    step = await ask(request, SIGN_IN, message, timeout=TIMEOUT)
    if step.error is None:
        return step
    again = "" if step.state == "failed" else ": enter it again"
    raise Problem(422, step.error[:1].upper() + step.error[1:] + again, sign_in_id=step.sign_in_id, state=step.state)


def _sign_in_id(request: web.Request) -> SignInId:
    text = request.match_info["sign_in_id"]
    if not _ID.fullmatch(text):
        raise Problem(404, "There is no such sign-in: POST /signin begins one")
    return SignInId(text)


ROUTES = (
    Route("POST", "/signin", start, Role.OPERATOR),
    Route("POST", "/signin/{sign_in_id}/code", enter_code, Role.OPERATOR),
    Route("POST", "/signin/{sign_in_id}/password", enter_password, Role.OPERATOR),
    Route("POST", "/sessions", take_session, Role.OPERATOR),
)
