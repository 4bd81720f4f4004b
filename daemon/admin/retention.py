"""``GET /retention``: how long which posts are kept, and what the next look lets go."""

from dataclasses import dataclass

from aiohttp import web

from actors.keeper import kept
from actors.messages.ids import ChannelId
from config.values import render_duration
from daemon.admin.access import Role
from daemon.admin.asking import OWNER, STORE, query, respond, settings_of
from daemon.admin.routes import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    id: ChannelId
    username: str | None
    title: str
    keep: str
    due: int
    """Posts that are older by now: the next look, within the hour, lets them go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained:
    channels: tuple[Kept, ...]


async def retention(request: web.Request) -> web.Response:
    """Channels whose posts aren't kept for ever, and how many of each are to be let go."""
    query(request)
    settings, store, now = settings_of(request), request.app[STORE], request.app[OWNER].clock.now()
    told = [
        Kept(
            id=row.channel_id,
            username=row.username,
            title=row.title,
            keep=render_duration(keep),
            due=await store.retention.older(row.channel_id, now - keep),
        )
        for row, keep in await kept(store, settings.retention, settings.groups)
    ]
    return respond(Retained(channels=tuple(told)))


ROUTES = (Route("GET", "/retention", retention, Role.VIEWER, Retained),)
