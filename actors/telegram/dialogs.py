"""Which channels an account belongs to: its dialogs, read as seldom as can be, and the names that settings want."""

import logging
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any

from telethon.tl import functions, types

from actors.errors import FloodWaited, Refused
from actors.messages import AccountId, Membership
from actors.ports import Store
from actors.telegram.caller import Caller
from actors.telegram.decode import decode_heads, decode_membership
from actors.telegram.follow import bare_name, followed, is_named, merged, resolver_of, to_resolve
from config.model import Collection

logger = logging.getLogger(__name__)

PAGE = 100
"""The most that getDialogs gives per call."""


async def read_memberships(
    call: Caller, account_id: AccountId, stored: Iterable[Membership], settings: Collection
) -> tuple[tuple[Membership, ...], bool]:
    """The channels that the account follows, and whether these are all.

    Where nothing is stored every page is read, later only the first: what moved is on it, and the rest is stored.
    Channels that were only found by name aren't among dialogs; they stay as they are stored.

    Raises:
        FloodWaited, Refused: nothing is stored to go on with.
    """
    known, complete = tuple(stored), False
    seen: list[Membership] = []
    try:
        async for page, last in fetch_dialogs(call, account_id):
            seen += page
            complete = last
            if known:
                break
    except (FloodWaited, Refused) as fault:
        if not known:
            raise
        logger.info("account %s goes on with the channels that are stored: %s", account_id, fault)
        return followed(known, settings), False
    names = {bare_name(name) for name in settings.channels}
    kept = [membership for membership in known if not complete or is_named(membership, names)]
    return followed(merged(kept, seen).values(), settings), complete


async def resolve_names(
    call: Caller, account_id: AccountId, memberships: Iterable[Membership], store: Store, settings: Collection
) -> tuple[Membership, ...]:
    """Memberships for the names that settings want, nobody has, and this account is the one to ask for.

    A name that isn't a channel's, or a wait, leaves it for the next start: resolving is the dearest call there is.
    """
    names = [name for name in to_resolve(memberships, settings) if not await _is_read(store, name)]
    accounts = await store.accounts.all() if names else ()
    found: list[Membership] = []
    for name in names:
        if resolver_of(name, accounts) != account_id:
            continue
        try:
            membership = await _resolve(call, name, account_id)
        except (FloodWaited, Refused) as fault:
            logger.warning("a channel named in the settings can't be found for now: %s", fault)
            continue
        if membership is not None:
            found.append(membership)
    return tuple(found)


async def _is_read(store: Store, name: str) -> bool:
    row = await store.channels.by_name(name)
    return row is not None and row.subscriptions > 0


async def fetch_dialogs(call: Caller, account_id: AccountId) -> AsyncIterator[tuple[tuple[Membership, ...], bool]]:
    """Pages of the channels among the account's dialogs, most recently active first, and whether each is the last.

    One call a page. Sweeps are the worst source of floods on record: read on only where the list isn't known yet.
    """
    place: tuple[datetime | None, int, Any] | None = (None, 0, types.InputPeerEmpty())
    read = 0
    while place is not None:
        date, top, peer = place
        ask = functions.messages.GetDialogsRequest(
            offset_date=date, offset_id=top, offset_peer=peer, limit=PAGE, hash=0, exclude_pinned=read > 0
        )
        result = await call(ask)
        read += len(result.dialogs)
        # An answer that isn't a slice holds all there is; a slice may be shorter than its limit and not the last.
        is_slice = type(result) is types.messages.DialogsSlice
        place = _last_place(result) if is_slice and result.dialogs and read < result.count else None
        yield _memberships(result, account_id), place is None


def _memberships(result: Any, account_id: AccountId) -> tuple[Membership, ...]:
    heads = decode_heads(result)
    chats = {chat.id: chat for chat in result.chats if type(chat) is types.Channel}
    found = (
        decode_membership(chats[channel_id], account_id, top_id=head.top_id, pts=head.pts)
        for channel_id, head in heads.items()
        if channel_id in chats
    )
    return tuple(membership for membership in found if membership is not None)


def _last_place(result: Any) -> tuple[datetime | None, int, Any] | None:
    """Where the next page begins: date, id and peer of the page's last dialog whose peer can be named."""
    entities = {type(chat).__name__ + str(chat.id): chat for chat in (*result.users, *result.chats)}
    for dialog in reversed(result.dialogs):
        peer, top = dialog.peer, dialog.top_message
        date = next((m.date for m in result.messages if m.id == top and getattr(m, "peer_id", None) == peer), None)
        if date is None:
            continue
        if type(peer) is types.PeerChat:
            return date, top, types.InputPeerChat(peer.chat_id)
        is_user = type(peer) is types.PeerUser
        entity = entities.get(f"User{peer.user_id}" if is_user else f"Channel{peer.channel_id}")
        if entity is not None:
            build = types.InputPeerUser if is_user else types.InputPeerChannel
            return date, top, build(entity.id, entity.access_hash)
    return None


async def _resolve(call: Caller, name: str, account_id: AccountId) -> Membership | None:
    """The channel behind a public name: one call, and a dear one (200 a day). None when it is no channel."""
    result = await call(functions.contacts.ResolveUsernameRequest(name))
    if type(result.peer) is not types.PeerChannel:
        return None
    chat = next((chat for chat in result.chats if chat.id == result.peer.channel_id), None)
    return None if chat is None else decode_membership(chat, account_id, joined=False)
