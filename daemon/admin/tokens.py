"""Tokens for others than the first administrator, and the audit."""

import hashlib
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from aiohttp import web

from actors.messages.access import NewToken, Token, TokenRole
from config.values import parse_duration
from daemon.admin.access import Role
from daemon.admin.admission import DOOR, WHO
from daemon.admin.asking import INT64_MAX, STORE, document, integer, query, respond
from daemon.admin.problem import Problem
from daemon.admin.routes import Route

BYTES = 32
LONGEST = timedelta(days=3650)
LISTED = 1000
_NAME = re.compile(r"[\w .@-]{1,60}")


async def create(request: web.Request) -> web.Response:
    """201 with the token, which is shown this once: its digest alone is kept."""
    query(request)
    wish = await document(request, "name", "role", "expires")
    token = "tw_" + secrets.token_urlsafe(BYTES)
    new = NewToken(
        name=_name(wish.get("name")),
        role=_role(wish.get("role", "viewer")),
        digest=hashlib.sha256(token.encode()).digest(),
        created_by=request[WHO].name,
        expires_at=_end(wish.get("expires")),
    )
    made = await request.app[STORE].access.create(new)
    return respond({**told(made), "token": token}, status=201)


async def tokens(request: web.Request) -> web.Response:
    """By id, those that are over too; more of them after ``next_after_id``."""
    params = query(request, "after_id", "limit")
    after = integer(params, "after_id", default=0, low=0, high=INT64_MAX)
    limit = integer(params, "limit", default=LISTED, low=1, high=LISTED)
    found = await request.app[STORE].access.tokens(after_id=after, limit=limit)
    more = found[-1].token_id if len(found) == limit else None
    return respond({"tokens": [told(each) for each in found], "next_after_id": more})


async def revoke(request: web.Request) -> web.Response:
    """200 with the token, which is refused from now on."""
    query(request)
    text = request.match_info["token_id"]
    known = text.isascii() and text.isdecimal() and len(text) < 19
    token = await request.app[STORE].access.revoke(int(text)) if known else None
    if token is None:
        raise Problem(404, f"There is no token {text[:40]!r}: GET /tokens lists those that there are")
    request.app[DOOR].forget(token.token_id)
    return respond(told(token))


async def audit(request: web.Request) -> web.Response:
    """What was to change something, the newest first; older ones before ``next_before_id``."""
    params = query(request, "before_id", "limit")
    before = integer(params, "before_id", default=INT64_MAX, low=1, high=INT64_MAX)
    limit = integer(params, "limit", default=100, low=1, high=LISTED)
    found = await request.app[STORE].access.audit(before_id=before, limit=limit)
    more = found[-1].audit_id if len(found) == limit else None
    return respond({"audit": found, "next_before_id": more})


def told(token: Token) -> dict[str, Any]:
    return {
        "id": token.token_id,
        "name": token.name,
        "role": token.role,
        "created_by": token.created_by,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
        "revoked_at": token.revoked_at,
    }


def _name(name: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name != name.strip():
        detail = "The field 'name' must be 1 to 60 letters, digits, blanks, dots, @, _ and -: say what the token is for"
        raise Problem(400, detail, field="name")
    return name


def _role(role: Any) -> TokenRole:
    if role not in get_args(TokenRole):
        raise Problem(400, f"The field 'role' must be one of {', '.join(get_args(TokenRole))}", field="role")
    return role  # type: ignore[no-any-return]  # one of them


def _end(text: Any) -> datetime | None:
    if text is None:
        return None
    try:
        lifetime = parse_duration(text) if isinstance(text, str) else timedelta()
    except ValueError:
        lifetime = timedelta()
    if not timedelta(0) < lifetime <= LONGEST:
        detail = "The field 'expires' must be a duration such as 90d, at most ten years; null: never"
        raise Problem(400, detail, field="expires")
    return datetime.now(UTC) + lifetime


ROUTES = (
    Route("GET", "/tokens", tokens, Role.ADMIN),
    Route("POST", "/tokens", create, Role.ADMIN),
    Route("DELETE", "/tokens/{token_id}", revoke, Role.ADMIN),
    Route("GET", "/audit", audit, Role.ADMIN),
)
