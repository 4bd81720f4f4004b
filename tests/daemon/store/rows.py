"""Short ways to say a post, a record and a channel."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from actors.messages.channel import ChannelFigures
from actors.messages.content import Membership, Post, Profile
from actors.messages.ids import AccountId, ChannelId, Span
from actors.messages.recorder import Record
from actors.ports import Store

DAY = datetime(2026, 11, 1, tzinfo=UTC)
USER = AccountId(7)
NEWS = ChannelId(100)
SPORT = ChannelId(200)


def minute(number: int) -> datetime:
    return DAY + timedelta(minutes=number)


def post(
    message_id: int, text: str = "text", *, channel_id: ChannelId = NEWS, edited: int | None = None, **more: Any
) -> Post:
    edited_at = None if edited is None else minute(edited)
    defaults: dict[str, Any] = {"date": DAY, "edited_at": edited_at}
    return Post(channel_id=channel_id, message_id=message_id, text=text, **(defaults | more))


def record(*posts: Post, channel_id: ChannelId = NEWS, covered: Span | None = None, **more: Any) -> Record:
    return Record(**({"channel_id": channel_id, "road": "live", "posts": posts, "covered": covered} | more))


def figures(message_id: int, **more: Any) -> ChannelFigures:
    return ChannelFigures(channel_id=NEWS, message_id=message_id, **more)


def membership(
    channel_id: ChannelId, username: str | None = None, *, account_id: AccountId = USER, **more: Any
) -> Membership:
    defaults: dict[str, Any] = {"access_hash": 1000 + channel_id, "title": f"channel {channel_id}"}
    return Membership(account_id=account_id, channel_id=channel_id, username=username, **(defaults | more))


async def follow(store: Store, *memberships: Membership, account_id: AccountId = USER) -> None:
    await store.accounts.save_profile(Profile(account_id=account_id, username=None, first_name="A", last_name=None))
    await store.channels.save_memberships(account_id, memberships, complete=False)


async def ask(dsn: str, query: str, *arguments: object) -> list[tuple[Any, ...]]:
    """What the database itself says."""
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(query, *arguments)]
    finally:
        await connection.close()
