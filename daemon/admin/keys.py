"""``POST /keys/rotate``."""

from dataclasses import dataclass

from aiohttp import web

from daemon.admin.access import Role
from daemon.admin.asking import ROTATION, query, respond
from daemon.admin.problem import Problem
from daemon.admin.routes import Route
from daemon.keys import MasterKeyRefused


async def rotate(request: web.Request) -> web.Response:
    """200 once every session is sealed with a new master key, and the former one is gone."""
    query(request)
    try:
        sealed = await request.app[ROTATION].rotate()
    except MasterKeyRefused as refused:
        raise Problem(409, f"The master key stays as it was: {refused}") from refused
    return respond(Rotated(sessions=sealed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    sessions: int
    """Sealed with the new key."""


ROUTES = (Route("POST", "/keys/rotate", rotate, Role.ADMIN, Rotated, problems=(409,)),)
