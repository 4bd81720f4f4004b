"""Channels as people name them, and folders of dialogs, asked of Telegram: plain calls that answer memberships."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from telethon.tl import functions, types

from actors.errors import Refused
from actors.messages.content import Membership
from actors.messages.following import Folder
from actors.messages.ids import AccountId
from actors.telegram.caller import Caller
from actors.telegram.decode import decode_membership
from actors.telegram.requests import peer_of

JOINS = ("channels.joinChannel", "messages.importChatInvite")
REQUESTED = "INVITE_REQUEST_SENT"


@dataclass(frozen=True, slots=True)
class Behind:
    """What an invite leads to: the channel, where the account belongs to it, or else its title alone."""

    membership: Membership | None
    title: str


async def look_behind(call: Caller, invite: str, account_id: AccountId) -> Behind:
    """What an invite leads to: one call. Raises: Refused where it has expired."""
    found = await call(functions.messages.CheckChatInviteRequest(invite))
    if type(found) is types.ChatInvite:
        return Behind(None, found.title)
    # A preview shows what may be read without joining, for a while; it is joined all the same.
    joined = decode_membership(found.chat, account_id) if type(found) is types.ChatInviteAlready else None
    return Behind(joined, getattr(found.chat, "title", ""))


async def join_by_invite(call: Caller, invite: str, account_id: AccountId) -> Membership | None:
    """Join: one call. None where administrators must let the account in first. Raises: Refused."""
    return await _joined(call, functions.messages.ImportChatInviteRequest(invite), account_id)


async def join(call: Caller, membership: Membership) -> Membership | None:
    """Join a channel that can be named: one call. None where administrators must let the account in first."""
    peer = peer_of(membership.channel_id, membership.access_hash)
    return await _joined(call, functions.channels.JoinChannelRequest(peer), membership.account_id)


async def _joined(call: Caller, ask: Any, account_id: AccountId) -> Membership | None:
    try:
        answer = await call(ask)
    except Refused as fault:
        if fault.cause == REQUESTED:
            return None
        raise
    chats = (chat for chat in answer.chats if type(chat) is types.Channel)
    return next((found for chat in chats if (found := decode_membership(chat, account_id)) is not None), None)


async def fetch_filters(call: Caller) -> tuple[Any, ...]:
    """The account's folders: one call."""
    answer = await call(functions.messages.GetDialogFiltersRequest())
    return tuple(each for each in answer.filters if type(each) in (types.DialogFilter, types.DialogFilterChatlist))


def folder_of(each: Any) -> Folder:
    return Folder(folder_id=each.id, title=getattr(each.title, "text", each.title))


def within(each: Any, memberships: Sequence[Membership]) -> tuple[Membership, ...]:
    """Of these the channels in a folder: those that it names, and those of a kind that it takes."""
    named = _channels(each.include_peers) | _channels(each.pinned_peers)
    excluded = _channels(getattr(each, "exclude_peers", ()))
    kinds = {True: getattr(each, "broadcasts", False), False: getattr(each, "groups", False)}
    return tuple(
        one
        for one in memberships
        if one.channel_id in named or (kinds[one.broadcast] and one.channel_id not in excluded)
    )


def _channels(peers: Any) -> set[int]:
    return {peer.channel_id for peer in peers or () if type(peer) is types.InputPeerChannel}
