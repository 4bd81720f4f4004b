"""A POST that is repeated with the same ``Idempotency-Key`` is done once, and answered alike each time.

Answers are kept in memory: some hold what is shown once, and so mustn't lie in the database. After a restart of the
daemon a key is new again; what a caller can't tell then, it sees in the jobs, invites and tokens that are listed.
"""

import asyncio
import hashlib
import re
from collections import OrderedDict
from dataclasses import dataclass

from aiohttp import web

from daemon.admin.access import Role
from daemon.admin.admission import WHO
from daemon.admin.problem import Problem
from daemon.admin.routes import ROUTE_OF, Handler

HEADER = "Idempotency-Key"
KEPT_FOR = 24 * 3600.0
"""Seconds; the IETF's draft leaves it to the server."""
KEPT = 1000
"""Answers at most; the oldest are forgotten."""
LARGEST = 64 * 1024
"""Bytes of an answer that is kept; no POST answers more."""
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(slots=True)
class Kept:
    """What was asked, and what was answered; None while it is being done."""

    asked: bytes
    at: float
    answer: tuple[int, bytes, dict[str, str]] | None = None


class Repeats:
    """Keys of the last day, by who sent them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], Kept] = OrderedDict()

    def begin(self, key: tuple[str, str], asked: bytes) -> Kept | None:
        """What is known of the key; None for a new one, which is being done from now on. Raises: ``Problem``."""
        now = asyncio.get_running_loop().time()
        while self._kept and (len(self._kept) > KEPT or now - next(iter(self._kept.values())).at > KEPT_FOR):
            self._kept.popitem(last=False)
        kept = self._kept.get(key)
        if kept is None:
            self._kept[key] = Kept(asked=asked, at=now)
            return None
        if kept.asked != asked:
            detail = f"This {HEADER} was sent with another request: take a new one for each thing that is to be done"
            raise Problem(422, detail)
        if kept.answer is None:
            raise Problem(409, f"The request with this {HEADER} is still being done: ask again in a moment")
        return kept

    def end(self, key: tuple[str, str], answer: tuple[int, bytes, dict[str, str]] | None) -> None:
        """Keep the answer; with None the request may be made anew."""
        kept = self._kept.get(key)
        if kept is not None and answer is not None:
            kept.answer = answer
        else:
            self._kept.pop(key, None)


REPEATS = web.AppKey("repeats", Repeats)


@web.middleware
async def once(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Goes after admission: a key belongs to who sent it."""
    given = request.headers.get(HEADER)
    route = request.app[ROUTE_OF].get(request.match_info.route)
    if given is None or request.method != "POST" or route is None or route.role is Role.GUEST:
        return await handler(request)
    if not _KEY.fullmatch(given):
        raise Problem(400, f"{HEADER} must be 1 to 255 printable ASCII characters without blanks")
    repeats, key = request.app[REPEATS], (request[WHO].name, given)
    asked = hashlib.sha256(request.rel_url.raw_path_qs.encode() + b"\n" + await request.read()).digest()
    kept = repeats.begin(key, asked)
    if kept is not None and kept.answer is not None:
        status, body, headers = kept.answer
        return web.Response(status=status, body=body, headers={**headers, "Idempotent-Replayed": "true"})
    answer = None
    try:
        response = await handler(request)
        # Who was refused because something is away may try again with the same key.
        if isinstance(response, web.Response) and response.status < 500 and isinstance(response.body, bytes):
            names = ("Content-Type", "Location")
            headers = {name: response.headers[name] for name in names if name in response.headers}
            answer = (response.status, response.body, headers) if len(response.body) <= LARGEST else None
    finally:
        repeats.end(key, answer)
    return response
