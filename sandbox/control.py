"""The control interface: HTTP on loopback by which tests and operators move the world and look behind it."""

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from aiohttp import web

from sandbox.codec import DC_ID
from sandbox.datacentre import DataCentre, loopback
from sandbox.dispatch import Rule
from sandbox.world import Channel, World, WorldError

logger = logging.getLogger(__name__)

DC = web.AppKey("dc", DataCentre)
MAX_BODY = 16 * 1024 * 1024
MAX_AT_ONCE = 100_000

routes = web.RouteTableDef()
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
    if host not in ("127.0.0.1", "localhost", "[::1]"):
        return ProblemError(f"the Host header says {host!r}; ask 127.0.0.1", HTTPStatus.FORBIDDEN).response()
    try:
        return await handler(request)
    except ProblemError as problem:
        return problem.response()
    except WorldError as error:
        return ProblemError(str(error), HTTPStatus.NOT_FOUND).response()
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


class _Body:
    """A JSON object whose fields are asked for by type. Raises ProblemError for a missing or wrong one."""

    def __init__(self, fields: dict[str, Any], known: tuple[str, ...]) -> None:
        unknown = sorted(set(fields) - set(known))
        if unknown:
            raise ProblemError(f"unknown: {', '.join(unknown)}; known are {', '.join(known)}")
        self._fields = fields

    @classmethod
    async def read(cls, request: web.Request, *known: str) -> "_Body":
        try:
            fields = await request.json()
        except ValueError as error:
            raise ProblemError(f"the body must be JSON: {error}") from error
        if not isinstance(fields, dict):
            raise ProblemError("the body must be a JSON object")
        return cls(fields, known)

    def has(self, name: str) -> bool:
        return self._fields.get(name) is not None

    def text(self, name: str) -> str:
        value = self._fields.get(name)
        if not isinstance(value, str):
            raise ProblemError(f"{name}: text is expected")
        return value

    def number(self, name: str, default: int | None = None, *, low: int = 0, high: int = 2**62) -> int:
        value = self._fields.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ProblemError(f"{name}: a whole number from {low} to {high} is expected")
        return value

    def seconds(self, name: str) -> float:
        value = self._fields.get(name, 0)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 3600:
            raise ProblemError(f"{name}: seconds from 0 to 3600 are expected")
        return float(value)

    def flag(self, name: str) -> bool:
        value = self._fields.get(name, False)
        if not isinstance(value, bool):
            raise ProblemError(f"{name}: true or false is expected")
        return value

    def ref(self, name: str) -> int | str:
        value = self._fields.get(name)
        if not isinstance(value, int | str) or isinstance(value, bool):
            raise ProblemError(f"{name}: an id or a username is expected")
        return value

    def rows(self, name: str) -> list[Any]:
        value = self._fields.get(name)
        if not isinstance(value, list) or len(value) > MAX_AT_ONCE:
            raise ProblemError(f"{name}: a list of at most {MAX_AT_ONCE} is expected")
        return value


@routes.post("/posts")
async def publish(request: web.Request) -> web.Response:
    body = await _Body.read(request, "channel", "count", "text", "posts", "silent")
    dc = request.app[DC]
    channel = dc.world.channel(body.ref("channel"))
    texts: list[str] = []
    if body.has("posts"):
        texts = [_Body(row if isinstance(row, dict) else {}, ("text",)).text("text") for row in body.rows("posts")]
    elif body.has("text"):
        texts = [body.text("text")]
    count = body.number("count", 0 if texts else 1, high=MAX_AT_ONCE)
    if not texts and not count:
        raise ProblemError("nothing to publish: give text, posts or a count above 0")
    ids = dc.publish(channel, texts, count=count, silent=body.flag("silent"))
    return web.json_response({"channel": channel.id, "ids": ids}, status=HTTPStatus.CREATED)


@routes.post("/edits")
async def edit(request: web.Request) -> web.Response:
    body = await _Body.read(request, "channel", "id", "text")
    dc = request.app[DC]
    channel, post_id = dc.world.channel(body.ref("channel")), body.number("id")
    dc.edit(channel, post_id, body.text("text"))
    return web.json_response({"channel": channel.id, "ids": [post_id]}, status=HTTPStatus.CREATED)


@routes.post("/deletes")
async def delete(request: web.Request) -> web.Response:
    body = await _Body.read(request, "channel", "ids")
    dc = request.app[DC]
    channel = dc.world.channel(body.ref("channel"))
    rows = body.rows("ids")
    if not all(isinstance(row, int) for row in rows):
        raise ProblemError("ids: whole numbers are expected")
    return web.json_response({"channel": channel.id, "ids": dc.delete(channel, rows)}, status=HTTPStatus.CREATED)


@routes.get("/ledger")
async def show_ledger(request: web.Request) -> web.Response:
    world = request.app[DC].world
    return web.json_response(ledger(world, request.query.get("channel")))


@routes.get("/requests")
async def show_requests(request: web.Request) -> web.Response:
    return web.json_response(requests(request.app[DC]))


@routes.delete("/requests")
async def reset_requests(request: web.Request) -> web.Response:
    request.app[DC].dispatcher.counts.reset()
    return web.Response(status=HTTPStatus.NO_CONTENT)


@routes.get("/codes/{phone}")
async def show_code(request: web.Request) -> web.Response:
    phone = request.match_info["phone"].lstrip("+")
    sent = request.app[DC].codes.get(phone)
    if sent is None:
        raise ProblemError(f"no code waits for {phone}; auth.sendCode makes one", HTTPStatus.NOT_FOUND)
    return web.json_response({"phone": phone, "code": sent.code})


@routes.get("/sessions/{account}")
async def show_session(request: web.Request) -> web.Response:
    dc = request.app[DC]
    account = dc.world.account(request.match_info["account"])
    key, session = dc.session(account, request.query.get("key", ""))
    place = {"dc_id": DC_ID, "address": dc.address, "port": dc.port}
    return web.json_response({"account": account.id, **place, "auth_key": key.key.hex(), "session": session})


@routes.get("/world")
async def show_world(request: web.Request) -> web.Response:
    return web.json_response(describe(request.app[DC].world))


@routes.post("/faults")
async def add_fault(request: web.Request) -> web.Response:
    body = await _Body.read(request, "method", "account", "channel", "skip", "count", "delay", "error", "drop")
    dc = request.app[DC]
    error = None
    if body.has("error"):
        wrong = _Body(body._fields["error"] if isinstance(body._fields["error"], dict) else {}, ("code", "message"))
        error = (wrong.number("code", high=999), wrong.text("message"))
    rule = Rule(
        method=body.text("method"),
        account=dc.world.account(body.ref("account")).id if body.has("account") else None,
        channel=dc.world.channel(body.ref("channel")).id if body.has("channel") else None,
        skip=body.number("skip", 0),
        count=body.number("count", 1, low=1),
        delay=body.seconds("delay"),
        error=error,
        drop=body.flag("drop"),
    )
    if not (rule.error or rule.drop or rule.delay):
        raise ProblemError("a fault needs a delay, an error or drop")
    dc.dispatcher.faults.rules.append(rule)
    return web.json_response(_fault(rule), status=HTTPStatus.CREATED)


@routes.get("/faults")
async def show_faults(request: web.Request) -> web.Response:
    return web.json_response({"faults": [_fault(rule) for rule in request.app[DC].dispatcher.faults.rules]})


@routes.delete("/faults")
async def clear_faults(request: web.Request) -> web.Response:
    request.app[DC].dispatcher.faults.rules.clear()
    return web.Response(status=HTTPStatus.NO_CONTENT)


@routes.post("/drop")
async def drop(request: web.Request) -> web.Response:
    return web.json_response({"dropped": request.app[DC].drop_connections()})


def _fault(rule: Rule) -> dict[str, Any]:
    return {
        "method": rule.method,
        "account": rule.account,
        "channel": rule.channel,
        "skip": rule.skip,
        "count": rule.count,
        "delay": rule.delay,
        "error": {"code": rule.error[0], "message": rule.error[1]} if rule.error else None,
        "drop": rule.drop,
        "hits": rule.hits,
    }


def ledger(world: World, only: str | int | None = None) -> dict[str, Any]:
    """What exists and what was deleted: the truth that a collector's rows are compared with. Raises WorldError."""
    channels = [world.channel(only)] if only is not None else world.channels.values()
    return {"channels": [_ledger(channel) for channel in channels]}


def _ledger(channel: Channel) -> dict[str, Any]:
    posts = [
        {
            "id": post.id,
            "date": iso(post.date),
            "text": post.text,
            "edited": iso(post.edited) if post.edited else None,
            "media": post.media or None,
            "service": post.service or None,
        }
        for post in (channel.posts[post_id] for post_id in channel.ids)
    ]
    head = {"id": channel.id, "username": channel.username, "title": channel.title}
    return {**head, "top": channel.top, "pts": channel.pts, "posts": posts, "deleted": sorted(channel.deleted)}


def requests(dc: DataCentre) -> dict[str, Any]:
    counts = dc.dispatcher.counts
    by_account: dict[str, dict[str, int]] = {}
    for (account, method), count in sorted(counts.by_account.items()):
        by_account.setdefault(str(account), {})[method] = count
    history: dict[str, dict[str, int]] = {}
    for (channel, account), count in sorted(counts.history.items()):
        history.setdefault(str(channel), {})[str(account)] = count
    return {
        "total": counts.by_account.total(),
        "by_account": by_account,
        "history": history,
        "unknown": sorted(counts.unknown),
    }


def describe(world: World) -> dict[str, Any]:
    accounts = [
        {
            "id": account.id,
            "username": account.username,
            "first_name": account.first_name,
            "last_name": account.last_name,
            "phone": account.phone or None,
            "bot": account.is_bot,
            "token": account.token or None,
        }
        for account in world.accounts.values()
    ]
    channels = [
        {
            "id": channel.id,
            "username": channel.username,
            "title": channel.title,
            "broadcast": channel.broadcast,
            "generated": channel.generated,
            "members": sorted(channel.members),
            "top": channel.top,
        }
        for channel in world.channels.values()
    ]
    memberships = {str(account): [row.id for row in world.channels_of(account)] for account in world.accounts}
    return {"accounts": accounts, "channels": channels, "memberships": memberships}


def iso(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat()


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
