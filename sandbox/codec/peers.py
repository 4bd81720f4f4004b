"""Accounts and channels as one account sees them, and their dialogs."""

from collections.abc import Iterable, Sequence
from typing import Any

from telethon.tl import types

from sandbox.channels import Channel
from sandbox.codec.posts import message, message_for
from sandbox.codec.raw import Raw
from sandbox.world import Account, World


def user(world: World, viewer: int, account: Account) -> Any:
    own = viewer == account.id
    return types.User(
        id=account.id,
        is_self=own or None,
        contact=own or None,
        bot=account.is_bot or None,
        bot_info_version=1 if account.is_bot else None,
        bot_chat_history=None,
        access_hash=world.access_hash(viewer, "user", account.id),
        first_name=account.first_name,
        last_name=account.last_name or None,
        username=account.username,
        phone=account.phone if own and account.phone else None,
    )


def chat(world: World, viewer: int, channel: Channel) -> Any:
    """A channel with the viewer's own access hash; what he may not read is only a shadow."""
    access_hash = world.access_hash(viewer, "channel", channel.id)
    member = viewer in channel.members
    if not channel.can_be_read_by(viewer):
        return types.ChannelForbidden(
            channel.id,
            access_hash,
            channel.title,
            broadcast=channel.broadcast or None,
            megagroup=None if channel.broadcast else True,
        )
    return types.Channel(
        id=channel.id,
        title=channel.title,
        photo=types.ChatPhotoEmpty(),
        date=channel.date,
        left=None if member else True,
        broadcast=channel.broadcast or None,
        megagroup=None if channel.broadcast else True,
        has_link=True if channel.linked_id else None,
        noforwards=channel.noforwards or None,
        join_request=channel.approval or None,
        join_to_send=True if channel.linked_id and not channel.broadcast else None,
        access_hash=access_hash,
        username=channel.username,
        participants_count=len(channel.members),
    )


def parties(world: World, viewer: int, channel: Channel, messages: Iterable[Raw] = ()) -> dict[str, list[Any]]:
    """`chats` and `users` of an answer about a channel: itself, and whomever these messages name."""
    users: set[int] = set()
    channels: set[int] = set()
    for row in messages:
        users |= row.users
        channels |= row.channels
    others = (world.channels[channel_id] for channel_id in sorted(channels - {channel.id}))
    return {
        "chats": [chat(world, viewer, each) for each in (channel, *others)],
        "users": [user(world, viewer, world.accounts[user_id]) for user_id in sorted(users)],
    }


def notify_settings() -> Any:
    return types.PeerNotifySettings()


def channel_dialog(channel: Channel) -> Any:
    return _dialog(types.PeerChannel(channel.id), channel.top, unread_count=len(channel.ids), pts=channel.pts)


def user_dialog(peer: int, top: int) -> Any:
    return _dialog(types.PeerUser(peer), top, read_outbox_max_id=top)


def _dialog(peer: Any, top: int, **fields: int) -> Any:
    counts = ("read_inbox_max_id", "read_outbox_max_id", "unread_count")
    marks = ("unread_mentions_count", "unread_reactions_count", "unread_poll_votes_count")
    return types.Dialog(
        peer, top_message=top, notify_settings=notify_settings(), **{**dict.fromkeys(counts + marks, 0), **fields}
    )


def history_page(world: World, viewer: int, channel: Channel, ids: Sequence[int], *, count: int | None = None) -> Any:
    rows = [message(world, channel, post_id) for post_id in ids]
    parts = parties(world, viewer, channel, rows)
    if not channel.broadcast:
        rows = [message_for(world, viewer, channel, post_id) for post_id in ids]
    return types.messages.ChannelMessages(
        pts=channel.pts, count=len(channel.ids) if count is None else count, messages=rows, topics=[], **parts
    )
