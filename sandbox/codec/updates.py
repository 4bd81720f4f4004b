"""What is told of a channel, and the envelopes in which anything is told."""

from collections.abc import Sequence
from typing import Any

from telethon.tl import types
from telethon.tl.alltlobjects import LAYER

from sandbox.changes import Counted
from sandbox.channels import Channel, Event
from sandbox.codec.layers import spoken_in
from sandbox.codec.posts import message_for, reactions
from sandbox.world import World


def channel_update(world: World, channel: Channel, event: Event, viewer: int) -> Any:
    """The update for one step of pts, as one account sees it; None for a post or an edit of one that is gone since."""
    if event.kind == "delete":
        return types.UpdateDeleteChannelMessages(channel.id, list(event.ids), event.pts, event.count)
    if event.ids[0] not in channel.posts:
        return None
    constructor = types.UpdateNewChannelMessage if event.kind == "new" else types.UpdateEditChannelMessage
    return constructor(message_for(world, viewer, channel, event.ids[0]), event.pts, event.count)


def counted_updates(channel: Channel, change: Counted) -> list[Any]:
    """The updates for new figures under a post. They carry no pts."""
    updates: list[Any] = []
    if change.views is not None:
        updates.append(types.UpdateChannelMessageViews(channel.id, change.id, change.views))
    if change.forwards is not None:
        updates.append(types.UpdateChannelMessageForwards(channel.id, change.id, change.forwards))
    if change.reactions is not None:
        peer = types.PeerChannel(channel.id)
        updates.append(types.UpdateMessageReactions(peer, change.id, reactions(change.reactions)))
    return updates


def channel_changed(channel: Channel) -> Any:
    """Something about a channel is new for this account: ask. Sent when it joins, leaves, is banned or let in."""
    return types.UpdateChannel(channel.id)


def channel_too_long(channel: Channel) -> Any:
    return types.UpdateChannelTooLong(channel.id, channel.pts)


def envelope(rows: Sequence[Any], *, users: Sequence[Any] = (), chats: Sequence[Any] = (), date: int) -> Any:
    """An `updates` envelope. Its seq is 0, as for updates that are ordered by pts alone."""
    return types.Updates(updates=rows, users=users, chats=chats, date=date, seq=0)


class Push:
    """Updates for all sessions of one account, whatever layers they speak."""

    def __init__(self, rows: Sequence[Any], **parts: Any) -> None:
        """`parts` are those of `envelope`."""
        self._rows = rows
        self._parts = parts
        self._body = b""

    def body(self, layer: int) -> bytes:
        if layer < LAYER:
            return bytes(spoken_in(layer, envelope(self._rows, **self._parts)))
        self._body = self._body or bytes(envelope(self._rows, **self._parts))
        return self._body


def token_accepted(at: int) -> bytes:
    """To whoever shows a QR code that was scanned."""
    return bytes(types.UpdateShort(types.UpdateLoginToken(), at))
