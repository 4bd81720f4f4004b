"""The requests that an account makes, raw: each says what it costs, and answers in our words."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from telethon.tl import functions, types

from actors.errors import ChannelLost, FloodWaited, Refused, TryAgain
from actors.messages.account import (
    ChannelsPeeked,
    DifferenceFetched,
    FetchDifference,
    FetchHistory,
    FindStart,
    HistoryFetched,
    IdsFetched,
    StartFound,
)
from actors.messages.content import ChannelHead, Post, Profile
from actors.messages.ids import ChannelId, Span
from actors.messages.rows import UpdateState
from actors.telegram.caller import Caller
from actors.telegram.decode import decode_heads, decode_post, decode_profile
from actors.telegram.faults import INVALID, TIMESTAMP_INVALID, Unreadable
from actors.telegram.takeout import Takeout
from actors.telegram.updates import read_difference, state_of

PAGE = 100
"""The most that getHistory, getDialogs and getPeerDialogs give per call."""
REFUSALS = 16
"""Refusals without one answer after which it is the call that is refused, not one of its channels: twice the depth to
which a page is halved."""
SLICES = 100
"""Slices of one difference before it is called too long: nothing in them is worth more, channels are read by pages."""


def peer_of(channel_id: ChannelId, access_hash: int) -> Any:
    return types.InputPeerChannel(channel_id, access_hash)


async def fetch_self(call: Caller) -> Profile | None:
    """Who is signed in: one call. None when nobody is."""
    users = await call(functions.users.GetUsersRequest([types.InputUserSelf()]))
    return decode_profile(users[0]) if users and type(users[0]) is types.User else None


async def fetch_history(
    call: Caller, peer: Any, request: FetchHistory, *, raw: bool = False, takeout: Takeout | None = None
) -> HistoryFetched:
    """One page, newest first: one call, unless the page holds something that Telethon can't read.

    Such a page is read again message by message; what can't be read even alone is kept as ``undecodable``. With ``raw``
    each post brings along what Telegram sent. Older posts are asked for through ``takeout``.
    """
    ask = _history(peer, request.offset_id, request.limit)
    try:
        if takeout is not None and request.road == "backfill":
            result = await takeout.ask(call, ask, channel_id=request.channel_id)
        else:
            result = await call(ask, channel_id=request.channel_id)
    except Unreadable:
        return await _isolate(call, peer, request, raw=raw)
    return _page(result.messages, request.channel_id, pts=getattr(result, "pts", None), raw=raw)


def _page(messages: Iterable[Any], channel_id: ChannelId, *, pts: int | None, raw: bool) -> HistoryFetched:
    ids = [message.id for message in messages]
    posts = tuple(post for message in messages if (post := decode_post(message, channel_id, raw=raw)) is not None)
    return HistoryFetched(channel_id=channel_id, posts=posts, lowest_id=min(ids, default=None), count=len(ids), pts=pts)


def _history(peer: Any, offset_id: int, limit: int, *, add_offset: int = 0, since: datetime | None = None) -> Any:
    return functions.messages.GetHistoryRequest(
        peer=peer,
        offset_id=offset_id,
        offset_date=since,
        add_offset=add_offset,
        limit=limit,
        max_id=0,
        min_id=0,
        hash=0,
    )


async def _isolate(call: Caller, peer: Any, request: FetchHistory, *, raw: bool) -> HistoryFetched:
    """Read the ids below ``offset_id`` by number, for a page's ids can't be known without reading it.

    The page found this way is ``limit`` ids long, and may hold fewer messages than a page of history would.
    """
    channel_id = request.channel_id
    highest = request.offset_id - 1 if request.offset_id else (await _head_of(call, peer, channel_id)).top_id
    if highest < 1:
        return HistoryFetched(channel_id=channel_id, posts=(), lowest_id=None, count=0)
    lowest = max(1, highest - request.limit + 1)
    read = await read_ids(call, peer, channel_id, (lowest, highest), raw=raw)
    return HistoryFetched(
        channel_id=channel_id, posts=read.posts, lowest_id=lowest, count=highest - lowest + 1, pts=read.pts
    )


async def read_ids(call: Caller, peer: Any, channel_id: ChannelId, span: Span, *, raw: bool) -> IdsFetched:
    """The messages that there are of up to 100 ids, newest first, and the channel's pts: one call.

    Where one of them can't be read the span is halved, so that it costs itself alone and is told as ``undecodable``.
    """
    posts: list[Post] = []
    pts: list[int] = []
    calls = 0
    spans = [span]
    while spans:
        first, last = spans.pop()
        calls += 1
        ids = [types.InputMessageID(number) for number in range(first, last + 1)]
        ask = functions.channels.GetMessagesRequest(types.InputChannel(peer.channel_id, peer.access_hash), ids)
        try:
            result = await call(ask, channel_id=channel_id)
        except Unreadable:
            if first == last:
                posts.append(Post(channel_id=channel_id, message_id=first, kind="undecodable", date=None))
            else:
                middle = (first + last) // 2
                spans += [(first, middle), (middle + 1, last)]
            continue
        decoded = (decode_post(found, channel_id, raw=raw) for found in result.messages)
        posts += [post for post in decoded if post is not None]
        pts.append(getattr(result, "pts", 0))
    posts.sort(key=lambda post: post.message_id, reverse=True)
    return IdsFetched(channel_id=channel_id, posts=tuple(posts), pts=min(pts, default=0) or None, calls=calls)


async def fetch_difference_of(call: Caller, peer: Any, request: FetchDifference, *, raw: bool) -> DifferenceFetched:
    """What happened to a channel after a pts: one call.

    A pts that means nothing to the server, or an answer that Telethon can't read, costs a second one: the head from
    which the channel goes on.
    """
    channel_id = request.channel_id
    ask = functions.updates.GetChannelDifferenceRequest(
        channel=types.InputChannel(peer.channel_id, peer.access_hash),
        filter=types.ChannelMessagesFilterEmpty(),
        pts=request.pts,
        limit=PAGE,
    )
    try:
        return read_difference(await call(ask, channel_id=channel_id), channel_id, raw=raw)
    except Unreadable:
        pass
    except TryAgain as fault:
        if fault.cause != TIMESTAMP_INVALID:
            raise
    head = await _head_of(call, peer, channel_id)
    return DifferenceFetched(channel_id=channel_id, pts=head.pts, head=head)


async def _head_of(call: Caller, peer: Any, channel_id: ChannelId) -> ChannelHead:
    """One channel's newest id and pts: one call, unless its newest message can't be read."""
    try:
        heads = await _peer_heads(call, {channel_id: peer}, channel_id=channel_id)
    except Unreadable:
        return await _head_under(call, peer, channel_id)
    if channel_id not in heads:
        raise ChannelLost(call.account_id, channel_id, "not a member")
    return heads[channel_id]


async def _head_under(call: Caller, peer: Any, channel_id: ChannelId) -> ChannelHead:
    """The head of a channel whose newest messages can't be read: look below them, then for them one by one."""
    for skipped in range(1, PAGE):
        try:
            result = await call(_history(peer, 0, 1, add_offset=skipped), channel_id=channel_id)
        except Unreadable:
            continue
        base = max((message.id for message in result.messages), default=0)
        above = await read_ids(call, peer, channel_id, (base + 1, base + PAGE), raw=False)
        top = max((post.message_id for post in above.posts), default=base)
        return ChannelHead(channel_id=channel_id, top_id=top, pts=result.pts)
    raise Refused(call.account_id, "messages.getHistory", f"the newest {PAGE} messages can't be read")


async def find_start(call: Caller, peer: Any, request: FindStart) -> StartFound:
    """The first id that the start policy wants: one call.

    Where everything is older than ``since`` that is the id after the newest: nothing is wanted yet.
    """
    if request.newest is not None:
        ask = _history(peer, request.below, 1, add_offset=max(request.newest - 1, 0))
    else:
        # offset_date stands between the older and the newer; the page is one of each.
        ask = _history(peer, 0, 2, add_offset=-1, since=request.since)
    result = await call(ask, channel_id=request.channel_id)
    start = 1
    for message in result.messages:  # newest first
        date = getattr(message, "date", None)
        if request.since is not None and date is not None and date < request.since:
            start = max(start, message.id + 1)
            break
        start = message.id
    return StartFound(channel_id=request.channel_id, message_id=start)


Renew = Callable[[ChannelId], Awaitable[Any]]
"""Finds the present peer of a channel whose access hash means nothing any more; None where that can't be done."""


async def peek(
    call: Caller, peers: Mapping[ChannelId, Any], wanted: Iterable[ChannelId], *, renew: Renew | None = None
) -> ChannelsPeeked:
    """Top id and pts of up to 100 channels: one call where all can be seen. Those without a peer are lost already.

    One channel that is gone may fail the whole batch: it is halved until the lost ones stand alone. What was found
    before a wait or a fault is told, for asking for it again could end in the same wait.
    """
    heads: list[ChannelHead] = []
    lost = [channel_id for channel_id in wanted if channel_id not in peers]
    batches = [dict(peers)] if peers else []
    refusals = 0
    while batches:
        batch = batches.pop()
        alone = next(iter(batch)) if len(batch) == 1 else None
        try:
            found = await _peer_heads(call, batch, channel_id=alone)
        except ChannelLost as fault:
            peer = await renew(fault.channel_id) if renew is not None and fault.cause == INVALID else None
            if peer is None:
                lost += batch
            else:
                batches.append({fault.channel_id: peer})
        except Unreadable:
            if alone is None:
                batches += _halves(batch)
            else:
                heads.append(await _head_under(call, batch[alone], alone))
        except Refused:
            refusals += 1
            if refusals == REFUSALS and not heads and not lost:
                raise
            # One whose dialog is refused for another reason is neither seen nor lost.
            batches += _halves(batch) if alone is None else ()
        except (FloodWaited, TryAgain):
            if not heads and not lost:
                raise
            batches.append(batch)
            break
        else:
            heads += found.values()
            lost += [channel_id for channel_id in batch if channel_id not in found]
    left = tuple(channel_id for batch in batches for channel_id in batch)
    return ChannelsPeeked(heads=tuple(heads), lost=tuple(lost), left=left)


def _halves(batch: dict[ChannelId, Any]) -> list[dict[ChannelId, Any]]:
    items = list(batch.items())
    middle = len(items) // 2
    return [dict(items[:middle]), dict(items[middle:])]


async def _peer_heads(
    call: Caller, peers: Mapping[ChannelId, Any], *, channel_id: ChannelId | None = None
) -> dict[ChannelId, ChannelHead]:
    ask = functions.messages.GetPeerDialogsRequest([types.InputDialogPeer(peer) for peer in peers.values()])
    result = await call(ask, channel_id=channel_id)
    gone = {chat.id for chat in result.chats if type(chat) is types.ChannelForbidden}
    return {found: head for found, head in decode_heads(result).items() if found in peers and found not in gone}


async def fetch_state(call: Caller) -> UpdateState:
    return state_of(await call(functions.updates.GetStateRequest()))


async def fetch_difference(call: Caller, state: UpdateState) -> AsyncIterator[tuple[Any, UpdateState]]:
    """What happened to the account since ``state``, slice by slice, each with the state after it.

    Names the channels that moved and the memberships that changed; what it brings of private chats is thrown away by
    ``sort_updates``. Too long a difference ends with the present state and no slices: everything is in doubt then.
    """
    for _ in range(SLICES):
        try:
            result = await call(_difference_since(state))
        except Unreadable:
            break
        except TryAgain as fault:
            if fault.cause != TIMESTAMP_INVALID:
                raise
            break
        kind = type(result)
        if kind is types.updates.DifferenceSlice:
            state = state_of(result.intermediate_state)
            yield result, state
        elif kind is types.updates.DifferenceTooLong:
            break
        else:
            empty = kind is types.updates.DifferenceEmpty
            yield result, _after_nothing(state, result) if empty else state_of(result.state)
            return
    yield types.UpdatesTooLong(), await fetch_state(call)


def _difference_since(state: UpdateState) -> Any:
    date = datetime.fromtimestamp(state.date, UTC)
    return functions.updates.GetDifferenceRequest(pts=state.pts, date=date, qts=state.qts)


def _after_nothing(state: UpdateState, empty: Any) -> UpdateState:
    return UpdateState(pts=state.pts, qts=state.qts, date=int(empty.date.timestamp()), seq=empty.seq)
