"""What a user follows: channels added and dropped by name, and taken over from its dialogs or a folder."""

from dataclasses import dataclass
from typing import Any

from aiohttp import web
from pydantic import Field

from actors.errors import UserNotSignedIn, UserUnknown
from actors.messages.following import FollowChannel, Followed, ImportChannels, Imported, ListFolders, UnfollowChannel
from actors.messages.ids import AccountId, ChannelId
from actors.messages.rows import AccountRow
from actors.places import place_of
from actors.runtime.errors import ActorMissing
from actors.runtime.message import Request
from config.model import plan_of
from daemon.admin.access import Role
from daemon.admin.asking import STORE, ask, find_channel, query, respond, settings_of, user_id
from daemon.admin.bodies import Body, Text, body
from daemon.admin.problem import Problem
from daemon.admin.routes import Route

TIMEOUT = 90.0
"""Seconds: a wish stands in the account's line, before calls of Telegram's own slowness."""
ASKED = (409, 422, 429)
"""With which a wish may fail that an account asks Telegram for."""


class FollowWish(Body):
    channel: Text
    """A name, @name, t.me link, invite link or id."""
    join: bool = False
    """Whether the account may join it, where it must to read it."""


class ImportWish(Body):
    folder: int | None = Field(default=None, ge=0, lt=2**31)
    """An id that ``GET /users/{user_id}/folders`` lists; none: all dialogs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfollowed:
    channel_id: ChannelId
    unfollowed: bool
    """Whether it was followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedChannel:
    id: ChannelId
    username: str | None
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedChannels:
    total: int
    limit: int | None
    """Of the user's plan; None: as many as it likes."""
    channels: tuple[FollowedChannel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderTold:
    id: int
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    folders: tuple[FolderTold, ...]


async def follow(request: web.Request) -> web.Response:
    """200 with what became of it: followed, already followed, or that it must be joined first."""
    query(request)
    wish = await body(request, FollowWish)
    place = place_of(wish.channel)
    if place is None:
        detail = "The field 'channel' must be a channel's name, @name, t.me link, invite link or id"
        raise Problem(400, detail, field="channel")
    row = await _row(request)
    limit = plan_of(row.plan, settings_of(request).plans).channels
    return respond(await _ask(request, row, FollowChannel(place=place, join=wish.join, limit=limit)))


async def unfollow(request: web.Request) -> web.Response:
    """200; the user stays a member of the channel, which is read no more for its sake."""
    query(request)
    row = await _row(request)
    channel = await find_channel(request, request.match_info["channel"])
    was = await _ask(request, row, UnfollowChannel(channel_id=channel.channel_id))
    return respond(Unfollowed(channel_id=channel.channel_id, unfollowed=was))


async def followed(request: web.Request) -> web.Response:
    """The channels that a user follows, and how many it may."""
    query(request)
    row = await _row(request)
    theirs = await request.app[STORE].channels.memberships(row.account_id)
    channels = tuple(FollowedChannel(id=each.channel_id, username=each.username, title=each.title) for each in theirs)
    limit = plan_of(row.plan, settings_of(request).plans).channels
    return respond(FollowedChannels(total=len(channels), limit=limit, channels=channels))


async def folders(request: web.Request) -> web.Response:
    """The folders of a user's app, as Telegram has them now."""
    query(request)
    found = await _ask(request, await _row(request), ListFolders())
    return respond(Folders(folders=tuple(FolderTold(id=each.folder_id, title=each.title) for each in found)))


async def import_(request: web.Request) -> web.Response:
    """200 with how many channels of the dialogs, or of one folder, are followed now that weren't before."""
    query(request)
    folder = (await body(request, ImportWish)).folder
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
    Route("GET", "/users/{user_id}/channels", followed, Role.VIEWER, FollowedChannels),
    Route("POST", "/users/{user_id}/channels", follow, Role.OPERATOR, Followed, body=FollowWish, problems=ASKED),
    Route("DELETE", "/users/{user_id}/channels/{channel}", unfollow, Role.OPERATOR, Unfollowed, problems=ASKED),
    Route("GET", "/users/{user_id}/folders", folders, Role.OPERATOR, Folders, problems=ASKED),
    Route("POST", "/users/{user_id}/import", import_, Role.OPERATOR, Imported, body=ImportWish, problems=ASKED),
)
