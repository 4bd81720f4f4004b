from typing import Any

from telethon.tl import functions, types

from sandbox import codec
from sandbox.dispatch import Call, Methods, RefusedError
from sandbox.methods import peers


def get_channels(call: Call, request: Any) -> Any:
    found = [peers.channel(call, peer) for peer in request.id[:200]]
    return types.messages.Chats([codec.chat(call.dc.world, call.account.id, channel) for channel in found])


def get_full_channel(call: Call, request: Any) -> Any:
    channel = peers.channel(call, request.channel)
    full = types.ChannelFull(
        id=channel.id,
        about=channel.about,
        read_inbox_max_id=0,
        read_outbox_max_id=0,
        unread_count=len(channel.ids),
        chat_photo=types.PhotoEmpty(0),
        notify_settings=codec.notify_settings(),
        bot_info=[],
        pts=channel.pts,
        participants_count=len(channel.members),
    )
    return types.messages.ChatFull(full, chats=[codec.chat(call.dc.world, call.account.id, channel)], users=[])


def get_messages(call: Call, request: Any) -> Any:
    """The named messages in the order asked; what doesn't exist comes as messageEmpty."""
    channel = peers.channel(call, request.channel)
    if len(request.id) > 100:
        raise RefusedError(400, "LIMIT_INVALID")
    rows = []
    for wanted in request.id:
        if not isinstance(wanted, types.InputMessageID):
            raise RefusedError(400, "MESSAGE_ID_INVALID")
        if wanted.id in channel.posts:
            rows.append(codec.message(call.dc.world, channel, wanted.id))
        else:
            rows.append(types.MessageEmpty(wanted.id, types.PeerChannel(channel.id)))
    page = codec.history_page(call.dc.world, call.account.id, channel, ())
    page.messages, page.count = rows, len(rows)
    return page


HANDLERS: Methods = {
    functions.channels.GetChannelsRequest: get_channels,
    functions.channels.GetFullChannelRequest: get_full_channel,
    functions.channels.GetMessagesRequest: get_messages,
}
