from dataclasses import dataclass
from typing import Any

from telethon.tl import functions, types

from sandbox import codec
from sandbox.channels import Channel, page_slice
from sandbox.dispatch import Call, Methods, RefusedError
from sandbox.methods import peers
from sandbox.methods.updates import state
from sandbox.world import Account

MESSAGE_LENGTH = 4096


@dataclass(slots=True, kw_only=True)
class _Dialogs:
    """Dialogs with everything they mention, as both dialog methods answer them."""

    dialogs: list[Any]
    messages: list[Any]
    chats: list[Any]
    users: list[Any]

    def add(self, call: Call, peer: Channel | Account) -> None:
        me, world = call.account.id, call.dc.world
        if isinstance(peer, Channel):
            self.dialogs.append(codec.channel_dialog(peer))
            self.chats.append(codec.chat(world, me, peer))
            if peer.top:
                self.messages.append(codec.message(call.dc.world, peer, peer.top))
            return
        letters = world.boxes[me].with_peer(peer.id)
        self.dialogs.append(codec.user_dialog(peer.id, letters[-1].id if letters else 0))
        self.users.append(codec.user(world, me, peer))
        if letters:
            self.messages.append(codec.letter(me, letters[-1]))


def _collect(call: Call, rows: list[Channel | Account]) -> _Dialogs:
    found = _Dialogs(dialogs=[], messages=[], chats=[], users=[])
    for row in rows:
        found.add(call, row)
    return found


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
    found = _collect(call, page)
    parts = {"dialogs": found.dialogs, "messages": found.messages, "chats": found.chats, "users": found.users}
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
    found = _collect(call, rows)
    return types.messages.PeerDialogs(
        dialogs=found.dialogs, messages=found.messages, chats=found.chats, users=found.users, state=state(call)
    )


def get_history(call: Call, request: Any) -> Any:
    _ = call.user
    limit = peers.page_limit(request.limit)
    date = int(request.offset_date.timestamp()) if request.offset_date else 0
    if not isinstance(request.peer, types.InputPeerChannel):
        return _letters(call, request, limit, date)
    channel = peers.channel(call, request.peer)
    ids = channel.page(offset_id=request.offset_id, offset_date=date, add_offset=request.add_offset, limit=limit)
    return codec.history_page(call.dc.world, call.account.id, channel, _within(request, ids))


def _within(request: Any, ids: list[int]) -> list[int]:
    """min_id and max_id thin out a finished page; they don't move it. The service does the same."""
    if request.max_id > 0:
        ids = [id_ for id_ in ids if id_ < request.max_id]
    if request.min_id > 0:
        ids = [id_ for id_ in ids if id_ > request.min_id]
    return ids


def _letters(call: Call, request: Any, limit: int, date: int) -> Any:
    me, world = call.account.id, call.dc.world
    peer = peers.user(call, request.peer)
    rows = world.boxes[me].with_peer(peer.id)
    if request.offset_id > 0:
        place = sum(row.id < request.offset_id for row in rows)
    else:
        place = sum(row.date < date for row in rows) if date > 0 else len(rows)
    by_id = {row.id: row for row in rows}
    ids = _within(request, page_slice(list(by_id), place, request.add_offset, limit))
    return types.messages.MessagesSlice(
        count=len(rows),
        messages=[codec.letter(me, by_id[id_]) for id_ in ids],
        topics=[],
        chats=[],
        users=[codec.user(world, me, account) for account in (peer, call.account)],
    )


def send_message(call: Call, request: Any) -> Any:
    """To a user or a bot; a channel can't be written to here. The same random_id twice is one message."""
    if isinstance(request.peer, (types.InputPeerChannel, types.InputPeerChat)):
        raise RefusedError(403, "CHAT_WRITE_FORBIDDEN")
    receiver = peers.user(call, request.peer)
    if not request.message:
        raise RefusedError(400, "MESSAGE_EMPTY")
    if len(request.message.encode("utf-16-le")) > 2 * MESSAGE_LENGTH:
        raise RefusedError(400, "MESSAGE_TOO_LONG")
    box = call.dc.world.boxes[call.account.id]
    row = box.by_random_id.get((receiver.id, request.random_id))
    if row is None:
        sent = call.dc.send_letter(
            call.key,
            receiver.id,
            request.message,
            entities=codec.entities_in(request.entities),
            reply_to=int(getattr(request.reply_to, "reply_to_msg_id", 0) or 0),
            random_id=request.random_id,
        )
        row = box.find(sent.sender_message)
        assert row is not None
    me, world = call.account.id, call.dc.world
    update = types.UpdateNewMessage(codec.letter(me, row), row.pts, 1)
    people = {account.id: account for account in (call.account, receiver)}
    return types.Updates(
        updates=[types.UpdateMessageID(row.id, request.random_id), update],
        users=[codec.user(world, me, account) for account in people.values()],
        chats=[],
        date=call.dc.clock.seconds(),
        seq=0,
    )


HANDLERS: Methods = {
    functions.messages.GetDialogsRequest: get_dialogs,
    functions.messages.GetPeerDialogsRequest: get_peer_dialogs,
    functions.messages.GetHistoryRequest: get_history,
    functions.messages.SendMessageRequest: send_message,
}
