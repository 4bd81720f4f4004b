"""Invite links, of the `messages` namespace."""

import re
from typing import Any

from telethon.tl import functions, types

from sandbox.channels import Channel
from sandbox.codec.peers import chat
from sandbox.dispatch import Call, Methods, RefusedError
from sandbox.methods.channels import enter


def _invited(call: Call, link: str) -> Channel:
    """The channel behind a link's hash. A link that was replaced has expired, and so it has for the banned."""
    me = call.user.id
    if not link:
        raise RefusedError(400, "INVITE_HASH_EMPTY")
    if not re.fullmatch(r"[A-Za-z0-9_-]{16,22}", link):
        raise RefusedError(400, "INVITE_HASH_INVALID")
    channel = call.dc.world.invited(link)
    if channel is None or me in channel.banned:
        raise RefusedError(406, "INVITE_HASH_EXPIRED")
    return channel


def check_chat_invite(call: Call, request: Any) -> Any:
    channel = _invited(call, request.hash)
    if call.user.id in channel.members:
        return types.ChatInviteAlready(chat(call.dc.world, call.user.id, channel))
    return types.ChatInvite(
        title=channel.title,
        photo=types.PhotoEmpty(0),
        participants_count=len(channel.members),
        color=channel.id % 7,
        channel=True,
        broadcast=channel.broadcast or None,
        megagroup=None if channel.broadcast else True,
        public=channel.is_public or None,
        request_needed=channel.approval or None,
        about=channel.about or None,
    )


def import_chat_invite(call: Call, request: Any) -> Any:
    channel = _invited(call, request.hash)
    if call.user.id in channel.members:
        raise RefusedError(400, "USER_ALREADY_PARTICIPANT")
    return enter(call, channel)


HANDLERS: Methods = {
    functions.messages.CheckChatInviteRequest: check_chat_invite,
    functions.messages.ImportChatInviteRequest: import_chat_invite,
}
