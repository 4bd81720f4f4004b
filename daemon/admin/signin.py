"""Signing users in over HTTP: by phone, code and password, by QR code, or with a session made elsewhere."""

import io
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

import segno
from aiohttp import web
from pydantic import AfterValidator

from actors.messages.ids import AccountId, SignInId
from actors.messages.signin import (
    DescribeSignIn,
    EnterCode,
    EnterPassword,
    ImportSession,
    SignInStep,
    StartQrSignIn,
    StartSignIn,
)
from actors.runtime.message import Request
from daemon.admin.access import Role
from daemon.admin.asking import ASK_TIMEOUT, STORE, ask, query, respond
from daemon.admin.bodies import Body, Text, body
from daemon.admin.params import Seconds, Whole
from daemon.admin.problem import Problem
from daemon.admin.routes import Route
from daemon.admin.users import User, told

SIGN_IN = "signin"
TIMEOUT = 75.0
"""Seconds: a step takes as long as Telegram does, for which the actor allows up to 60."""
REFUSED = (409, 422, 429)
WHO = Whole(name="user", about="Who is to sign in: another is refused, and signed out again.", low=1)
CHANGED = Seconds(name="wait", about="Answer when the step changes, or after that many seconds.")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def _is_phone(text: str) -> str:
    if not 5 <= sum(each.isdecimal() for each in text) <= 20:
        raise ValueError("must be a number with its country code, such as +4930123456")
    return text


class PhoneWish(Body):
    phone: Annotated[Text, AfterValidator(_is_phone)]


class CodeWish(Body):
    code: Text


class PasswordWish(Body):
    password: Text


class SessionWish(Body):
    session: Text
    """A StringSession of Telethon's."""


async def start(request: web.Request) -> web.Response:
    """201 with the step: Telegram has sent a code."""
    expected = _expected(request)
    wish = await body(request, PhoneWish)
    step = await _take(request, StartSignIn(phone=wish.phone, expected=expected))
    return respond(step, status=201, headers={"Location": f"/signin/{step.sign_in_id}"})


async def start_qr(request: web.Request) -> web.Response:
    """201 with the step, whose ``qr_link`` is to be shown as a QR code and scanned by the account's own app."""
    step = await _take(request, StartQrSignIn(expected=_expected(request)))
    return respond(step, status=201, headers={"Location": f"/signin/{step.sign_in_id}"})


async def describe(request: web.Request) -> web.Response:
    """200 with the step as it is, or with ``wait`` once it has changed."""
    wait = CHANGED.given(query(request)) or 0.0
    return respond(await _described(request, wait))


async def picture(request: web.Request) -> web.Response:
    """The QR code that is to be scanned now, as SVG; it changes about twice a minute."""
    query(request)
    step = await _described(request)
    if step.qr_link is None:
        raise Problem(404, f"There is nothing to scan now: this sign-in is {step.state.replace('_', ' ')}")
    return drawn(step.qr_link, {"Cache-Control": "no-store"})


def drawn(link: str, headers: Mapping[str, str]) -> web.Response:
    """A link as a QR code."""
    svg = io.BytesIO()
    segno.make(link, error="m", micro=False).save(svg, kind="svg", scale=6, border=4, light="#fff")
    return web.Response(body=svg.getvalue(), content_type="image/svg+xml", headers=headers)


async def _described(request: web.Request, wait: float = 0.0) -> SignInStep:
    question = DescribeSignIn(sign_in_id=_sign_in_id(request), wait=timedelta(seconds=wait))
    step = await ask(request, SIGN_IN, question, timeout=wait + ASK_TIMEOUT)
    if step.state == "failed":
        raise Problem(422, step.error or "it failed", sign_in_id=step.sign_in_id, state=step.state)
    return step


async def enter_code(request: web.Request) -> web.Response:
    """200 with the next step: done, or the password is needed too."""
    query(request)
    sign_in_id = _sign_in_id(request)
    wish = await body(request, CodeWish)
    return respond(await _take(request, EnterCode(sign_in_id=sign_in_id, code=wish.code)))


async def enter_password(request: web.Request) -> web.Response:
    """200 with the next step: done, unless the password was wrong."""
    query(request)
    sign_in_id = _sign_in_id(request)
    wish = await body(request, PasswordWish)
    return respond(await _take(request, EnterPassword(sign_in_id=sign_in_id, password=wish.password)))


async def take_session(request: web.Request) -> web.Response:
    """201 with the user whose StringSession it is, once Telegram has confirmed it."""
    query(request)
    wish = await body(request, SessionWish)
    step = await _take(request, ImportSession(session=wish.session))
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


def _expected(request: web.Request) -> AccountId | None:
    """``?user=ID``: who is to sign in; another is refused and signed out again."""
    who = WHO.given(query(request))
    return None if who is None else AccountId(who)


def _sign_in_id(request: web.Request) -> SignInId:
    text = request.match_info["sign_in_id"]
    if not _ID.fullmatch(text):
        raise Problem(404, "There is no such sign-in: POST /signin begins one")
    return SignInId(text)


ROUTES = (
    Route("POST", "/signin", start, Role.OPERATOR, SignInStep, (WHO,), PhoneWish, (201,), REFUSED),
    Route("POST", "/signin/qr", start_qr, Role.OPERATOR, SignInStep, (WHO,), None, (201,), REFUSED),
    Route("GET", "/signin/{sign_in_id}", describe, Role.OPERATOR, SignInStep, (CHANGED,), problems=REFUSED),
    Route("GET", "/signin/{sign_in_id}/qr.svg", picture, Role.OPERATOR, media="image/svg+xml", problems=REFUSED),
    Route("POST", "/signin/{sign_in_id}/code", enter_code, Role.OPERATOR, SignInStep, body=CodeWish, problems=REFUSED),
    Route(
        "POST",
        "/signin/{sign_in_id}/password",
        enter_password,
        Role.OPERATOR,
        SignInStep,
        body=PasswordWish,
        problems=REFUSED,
    ),
    Route("POST", "/sessions", take_session, Role.OPERATOR, User, (), SessionWish, (201,), REFUSED),
)
