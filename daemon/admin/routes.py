"""The route table: nothing is served that doesn't declare who may ask for it."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from aiohttp import web
from prometheus_async.aio import time as timed
from prometheus_client import Histogram

from daemon.admin.access import Role
from daemon.admin.problem import Problem

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ROLES = web.AppKey("roles", dict[web.AbstractRoute, Role])
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path; a GET answers HEAD too."""

    method: str
    path: str
    handler: Handler
    role: Role


def add_routes(app: web.Application, routes: Iterable[Route], durations: Histogram) -> None:
    """Register ``routes``, each timed under its path and method."""
    roles = app[ROLES]
    for route in routes:
        handler = timed(durations.labels(route=route.path, method=route.method))(route.handler)
        for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
            added = app.router.add_route(method, route.path, handler, expect_handler=_expect)
            roles[added] = route.role


def check_roles(app: web.Application) -> None:
    """Raises: ``RuntimeError`` for a route that was added past ``add_routes`` and so declares no role."""
    for route in app.router.routes():
        if route not in app[ROLES]:
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
