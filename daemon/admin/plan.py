"""``GET /plan`` and ``POST /plan``: what settings cost in calls, whether that fits, and when backfills end."""

from aiohttp import web
from pydantic import Field, ValidationError

from actors.costs import Plan
from config.model import Collection, Duration, Group, Schedule, Section
from daemon.admin.access import Role
from daemon.admin.asking import OWNER, STORE, find_channel, query, respond, settings_of
from daemon.admin.errands import POSTS_MOST
from daemon.admin.problem import Problem
from daemon.admin.routes import Route
from daemon.planning import Planned, Wish, gather


class BackfillWish(Section):
    channel: str = Field(min_length=1)
    posts: int | None = Field(default=None, ge=1, le=POSTS_MOST)
    """So many more than are wanted already; None for all."""


class PlanWish(Section):
    """Other settings than the daemon's own, and a backfill that isn't begun. What isn't given is the daemon's."""

    schedules: tuple[Schedule, ...] | None = None
    groups: tuple[Group, ...] | None = None
    reread_after: tuple[Duration, ...] | None = None
    backfill: BackfillWish | None = None


async def present(request: web.Request) -> web.Response:
    """What the settings in force cost in calls, by account and day, and whether that fits."""
    query(request)
    return await _answer(request, PlanWish())


async def wished(request: web.Request) -> web.Response:
    """The same for other settings and a backfill: a dry run, nothing is begun and nothing changes."""
    query(request)
    body = await request.read()
    try:
        wish = PlanWish.model_validate_json(body) if body else PlanWish()
        Collection(reread_after=wish.reread_after or ())
    except ValidationError as fault:
        first = fault.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise Problem(400, f"{where}: {first['msg'].removeprefix('Value error, ')}", field=where) from None
    return await _answer(request, wish)


async def _answer(request: web.Request, wish: PlanWish) -> web.Response:
    planned = Planned.of(settings_of(request))
    planned = planned.but(schedules=wish.schedules, groups=wish.groups, reread_after=wish.reread_after)
    backfill = None
    if wish.backfill is not None:
        row = await find_channel(request, wish.backfill.channel)
        backfill = Wish(channel_id=row.channel_id, posts=wish.backfill.posts)
    found = await gather(request.app[STORE], planned, request.app[OWNER].clock.now(), backfill)
    return respond(found)


ROUTES = (
    Route("GET", "/plan", present, Role.VIEWER, Plan),
    Route("POST", "/plan", wished, Role.VIEWER, Plan, body=PlanWish, problems=(404,)),
)
