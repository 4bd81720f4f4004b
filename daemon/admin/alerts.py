"""``GET /alerts``: what an operator has to know."""

from aiohttp import web

from daemon.admin.access import Role
from daemon.admin.asking import STORE, integer, query, respond
from daemon.admin.problem import Problem
from daemon.admin.routes import Route

MOST = 1000


async def alerts(request: web.Request) -> web.Response:
    """Those that aren't over, the last met first; with ``ended=true`` also those that are, after them."""
    params = query(request, "ended", "limit")
    ended = params.get("ended", "false")
    if ended not in {"true", "false"}:
        raise Problem(400, "Query parameter 'ended' is true or false", parameter="ended")
    limit = integer(params, "limit", default=100, low=1, high=MOST)
    return respond({"alerts": await request.app[STORE].alerts.page(ended=ended == "true", limit=limit)})


ROUTES = (Route("GET", "/alerts", alerts, Role.VIEWER),)
