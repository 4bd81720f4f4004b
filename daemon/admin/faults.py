"""What went wrong below, as problems: actors' refusals, a store that is away, aiohttp's own errors."""

import math

from aiohttp import web

from actors.errors import (
    AccountUnusable,
    ActorsError,
    BlobsUnavailable,
    ChannelLost,
    ChannelUnknown,
    ErrandRuns,
    FloodWaited,
    FolderUnknown,
    JobUnknown,
    LimitReached,
    NameTaken,
    NotAChannel,
    NotConnected,
    OwnershipLost,
    Refused,
    StoreUnavailable,
    TryAgain,
    UserNotSignedIn,
    UserUnknown,
)
from actors.messages.ids import AccountState
from actors.runtime.errors import ActorDeadError, AskTimeout, JobCancelled, MailboxFull, RuntimeFault
from daemon.admin.asking import Ending
from daemon.admin.problem import Problem, busy

REFUSALS = {
    "USERNAME_NOT_OCCUPIED": "nobody bears this name",
    "USERNAME_INVALID": "this can't be a name",
    "INVITE_HASH_EXPIRED": "the invite has expired or was revoked",
    "INVITE_HASH_INVALID": "this is no invite",
    "CHANNELS_TOO_MUCH": "the account is in as many channels as Telegram allows: let it leave some, or ask another",
    "CHANNEL_PRIVATE": "the account was removed from this channel, or it is private",
}
"""What a person can make something of, in words."""
_WAY_BACK: dict[AccountState, str] = {
    "connecting": "",
    "signing_in": ": its sign-in isn't over yet",
    "disabled": ": take it up again with 'telewarden user enable'",
}
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
            advice = _WAY_BACK.get(fault.state, ": sign it in with 'telewarden login'")
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
        case NameTaken():
            return Problem(
                409, f"There is a token named {fault.name!r} already: revoke that one, or name this otherwise"
            )
        case LimitReached() | NotAChannel() | FolderUnknown():
            return Problem(422, f"{str(fault)[:1].upper()}{str(fault)[1:]}")
        case Refused():
            return Problem(422, f"Telegram refused: {REFUSALS.get(fault.cause, fault.cause)}", cause=fault.cause)
        case ChannelLost():
            return Problem(422, f"The account can't read channel {fault.channel_id}: {fault.cause}")
        case AccountUnusable():
            return Problem(409, f"User {fault.account_id} can't go on: {fault.cause}", state=fault.state)
        case FloodWaited():
            wait = math.ceil(fault.wait.total_seconds())
            headers = {"Retry-After": str(wait)}
            return Problem(429, f"Telegram wants {wait} s of waiting before this is tried again", headers=headers)
        case NotConnected():
            detail = f"User {fault.account_id} isn't connected just now: ask again in a moment, or see GET /users"
            return Problem(409, detail, headers={"Retry-After": "5"})
        case TryAgain():
            return busy(f"Telegram didn't answer as it should ({fault.cause}): ask again in a moment")
    return _of_the_store(fault)


def _of_the_store(fault: ActorsError) -> Problem | None:
    match fault:
        case OwnershipLost():
            return busy("Another daemon owns the database now: this one is ending")
        case StoreUnavailable():
            return busy("The database can't be reached just now: ask again in a moment")
        case BlobsUnavailable():
            return busy(f"The store of files can't be used just now ({fault}): ask again in a moment")
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
