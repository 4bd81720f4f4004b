"""The control interface: HTTP on loopback by which tests and operators move the world and look behind it."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import ValidationError

from sandbox import bodies, ledger, plans
from sandbox.datacentre import DataCentre
from sandbox.dispatch import METHOD_NAMES
from sandbox.doors import NotLoopbackError, loopback
from sandbox.faults import Rule, Turbulence
from sandbox.limits import USUAL, Limit
from sandbox.logins import LoginError
from sandbox.world import MissingError, WorldError

logger = logging.getLogger(__name__)

DC = web.AppKey("dc", DataCentre)
MAX_BODY = 16 * 1024 * 1024

routes = web.RouteTableDef()
B = TypeVar("B", bound=bodies.Body)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ProblemError(Exception):
    """A refusal; its text says what to do."""

    def __init__(self, detail: str, status: int = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status

    def response(self) -> web.Response:
        body = {"title": HTTPStatus(self.status).phrase, "status": int(self.status), "detail": self.detail}
        return web.json_response(body, status=self.status, content_type="application/problem+json")


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse names that aren't ours (a web page can point its own at 127.0.0.1), and turn faults into problems."""
    host = request.host.rsplit(":", 1)[0] if not request.host.endswith("]") else request.host
    try:
        loopback(host.strip("[]").lower())
    except NotLoopbackError:
        return ProblemError(f"the Host header says {host!r}; ask 127.0.0.1", HTTPStatus.FORBIDDEN).response()
    try:
        return await handler(request)
    except ProblemError as problem:
        return problem.response()
    except MissingError as error:
        return ProblemError(str(error), HTTPStatus.NOT_FOUND).response()
    except WorldError as error:
        return ProblemError(str(error)).response()
    except (web.RequestPayloadError, HttpProcessingError) as error:
        return ProblemError(f"the body can't be read: {error}").response()
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        return ProblemError(
            f"{request.method} {request.path}: {error.reason}; docs/sandbox.md lists the paths", error.status
        ).response()
    except Exception:  # a defect: it belongs in the log, and the asker must hear of it
        logger.exception("%s %s failed", request.method, request.path)
        return ProblemError(
            "the sandbox failed; its log has the traceback", HTTPStatus.INTERNAL_SERVER_ERROR
        ).response()


async def _read(request: web.Request, kind: type[B]) -> B:
    """The request's body; none at all is an empty one. Raises ProblemError that names every fault in it."""
    try:
        return kind.model_validate_json(await request.read() or b"{}", strict=True)
    except ValidationError as error:
        faults = []
        for fault in error.errors(include_url=False, include_input=False):
            place = ".".join(str(part) for part in fault["loc"]) or "the body"
            text = fault["msg"].removeprefix("Value error, ")
            if fault["type"] == "extra_forbidden":
                text = f"is not known here; {kind.__name__} has {', '.join(kind.model_fields)}"
            faults.append(f"{place}: {text}")
        raise ProblemError("; ".join(dict.fromkeys(faults))) from error


def _made(**fields: Any) -> web.Response:
    return web.json_response(fields, status=HTTPStatus.CREATED)


def _nothing() -> web.Response:
    return web.Response(status=HTTPStatus.NO_CONTENT)


def _check_methods(*names: str) -> None:
    """Raises ProblemError for what is no method: a rule for it would never act."""
    if wrong := sorted(set(names) - METHOD_NAMES - {"*"}):
        raise ProblemError(f"{', '.join(wrong)}: no method has this name; they look like messages.getHistory")


# The world


@routes.post("/posts")
async def publish(request: web.Request) -> web.Response:
    body = await _read(request, bodies.PostsBody)
    dc = request.app[DC]
    channel = dc.world.channel(body.channel)
    at = dc.clock.seconds()
    if body.generated:  # both parts or none
        plans.growth(channel, len(body.drafts) + body.generated, at, silent=body.silent)
    drafts = [partial(draft.post, at) for draft in body.drafts]
    ids = dc.publish_drafts(channel, drafts, silent=body.silent) if drafts else []
    if body.generated:
        ids += dc.publish(channel, count=body.generated, silent=body.silent)
    return _made(channel=channel.id, ids=ids)


@routes.post("/edits")
async def edit(request: web.Request) -> web.Response:
    body = await _read(request, bodies.EditBody)
    dc = request.app[DC]
    channel = dc.world.channel(body.channel)
    dc.edit(channel, body.id, body.text, entities=body.entities, hidden=body.hidden, silent=body.silent)
    return _made(channel=channel.id, ids=[body.id])


@routes.post("/deletes")
async def delete(request: web.Request) -> web.Response:
    body = await _read(request, bodies.DeleteBody)
    dc = request.app[DC]
    channel = dc.world.channel(body.channel)
    return _made(channel=channel.id, ids=dc.delete(channel, body.ids, silent=body.silent))


@routes.post("/figures")
async def count(request: web.Request) -> web.Response:
    body = await _read(request, bodies.FiguresBody)
    dc = request.app[DC]
    channel = dc.world.channel(body.channel)
    reactions = None if body.reactions is None else tuple(body.reactions.items())
    dc.count(channel, body.id, views=body.views, forwards=body.forwards, reactions=reactions)
    return _made(channel=channel.id, ids=[body.id])


@routes.post("/channels")
async def found(request: web.Request) -> web.Response:
    body = await _read(request, bodies.FoundBody)
    dc = request.app[DC]
    group_of = dc.world.channel(body.group_of) if body.group_of is not None else None
    channel = dc.found(body.title, body.username, group_of=group_of, first_id=body.first_id)
    return web.json_response(ledger.describe_channel(channel), status=HTTPStatus.CREATED)


@routes.post("/channels/{channel}")
async def alter(request: web.Request) -> web.Response:
    body = await _read(request, bodies.AlterBody)
    dc = request.app[DC]
    channel = dc.world.channel(request.match_info["channel"])
    features = body.model_dump(exclude={"new_invite"}, exclude_none=True)
    if features:
        dc.alter(channel, **features)
    if body.new_invite:
        dc.renew_invite(channel)
    return web.json_response(ledger.describe_channel(channel))


@routes.post("/members")
async def move(request: web.Request) -> web.Response:
    body = await _read(request, bodies.MemberBody)
    dc = request.app[DC]
    channel, account = dc.world.channel(body.channel), dc.world.account(body.account)
    dc.move(channel, account, body.standing, silent=body.silent)
    return _made(channel=channel.id, account=account.id, standing=body.standing)


@routes.post("/accounts/{account}")
async def secure(request: web.Request) -> web.Response:
    body = await _read(request, bodies.AccountBody)
    dc = request.app[DC]
    account = dc.world.account(request.match_info["account"])
    if body.password:  # takes a tenth of a second, which isn't the loop's
        await asyncio.to_thread(dc.logins.verifier, account.id, body.password)
    dc.secure(account, password=body.password, dc_id=body.dc_id)
    return web.json_response(ledger.describe_account(dc.world.accounts[account.id]))


@routes.post("/tokens")
async def accept_token(request: web.Request) -> web.Response:
    """As if the account had scanned the QR code that shows this token."""
    body = await _read(request, bodies.TokenBody)
    dc = request.app[DC]
    account = dc.world.account(body.account)
    try:
        dc.accept_token(body.bytes(), account)
    except LoginError as error:
        raise ProblemError(f"{error}: a token is shown for 30 seconds and scanned once") from error
    return _made(account=account.id)


@routes.post("/letters")
async def write(request: web.Request) -> web.Response:
    body = await _read(request, bodies.LetterBody)
    dc = request.app[DC]
    sent = dc.write(dc.world.account(body.sender), dc.world.account(body.receiver), body.text)
    return _made(sender_message=sent.sender_message, receiver_message=sent.receiver_message)


@routes.post("/folders")
async def file(request: web.Request) -> web.Response:
    body = await _read(request, bodies.FolderBody)
    dc = request.app[DC]
    channels = [dc.world.channel(each) for each in body.channels]
    dc.file(dc.world.account(body.account), body.id, body.title, channels)
    return _made(id=body.id, channels=[channel.id for channel in channels])


# What is true, and what was asked


@routes.get("/ledger")
async def show_ledger(request: web.Request) -> web.StreamResponse:
    """Written a channel at a time: of a million posts it is a gigabyte, and the clients are served meanwhile."""
    world, only = request.app[DC].world, request.query.get("channel")
    channels = list(world.channels.values()) if only is None else [world.channel(only)]
    response = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8"})
    await response.prepare(request)
    await response.write(b'{"channels": [')
    for place, channel in enumerate(channels):
        row = json.dumps(ledger.ledger_of(channel), ensure_ascii=False)
        await response.write((", " if place else "").encode() + row.encode())
        await asyncio.sleep(0)
    await response.write(b"]}")
    return response


@routes.get("/requests")
async def show_requests(request: web.Request) -> web.Response:
    return web.json_response(ledger.requests(request.app[DC]))


@routes.delete("/requests")
async def reset_requests(request: web.Request) -> web.Response:
    dc = request.app[DC]
    dc.dispatcher.counts.reset()
    dc.hub.reset_counts()
    dc.published = 0
    return _nothing()


@routes.get("/codes/{phone}")
async def show_code(request: web.Request) -> web.Response:
    phone = request.match_info["phone"].lstrip("+")
    code = request.app[DC].logins.newest_code(phone)
    if code is None:
        raise ProblemError(f"no code waits for {phone}; auth.sendCode makes one", HTTPStatus.NOT_FOUND)
    return web.json_response({"phone": phone, "code": code})


@routes.get("/sessions/{account}")
async def show_session(request: web.Request) -> web.Response:
    dc = request.app[DC]
    account = dc.world.account(request.match_info["account"])
    key, session = dc.session(account, request.query.get("key", ""))
    door = dc.doors.find(key.dc_id)
    place = {"dc_id": door.dc_id, "address": door.address, "port": door.port}
    return web.json_response({"account": account.id, **place, "auth_key": key.key.hex(), "session": session})


@routes.get("/world")
async def show_world(request: web.Request) -> web.Response:
    return web.json_response(ledger.describe(request.app[DC].world))


@routes.delete("/sessions/{account}")
async def revoke(request: web.Request) -> web.Response:
    body = await _read(request, bodies.RevokeBody)
    dc = request.app[DC]
    account = dc.world.account(request.match_info["account"])
    known = dc.keys.of(account.id) + dc.keys.waiting_for(account.id)
    keys = [key for key in known if not key.refusal and body.key in ("", key.name)]
    for key in keys:
        dc.revoke(key, body.error)
    return web.json_response({"account": account.id, "revoked": len(keys)})


# What goes wrong


@routes.post("/faults")
async def add_fault(request: web.Request) -> web.Response:
    body = await _read(request, bodies.FaultBody)
    dc = request.app[DC]
    _check_methods(body.method)
    rule = Rule(
        method=body.method,
        account=dc.world.account(body.account).id if body.account is not None else None,
        channel=dc.world.channel(body.channel).id if body.channel is not None else None,
        count=body.times,
        error=(body.error.code, body.error.message) if body.error else None,
        born=dc.clock.moment(),
        **body.model_dump(exclude={"method", "account", "channel", "count", "error"}),
    )
    dc.dispatcher.faults.rules.append(rule)
    return web.json_response(ledger.describe_rule(rule), status=HTTPStatus.CREATED)


@routes.get("/faults")
async def show_faults(request: web.Request) -> web.Response:
    rules = request.app[DC].dispatcher.faults.rules
    return web.json_response({"faults": [ledger.describe_rule(rule) for rule in rules]})


@routes.delete("/faults")
async def clear_faults(request: web.Request) -> web.Response:
    request.app[DC].dispatcher.faults.rules.clear()
    return _nothing()


@routes.post("/drop")
async def drop(request: web.Request) -> web.Response:
    body = await _read(request, bodies.DropBody)
    return web.json_response({"dropped": request.app[DC].drop_connections(down=body.down)})


@routes.post("/pushes")
async def disturb(request: web.Request) -> web.Response:
    body = await _read(request, bodies.PushesBody)
    dc = request.app[DC]
    try:
        dc.hub.turbulence = Turbulence(
            account=dc.world.account(body.account).id if body.account is not None else None,
            channel=dc.world.channel(body.channel).id if body.channel is not None else None,
            **body.model_dump(exclude={"account", "channel"}),
        )
    except ValueError as error:
        raise ProblemError(str(error)) from error
    return web.json_response(body.model_dump())


@routes.post("/clock")
async def set_clock(request: web.Request) -> web.Response:
    body = await _read(request, bodies.ClockBody)
    clock = request.app[DC].clock
    clock.skew = clock.skew if body.skew is None else body.skew
    clock.leap += body.leap or 0
    return web.json_response(ledger.describe_clock(clock))


@routes.get("/clock")
async def show_clock(request: web.Request) -> web.Response:
    return web.json_response(ledger.describe_clock(request.app[DC].clock))


@routes.delete("/salts")
async def expire_salts(request: web.Request) -> web.Response:
    request.app[DC].salts.epoch += 1
    return _nothing()


@routes.delete("/references")
async def expire_references(request: web.Request) -> web.Response:
    request.app[DC].world.expire_references()
    return _nothing()


@routes.post("/files")
async def move_files(request: web.Request) -> web.Response:
    body = await _read(request, bodies.FilesBody)
    request.app[DC].world.move_files(body.dc_id)
    return web.json_response(body.model_dump())


@routes.get("/limits")
async def show_limits(request: web.Request) -> web.Response:
    return web.json_response(ledger.describe_limits(request.app[DC]))


@routes.post("/limits")
async def set_limits(request: web.Request) -> web.Response:
    body = await _read(request, bodies.LimitsBody)
    dispatcher = request.app[DC].dispatcher
    try:
        match body.enforce:
            case "usual":
                dispatcher.limits.enforce(USUAL)
            case "none":
                dispatcher.limits.enforce({})
            case dict() as rules:
                _check_methods(*rules)
                dispatcher.limits.enforce({name: [Limit(*row) for row in rows] for name, rows in rules.items()})
    except ValueError as error:
        raise ProblemError(str(error)) from error
    if body.one_connection_per_key is not None:
        dispatcher.one_connection_per_key = body.one_connection_per_key
    return web.json_response(ledger.describe_limits(request.app[DC]))


@routes.get("/switches")
async def show_switches(request: web.Request) -> web.Response:
    return web.json_response(asdict(request.app[DC].switches))


@routes.post("/switches")
async def set_switches(request: web.Request) -> web.Response:
    body = await _read(request, bodies.SwitchesBody)
    dc = request.app[DC]
    try:
        dc.switches = replace(dc.switches, **body.model_dump(exclude_none=True))
    except ValueError as error:
        raise ProblemError(str(error)) from error
    return web.json_response(asdict(dc.switches))


class Control:
    """The running control interface of one data centre."""

    def __init__(self, dc: DataCentre) -> None:
        app = web.Application(middlewares=[_guard], client_max_size=MAX_BODY)
        app[DC] = dc
        app.add_routes(routes)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        self.url = ""

    async def open(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Begin to listen. Raises NotLoopbackError, OSError."""
        await self._runner.setup()
        await web.TCPSite(self._runner, loopback(host), port).start()
        address, port = self._runner.addresses[0][:2]
        self.url = f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"

    async def close(self) -> None:
        await self._runner.cleanup()
