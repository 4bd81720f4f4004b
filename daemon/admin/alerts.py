"""Alerts: what an operator has to know."""

from dataclasses import dataclass

from aiohttp import web

from actors.alerts import KEY
from actors.messages.alerts import AlertRow, CloseAlert
from daemon.admin.access import Role
from daemon.admin.asking import STORE, ask, query, respond
from daemon.admin.params import OneOf, Whole, page_limit
from daemon.admin.problem import Problem
from daemon.admin.routes import Route

MOST = 1000
DIGITS = 19
"""So many a number in PostgreSQL can't have."""
ENDED = OneOf(
    name="ended", about="Whether those that are over are listed too.", words=("true", "false"), default="false"
)
AFTER = Whole(name="after", about="Only those that are listed after the alert of this number.", low=1)
LIMIT = page_limit(MOST, 100)


async def alerts(request: web.Request) -> web.Response:
    """Those that aren't over, the last met first; with ``ended=true`` also those that are, after them."""
    params = query(request)
    ended, after, limit = ENDED.given(params) == "true", AFTER.given(params), LIMIT.of(params)
    store = request.app[STORE].alerts
    if after is not None and await store.one(after) is None:
        raise _unknown(str(after))
    found = tuple(await store.page(ended=ended, after=after, limit=limit))
    more = found[-1].alert_id if len(found) == limit else None
    return respond(AlertsTold(alerts=found, next_after=more))


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsTold:
    alerts: tuple[AlertRow, ...]
    next_after: int | None
    """Where the next page begins; None on the last one."""


async def close(request: web.Request) -> web.Response:
    """200 with the alert as it is then. What isn't over is raised anew when it is met again."""
    query(request)
    number = request.match_info["alert_id"]
    alert_id = int(number) if number.isascii() and number.isdigit() and len(number) < DIGITS else 0
    row = await ask(request, KEY, CloseAlert(alert_id=alert_id))
    if row is None:
        raise _unknown(number)
    return respond(row)


def _unknown(number: str) -> Problem:
    return Problem(404, f"There is no alert {number[:40]!r}: GET /alerts lists them")


ROUTES = (
    Route("GET", "/alerts", alerts, Role.VIEWER, AlertsTold, query=(ENDED, AFTER, LIMIT), problems=(404,)),
    Route("POST", "/alerts/{alert_id}/close", close, Role.OPERATOR, AlertRow),
)
