"""What a user follows: channels added and dropped by name, and taken over from its dialogs or a folder."""

from typing import Any

from aiohttp import web

from actors.errors import UserNotSignedIn, UserUnknown
from actors.messages.following import FollowChannel, ImportChannels, ListFolders, UnfollowChannel
from actors.messages.ids import AccountId
from actors.messages.rows import AccountRow
from actors.places import place_of
from actors.runtime.errors import ActorMissing
from actors.runtime.message import Request
from config.model import plan_of
from daemon.admin.access import Role
from daemon.admin.asking import STORE, ask, document, find_channel, query, respond, settings_of, user_id
from daemon.admin.problem import Problem
from daemon.admin.routes import Route

TIMEOUT = 90.0
"""Seconds: a wish stands in the account's line, before calls of Telegram's own slowness."""


async def follow(request: web.Request) -> web.Response:
    """200 with what became of it: followed, already followed, or that it must be joined first."""
    query(request)
    wish = await document(request, "channel", "join")
    text, join = wish.get("channel"), wish.get("join", False)
    place = place_of(text) if isinstance(text, str) else None
    if place is None:
        detail = "The field 'channel' must be a channel's name, @name, t.me link, invite link or id"
        raise Problem(400, detail, field="channel")
    if not isinstance(join, bool):
        raise Problem(400, "The field 'join' must be true or false", field="join")
    row = await _row(request)
    limit = plan_of(row.plan, settings_of(request).plans).channels
    return respond(await _ask(request, row, FollowChannel(place=place, join=join, limit=limit)))


async def unfollow(request: web.Request) -> web.Response:
    """200; the user stays a member of the channel, which is read no more for its sake."""
    query(request)
    row = await _row(request)
    channel = await find_channel(request, request.match_info["channel"])
    was = await _ask(request, row, UnfollowChannel(channel_id=channel.channel_id))
    return respond({"channel_id": channel.channel_id, "unfollowed": was})


async def followed(request: web.Request) -> web.Response:
    query(request)
    row = await _row(request)
    theirs = await request.app[STORE].channels.memberships(row.account_id)
    channels = [{"id": each.channel_id, "username": each.username, "title": each.title} for each in theirs]
    return respond(
        {"total": len(channels), "limit": plan_of(row.plan, settings_of(request).plans).channels, "channels": channels}
    )


async def folders(request: web.Request) -> web.Response:
    query(request)
    found = await _ask(request, await _row(request), ListFolders())
    return respond({"folders": [{"id": each.folder_id, "title": each.title} for each in found]})


async def import_(request: web.Request) -> web.Response:
    """200 with how many channels of the dialogs, or of one folder, are followed now that weren't before."""
    query(request)
    folder = (await document(request, "folder")).get("folder")
    if folder is not None and (type(folder) is not int or not 0 <= folder < 2**31):
        raise Problem(400, "The field 'folder' must be an id that GET /users/ID/folders lists", field="folder")
    row = await _row(request)
    limit = plan_of(row.plan, settings_of(request).plans).channels
    return respond(await _ask(request, row, ImportChannels(folder_id=folder, limit=limit)))


async def _row(request: web.Request) -> AccountRow:
    who = user_id(request)
    row = await request.app[STORE].accounts.one(AccountId(who))
    if row is None or row.bot:
        raise UserUnknown(who)
    return row


async def _ask(request: web.Request, row: AccountRow, wish: Request[Any]) -> Any:
    try:
        return await ask(request, f"account/{row.account_id}", wish, timeout=TIMEOUT)
    except ActorMissing:
        raise UserNotSignedIn(row.account_id, row.state) from None


ROUTES = (
    Route("GET", "/users/{user_id}/channels", followed, Role.VIEWER),
    Route("POST", "/users/{user_id}/channels", follow, Role.OPERATOR),
    Route("DELETE", "/users/{user_id}/channels/{channel}", unfollow, Role.OPERATOR),
    Route("GET", "/users/{user_id}/folders", folders, Role.OPERATOR),
    Route("POST", "/users/{user_id}/import", import_, Role.OPERATOR),
)
