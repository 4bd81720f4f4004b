"""The first administrator's token, shown once in a browser of this machine: the terminal alone says where.

The token itself stands in a file that its owner alone reads; this is for whoever starts the daemon by hand and goes on
in a browser. The link works once, for an hour, and only for those who may ask without a token.
"""

import asyncio
import hmac
import secrets
from datetime import UTC, datetime, timedelta
from html import escape
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from daemon.admin.access import Role
from daemon.admin.asking import query
from daemon.admin.page import HEADERS
from daemon.admin.routes import Route

LIFETIME = timedelta(hours=1)


class FirstLink:
    """One link to one file's token."""

    def __init__(self, token_file: Path) -> None:
        self._file = token_file
        self._code: str | None = secrets.token_urlsafe(24)
        self._ends_at = datetime.now(UTC) + LIFETIME

    @property
    def path(self) -> str:
        return f"/first-token/{self._code}"

    def stands(self, code: str) -> bool:
        known = self._code is not None and datetime.now(UTC) < self._ends_at
        return known and hmac.compare_digest(code.encode(), (self._code or "").encode())

    async def open(self, code: str) -> str | None:
        """The token; None where the link doesn't stand. It stands no more afterwards."""
        if not self.stands(code):
            return None
        self._code = None
        return (await asyncio.to_thread(self._file.read_text, encoding="ascii")).strip()


FIRST_LINK: web.AppKey[FirstLink | None] = web.AppKey("first_link", FirstLink)


async def look(request: web.Request) -> web.Response:
    """Looking at it doesn't use it up."""
    query(request)
    link = request.app[FIRST_LINK]
    if link is None or not link.stands(request.match_info["code"]):
        return _gone()
    button = (
        f'<form method="post" action="{escape(request.path)}"><button>Показать токен / Show the token</button></form>'
    )
    return _page(
        f"<p>Токен администратора показывается один раз. / The administrator's token is shown once.</p>{button}"
    )


async def show(request: web.Request) -> web.Response:
    query(request)
    link = request.app[FIRST_LINK]
    token = None if link is None else await link.open(request.match_info["code"])
    if token is None:
        return _gone()
    return _page(f"<p><code>{escape(token)}</code></p><p>Authorization: Bearer …</p>")


def _gone() -> web.Response:
    text = (
        "Эта ссылка уже открыта или устарела: токен стоит в файле admin-token в state_dir. / "
        "This link was opened before, or is too old: the token stands in the file admin-token below state_dir."
    )
    return _page(f"<p>{text}</p>", HTTPStatus.GONE)


def _page(body: str, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    document = (
        '<!doctype html><html lang="ru"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        '<link rel="stylesheet" href="/login/style.css"><title>Telewarden</title></head>'
        f"<body><h1>Telewarden</h1>{body}</body></html>"
    )
    return web.Response(text=document, content_type="text/html", status=status, headers=HEADERS)


ROUTES = (
    Route("GET", "/first-token/{code}", look, Role.OPERATOR, media="text/html"),
    Route("POST", "/first-token/{code}", show, Role.OPERATOR, media="text/html"),
)
