"""From the peers that clients name to rows of the world, with the service's own refusals."""

from collections.abc import Callable
from typing import Any

from telethon.tl import types

from sandbox.channels import Channel
from sandbox.dispatch import Call, RefusedError
from sandbox.letters import Letter
from sandbox.posts import Post
from sandbox.world import Account

MAX_NAMED = 100
"""Messages that one request may name."""


def channel(call: Call, peer: Any) -> Channel:
    """The channel an InputChannel or InputPeerChannel names, if this account may read it.

    Members may, and anybody may read a public one; always with the account's own access hash.
    """
    me = call.account.id
    if not isinstance(peer, (types.InputChannel, types.InputPeerChannel)):
        raise RefusedError(400, "CHANNEL_INVALID")
    found = call.dc.world.channels.get(peer.channel_id)
    hash_given = peer.access_hash
    if found is None or hash_given != call.dc.world.access_hash(me, "channel", found.id):
        raise RefusedError(400, "CHANNEL_INVALID")
    if not found.can_be_read_by(me):
        raise RefusedError(400, "CHANNEL_PRIVATE")
    return found


def user(call: Call, peer: Any) -> Account:
    """The account an InputUser or InputPeerUser names. A bot may leave the access hash out, as with the service."""
    me = call.account
    if isinstance(peer, (types.InputUserSelf, types.InputPeerSelf)):
        return me
    if not isinstance(peer, (types.InputUser, types.InputPeerUser)):
        raise RefusedError(400, "PEER_ID_INVALID")
    found = call.dc.world.accounts.get(peer.user_id)
    known = found is not None and (
        peer.access_hash == call.dc.world.access_hash(me.id, "user", found.id) or (me.is_bot and not peer.access_hash)
    )
    if found is None or not (known or found.id == me.id):
        raise RefusedError(400, "PEER_ID_INVALID")
    return found


def message_ids(wanted: list[Any], found: Callable[[int], Post | Letter | None], pinned: int) -> list[int]:
    """The ids that a request for named messages gives, at most 100 of them; 0 for what isn't there.

    A message may be named as the one that another answers, or as the pinned one.
    """
    if not wanted:
        raise RefusedError(400, "MESSAGE_IDS_EMPTY")
    if len(wanted) > MAX_NAMED:
        raise RefusedError(400, "LIMIT_INVALID")
    ids = []
    for each in wanted:
        if isinstance(each, types.InputMessagePinned):
            ids.append(pinned)
        elif isinstance(each, types.InputMessageReplyTo):
            answer = found(each.id)
            ids.append(answer.reply_to if answer else 0)
        elif isinstance(each, types.InputMessageID):
            ids.append(each.id)
        else:
            raise RefusedError(400, "MESSAGE_ID_INVALID")
    return ids


def within(request: Any, ids: list[int]) -> list[int]:
    """min_id and max_id thin out a finished page; they don't move it. The service does the same."""
    if request.max_id > 0:
        ids = [id_ for id_ in ids if id_ < request.max_id]
    if request.min_id > 0:
        ids = [id_ for id_ in ids if id_ > request.min_id]
    return ids


def page_limit(limit: int) -> int:
    """At most 100 a call, whatever is asked; the service's answer to 0 is a page too."""
    return min(limit, 100) if limit > 0 else 100
