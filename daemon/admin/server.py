"""The HTTP face: puts routes, access and errors together, listens, and ends quickly."""

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable
from contextvars import Context
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry, Histogram

from actors.ports import Blobs, Store
from actors.runtime.owner import LoopOwner
from daemon.admin import (
    alerts,
    channels,
    errands,
    first,
    following,
    health,
    jobs,
    keys,
    ledger,
    limits,
    manual,
    media,
    page,
    people,
    plan,
    retention,
    settings,
    signin,
    tokens,
    users,
)
from daemon.admin.access import Access
from daemon.admin.admission import DOOR, READS, Door, admission, audit
from daemon.admin.asking import BLOBS, ENDING, OWNER, READY, REGISTRY, RELOADING, ROTATION, STORE, Ready
from daemon.admin.bodies import no_body
from daemon.admin.faults import FAULTS, problem_of
from daemon.admin.idempotency import AT_WORK, once
from daemon.admin.params import WAIT
from daemon.admin.problem import Problem, busy
from daemon.admin.protocol import Connection
from daemon.admin.routes import ROUTE_OF, Handler, add_routes, check_roles
from daemon.reloading import Reloading
from daemon.rotation import Rotation

ANSWER_WITHIN = 10.0
"""Seconds for an answer that changes nothing."""
BODY_MOST = 64 * 1024
SHUTDOWN_SECONDS = 0.75
"""For requests at work when the server stops; aiohttp may take it twice. Waits end at once, by ``ENDING``."""
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class AddressUnavailable(Exception):
    """Nothing can listen at ``admin.host`` and ``admin.port``; the message says why and what to change."""


def build_app(
    *,
    owner: LoopOwner,
    store: Store,
    blobs: Blobs | None,
    access: Access,
    registry: CollectorRegistry,
    ready: Ready,
    reloading: Reloading,
    rotation: Rotation,
    first_link: first.FirstLink | None,
) -> web.Application:
    """The application, every route with its role; its own metric leaves ``registry`` with it.

    Raises: ``RuntimeError`` for a route without a role.
    """
    app = web.Application(client_max_size=BODY_MOST, middlewares=(audit, _problems, _in_time, admission, no_body, once))
    app[OWNER], app[STORE], app[REGISTRY], app[READY] = owner, store, registry, ready
    app[DOOR] = door = Door(access, registry)
    app[BLOBS], app[RELOADING], app[ROTATION] = blobs, reloading, rotation
    app[page.VISITS], app[AT_WORK] = OrderedDict(), set()
    app[first.FIRST_LINK] = first_link
    app[ENDING] = asyncio.Event()
    app[ROUTE_OF] = {}
    durations = Histogram(
        "telewarden_http_request_seconds",
        "Time to answer a request, by route.",
        ("route", "method"),
        buckets=BUCKETS,
        registry=registry,
    )
    for module in (
        users,
        people,
        following,
        channels,
        alerts,
        ledger,
        plan,
        errands,
        media,
        jobs,
        page,
        signin,
        keys,
        limits,
        retention,
        settings,
        tokens,
        first,
        manual,
        health,
    ):
        add_routes(app, module.ROUTES, durations)

    async def forget(_: web.Application) -> None:
        # A server that is started again in this process registers it anew.
        registry.unregister(durations)
        door.close()

    app.on_response_prepare.append(_mark)
    app.on_shutdown.append(_end_waits)
    app.on_cleanup.append(forget)
    check_roles(app)
    return app


class AdminServer:
    """Listens at ``admin.host``:``admin.port`` from ``start`` to ``stop``; may be started again after it."""

    def __init__(
        self,
        *,
        owner: LoopOwner,
        store: Store,
        access: Access,
        registry: CollectorRegistry,
        ready: Ready,
        reloading: Reloading,
        rotation: Rotation,
        blobs: Blobs | None = None,
    ) -> None:
        self._owner = owner
        self._store = store
        self._settings = reloading.settings.admin
        """Where it listens: read once."""
        self._access = access
        self._registry = registry
        self._ready = ready
        self._reloading = reloading
        self._rotation = rotation
        self._blobs = blobs
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self._socket: asyncio.Server | None = None
        self.first_link = None if access.made is None else first.FirstLink(access.made)

    @property
    def port(self) -> int:
        """The port that is listened on; differs from the setting where that is 0. Only between start and stop."""
        assert self._listener is not None, "the server isn't started"
        return int(self._listener.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """Where a caller on this machine reaches it. Only between start and stop."""
        return f"http://{authority(self._settings.host, self.port)}"

    async def start(self) -> None:
        """Listen. Raises: ``AddressUnavailable``."""
        # The asker's chain and deadline travel in the context. Without an empty one each connection would inherit
        # those of whoever starts the server, an actor with a deadline.
        await asyncio.create_task(self._listen(), context=Context(), name="admin server start")

    async def _listen(self) -> None:
        app = build_app(
            owner=self._owner,
            store=self._store,
            blobs=self._blobs,
            access=self._access,
            registry=self._registry,
            ready=self._ready,
            reloading=self._reloading,
            rotation=self._rotation,
            first_link=self.first_link,
        )
        runner = web.AppRunner(app, shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        loop, server = asyncio.get_running_loop(), runner.server
        assert server is not None

        def connection() -> Connection:
            # Compressed bodies aren't for these routes, and a small one may unpack to gigabytes.
            return Connection(
                server,
                loop=loop,
                access_log=None,  # type: ignore[arg-type]  # None is aiohttp's own way to say no access log
                auto_decompress=False,
            )

        host, port = self._settings.host, self._settings.port
        try:
            self._listener = await loop.create_server(connection, host, port, reuse_address=True)
        except OSError as fault:
            await runner.cleanup()
            raise AddressUnavailable(
                f"the admin server can't listen at {host}:{port}: {_reason(fault)}; end what listens there, or set "
                "admin.host and admin.port (TELEWARDEN__ADMIN__PORT) to another address"
            ) from fault
        if self._settings.socket is not None:
            try:
                self._socket = await _listen_at(self._settings.socket, connection)
            except OSError as fault:
                self._listener.close()
                await runner.cleanup()
                raise AddressUnavailable(
                    f"the admin server can't listen at {self._settings.socket} (admin.socket): {_reason(fault)}"
                ) from fault
        self._runner = runner

    async def stop(self) -> None:
        """Take no more connections, end waits with 202 or 503, and the rest within 2 s. Twice is harmless."""
        listener, runner = self._listener, self._runner
        if listener is None or runner is None:
            return
        self._listener = self._runner = None
        listener.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        await runner.cleanup()


async def _listen_at(path: Path, connection: Callable[[], Connection]) -> asyncio.Server:
    """A socket that the daemon's own user and group may open; one that a crash left is replaced."""
    before = os.umask(0o117)
    try:
        return await asyncio.get_running_loop().create_unix_server(connection, path)
    finally:
        os.umask(before)


def _reason(fault: OSError) -> str:
    """Asyncio wraps what bind says in a text of its own; the errno says it shorter."""
    return os.strerror(fault.errno).lower() if fault.errno and fault.errno > 0 else fault.strerror or str(fault)


def authority(host: str, port: int) -> str:
    """``host:port`` as a URL has it; the addresses that mean "any" become loopback."""
    try:
        address = ip_address(host)
    except ValueError:
        return f"{host}:{port}"
    if address.is_unspecified:
        return f"[::1]:{port}" if isinstance(address, IPv6Address) else f"127.0.0.1:{port}"
    return f"[{address}]:{port}" if isinstance(address, IPv6Address) else f"{address}:{port}"


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except FAULTS as fault:
        known = problem_of(fault, request)
        if known is None:
            raise
        return known.response()


@web.middleware
async def _in_time(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A database that has gone silent holds no reader up; who asks to wait does, and a file takes what it takes."""
    route = request.app[ROUTE_OF].get(request.match_info.route)
    if request.method not in READS or route is None or route.answer is None or WAIT.name in request.query:
        return await handler(request)
    # In a task of its own, for one that is cancelled waits ten seconds more until its connection is given back.
    work = asyncio.ensure_future(handler(request))
    try:
        if (await asyncio.wait((work,), timeout=ANSWER_WITHIN))[0]:
            return work.result()
        raise busy("The database doesn't answer: ask again in a moment")
    finally:
        if not work.done():
            work.cancel()
            work.add_done_callback(lambda ended: ended.cancelled() or ended.exception())


async def _mark(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    response.headers["Server"] = "telewarden"


async def _end_waits(app: web.Application) -> None:
    app[ENDING].set()
