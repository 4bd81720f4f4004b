"""``GET /channels``, ``GET /posts``, and a post's figures."""

import re
from typing import Any

import orjson
from aiohttp import web

from actors import coverage
from actors.messages.content import Post
from actors.messages.rereads import Figures
from actors.messages.rows import ChannelRow
from daemon.admin.access import Role
from daemon.admin.asking import INT64_MAX, STORE, find_channel, integer, query, respond
from daemon.admin.problem import Problem
from daemon.admin.routes import Route

_POST_ID = re.compile(r"\d{1,10}", re.ASCII)
POSTS_DEFAULT = 1000
POSTS_MOST = 5000
MESSAGE_ID_MAX = 2**31 - 1
"""Telegram's message ids are int32, and so is the column: nothing is above."""


async def channels(request: web.Request) -> web.Response:
    query(request)
    rows = await request.app[STORE].channels.all()
    return respond({"total": len(rows), "channels": [_channel(row) for row in rows]})


def _channel(row: ChannelRow) -> dict[str, Any]:
    # Before the start policy was applied nobody knows what is to be had, so nothing is known to be missing.
    missing = None if row.start_id is None else coverage.size(coverage.missing(row.covered, row.start_id, row.top_id))
    return {
        "id": row.channel_id,
        "username": row.username,
        "title": row.title,
        "state": row.condition,
        "subscriptions": row.subscriptions,
        "reader": row.reader_id,
        "posts": row.posts,
        "top_id": row.top_id,
        "start_id": row.start_id,
        "complete": missing == 0,
        "missing": missing,
        "migrated_from": row.migrated_from,
    }


async def posts(request: web.Request) -> web.Response:
    """One page of a channel's posts, ascending by id; ``next_after_id`` leads to the next one."""
    params = query(request, "channel", "after_id", "limit")
    after_id = min(integer(params, "after_id", default=0, low=0, high=INT64_MAX), MESSAGE_ID_MAX)
    limit = integer(params, "limit", default=POSTS_DEFAULT, low=1, high=POSTS_MOST)
    row = await find_channel(request, params.get("channel", ""))
    # One more than asked for tells whether there is a next page.
    page = await request.app[STORE].posts.page(row.channel_id, after_id=after_id, limit=limit + 1)
    shown = page[:limit]
    # A channel without a username is named by its id, so that the member always works as ?channel=.
    name = row.username or str(row.channel_id)
    return respond(
        {
            "posts": [_post(post, name) for post in shown],
            "next_after_id": shown[-1].message_id if len(page) > limit else None,
        }
    )


def _post(post: Post, channel: str) -> dict[str, Any]:
    return {
        "id": post.message_id,
        "channel_id": post.channel_id,
        "channel": channel,
        "date": post.date,
        "edited_at": post.edited_at,
        "text": post.text,
        "entities": _json(post.entities),
        "media": _json(post.media),
        "forward": _json(post.forward),
        "reply_to_id": post.reply_to_id,
        "reply": _json(post.reply),
        "grouped_id": post.grouped_id,
        "author": post.author,
        "sender": _json(post.sender),
        "discussion_id": post.discussion_id,
        "views": post.views,
        "forwards": post.forwards,
        "reactions": _json(post.reactions),
        "replies": post.replies,
        "results": _json(post.results),
        "details": _json(post.details),
        "pinned": post.pinned,
        "silent": post.silent,
        "noforwards": post.noforwards,
    }


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
    return respond(
        {
            "channel_id": row.channel_id,
            "id": found.message_id,
            "date": found.date,
            "deleted_at": found.deleted_at,
            **_figures(found.now),
            "series": [
                {
                    "at": point.at,
                    "age_s": round((point.at - found.date).total_seconds()) if point.at and found.date else None,
                    **_figures(point),
                }
                for point in found.series
            ],
        }
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
    Route("GET", "/channels", channels, Role.VIEWER),
    Route("GET", "/posts", posts, Role.VIEWER),
    Route("GET", "/channels/{channel}/posts/{post_id}/stats", stats, Role.VIEWER),
)
