"""What went wrong below, as problems: actors' refusals, a store that is away, aiohttp's own errors."""

import math

from aiohttp import web

from actors.errors import (
    ActorsError,
    BlobsUnavailable,
    ChannelUnknown,
    ErrandRuns,
    FloodWaited,
    JobUnknown,
    OwnershipLost,
    StoreUnavailable,
    TryAgain,
    UserNotSignedIn,
    UserUnknown,
)
from actors.runtime.errors import ActorDeadError, AskTimeout, JobCancelled, MailboxFull, RuntimeFault
from daemon.admin.asking import Ending
from daemon.admin.problem import Problem, busy

FAULTS = (web.HTTPException, ActorsError, RuntimeFault, ActorDeadError, Ending)
"""What ``problem_of`` may know; anything else is a defect and stays one."""


def problem_of(fault: Exception, request: web.Request) -> Problem | None:
    """The problem to answer; None for what nobody foresaw."""
    if isinstance(fault, web.HTTPException):
        return _of_http(fault, request)
    if isinstance(fault, ActorsError):
        return _of_actors(fault)
    if isinstance(fault, Ending):
        return busy("The daemon is shutting down: ask again when it runs")
    if isinstance(fault, ActorDeadError | AskTimeout | JobCancelled | MailboxFull):
        return busy(f"The daemon can't answer just now ({fault}): ask again in a moment")
    return None


def _of_actors(fault: ActorsError) -> Problem | None:
    match fault:
        case UserUnknown():
            return Problem(404, f"There is no user {fault.account_id}: GET /users lists those that there are")
        case UserNotSignedIn():
            detail = f"User {fault.account_id} isn't signed in, its state is {fault.state!r}"
            advice = "" if fault.state == "connecting" else ": sign it in with 'telewarden login'"
            return Problem(409, detail + advice, state=fault.state)
        case JobUnknown():
            return Problem(404, f"There is no job {fault.job_id!r}: a job's id stands in the answer that started it")
        case ChannelUnknown():
            return Problem(404, f"There is no channel {fault.channel_id}: GET /channels lists those that there are")
        case ErrandRuns():
            detail = (
                f"A {fault.kind} of this channel runs already ({fault.asked}): let job {fault.job_id} end or cancel it"
            )
            return Problem(409, detail, job_id=fault.job_id)
        case FloodWaited():
            wait = math.ceil(fault.wait.total_seconds())
            headers = {"Retry-After": str(wait)}
            return Problem(429, f"Telegram wants {wait} s of waiting before this is tried again", headers=headers)
        case TryAgain():
            return busy(f"Telegram didn't answer as it should ({fault.cause}): ask again in a moment")
        case StoreUnavailable():
            return busy("The database can't be reached just now: ask again in a moment")
        case BlobsUnavailable():
            return busy(f"The store of files can't be used just now ({fault}): ask again in a moment")
        case OwnershipLost():
            return busy("Another daemon owns the database now: this one is ending")
    return None


def _of_http(fault: web.HTTPException, request: web.Request) -> Problem:
    headers = {"Allow": fault.headers["Allow"]} if "Allow" in fault.headers else {}
    match fault.status:
        case 404:
            detail = f"Nothing is served at {request.path[:200]!r}: try /users, /channels, /posts?channel=…, /livez"
        case 405:
            detail = f"{request.method} is not for {request.path[:200]!r}: use {headers.get('Allow', 'another method')}"
        case 413:
            detail = f"The body is too large: at most {request.client_max_size} bytes are taken"
        case _:
            detail = f"The request can't be served: {fault.reason}"
    return Problem(fault.status, detail, headers=headers)
