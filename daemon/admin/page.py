"""The sign-in page: reached by a one-time link, and by nobody else. Plain forms, no script.

A link is opened by a button, not by being looked at, and gives the browser that pressed it a cookie; from then on the
link is worth nothing. Whatever is entered goes to ``signin`` and is kept nowhere.
"""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web

from actors.chat.signing import CONSENT
from actors.messages.ids import AccountId, Language, SignInId
from actors.messages.people import SignInLink
from actors.messages.signin import (
    CancelSignIn,
    DescribeSignIn,
    EnterCode,
    EnterPassword,
    SignInStep,
    StartQrSignIn,
    StartSignIn,
)
from actors.runtime.message import Request
from daemon.admin import page_html as html
from daemon.admin.access import Caller, Role, is_foreign
from daemon.admin.asking import STORE, ask, query, respond, settings_of
from daemon.admin.params import Whole
from daemon.admin.problem import Problem
from daemon.admin.routes import Route
from daemon.admin.signin import SIGN_IN, TIMEOUT, drawn

COOKIE = "telewarden_sign_in"
LIFETIME = timedelta(minutes=30)
LINKED_FOR = timedelta(days=1)
"""How long a link can be opened that the operator makes; the bot's own live for half an hour."""
LINKED = Whole(name="user", about="For whom alone the link is; another is refused.", low=1)
VISITS_MOST = 1000
"""Pages open at the same time; the oldest is forgotten."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(slots=True)
class Visit:
    """A browser that has opened a link."""

    expected: AccountId | None
    ends_at: datetime
    sign_in_id: SignInId | None = None
    consented: bool = False


VISITS: web.AppKey[OrderedDict[str, Visit]] = web.AppKey("visits", OrderedDict)


async def make_link(request: web.Request) -> web.Response:
    """201 with a one-time link; with ``user=ID`` for that user alone."""
    given = LINKED.given(query(request))
    who = None if given is None else AccountId(given)
    url = settings_of(request).admin.public_url
    if url is None:
        raise Problem(409, "There is no sign-in page: set admin.public_url to where people reach this server")
    if who is not None and await request.app[STORE].accounts.one(who) is None:
        raise Problem(404, f"There is no user {who}: GET /users lists those that there are")
    token, expires_at = secrets.token_urlsafe(24), datetime.now(UTC) + LINKED_FOR
    await request.app[STORE].people.make_link(token, SignInLink(user_id=who), expires_at)
    return respond(LinkMade(url=f"{url}/login/{token}", expires_at=expires_at), status=201)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkMade:
    url: str
    expires_at: datetime


# --- what a guest sees ---------------------------------------------------------------------------------------------


async def look(request: web.Request) -> web.Response:
    """The link itself: looking at it, as messengers do for their previews, doesn't use it up."""
    _url(request)
    token, language = request.match_info["token"], _language(request)
    if not await request.app[STORE].people.link_stands(token, datetime.now(UTC)):
        return _page(html.gone(language), HTTPStatus.GONE)
    return _page(html.closed(request.path, language))


async def open_link(request: web.Request) -> web.Response:
    url = _posted(request)
    now = datetime.now(UTC)
    link = await request.app[STORE].people.open_link(request.match_info["token"], now)
    if link is None:
        return _page(html.gone(_language(request)), HTTPStatus.GONE)
    secret, visits = secrets.token_urlsafe(32), request.app[VISITS]
    # A sign-in that goes on here was agreed to where it began.
    visits[secret] = Visit(link.user_id, now + LIFETIME, link.sign_in_id, consented=link.sign_in_id is not None)
    while len(visits) > VISITS_MOST:
        visits.popitem(last=False)
    answer = _onward()
    answer.set_cookie(
        COOKIE,
        secret,
        path="/login",
        httponly=True,
        samesite="Strict",
        secure=url.startswith("https:"),
        max_age=int(LIFETIME.total_seconds()),
    )
    return answer


async def show(request: web.Request) -> web.Response:
    """Where the sign-in stands."""
    _url(request)
    language, visit = _language(request), _visit(request)
    if visit is None:
        return _page(html.gone(language), HTTPStatus.GONE)
    if visit.sign_in_id is None:
        return _page(html.choice(language))
    step = await ask(request, SIGN_IN, DescribeSignIn(sign_in_id=visit.sign_in_id))
    match step.state:
        case "scan_needed":
            return _page(html.scan(language))
        case "code_needed":
            return _page(html.entry("code", language, step.error or ""))
        case "password_needed":
            return _page(html.entry("password", language, step.error or ""))
        case "done":
            await _note_consent(request, visit, step)
            return _page(html.done(language))
    return _page(html.failed(language, step.error or step.state))


async def picture(request: web.Request) -> web.Response:
    _url(request)
    visit = _visit(request)
    step = None
    if visit is not None and visit.sign_in_id is not None:
        step = await ask(request, SIGN_IN, DescribeSignIn(sign_in_id=visit.sign_in_id))
    if step is None or step.qr_link is None:
        raise Problem(404, "There is nothing to scan now")
    return drawn(step.qr_link, HEADERS)


async def style(request: web.Request) -> web.Response:
    _url(request)
    return web.Response(text=html.STYLE, content_type="text/css")


# --- what a guest does ---------------------------------------------------------------------------------------------


async def begin_by_qr(request: web.Request) -> web.Response:
    return await _begin(request, lambda visit, _: StartQrSignIn(expected=visit.expected))


async def begin_by_phone(request: web.Request) -> web.Response:
    return await _begin(request, lambda visit, form: StartSignIn(phone=form["phone"], expected=visit.expected), "phone")


async def _begin(
    request: web.Request, message: Callable[[Visit, dict[str, str]], Request[SignInStep]], *names: str
) -> web.Response:
    visit, form = await _entered(request, "agree", *names)
    if visit is None:
        return _page(html.gone(_language(request)), HTTPStatus.GONE)
    if form.get("agree") != "yes":
        return _page(html.choice(_language(request), html.TEXTS["must_agree"][_language(request)]), 400)
    visit.consented = True
    await _leave(request, visit)
    step = await ask(request, SIGN_IN, message(visit, form), timeout=TIMEOUT)
    if step.state == "failed":
        return _page(html.choice(_language(request), step.error or step.state), 422)
    visit.sign_in_id = step.sign_in_id
    return _onward()


async def enter_code(request: web.Request) -> web.Response:
    visit, form = await _entered(request, "code")
    return await _enter(request, visit, lambda at: EnterCode(sign_in_id=at, code=form["code"]))


async def enter_password(request: web.Request) -> web.Response:
    visit, form = await _entered(request, "password")
    return await _enter(request, visit, lambda at: EnterPassword(sign_in_id=at, password=form["password"]))


async def _enter(
    request: web.Request, visit: Visit | None, message: Callable[[SignInId], Request[SignInStep]]
) -> web.Response:
    if visit is None or visit.sign_in_id is None:
        return _page(html.gone(_language(request)), HTTPStatus.GONE)
    await ask(request, SIGN_IN, message(visit.sign_in_id), timeout=TIMEOUT)
    return _onward()


async def begin_again(request: web.Request) -> web.Response:
    visit, _ = await _entered(request)
    if visit is not None:
        await _leave(request, visit)
    return _onward()


async def _leave(request: web.Request, visit: Visit) -> None:
    """A sign-in that is given up holds no connection."""
    if visit.sign_in_id is not None:
        await ask(request, SIGN_IN, CancelSignIn(sign_in_id=visit.sign_in_id), timeout=TIMEOUT)
        visit.sign_in_id = None


async def _note_consent(request: web.Request, visit: Visit, step: SignInStep) -> None:
    if visit.consented and step.account_id is not None:
        visit.consented = False
        await request.app[STORE].people.consent(step.account_id, CONSENT, "page")


async def _entered(request: web.Request, *names: str) -> tuple[Visit | None, dict[str, str]]:
    _posted(request)
    posted = await request.post()
    return _visit(request), {name: str(posted.get(name, "")) for name in names}


def _visit(request: web.Request) -> Visit | None:
    visit = request.app[VISITS].get(request.cookies.get(COOKIE, ""))
    return visit if visit is not None and visit.ends_at > datetime.now(UTC) else None


def _url(request: web.Request) -> str:
    """Where the page is reached from. Raises: Problem 404 where there is none."""
    query(request)
    url = settings_of(request).admin.public_url
    if url is None:
        raise Problem(404, "There is no sign-in page here: set admin.public_url")
    return url


def _posted(request: web.Request) -> str:
    """The same for what a form does. Raises: Problem 403 for a form on a page of somebody else's."""
    url, caller = _url(request), Caller.of(request)
    at_home = caller.origin is not None and urlsplit(caller.origin)[:2] == urlsplit(url)[:2]
    if not at_home and is_foreign(caller):
        raise Problem(403, "Pages of other sites may not sign anybody in: open the link itself")
    return url


def _language(request: web.Request) -> Language:
    return "ru" if request.headers.get("Accept-Language", "").strip().lower().startswith("ru") else "en"


def _page(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", headers=HEADERS)


def _onward() -> web.Response:
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={**HEADERS, "Location": "/login"})


ROUTES = (
    Route("POST", "/signin/link", make_link, Role.OPERATOR, LinkMade, (LINKED,), None, (201,), (404, 409)),
    Route("GET", "/login", show, Role.GUEST),
    Route("GET", "/login/qr.svg", picture, Role.GUEST),
    Route("GET", "/login/style.css", style, Role.GUEST),
    Route("POST", "/login/qr", begin_by_qr, Role.GUEST),
    Route("POST", "/login/phone", begin_by_phone, Role.GUEST),
    Route("POST", "/login/code", enter_code, Role.GUEST),
    Route("POST", "/login/password", enter_password, Role.GUEST),
    Route("POST", "/login/again", begin_again, Role.GUEST),
    Route("GET", "/login/{token}", look, Role.GUEST),
    Route("POST", "/login/{token}", open_link, Role.GUEST),
)
