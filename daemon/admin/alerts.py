"""``GET /alerts``: what an operator has to know."""

from dataclasses import dataclass

from aiohttp import web

from actors.alerts import KEY
from actors.messages.alerts import AlertRow, CloseAlert
from daemon.admin.access import Role
from daemon.admin.asking import STORE, ask, query, respond
from daemon.admin.params import OneOf, page_limit
from daemon.admin.problem import Problem
from daemon.admin.routes import Route

MOST = 1000
DIGITS = 19
"""So many a number in PostgreSQL can't have."""
ENDED = OneOf(
    name="ended", about="Whether those that are over are listed too.", words=("true", "false"), default="false"
)
LIMIT = page_limit(MOST, 100)


async def alerts(request: web.Request) -> web.Response:
    """Those that aren't over, the last met first; with ``ended=true`` also those that are, after them."""
    params = query(request)
    ended = ENDED.given(params) == "true"
    return respond(AlertsTold(alerts=tuple(await request.app[STORE].alerts.page(ended=ended, limit=LIMIT.of(params)))))


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsTold:
    alerts: tuple[AlertRow, ...]


async def close(request: web.Request) -> web.Response:
    """200 with the alert as it is then. What isn't over is raised anew when it is met again."""
    query(request)
    number = request.match_info["alert_id"]
    alert_id = int(number) if number.isascii() and number.isdigit() and len(number) < DIGITS else 0
    row = await ask(request, KEY, CloseAlert(alert_id=alert_id))
    if row is None:
        raise Problem(404, f"There is no alert {number[:40]!r}: GET /alerts lists them")
    return respond(row)


ROUTES = (
    Route("GET", "/alerts", alerts, Role.VIEWER, AlertsTold, query=(ENDED, LIMIT)),
    Route("POST", "/alerts/{alert_id}/close", close, Role.OPERATOR, AlertRow),
)
