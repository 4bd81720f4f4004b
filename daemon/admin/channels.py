"""``GET /channels``, ``GET /posts``, and a post's figures."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from aiohttp import web

from actors import coverage
from actors.messages.content import Post
from actors.messages.ids import AccountId, ChannelCondition, ChannelId
from actors.messages.rereads import Figures
from actors.messages.rows import ChannelRow
from daemon.admin.access import Role
from daemon.admin.asking import STORE, find_channel, query, respond
from daemon.admin.params import CHANNEL, Whole, after_id, page_limit
from daemon.admin.problem import Problem
from daemon.admin.routes import Route

_POST_ID = re.compile(r"\d{1,10}", re.ASCII)
POSTS_DEFAULT = 1000
POSTS_MOST = 5000
MESSAGE_ID_MAX = 2**31 - 1
"""Telegram's message ids are int32, and so is the column: nothing is above."""
AFTER = after_id("Only channels with a larger id.")
LIMIT = Whole(name="limit", about="At most so many; without it all.", low=1, high=5000)
AFTER_POST = after_id("Only posts with a larger id.")
POSTS_LIMIT = page_limit(POSTS_MOST, POSTS_DEFAULT)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelTold:
    id: ChannelId
    username: str | None
    title: str
    state: ChannelCondition
    subscriptions: int
    """Users who follow it."""
    reader: AccountId | None
    """The account that reads it now."""
    posts: int
    top_id: int
    start_id: int | None
    complete: bool
    """Whether every id from ``start_id`` to ``top_id`` is known."""
    missing: int | None
    """Ids that aren't; None before the start is known."""
    migrated_from: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    total: int
    channels: tuple[ChannelTold, ...]
    next_after_id: ChannelId | None
    """Where the next page begins."""


async def channels(request: web.Request) -> web.Response:
    """Every channel, by id: all of them, or so many as ``limit`` says, after ``after_id``."""
    params = query(request)
    after, limit = AFTER.of(params), LIMIT.given(params)
    rows = await request.app[STORE].channels.all()
    page = sorted((row for row in rows if row.channel_id > after), key=lambda row: row.channel_id)
    shown = page[:limit]
    more = shown[-1].channel_id if len(shown) < len(page) else None
    return respond(Channels(total=len(rows), channels=tuple(map(_channel, shown)), next_after_id=more))


def _channel(row: ChannelRow) -> ChannelTold:
    missing = coverage.lacking(row)
    return ChannelTold(
        id=row.channel_id,
        username=row.username,
        title=row.title,
        state=row.condition,
        subscriptions=row.subscriptions,
        reader=row.reader_id,
        posts=row.posts,
        top_id=row.top_id,
        start_id=row.start_id,
        complete=missing == 0,
        missing=missing,
        migrated_from=row.migrated_from,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PostTold:
    """docs/posts.md says what the parts in JSON hold."""

    id: int
    channel_id: ChannelId
    channel: str
    """Its username, or where it has none its id."""
    date: datetime | None
    edited_at: datetime | None
    text: str
    entities: Any
    media: Any
    forward: Any
    reply_to_id: int | None
    reply: Any
    grouped_id: int | None
    author: str | None
    sender: Any
    discussion_id: int | None
    views: int | None
    forwards: int | None
    reactions: Any
    replies: int | None
    results: Any
    details: Any
    pinned: bool
    silent: bool
    noforwards: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Posts:
    posts: tuple[PostTold, ...]
    next_after_id: int | None
    """Where the next page begins; None on the last one."""


async def posts(request: web.Request) -> web.Response:
    """One page of a channel's posts, ascending by id; ``next_after_id`` leads to the next one."""
    params = query(request)
    after, limit = min(AFTER_POST.of(params), MESSAGE_ID_MAX), POSTS_LIMIT.of(params)
    row = await find_channel(request, CHANNEL.of(params))
    # One more than asked for tells whether there is a next page.
    page = await request.app[STORE].posts.page(row.channel_id, after_id=after, limit=limit + 1)
    shown = page[:limit]
    # A channel without a username is named by its id, so that the member always works as ?channel=.
    name = row.username or str(row.channel_id)
    more = shown[-1].message_id if len(page) > limit else None
    return respond(Posts(posts=tuple(_post(post, name) for post in shown), next_after_id=more))


def _post(post: Post, channel: str) -> PostTold:
    return PostTold(
        id=post.message_id,
        channel_id=post.channel_id,
        channel=channel,
        date=post.date,
        edited_at=post.edited_at,
        text=post.text,
        entities=_json(post.entities),
        media=_json(post.media),
        forward=_json(post.forward),
        reply_to_id=post.reply_to_id,
        reply=_json(post.reply),
        grouped_id=post.grouped_id,
        author=post.author,
        sender=_json(post.sender),
        discussion_id=post.discussion_id,
        views=post.views,
        forwards=post.forwards,
        reactions=_json(post.reactions),
        replies=post.replies,
        results=_json(post.results),
        details=_json(post.details),
        pinned=post.pinned,
        silent=post.silent,
        noforwards=post.noforwards,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FiguresTold:
    views: int | None
    forwards: int | None
    replies: int | None
    reactions: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class PointTold(FiguresTold):
    at: datetime | None
    age_s: int | None
    """Of the post then, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsTold(FiguresTold):
    channel_id: ChannelId
    id: int
    date: datetime | None
    deleted_at: datetime | None
    series: tuple[PointTold, ...]
    """One for each planned rereading that was made."""


async def stats(request: web.Request) -> web.Response:
    """A post's figures: the present ones, and those at each planned rereading."""
    query(request)
    row = await find_channel(request, request.match_info["channel"])
    text = request.match_info["post_id"]
    post_id = int(text) if _POST_ID.fullmatch(text) else 0
    found = None
    if 0 < post_id <= MESSAGE_ID_MAX:
        found = await request.app[STORE].posts.stats(row.channel_id, post_id)
    if found is None:
        raise Problem(404, f"There is no post {text[:40]!r} of this channel here: GET /posts lists its posts")
    series = tuple(
        PointTold(
            at=point.at,
            age_s=round((point.at - found.date).total_seconds()) if point.at and found.date else None,
            **_figures(point),
        )
        for point in found.series
    )
    return respond(
        StatsTold(
            channel_id=row.channel_id,
            id=found.message_id,
            date=found.date,
            deleted_at=found.deleted_at,
            series=series,
            **_figures(found.now),
        )
    )


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "views": figures.views,
        "forwards": figures.forwards,
        "replies": figures.replies,
        "reactions": _json(figures.reactions),
    }


def _json(part: bytes | None) -> orjson.Fragment | None:
    return None if part is None else orjson.Fragment(part)


ROUTES = (
    Route("GET", "/channels", channels, Role.VIEWER, Channels, query=(AFTER, LIMIT)),
    Route("GET", "/posts", posts, Role.VIEWER, Posts, query=(CHANNEL, AFTER_POST, POSTS_LIMIT), problems=(404,)),
    Route("GET", "/channels/{channel}/posts/{post_id}/stats", stats, Role.VIEWER, StatsTold),
)
