"""At the door: who asks, whether it may, and what is noted of it."""

import asyncio
import logging
import re
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter

from actors import log
from actors.errors import StoreUnavailable
from actors.messages.access import Audited, Token
from actors.ports import Access as StoredAccess
from daemon.admin.access import Access, Caller, Role, Who, unauthorized
from daemon.admin.asking import ENDING, STORE
from daemon.admin.problem import Problem
from daemon.admin.routes import ROUTE_OF, Handler

logger = logging.getLogger(__name__)

FRESH = timedelta(seconds=1)
"""For which what the store said of a token holds: a revoked one is refused within that time."""
REMEMBERED = 1000
"""Tokens of which that is kept."""
USED_EVERY = timedelta(minutes=1)
"""Between two notes of when a token was used last."""
NOTE_WITHIN = 2.0
"""Seconds for the database to take a note."""
NOTE_AT_END = 0.25
"""More of them once those are over, or the server ends."""
READS = frozenset({"GET", "HEAD"})
_KEYED = re.compile(r"^(/+(?:first-token|login)/).+", re.DOTALL)
WHO: web.RequestKey[Who] = web.RequestKey("who", Who)


class Door:
    """Admits callers by ``Access``, and by the tokens that the store knows."""

    def __init__(self, access: Access, registry: CollectorRegistry) -> None:
        self._access = access
        self._registry = registry
        self._known: OrderedDict[bytes, tuple[datetime, Token]] = OrderedDict()
        self._noted: dict[int, datetime] = {}
        self._refused = Counter(
            "telewarden_http_refused",
            "Requests that were answered 401 or 403: who asked wasn't known, or may not do that.",
            ("status",),
            registry=registry,
        )

    def close(self) -> None:
        """A server that is started again in this process registers its metric anew."""
        self._registry.unregister(self._refused)

    def forget(self, token_id: int) -> None:
        """It has changed: the store is asked anew."""
        for digest, (_, token) in tuple(self._known.items()):
            if token.token_id == token_id:
                del self._known[digest]

    async def admit(self, request: web.Request, wanted: Role) -> Who:
        """Who that is, if it may. Raises: ``Problem`` 401 or 403, StoreUnavailable."""
        try:
            who = await self._identify(request)
            _check(who.role, wanted)
        except Problem as problem:
            self._refused.labels(status=str(problem.status)).inc()
            logger.info("%s %s refused: %s", request.method, shown(request.path), problem.detail)
            raise
        return who

    async def _identify(self, request: web.Request) -> Who:
        found = self._access.recognise(Caller.of(request))
        return found if isinstance(found, Who) else await self._by_token(request.app[STORE].access, found)

    async def _by_token(self, store: StoredAccess, digest: bytes) -> Who:
        now = datetime.now(UTC)
        at, token = self._known.get(digest, (datetime.min.replace(tzinfo=UTC), None))
        if now - at > FRESH or token is None:
            token = await store.find(digest)
            if token is None:
                raise unauthorized(
                    "This token isn't known: send the one of admin.token_file, or make one", invalid=True
                )
            self._known[digest] = now, token
            self._known.move_to_end(digest)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        if token.revoked_at is not None:
            raise unauthorized(f"The token {token.name!r} was revoked: ask an administrator for another", invalid=True)
        if token.expires_at is not None and token.expires_at <= now:
            raise unauthorized(f"The token {token.name!r} has expired: ask an administrator for another", invalid=True)
        await self._note_use(store, token, now)
        return Who(role=Role[token.role.upper()], name=f"token {token.token_id} {token.name}")

    async def _note_use(self, store: StoredAccess, token: Token, now: datetime) -> None:
        before = self._noted.get(token.token_id)
        if before is None or now - before > USED_EVERY:
            self._noted[token.token_id] = now
            await store.used(token.token_id, now)


DOOR = web.AppKey("door", Door)


@web.middleware
async def admission(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What isn't a route answers 404 or 405, but only to those who may ask at all."""
    route = request.app[ROUTE_OF].get(request.match_info.route)
    wanted = Role.VIEWER if route is None else route.role
    if wanted is Role.GUEST:
        return await handler(request)
    request[WHO] = await request.app[DOOR].admit(request, wanted)
    return await handler(request)


@web.middleware
async def audit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Notes what was to change something, whatever came of it. Goes around what makes answers of errors."""
    status = HTTPStatus.INTERNAL_SERVER_ERROR.value
    try:
        answer = await handler(request)
        status = answer.status
    finally:
        who = request.get(WHO)
        if who is not None and request.method not in READS:
            await _note(request, who, status)
    return answer


def _check(role: Role, wanted: Role) -> None:
    """Raises: ``Problem`` 403."""
    if role >= wanted:
        return
    if role is Role.VIEWER:
        raise Problem(403, "This token may look, but not act: send an operator's token")
    raise Problem(403, "This takes an administrator's token: send the one of admin.token_file, or one made with it")


def shown(path: str) -> str:
    """What may be written down of a path: some end in a key that works once."""
    return _KEYED.sub(r"\1…", path)[:500]


async def _note(request: web.Request, who: Who, status: int) -> None:
    path = shown(request.rel_url.raw_path)  # as it was sent: decoded it may hold what no text column takes
    log.emit(log.AUDITED, who=who.name, method=request.method, path=path, status=status)
    audited = Audited(
        who=who.name,
        role=who.role.name.lower(),
        method=request.method,
        path=path,
        status=status,
        at=datetime.now(UTC),
    )
    try:
        await _kept(request, audited)
    except (StoreUnavailable, TimeoutError) as fault:
        why = str(fault) or f"not written within {NOTE_WITHIN:.0f} s"
        logger.warning("the audit in the database lacks what the log has just told: %s", why)


async def _kept(request: web.Request, audited: Audited) -> None:
    """Raises: StoreUnavailable, TimeoutError: the answer, and the server's end, wait no longer for the database."""
    note = asyncio.ensure_future(request.app[STORE].access.note(audited))
    ending = asyncio.ensure_future(request.app[ENDING].wait())
    try:
        await asyncio.wait((note, ending), timeout=NOTE_WITHIN, return_when=asyncio.FIRST_COMPLETED)
        if not note.done():
            await asyncio.wait((note,), timeout=NOTE_AT_END)
        if not note.done():
            raise TimeoutError
        note.result()
    finally:
        ending.cancel()
        note.cancel()
