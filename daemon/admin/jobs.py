"""Jobs over HTTP: start a parse, wait for it; ask how any job is, end it."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import cast, get_args

from aiohttp import web

from actors.errand import ERRANDS, CancelErrand, DescribeErrand, Errand
from actors.errors import JobUnknown
from actors.messages.ids import ENDED, JobId, JobKind, JobState
from actors.messages.jobs import (
    AwaitJob,
    CancelParse,
    DescribeJob,
    DescribeSchedules,
    Job,
    ParseAll,
    ParseUser,
    ScheduleTimes,
)
from actors.messages.rows import JobRow
from actors.runtime.message import Request
from daemon.admin.access import Role
from daemon.admin.asking import ASK_TIMEOUT, STORE, Ending, ask, query, respond, user_id
from daemon.admin.params import INT64_MAX, WAIT, OneOf, Whole, Words, page_limit
from daemon.admin.problem import Problem
from daemon.admin.routes import Route

SCHEDULER = "scheduler"
NEXT = Whole(name="next", about="Firings told of each.", low=1, high=100, default=3)
AFTER = Words(name="after", about="Only those after the schedule of this name.")
SCHEDULES_LIMIT = Whole(name="limit", about="At most so many; without it all.", low=1, high=5000)
STATE = OneOf(name="state", about="Only those in this state.", words=get_args(JobState))
KIND = OneOf(name="kind", about="Only those of this kind.", words=get_args(JobKind))
BEFORE = Whole(name="before", about="Only those with a smaller number.", low=1, default=INT64_MAX)
LIMIT = page_limit(1000, 100)
_JOB_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}", re.ASCII)


async def parse_user(request: web.Request) -> web.Response:
    """Collect what is new in a user's channels: 202 with the job, or with the one that runs already."""
    return await _start(request, ParseUser(account_id=user_id(request)))


async def parse_all(request: web.Request) -> web.Response:
    """Collect what is new in all channels, each once: 202 with the job, or with the one that runs already."""
    return await _start(request, ParseAll())


async def _start(request: web.Request, message: Request[Job]) -> web.Response:
    """202 with the job at once, or 200 when it is done within ``?wait``; 202 when time is up or the server ends."""
    wait = WAIT.given(query(request))
    job = await ask(request, SCHEDULER, message)
    if wait is None:
        return _answer(job, 202)
    if job.state not in ENDED:
        try:
            question = AwaitJob(job_id=job.job_id, wait=timedelta(seconds=wait))
            job = await ask(request, SCHEDULER, question, timeout=wait + ASK_TIMEOUT)
        except Ending:
            return _answer(job, 202)
    return _answer(job, 200 if job.state in ENDED else 202)


async def job(request: web.Request) -> web.Response:
    """A parse, a backfill or a verification as it stands."""
    found = await _find(request)
    if found.kind in ERRANDS:
        return respond(await ask(request, "errands", DescribeErrand(job_id=found.job_id)))
    return respond(found)


async def cancel(request: web.Request) -> web.Response:
    """200 with the job as it is then: cancelled, unless it was done before."""
    found = await _find(request)
    if found.kind in ERRANDS:
        return respond(await ask(request, "errands", CancelErrand(job_id=found.job_id)))
    return respond(await ask(request, SCHEDULER, CancelParse(job_id=found.job_id)))


async def _find(request: web.Request) -> Job:
    query(request)
    job_id = request.match_info["job_id"]
    if not _JOB_ID.fullmatch(job_id):
        raise JobUnknown(JobId(job_id[:64]))
    return await ask(request, SCHEDULER, DescribeJob(job_id=JobId(job_id)))


async def jobs(request: web.Request) -> web.Response:
    """Jobs, the newest first, all or those of a state or kind."""
    params = query(request)
    state, kind, limit = STATE.given(params), KIND.given(params), LIMIT.of(params)
    page = await request.app[STORE].jobs.page(
        before=BEFORE.of(params),
        limit=limit + 1,
        state=cast("JobState | None", state),
        kind=cast("JobKind | None", kind),
    )
    more = page[limit - 1].number if len(page) > limit else None
    return respond(Jobs(jobs=tuple(page[:limit]), next_before=more))


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    jobs: tuple[JobRow, ...]
    next_before: int | None
    """Where older ones begin; None where there are none."""


async def schedules(request: web.Request) -> web.Response:
    """The schedules with their firings to come, in the order of the settings; more of them after ``next_after``."""
    params = query(request)
    after, limit = AFTER.of(params) or None, SCHEDULES_LIMIT.given(params)
    question = DescribeSchedules(count=NEXT.of(params), after=after, limit=None if limit is None else limit + 1)
    found = await ask(request, SCHEDULER, question)
    if found is None:
        raise Problem(404, f"There is no schedule {(after or '')[:40]!r}: GET /schedules lists them", parameter="after")
    more = found[limit - 1].name if limit is not None and len(found) > limit else None
    return respond(Schedules(schedules=found[:limit], next_after=more))


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedules:
    schedules: tuple[ScheduleTimes, ...]
    next_after: str | None
    """Where the next page begins; None on the last one."""


def _answer(job: Job, status: int) -> web.Response:
    return respond(job, status=status, headers={"Location": f"/jobs/{job.job_id}"} if status == 202 else None)


ROUTES = (
    Route("POST", "/parse/user/{user_id}", parse_user, Role.OPERATOR, Job, (WAIT,), None, (200, 202), (409,)),
    Route("POST", "/parse/all", parse_all, Role.OPERATOR, Job, (WAIT,), None, (200, 202)),
    Route("GET", "/jobs", jobs, Role.VIEWER, Jobs, (STATE, KIND, BEFORE, LIMIT)),
    Route("GET", "/jobs/{job_id}", job, Role.VIEWER, Job | Errand),
    Route("POST", "/jobs/{job_id}/cancel", cancel, Role.OPERATOR, Job | Errand),
    Route("GET", "/schedules", schedules, Role.VIEWER, Schedules, (NEXT, AFTER, SCHEDULES_LIMIT), problems=(404,)),
)
