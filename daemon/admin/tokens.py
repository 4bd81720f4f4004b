"""Tokens for others than the first administrator, and the audit."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from aiohttp import web
from pydantic import AfterValidator

from actors.messages.access import Audited, NewToken, Token, TokenRole
from config.values import parse_duration
from daemon.admin.access import Role
from daemon.admin.admission import DOOR, WHO
from daemon.admin.asking import STORE, query, respond
from daemon.admin.bodies import Body, body
from daemon.admin.params import after_id, before_id, page_limit
from daemon.admin.problem import Problem
from daemon.admin.routes import Route

BYTES = 32
LONGEST = timedelta(days=3650)
AFTER = after_id("Only tokens with a larger id.")
LIMIT = page_limit(1000, 1000)
BEFORE = before_id("Only what came before this.")
AUDIT_LIMIT = page_limit(1000, 100)
_NAME = re.compile(r"[\w .@-]{1,60}")


def _is_name(text: str) -> str:
    if not _NAME.fullmatch(text) or text != text.strip():
        raise ValueError("must be 1 to 60 letters, digits, blanks, dots, @, _ and -: say what the token is for")
    return text


def _is_lifetime(text: str) -> str:
    if not timedelta(0) < parse_duration(text) <= LONGEST:
        raise ValueError("must be a duration such as 90d, at most ten years; null: never")
    return text


class TokenWish(Body):
    name: Annotated[str, AfterValidator(_is_name)]
    role: TokenRole = "viewer"
    expires: Annotated[str, AfterValidator(_is_lifetime)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTold:
    id: int
    name: str
    role: TokenRole
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    """Within a minute."""
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMade(TokenTold):
    token: str
    """Shown this once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    tokens: tuple[TokenTold, ...]
    next_after_id: int | None
    """Where the next page begins; None on the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditTold:
    audit: tuple[Audited, ...]
    next_before_id: int | None
    """Where older ones begin; None where there are none."""


async def create(request: web.Request) -> web.Response:
    """201 with the token, which is shown this once: its digest alone is kept."""
    query(request)
    wish = await body(request, TokenWish)
    token = "tw_" + secrets.token_urlsafe(BYTES)
    new = NewToken(
        name=wish.name,
        role=wish.role,
        digest=hashlib.sha256(token.encode()).digest(),
        created_by=request[WHO].name,
        expires_at=None if wish.expires is None else datetime.now(UTC) + parse_duration(wish.expires),
    )
    made = await request.app[STORE].access.create(new)
    return respond(TokenMade(**_fields(made), token=token), status=201)


async def tokens(request: web.Request) -> web.Response:
    """By id, those that are over too."""
    params = query(request)
    limit = LIMIT.of(params)
    found = await request.app[STORE].access.tokens(after_id=AFTER.of(params), limit=limit)
    more = found[-1].token_id if len(found) == limit else None
    return respond(Tokens(tokens=tuple(TokenTold(**_fields(each)) for each in found), next_after_id=more))


async def revoke(request: web.Request) -> web.Response:
    """200 with the token, which is refused from now on."""
    query(request)
    text = request.match_info["token_id"]
    known = text.isascii() and text.isdecimal() and len(text) < 19
    token = await request.app[STORE].access.revoke(int(text)) if known else None
    if token is None:
        raise Problem(404, f"There is no token {text[:40]!r}: GET /tokens lists those that there are")
    request.app[DOOR].forget(token.token_id)
    return respond(TokenTold(**_fields(token)))


async def audit(request: web.Request) -> web.Response:
    """What was to change something, the newest first; older ones before ``next_before_id``."""
    params = query(request)
    limit = AUDIT_LIMIT.of(params)
    found = await request.app[STORE].access.audit(before_id=BEFORE.of(params), limit=limit)
    more = found[-1].audit_id if len(found) == limit else None
    return respond(AuditTold(audit=found, next_before_id=more))


def _fields(token: Token) -> dict[str, Any]:
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


ROUTES = (
    Route("GET", "/tokens", tokens, Role.ADMIN, Tokens, (AFTER, LIMIT)),
    Route("POST", "/tokens", create, Role.ADMIN, TokenMade, (), TokenWish, (201,), (409,)),
    Route("DELETE", "/tokens/{token_id}", revoke, Role.ADMIN, TokenTold),
    Route("GET", "/audit", audit, Role.ADMIN, AuditTold, (BEFORE, AUDIT_LIMIT)),
)
