"""messages.sendMessage: to users and bots, and into groups."""

from dataclasses import replace
from typing import Any

from telethon.tl import functions, types

from sandbox import codec
from sandbox.channels import Channel
from sandbox.dispatch import Call, Methods, RefusedError
from sandbox.methods import peers
from sandbox.posts import Post

MESSAGE_LENGTH = 4096


def send_message(call: Call, request: Any) -> Any:
    """The same random_id twice is one message."""
    if isinstance(request.peer, types.InputPeerChannel):
        return _to_group(call, request)
    if isinstance(request.peer, types.InputPeerChat):
        raise RefusedError(403, "CHAT_WRITE_FORBIDDEN")
    receiver = peers.user(call, request.peer)
    _check_text(request.message)
    box = call.dc.world.boxes[call.account.id]
    row = box.by_random_id.get((receiver.id, request.random_id))
    if row is None:
        sent = call.dc.send_letter(
            call.key,
            receiver.id,
            request.message,
            entities=codec.entities_in(request.entities),
            reply_to=_reply_to(request),
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


def _check_text(text: str) -> None:
    if not text:
        raise RefusedError(400, "MESSAGE_EMPTY")
    if len(text.encode("utf-16-le")) > 2 * MESSAGE_LENGTH:
        raise RefusedError(400, "MESSAGE_TOO_LONG")


def _reply_to(request: Any) -> int:
    return int(getattr(request.reply_to, "reply_to_msg_id", 0) or 0)


def _to_group(call: Call, request: Any) -> Any:
    """Members write in groups; a comment is an answer to a thread's root or to something below it."""
    me, group = call.account.id, peers.channel(call, request.peer)
    if group.broadcast or not (me in group.members or group.linked_id):
        raise RefusedError(403, "CHAT_WRITE_FORBIDDEN")
    if me not in group.members:
        raise RefusedError(403, "CHAT_GUEST_SEND_FORBIDDEN")
    _check_text(request.message)
    reply_to = _reply_to(request)
    if reply_to and reply_to not in group.posts:
        raise RefusedError(400, "REPLY_MESSAGE_ID_INVALID")
    number = (me, request.random_id)
    if group.random_ids.get(number) not in group.posts:
        draft = Post(
            id=0,
            date=call.dc.clock.seconds(),
            text=request.message,
            entities=codec.entities_in(request.entities),
            reply_to=reply_to,
            sender=me,
            thread=_thread_of(group, reply_to),
        )
        made = call.dc.publish_drafts(group, [lambda post_id: replace(draft, id=post_id)], by=call.key)
        group.random_ids[number] = made[0]
    post_id = group.random_ids[number]
    world, row = call.dc.world, codec.message_for(call.dc.world, me, group, post_id)
    updates = [types.UpdateMessageID(post_id, request.random_id), types.UpdateNewChannelMessage(row, group.pts, 1)]
    parts = codec.parties(world, me, group, [codec.message(world, group, post_id)])
    return types.Updates(updates=updates, **parts, date=call.dc.clock.seconds(), seq=0)


def _thread_of(group: Channel, reply_to: int) -> int:
    post = group.posts.get(reply_to)
    if post is None:
        return 0
    return post.id if group.is_root(post) else post.thread


HANDLERS: Methods = {functions.messages.SendMessageRequest: send_message}
