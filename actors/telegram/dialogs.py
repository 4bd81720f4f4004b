"""Which channels an account belongs to: its dialogs, read as seldom as can be."""

import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime
from typing import Any

from telethon.tl import functions, types

from actors.errors import FloodWaited, Refused
from actors.messages.content import Membership, WantedName
from actors.messages.ids import AccountId, ChannelId
from actors.telegram.caller import Caller
from actors.telegram.decode import decode_heads, decode_membership
from actors.telegram.follow import followed, is_named, merged, wanted_by
from config.model import Collection

logger = logging.getLogger(__name__)

PAGE = 100
"""The most that getDialogs gives per call."""


async def read_memberships(
    call: Caller,
    account_id: AccountId,
    stored: Iterable[Membership],
    settings: Collection,
    *,
    names: Mapping[str, WantedName] | None = None,
    choices: Mapping[ChannelId, bool] | None = None,
    whole: bool = False,
) -> tuple[tuple[Membership, ...], bool]:
    """The channels that the account follows, and whether these are all.

    Where nothing is stored, or the ``whole`` is asked for, every page is read, else only the first: what moved is on
    it, and the rest is stored.
    Channels that were only found by name aren't among dialogs; those that are wanted stay as they are stored.

    Raises:
        FloodWaited, Refused: nothing is stored to go on with, or the whole was asked for.
    """
    known, complete = tuple(stored), False
    seen: list[Membership] = []
    try:
        async for page, last in fetch_dialogs(call, account_id):
            seen += page
            complete = last
            if known and not whole:
                break
    except (FloodWaited, Refused) as fault:
        if not known or whole:
            raise
        logger.info("account %s goes on with the channels that are stored: %s", account_id, fault)
        return followed(known, settings, names, choices), False
    wanted = wanted_by(settings, names)
    chosen = {channel_id for channel_id, is_wanted in (choices or {}).items() if is_wanted}
    kept = [each for each in known if not complete or is_named(each, wanted) or each.channel_id in chosen]
    return followed(merged(kept, seen).values(), settings, names, choices), complete


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
