"""A POST that is repeated with the same ``Idempotency-Key`` is done once, and answered alike each time, for a day.

The key is in the store before the request is begun, and its answer after: whatever ends in between, the request isn't
done twice. Then nobody knows whether it was done at all, and a repeat is told just that.
"""

import logging
import re
from collections.abc import Awaitable
from datetime import UTC, datetime
from http import HTTPStatus

import orjson
from aiohttp import web

from actors.errors import SessionRejected, StoreUnavailable
from actors.messages.access import Asked
from actors.runtime.errors import AskTimeout
from daemon.admin.access import Role
from daemon.admin.admission import WHO
from daemon.admin.asking import STORE, Ending
from daemon.admin.problem import Problem
from daemon.admin.routes import ROUTE_OF, Handler

logger = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_NAMES = ("Content-Type", "Location")
"""Headers that an answer is kept with."""

AT_WORK = web.AppKey("at_work", set[tuple[str, str]])
"""Who and which key: requests that are being done by this process."""


@web.middleware
async def once(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Goes after admission: a key belongs to who sent it."""
    given = request.headers.get(HEADER)
    route = request.app[ROUTE_OF].get(request.match_info.route)
    if given is None or request.method != "POST" or route is None or route.role is Role.GUEST:
        return await handler(request)
    if not _KEY.fullmatch(given):
        raise Problem(400, f"{HEADER} must be 1 to 255 printable ASCII characters without blanks")
    asked = request.rel_url.raw_path_qs.encode() + b"\n" + await request.read()
    key, at_work = (request[WHO].name, given), request.app[AT_WORK]
    if key in at_work:
        raise Problem(409, f"The request with this {HEADER} is still being done: ask again in a moment")
    at_work.add(key)
    try:
        known = await request.app[STORE].repeats.begin(*key, asked, datetime.now(UTC))
        return await _first(request, handler, key) if known is None else _again(request, known, key)
    finally:
        at_work.discard(key)


async def _first(request: web.Request, handler: Handler, key: tuple[str, str]) -> web.StreamResponse:
    repeats = request.app[STORE].repeats
    try:
        response = await handler(request)
    except (AskTimeout, Ending):
        raise  # the actor may do it yet: the key isn't given back
    except Exception:
        await _note(repeats.drop(*key))
        raise
    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes), "no POST answers a stream"
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        await _note(repeats.drop(*key))
    else:
        headers = {name: response.headers[name] for name in _NAMES if name in response.headers}
        await _note(repeats.end(*key, orjson.dumps([response.status, headers]) + b"\n" + response.body))
    return response


async def _note(noting: Awaitable[None]) -> None:
    """What was done is answered in any case; a repeat of what couldn't be noted hears that nobody knows."""
    try:
        await noting
    except StoreUnavailable as error:
        logger.warning("what became of a request with a key isn't noted: %s", error)


def _again(request: web.Request, known: Asked, key: tuple[str, str]) -> web.Response:
    """The first answer. Raises: ``Problem``."""
    if not known.same:
        detail = f"This {HEADER} was sent with another request: take a new one for each thing that is to be done"
        raise Problem(422, detail)
    look = "look whether it was (GET /jobs, /invites, /tokens, /users), then take a new key"
    if known.sealed is None:
        raise Problem(409, f"The daemon or its database ended while this request was being done: {look}")
    try:
        head, _, body = request.app[STORE].repeats.open(*key, known.sealed).partition(b"\n")
    except SessionRejected:
        detail = "This request was answered, and the answer can't be read since the master key was replaced"
        raise Problem(409, f"{detail}: {look}") from None
    status, headers = orjson.loads(head)
    return web.Response(status=status, body=body, headers={**headers, "Idempotent-Replayed": "true"})
