"""Comments below a channel's posts, of the `messages` namespace. Who may read the post may read them too."""

from typing import Any

from telethon.tl import functions, types

from sandbox.channels import Channel, page_of
from sandbox.codec.peers import chat, history_page
from sandbox.dispatch import Call, Methods, RefusedError
from sandbox.methods import peers


def _thread(call: Call, request: Any) -> tuple[Channel, Channel, int]:
    """The channel or group that was asked about, the group of the thread, and its root there."""
    _ = call.user
    asked = peers.channel(call, request.peer)
    group = call.dc.world.channels.get(asked.linked_id) if asked.broadcast else asked
    if group is None:
        raise RefusedError(400, "MSG_ID_INVALID")
    root = group.roots.get(request.msg_id, 0) if asked.broadcast else request.msg_id
    post = group.posts.get(root)
    if post is None or not group.is_root(post):
        raise RefusedError(400, "MSG_ID_INVALID")
    return asked, group, root


def _with(call: Call, page: Any, asked: Channel) -> Any:
    """An answer out of the group also describes the channel that was asked about."""
    if asked.id not in {chat.id for chat in page.chats}:
        page.chats.append(chat(call.dc.world, call.account.id, asked))
    return page


def get_replies(call: Call, request: Any) -> Any:
    asked, group, root = _thread(call, request)
    ids = group.thread(root)
    date = int(request.offset_date.timestamp()) if request.offset_date else 0
    page = page_of(
        ids,
        [group.posts[post_id].date for post_id in ids],
        offset_id=request.offset_id,
        offset_date=date,
        add_offset=request.add_offset,
        limit=peers.page_limit(request.limit),
    )
    page = peers.within(request, page)
    return _with(call, history_page(call.dc.world, call.account.id, group, page, count=len(ids)), asked)


def get_discussion_message(call: Call, request: Any) -> Any:
    asked, group, root = _thread(call, request)
    page = history_page(call.dc.world, call.account.id, group, [root])
    comments = group.thread(root)
    answer = types.messages.DiscussionMessage(
        messages=page.messages,
        unread_count=len(comments),
        chats=page.chats,
        users=page.users,
        max_id=comments[-1] if comments else None,
    )
    return _with(call, answer, asked)


HANDLERS: Methods = {
    functions.messages.GetRepliesRequest: get_replies,
    functions.messages.GetDiscussionMessageRequest: get_discussion_message,
}
