"""Jobs about one channel over HTTP: begin a backfill or a verification, end a job."""

from datetime import date, timedelta

import orjson
from aiohttp import web

from actors.errand import ERRANDS, AwaitErrand, CancelErrand, Errand, StartBackfill, StartVerify
from actors.messages.ids import JobId
from actors.messages.jobs import DescribeJob
from actors.runtime.message import Request
from config.model import Start
from daemon.admin.access import Role
from daemon.admin.asking import ASK_TIMEOUT, Ending, ask, find_channel, integer, query, respond, seconds
from daemon.admin.problem import Problem
from daemon.admin.routes import Route

KEY = "errands"
SCHEDULER = "scheduler"
DONE = frozenset({"success", "failed", "cancelled"})
MESSAGE_ID_MAX = 2**31 - 1
POSTS_MOST = 100_000_000
WISHES = '{"all": true}, {"since": "2024-01-31"} or {"posts": 500}'


async def backfill(request: web.Request) -> web.Response:
    """202 with the job; the same wish, while it runs, is answered by the same job, another by 409."""
    wait = seconds(query(request, "wait"), "wait")
    row = await find_channel(request, request.match_info["channel"])
    wish = _wish(await request.read())
    return await begin(request, StartBackfill(channel_id=row.channel_id, wish=wish), wait)


async def verify(request: web.Request) -> web.Response:
    """202 with the job; its result says what differed."""
    params = query(request, "from", "to", "wait")
    wait = seconds(params, "wait")
    low = integer(params, "from", default=1, low=1, high=MESSAGE_ID_MAX) if "from" in params else None
    high = integer(params, "to", default=1, low=1, high=MESSAGE_ID_MAX) if "to" in params else None
    row = await find_channel(request, request.match_info["channel"])
    return await begin(request, StartVerify(channel_id=row.channel_id, low=low, high=high), wait)


async def begin(request: web.Request, message: Request[Errand], wait: float | None) -> web.Response:
    """202 with the job at once, or 200 when it is done within ``wait`` seconds."""
    errand = await ask(request, KEY, message)
    if wait is not None and errand.state not in DONE:
        question = AwaitErrand(job_id=errand.job_id, wait=timedelta(seconds=wait))
        try:
            errand = await ask(request, KEY, question, timeout=wait + ASK_TIMEOUT)
        except Ending:
            return answer(errand, 202)
    return answer(errand, 200 if wait is not None and errand.state in DONE else 202)


async def cancel(request: web.Request) -> web.Response:
    """200 with the job as it is then: cancelled, unless it was done before."""
    query(request)
    job_id = JobId(request.match_info["job_id"][:64])
    job = await ask(request, SCHEDULER, DescribeJob(job_id=job_id))
    if job.kind not in ERRANDS:
        raise Problem(409, "A parse can't be cancelled: it ends by itself, and what it asked for is wanted anyway")
    return answer(await ask(request, KEY, CancelErrand(job_id=job_id)), 200)


def answer(errand: Errand, status: int) -> web.Response:
    return respond(errand, status=status, headers={"Location": f"/jobs/{errand.job_id}"} if status == 202 else None)


def _wish(body: bytes) -> Start:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as fault:
        raise Problem(400, f"The body must be JSON: {WISHES}") from fault
    match document:
        case {"all": True, **rest} if not rest:
            return Start(policy="all")
        case {"posts": int(count), **rest} if not rest and not isinstance(count, bool) and 1 <= count <= POSTS_MOST:
            return Start(policy="last", count=count)
        case {"since": str(text), **rest} if not rest:
            return Start(policy="since", since=_day(text))
    raise Problem(400, f"The body must be one of {WISHES}; of posts 1 to {POSTS_MOST}")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as fault:
        detail = f"The field 'since' must be a day such as 2024-01-31, not {text[:40]!r}"
        raise Problem(400, detail, field="since") from fault


ROUTES = (
    Route("POST", "/channels/{channel}/backfill", backfill, Role.OPERATOR),
    Route("POST", "/channels/{channel}/verify", verify, Role.OPERATOR),
    Route("POST", "/jobs/{job_id}/cancel", cancel, Role.OPERATOR),
)
