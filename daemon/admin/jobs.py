"""Parses over HTTP: start one, wait for it, ask how it is."""

import re
from datetime import timedelta

from aiohttp import web

from actors.errand import ERRANDS, DescribeErrand
from actors.errors import JobUnknown
from actors.messages.ids import JobId
from actors.messages.jobs import AwaitJob, DescribeJob, DescribeSchedules, Job, ParseAll, ParseUser
from actors.runtime.message import Request
from daemon.admin.access import Role
from daemon.admin.asking import ASK_TIMEOUT, Ending, ask, integer, query, respond, seconds, user_id
from daemon.admin.routes import Route

SCHEDULER = "scheduler"
DONE = frozenset({"success", "failed", "cancelled"})
FIRINGS_MOST = 100
_JOB_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}", re.ASCII)


async def parse_user(request: web.Request) -> web.Response:
    return await _start(request, ParseUser(account_id=user_id(request)))


async def parse_all(request: web.Request) -> web.Response:
    return await _start(request, ParseAll())


async def _start(request: web.Request, message: Request[Job]) -> web.Response:
    """202 with the job at once, or 200 when it is done within ``?wait``; 202 when time is up or the server ends."""
    wait = seconds(query(request, "wait"), "wait")
    job = await ask(request, SCHEDULER, message)
    if wait is None:
        return _answer(job, 202)
    if job.state not in DONE:
        try:
            question = AwaitJob(job_id=job.job_id, wait=timedelta(seconds=wait))
            job = await ask(request, SCHEDULER, question, timeout=wait + ASK_TIMEOUT)
        except Ending:
            return _answer(job, 202)
    return _answer(job, 200 if job.state in DONE else 202)


async def job(request: web.Request) -> web.Response:
    query(request)
    job_id = request.match_info["job_id"]
    if not _JOB_ID.fullmatch(job_id):
        raise JobUnknown(JobId(job_id[:64]))
    found = await ask(request, SCHEDULER, DescribeJob(job_id=JobId(job_id)))
    if found.kind in ERRANDS:
        return respond(await ask(request, "errands", DescribeErrand(job_id=found.job_id)))
    return _answer(found, 200)


async def schedules(request: web.Request) -> web.Response:
    """Every schedule with its firings to come, ``?next`` of each, 3 unless it is said."""
    count = integer(query(request, "next"), "next", default=3, low=1, high=FIRINGS_MOST)
    return respond({"schedules": await ask(request, SCHEDULER, DescribeSchedules(count=count))})


def _answer(job: Job, status: int) -> web.Response:
    return respond(job, status=status, headers={"Location": f"/jobs/{job.job_id}"} if status == 202 else None)


ROUTES = (
    Route("POST", "/parse/user/{user_id}", parse_user, Role.OPERATOR),
    Route("POST", "/parse/all", parse_all, Role.OPERATOR),
    Route("GET", "/jobs/{job_id}", job, Role.VIEWER),
    Route("GET", "/schedules", schedules, Role.VIEWER),
)
