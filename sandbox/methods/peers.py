"""From the peers that clients name to rows of the world, with the service's own refusals."""

from typing import Any

from telethon.tl import types

from sandbox.channels import Channel
from sandbox.dispatch import Call, RefusedError
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


def message_ids(wanted: list[Any]) -> list[int]:
    """The ids that a request for named messages gives, at most 100 of them."""
    if not wanted:
        raise RefusedError(400, "MESSAGE_IDS_EMPTY")
    if len(wanted) > MAX_NAMED:
        raise RefusedError(400, "LIMIT_INVALID")
    if not all(isinstance(each, types.InputMessageID) for each in wanted):
        raise RefusedError(400, "MESSAGE_ID_INVALID")
    return [each.id for each in wanted]


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
