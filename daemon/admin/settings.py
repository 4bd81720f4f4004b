"""The settings over HTTP: those in force, what the file would change, and a reload."""

import asyncio
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from config.diff import Change
from config.faults import SettingsInvalid
from config.words import in_words
from daemon.admin.access import Role
from daemon.admin.asking import RELOADING, query, respond
from daemon.admin.problem import Problem
from daemon.admin.routes import Route
from daemon.reloading import Outlook

CHANGES_TOLD = 200
FAULTS_TOLD = 100


async def settings(request: web.Request) -> web.Response:
    """Those in force, secrets starred."""
    query(request)
    # Of a large file that takes a fifth of a second.
    return respond(await asyncio.to_thread(in_words, request.app[RELOADING].settings))


async def outlook(request: web.Request) -> web.Response:
    """What a reload would do; nothing is done."""
    query(request)
    try:
        found = await request.app[RELOADING].look()
    except SettingsInvalid as invalid:
        raise refused(invalid) from None
    return respond(told(found))


async def reload(request: web.Request) -> web.Response:
    """Read the settings again and go by them, as far as that takes no restart."""
    query(request)
    try:
        found = await request.app[RELOADING].apply()
    except SettingsInvalid as invalid:
        raise refused(invalid) from None
    return respond(told(found))


def refused(invalid: SettingsInvalid) -> Problem:
    faults = [{"where": each.where, "path": each.path, "text": each.text} for each in invalid.faults[:FAULTS_TOLD]]
    count = f"{len(invalid.faults)} fault{'' if len(invalid.faults) == 1 else 's'}"
    detail = f"The settings have {count}, so that those in force stay: mend them and reload again"
    return Problem(422, detail, faults=faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadTold:
    """The first changes, and of all how many there are."""

    applied: int
    needs_restart: int
    """Left as they are until the daemon starts anew."""
    dropped_channels: int
    """Followed until now, and not by the new settings."""
    dropped: tuple[str, ...]
    changes: tuple[Change, ...]


def told(found: Outlook) -> ReloadTold:
    return ReloadTold(
        applied=len(found.now),
        needs_restart=len(found.after_restart),
        dropped_channels=len(found.dropped),
        dropped=found.dropped[:CHANGES_TOLD],
        changes=(*found.after_restart, *found.now)[:CHANGES_TOLD],
    )


ROUTES = (
    Route("GET", "/settings", settings, Role.OPERATOR, dict[str, Any]),
    Route("GET", "/reload", outlook, Role.OPERATOR, ReloadTold, problems=(422,)),
    Route("POST", "/reload", reload, Role.OPERATOR, ReloadTold, problems=(422,)),
)
