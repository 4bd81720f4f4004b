"""Reading messages of channels, groups and private chats, and what is counted below them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from telethon.tl import functions, types

from sandbox.channels import Channel, page_of
from sandbox.codec.letters import letter, origins
from sandbox.codec.peers import chat, history_page, parties, user
from sandbox.codec.posts import figures, message, reactions
from sandbox.codec.updates import envelope
from sandbox.dispatch import Call, Methods, RefusedError
from sandbox.letters import Letter
from sandbox.methods import peers
from sandbox.plans import MAX_ID
from sandbox.posts import Post
from sandbox.world import Account


def _date(moment: Any) -> int:
    """0 for none: Telethon reads that as 1970."""
    return int(moment.timestamp()) if moment else 0


def get_history(call: Call, request: Any) -> Any:
    _ = call.user
    limit, date = peers.page_limit(request.limit), _date(request.offset_date)
    if not isinstance(request.peer, types.InputPeerChannel):
        peer = peers.user(call, request.peer)
        rows = call.dc.world.boxes[call.account.id].with_peer(peer.id)
        return _letters(call, request, peer, rows, date=date, limit=limit)
    channel = peers.channel(call, request.peer)
    ids = channel.page(offset_id=request.offset_id, offset_date=date, add_offset=request.add_offset, limit=limit)
    return history_page(call.dc.world, call.account.id, channel, peers.within(request, ids))


def _letters(call: Call, request: Any, peer: Account, rows: Sequence[Letter], *, date: int, limit: int) -> Any:
    """A page of these private messages."""
    me, by_id = call.account.id, {row.id: row for row in rows}
    ids = page_of(
        list(by_id),
        [row.date for row in rows],
        offset_id=request.offset_id,
        offset_date=date,
        add_offset=request.add_offset,
        limit=limit,
    )
    page = [by_id[id_] for id_ in peers.within(request, ids)]
    return types.messages.MessagesSlice(
        count=len(rows),
        messages=[letter(me, row) for row in page],
        topics=[],
        chats=[chat(call.dc.world, me, channel) for channel in origins(call.dc.world, page)],
        users=[user(call.dc.world, me, account) for account in {peer.id: peer, me: call.account}.values()],
    )


def get_messages(call: Call, request: Any) -> Any:
    """Private messages by their ids, in the order asked. Ids of a channel's posts mean nothing here."""
    me, world = call.account.id, call.dc.world
    box = world.boxes[me]
    wanted = peers.message_ids(request.id, box.find, 0)
    found = [box.find(message_id) for message_id in wanted]
    people = {me, *(row.peer for row in found if row)}
    return types.messages.Messages(
        messages=[
            letter(me, row) if row else types.MessageEmpty(id_, None) for id_, row in zip(wanted, found, strict=True)
        ],
        topics=[],
        chats=[chat(world, me, channel) for channel in origins(world, filter(None, found))],
        users=[user(world, me, world.accounts[peer]) for peer in sorted(people)],
    )


_FILTERS: Mapping[Any, Callable[[Post], bool]] = {
    types.InputMessagesFilterEmpty: lambda _: True,
    types.InputMessagesFilterPhotos: lambda post: post.media == "photo",
    types.InputMessagesFilterVideo: lambda post: post.media == "video",
    types.InputMessagesFilterPhotoVideo: lambda post: post.media in ("photo", "video"),
    types.InputMessagesFilterDocument: lambda post: post.media == "document",
    types.InputMessagesFilterUrl: lambda post: any(entity[0] in ("url", "text_url") for entity in post.entities),
}


def search(call: Call, request: Any) -> Any:
    """By a part of the text, a filter, dates and (in groups) a writer or a thread. A limit of 0 asks for the count."""
    _ = call.user
    fits = _FILTERS.get(type(request.filter))
    if fits is None:
        raise RefusedError(400, "INPUT_FILTER_INVALID")
    text, since, until = request.q.casefold(), _date(request.min_date), _date(request.max_date)
    limit = min(request.limit, 100)
    if not isinstance(request.peer, types.InputPeerChannel):
        peer = peers.user(call, request.peer)
        rows = call.dc.world.boxes[call.account.id].with_peer(peer.id)
        if not isinstance(request.filter, types.InputMessagesFilterEmpty):  # private messages have no media here
            rows = []
        letters = [row for row in rows if text in row.text.casefold() and since < row.date < (until or row.date + 1)]
        return _letters(call, request, peer, letters, date=0, limit=limit)
    channel = peers.channel(call, request.peer)
    writer = peers.user(call, request.from_id).id if request.from_id else 0
    found = [
        post
        for post in channel.posts.values()
        if fits(post)
        and text in post.text.casefold()
        and since < post.date < (until or post.date + 1)
        and (not writer or post.sender == writer)
        and (not request.top_msg_id or post.thread == request.top_msg_id)
    ]
    ids, dates = [post.id for post in found], [post.date for post in found]
    page = page_of(ids, dates, offset_id=request.offset_id, offset_date=0, add_offset=request.add_offset, limit=limit)
    return history_page(call.dc.world, call.account.id, channel, peers.within(request, page), count=len(ids))


def _named(call: Call, request: Any) -> tuple[Channel, list[Post | None]]:
    """The posts that a request names by bare ids, in its order; None where there is none that has figures."""
    channel = peers.channel(call, request.peer)
    if len(request.id) > peers.MAX_NAMED:
        raise RefusedError(400, "LIMIT_INVALID")
    posts = [channel.posts.get(post_id) for post_id in request.id]
    return channel, [None if post is None or post.service else post for post in posts]


def get_messages_views(call: Call, request: Any) -> Any:
    """With `increment` each account is counted once below each post, as with the service; without it nothing moves."""
    me, world = call.user.id, call.dc.world
    channel, posts = _named(call, request)
    if request.increment and channel.broadcast:
        for post in filter(None, posts):
            if (me, post.id) not in channel.viewed:
                channel.viewed.add((me, post.id))
                call.dc.count(channel, post.id, views=min(post.views + 1, MAX_ID))
    now = [post and channel.posts[post.id] for post in posts]
    rows = [message(world, channel, post.id) for post in now if post]
    return types.messages.MessageViews(
        [figures(world, channel, post) for post in now], **parties(world, me, channel, rows)
    )


def get_messages_reactions(call: Call, request: Any) -> Any:
    """An update for each post that is there, without reactions too."""
    me, world = call.user.id, call.dc.world
    channel, posts = _named(call, request)
    peer = types.PeerChannel(channel.id)
    updates = [types.UpdateMessageReactions(peer, post.id, reactions(post.reactions)) for post in posts if post]
    return envelope(updates, **parties(world, me, channel), date=call.dc.clock.seconds())


def read_history(call: Call, request: Any) -> Any:
    """Accepted and not kept; the count of such requests is what matters here. Channels have a method of their own."""
    me = call.user.id
    peers.user(call, request.peer)
    return types.messages.AffectedMessages(pts=call.dc.world.boxes[me].pts, pts_count=0)


HANDLERS: Methods = {
    functions.messages.GetHistoryRequest: get_history,
    functions.messages.GetMessagesRequest: get_messages,
    functions.messages.GetMessagesReactionsRequest: get_messages_reactions,
    functions.messages.GetMessagesViewsRequest: get_messages_views,
    functions.messages.ReadHistoryRequest: read_history,
    functions.messages.SearchRequest: search,
}
