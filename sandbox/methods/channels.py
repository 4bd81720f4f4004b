from typing import Any

from telethon.tl import functions, types

from sandbox.channels import Channel
from sandbox.codec.peers import chat, history_page, notify_settings, parties, user
from sandbox.codec.updates import channel_changed, envelope
from sandbox.dispatch import Call, Methods, RefusedError
from sandbox.methods import peers


def get_channels(call: Call, request: Any) -> Any:
    found = [peers.channel(call, peer) for peer in request.id[:200]]
    return types.messages.Chats([chat(call.dc.world, call.account.id, channel) for channel in found])


def get_full_channel(call: Call, request: Any) -> Any:
    """As a reader without any rights is told: the invite link and who waits are for administrators."""
    channel, world = peers.channel(call, request.channel), call.dc.world
    full = types.ChannelFull(
        id=channel.id,
        about=channel.about,
        read_inbox_max_id=0,
        read_outbox_max_id=0,
        unread_count=len(channel.ids),
        chat_photo=types.PhotoEmpty(0),
        notify_settings=notify_settings(),
        bot_info=[],
        pts=channel.pts,
        can_view_participants=None if channel.broadcast else True,
        participants_count=len(channel.members),
        linked_chat_id=channel.linked_id or None,
        available_reactions=types.ChatReactionsAll(),
    )
    chats = [channel, *([world.channels[channel.linked_id]] if channel.linked_id else [])]
    return types.messages.ChatFull(full, chats=[chat(world, call.account.id, each) for each in chats], users=[])


def get_messages(call: Call, request: Any) -> Any:
    """The named messages in the order asked; what doesn't exist comes as messageEmpty."""
    channel = peers.channel(call, request.channel)
    pinned = (post.reply_to for post in reversed(list(channel.posts.values())) if post.service == "pin")
    needs_pinned = any(isinstance(each, types.InputMessagePinned) for each in request.id)
    wanted = peers.message_ids(request.id, channel.posts.get, next(pinned, 0) if needs_pinned else 0)
    page = history_page(call.dc.world, call.account.id, channel, [i for i in wanted if i in channel.posts])
    found = iter(page.messages)
    page.messages = [
        next(found) if i in channel.posts else types.MessageEmpty(i, types.PeerChannel(channel.id)) for i in wanted
    ]
    page.count = len(wanted)
    return page


def changed(call: Call, channel: Channel) -> Any:
    """What joining and leaving are answered with: the channel as it is for this account now."""
    parts = parties(call.dc.world, call.account.id, channel)
    return envelope([channel_changed(channel)], **parts, date=call.dc.clock.seconds())


def enter(call: Call, channel: Channel) -> Any:
    """Make the account a member, or let its request wait, with all the refusals that joining has."""
    if len(call.dc.world.channels_of(call.user.id)) >= call.dc.switches.max_joined:
        raise RefusedError(400, "CHANNELS_TOO_MUCH")
    if channel.approval:
        if call.user.id not in channel.waiting:
            call.dc.move(channel, call.user, "waiting", by=call.key)
        raise RefusedError(400, "INVITE_REQUEST_SENT")
    call.dc.move(channel, call.user, "member", by=call.key)
    return changed(call, channel)


def join_channel(call: Call, request: Any) -> Any:
    """Joining once more changes nothing and is no fault."""
    me = call.user
    channel = peers.channel(call, request.channel)
    return changed(call, channel) if me.id in channel.members else enter(call, channel)


def leave_channel(call: Call, request: Any) -> Any:
    me = call.user
    channel = peers.channel(call, request.channel)
    if me.id not in channel.members:
        raise RefusedError(400, "USER_NOT_PARTICIPANT")
    call.dc.move(channel, me, "left", by=call.key)
    return changed(call, channel)


def get_participant(call: Call, request: Any) -> Any:
    """Oneself anywhere, others in groups: a channel shows its members to administrators only."""
    channel = peers.channel(call, request.channel)
    wanted = peers.user(call, request.participant)
    own = wanted.id == call.account.id
    if channel.broadcast and not own:
        raise RefusedError(400, "CHAT_ADMIN_REQUIRED")
    if wanted.id not in channel.members:
        raise RefusedError(400, "USER_NOT_PARTICIPANT")
    if own:
        participant = types.ChannelParticipantSelf(wanted.id, inviter_id=wanted.id, date=channel.date)
    else:
        participant = types.ChannelParticipant(wanted.id, date=channel.date)
    world, me = call.dc.world, call.account.id
    return types.channels.ChannelParticipant(
        participant, chats=[chat(world, me, channel)], users=[user(world, me, wanted)]
    )


def read_history(call: Call, request: Any) -> bool:
    """Accepted and not kept; the count of such requests is what matters here."""
    _ = call.user
    peers.channel(call, request.channel)
    return True


HANDLERS: Methods = {
    functions.channels.GetChannelsRequest: get_channels,
    functions.channels.GetFullChannelRequest: get_full_channel,
    functions.channels.GetMessagesRequest: get_messages,
    functions.channels.GetParticipantRequest: get_participant,
    functions.channels.JoinChannelRequest: join_channel,
    functions.channels.LeaveChannelRequest: leave_channel,
    functions.channels.ReadHistoryRequest: read_history,
}
