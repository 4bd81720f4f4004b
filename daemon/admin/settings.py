"""The settings over HTTP: those in force, what the file would change, and a reload."""

from typing import Any

from aiohttp import web

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
    return respond(in_words(request.app[RELOADING].settings))


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
    detail = f"The settings have {len(invalid.faults)} faults, so that those in force stay: mend them and reload again"
    return Problem(422, detail, faults=faults)


def told(found: Outlook) -> dict[str, Any]:
    """The first changes, and of all how many there are."""
    return {
        "applied": len(found.now),
        "needs_restart": len(found.after_restart),
        "dropped_channels": len(found.dropped),
        "dropped": found.dropped[:CHANGES_TOLD],
        "changes": (*found.after_restart, *found.now)[:CHANGES_TOLD],
    }


ROUTES = (
    Route("GET", "/settings", settings, Role.OPERATOR),
    Route("GET", "/reload", outlook, Role.OPERATOR),
    Route("POST", "/reload", reload, Role.OPERATOR),
)
