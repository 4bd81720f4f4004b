"""What handlers share: the state of the application, asking actors, reading requests, writing JSON."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import orjson
from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry

from actors.messages.ids import AccountId
from actors.messages.rows import ChannelRow
from actors.ports import Blobs, Store
from actors.runtime.message import Request
from actors.runtime.owner import LoopOwner
from config.model import Settings
from daemon.admin.params import INT64_MAX
from daemon.admin.problem import Problem
from daemon.admin.routes import ROUTE_OF
from daemon.reloading import Reloading
from daemon.rotation import Rotation

R = TypeVar("R")

Ready = Callable[[], Awaitable[Mapping[str, str | None]]]
"""Answers each part's name with None when it is well, else with what is wrong. Called for each ``GET /readyz``."""

OWNER = web.AppKey("owner", LoopOwner)
STORE = web.AppKey("store", Store)
BLOBS: web.AppKey[Blobs | None] = web.AppKey("blobs", object)  # type: ignore[arg-type]  # a protocol is no plain class
REGISTRY = web.AppKey("registry", CollectorRegistry)
READY: web.AppKey[Ready] = web.AppKey("ready", Callable)  # type: ignore[arg-type]  # AppKey wants a plain class
RELOADING = web.AppKey("reloading", Reloading)
"""Knows the settings in force."""
ROTATION = web.AppKey("rotation", Rotation)
"""Of the master key."""
ENDING = web.AppKey("ending", asyncio.Event)
"""Set when the server shuts down: whoever waits stops waiting and answers."""

ASK_TIMEOUT = 10.0
"""Seconds; the actors asked here never wait for Telegram before they answer, but mail may queue before the question."""

_NUMBER = re.compile(r"\d{1,19}", re.ASCII)
_WHOLE = re.compile(r"-?\d+", re.ASCII)
_LONGEST_NAME = 200


class Ending(Exception):
    """The server shuts down before an answer came."""


async def ask(request: web.Request, key: str, message: Request[R], *, timeout: float = ASK_TIMEOUT) -> R:  # noqa: ASYNC109 -- the actor's deadline
    """Ask the actor under ``key``. Raises what the actor raises, the runtime's faults, and ``Ending``."""
    call = asyncio.ensure_future(request.app[OWNER].find(key).call(message, timeout=timeout))
    ending = asyncio.ensure_future(request.app[ENDING].wait())
    try:
        await asyncio.wait((call, ending), return_when=asyncio.FIRST_COMPLETED)
        if not call.done():
            raise Ending
        return call.result()
    finally:
        call.cancel()
        ending.cancel()


def settings_of(request: web.Request) -> Settings:
    """Those in force."""
    return request.app[RELOADING].settings


def respond(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """``value`` as JSON: UTF-8 unescaped, times in UTC with ``Z``, dataclasses by their fields."""
    body = orjson.dumps(value, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def query(request: web.Request) -> dict[str, str]:
    """The query's parameters. One that the route doesn't declare, or that is given twice, is a 400 that names it."""
    declared = request.app[ROUTE_OF][request.match_info.route].query
    names = [param.name for param in declared]
    found: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in names:
            known = f"only {', '.join(names)}" if names else "no parameters"
            raise Problem(400, f"Query parameter {name!r} is unknown: {request.path} takes {known}", parameter=name)
        if name in found:
            raise Problem(400, f"Query parameter {name!r} is given twice", parameter=name)
        found[name] = value
    return found


def user_id(request: web.Request) -> AccountId:
    """The path's user id. What can't be one is a 404 like any other unknown user."""
    text = request.match_info["user_id"]
    if not _NUMBER.fullmatch(text) or int(text) > INT64_MAX:
        raise Problem(404, f"There is no user {text[:40]!r}: a user's id is the number that GET /users lists")
    return AccountId(int(text))


async def find_channel(request: web.Request, name: str) -> ChannelRow:
    """The followed channel of that name, as ``Channels.by_name`` takes it."""
    if not name:
        detail = "Query parameter 'channel' is required: a name that GET /channels lists (name, @name, t.me/name or id)"
        raise Problem(400, detail, parameter="channel")
    if len(name) > _LONGEST_NAME or not name.isprintable():
        raise Problem(400, "What stands for the channel can't be a channel's name", parameter="channel")
    out_of_range = _WHOLE.fullmatch(name) is not None and abs(int(name)) > INT64_MAX
    row = None if out_of_range else await request.app[STORE].channels.by_name(name)
    if row is None:
        raise Problem(404, f"There is no channel {name!r} here: GET /channels lists those that are followed")
    return row


def content_type(response: web.Response, value: str) -> web.Response:
    """Set the whole header: aiohttp's own attribute refuses parameters other than charset."""
    response.headers[hdrs.CONTENT_TYPE] = value
    return response
