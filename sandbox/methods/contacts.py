import re
from typing import Any

from telethon.tl import functions, types

from sandbox.channels import Channel
from sandbox.codec.peers import chat, user
from sandbox.dispatch import Call, Methods, RefusedError


def resolve_username(call: Call, request: Any) -> Any:
    """Works for members and strangers alike; the answer carries the asker's own access hash."""
    me, world = call.account.id, call.dc.world
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{1,31}", request.username):
        raise RefusedError(400, "USERNAME_INVALID")
    found = world.named(request.username)
    if found is None:
        raise RefusedError(400, "USERNAME_NOT_OCCUPIED")
    if isinstance(found, Channel):
        return types.contacts.ResolvedPeer(types.PeerChannel(found.id), chats=[chat(world, me, found)], users=[])
    return types.contacts.ResolvedPeer(types.PeerUser(found.id), chats=[], users=[user(world, me, found)])


HANDLERS: Methods = {functions.contacts.ResolveUsernameRequest: resolve_username}
