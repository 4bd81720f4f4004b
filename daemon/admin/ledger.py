"""``GET /ledger`` and ``GET /channels/{channel}/ledger``: what is known of every id, and what isn't."""

from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from actors import coverage
from actors.ledger import Ledger, LedgerTotals
from actors.messages.ids import ChannelId
from actors.messages.rows import ChannelRow
from daemon.admin.access import Role
from daemon.admin.asking import STORE, find_channel, query, respond
from daemon.admin.problem import Problem
from daemon.admin.routes import Route


async def totals(request: web.Request) -> web.Response:
    """The sums over all channels, and the channels that aren't whole, with why."""
    query(request)
    channels = request.app[STORE].channels
    sums = await channels.ledger_totals()
    unfinished = tuple(told for row in await channels.all() if (told := _unfinished(row)) is not None)
    return respond(Totals(totals=sums, channels=unfinished))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """A channel that isn't whole."""

    id: ChannelId
    username: str | None
    missing: int | None
    """None before its start is known."""
    doubt_since: datetime | None
    """Since when something that is stored may have changed unseen."""
    doubt_why: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    totals: LedgerTotals
    channels: tuple[Unfinished, ...]


def _unfinished(row: ChannelRow) -> Unfinished | None:
    missing = coverage.lacking(row)
    if missing == 0 and row.doubt_since is None:
        return None
    return Unfinished(
        id=row.channel_id,
        username=row.username,
        missing=missing,
        doubt_since=row.doubt_since,
        doubt_why=row.doubt_why,
    )


async def one(request: web.Request) -> web.Response:
    """What is known of every id of one channel."""
    query(request)
    row = await find_channel(request, request.match_info["channel"])
    found = await request.app[STORE].channels.ledger(row.channel_id)
    if found is None:
        raise Problem(404, f"Channel {row.channel_id} was removed meanwhile")
    return respond(found)


ROUTES = (
    Route("GET", "/ledger", totals, Role.VIEWER, Totals),
    Route("GET", "/channels/{channel}/ledger", one, Role.VIEWER, Ledger),
)
