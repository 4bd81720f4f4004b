"""The list of chats, of the `messages` namespace."""

from typing import Any

from telethon.tl import functions, types

from sandbox.channels import Channel
from sandbox.codec.letters import letter
from sandbox.codec.peers import channel_dialog, history_page, user, user_dialog
from sandbox.dispatch import Call, Methods, RefusedError
from sandbox.methods import peers
from sandbox.methods.updates import state
from sandbox.world import Account


def _collect(call: Call, rows: list[Channel | Account]) -> dict[str, list[Any]]:
    """Dialogs with everything they mention, as both dialog methods answer them."""
    me, world = call.account.id, call.dc.world
    dialogs, messages = [], []
    chats: dict[int, Any] = {}
    users: dict[int, Any] = {}
    for peer in rows:
        if isinstance(peer, Channel):
            dialogs.append(channel_dialog(peer))
            page = history_page(world, me, peer, [peer.top] if peer.top else [])
            messages += page.messages
            chats.update({chat.id: chat for chat in page.chats})
            users.update({user.id: user for user in page.users})
        else:
            letters = world.boxes[me].with_peer(peer.id)[-1:]
            dialogs.append(user_dialog(peer.id, letters[0].id if letters else 0))
            messages += [letter(me, row) for row in letters]
            users[peer.id] = user(world, me, peer)
    return {"dialogs": dialogs, "messages": messages, "chats": list(chats.values()), "users": list(users.values())}


def _ordered(call: Call) -> list[tuple[tuple[int, int, int], Channel | Account]]:
    """The account's dialogs, most recent top message first, each with its place: date, message, peer."""
    me, world = call.user.id, call.dc.world
    rows: list[tuple[tuple[int, int, int], Channel | Account]] = []
    for channel in world.channels_of(me):
        top = channel.posts.dates[-1] if channel.top else channel.date
        rows.append(((top, channel.top, channel.id), channel))
    latest = {letter.peer: letter for letter in world.boxes[me].letters}
    rows += [((row.date, row.id, peer), world.accounts[peer]) for peer, row in latest.items()]
    rows.sort(key=lambda row: row[0], reverse=True)
    return rows


def get_dialogs(call: Call, request: Any) -> Any:
    rows = _ordered(call)
    if request.folder_id:
        return types.messages.Dialogs([], [], [], [])
    total, start = len(rows), 0
    peer = getattr(request.offset_peer, "channel_id", 0) or getattr(request.offset_peer, "user_id", 0)
    date = int(request.offset_date.timestamp()) if request.offset_date else 0
    if date > 0 or peer:
        # Without a peer the whole second of offset_date is still to come; with one, what stands after it.
        last = (date, request.offset_id, peer) if peer else (date + 1, 0, 0)
        if not date:
            last = next((place for place, _ in rows if place[2] == peer), last)
        start = next((index for index, (place, _) in enumerate(rows) if place < last), total)
    page = [row for _, row in rows[start : start + peers.page_limit(request.limit)]]
    parts = _collect(call, page)
    if len(page) == total:
        return types.messages.Dialogs(**parts)
    return types.messages.DialogsSlice(count=total, **parts)


def get_peer_dialogs(call: Call, request: Any) -> Any:
    """One bad peer fails the whole batch, or is left out of it: there is a switch."""
    _ = call.user
    rows: list[Channel | Account] = []
    for wanted in request.peers[:100]:
        peer = getattr(wanted, "peer", None)
        is_channel = isinstance(peer, types.InputPeerChannel)
        try:
            rows.append(peers.channel(call, peer) if is_channel else peers.user(call, peer))
        except RefusedError:
            if call.dc.switches.peer_batch_fails:
                raise
    return types.messages.PeerDialogs(**_collect(call, rows), state=state(call))


def get_dialog_filters(call: Call, _: Any) -> Any:
    """The list of all dialogs, and the account's own folders."""
    me, world = call.user.id, call.dc.world

    def peer(channel_id: int) -> Any:
        return types.InputPeerChannel(channel_id, world.access_hash(me, "channel", channel_id))

    folders = [
        types.DialogFilter(
            id=each.folder_id,
            title=types.TextWithEntities(each.title, []),
            pinned_peers=[],
            include_peers=[peer(channel_id) for channel_id in each.channel_ids],
            exclude_peers=[],
        )
        for each in world.folders[me].values()
    ]
    return types.messages.DialogFilters(filters=[types.DialogFilterDefault(), *folders])


HANDLERS: Methods = {
    functions.messages.GetDialogFiltersRequest: get_dialog_filters,
    functions.messages.GetDialogsRequest: get_dialogs,
    functions.messages.GetPeerDialogsRequest: get_peer_dialogs,
}
