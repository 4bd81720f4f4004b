"""The route table: nothing is served that doesn't declare who may ask for it."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from prometheus_async.aio import time as timed
from prometheus_client import Histogram
from pydantic import BaseModel

from daemon.admin.access import Role
from daemon.admin.params import Param
from daemon.admin.problem import Problem

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path, and all that its description says; a GET answers HEAD too.

    The handler's docstring is its summary, so it is the caller's to read.
    """

    method: str
    path: str
    handler: Handler
    role: Role
    answer: Any = None
    """The type of a success's JSON document; None where there is none to describe (a page, a picture, a file)."""
    query: tuple[Param, ...] = ()
    body: type[BaseModel] | None = None
    status: tuple[int, ...] = (200,)
    """With which it succeeds."""
    problems: tuple[int, ...] = ()
    """With which it may fail, besides those that every route may."""
    media: str = JSON


ROUTE_OF = web.AppKey("route_of", dict[web.AbstractRoute, Route])


def add_routes(app: web.Application, routes: Iterable[Route], durations: Histogram) -> None:
    """Register ``routes``, each timed under its path and method."""
    for route in routes:
        handler = timed(durations.labels(route=route.path, method=route.method))(route.handler)
        for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
            added = app.router.add_route(method, route.path, handler, expect_handler=_expect)
            app[ROUTE_OF][added] = route


def check_roles(app: web.Application) -> None:
    """Raises: ``RuntimeError`` for a route that was added past ``add_routes`` and so declares no role."""
    for route in app.router.routes():
        if route not in app[ROUTE_OF]:
            raise RuntimeError(f"route {route.method} {route.resource} declares no role: add it by add_routes")


async def _expect(request: web.Request) -> web.StreamResponse | None:
    """What aiohttp does by itself answers an unknown Expect in plain text; this runs before any middleware."""
    if request.version < (1, 1):
        return None
    if request.headers.get("Expect", "").lower() != "100-continue":
        return Problem(417, "The only Expect header that is understood is '100-continue'").response()
    writer = request.writer
    await writer.write(_CONTINUE)
    writer.output_size = 0  # the body proper hasn't begun: errors may still be answered
    return None
