"""How the daemon is: for the orchestrator, for Prometheus, for whoever looks inside."""

import asyncio
from dataclasses import dataclass, fields
from typing import Any, Literal, NotRequired

from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder
from typing_extensions import TypedDict

from actors.runtime.introspection import ActorSnapshot
from daemon.admin.access import Role
from daemon.admin.asking import OWNER, READY, REGISTRY, content_type, query, respond
from daemon.admin.params import Switch
from daemon.admin.problem import Problem
from daemon.admin.routes import Route

VERBOSE = Switch(name="verbose", about="Tell of each check, whatever this says.")
READY_TIMEOUT = 3.0
"""Seconds; probes give up after 5 or more."""


async def livez(request: web.Request) -> web.Response:
    """The loop beats: that this is answered at all says so."""
    query(request)
    return respond(Alive(status="ok", loop=request.app[OWNER].loop_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Alive:
    status: Literal["ok"]
    loop: int


async def readyz(request: web.Request) -> web.Response:
    """200 when the database, its schema and the supervisor are well; else 503 with what isn't."""
    verbose = VERBOSE.of(query(request))
    try:
        async with asyncio.timeout(READY_TIMEOUT):
            checks = dict(await request.app[READY]())
    except TimeoutError:
        checks = {"checks": f"not answered within {READY_TIMEOUT:.0f} s"}
    faults = {name: fault for name, fault in checks.items() if fault is not None}
    told = {name: fault or "ok" for name, fault in checks.items()}
    if faults:
        reasons = "; ".join(f"{name}: {fault}" for name, fault in faults.items())
        raise Problem(503, f"Not ready: {reasons}", headers={"Retry-After": "5"}, checks=told)
    return respond({"status": "ready", "checks": told} if verbose else {"status": "ready"})


class Ready(TypedDict):
    status: Literal["ready"]
    checks: NotRequired[dict[str, str]]
    """Each with ``ok``."""


async def metrics(request: web.Request) -> web.Response:
    """For Prometheus, in its text format or OpenMetrics."""
    registry = request.app[REGISTRY]
    try:
        encode, kind = choose_encoder(request.headers.get("Accept", ""))
        body = encode(registry)
    except (ValueError, TypeError):  # an Accept header that asks for a version or escaping that doesn't exist
        body, kind = generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4
    return content_type(web.Response(body=body), kind)


async def actors(request: web.Request) -> web.Response:
    """The tree: each actor with its children, roots first; one that waits for its restart or is parked is there too."""
    query(request)
    owner = request.app[OWNER]
    seen = await owner.survey()
    nodes = {one.key: Node(**_fields(one), children=[]) for one in seen}
    roots: list[Node] = []
    for one in seen:
        above = nodes.get(one.parent) if one.parent is not None else None
        (roots if above is None else above.children).append(nodes[one.key])
    return respond(Tree(loop=owner.loop_id, total=len(seen), actors=roots))


@dataclass(frozen=True, slots=True, kw_only=True)
class Node(ActorSnapshot):
    children: list["Node"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    loop: int
    total: int
    actors: list[Node]


def _fields(one: ActorSnapshot) -> dict[str, Any]:
    return {field.name: getattr(one, field.name) for field in fields(one)}


ROUTES = (
    Route("GET", "/livez", livez, Role.VIEWER, Alive),
    Route("GET", "/healthz", livez, Role.VIEWER, Alive),
    Route("GET", "/readyz", readyz, Role.VIEWER, Ready, (VERBOSE,)),
    Route("GET", "/metrics", metrics, Role.VIEWER, media="text/plain"),
    Route("GET", "/actors", actors, Role.VIEWER, Tree),
)
