"""Private messages and comments: sent, edited and forwarded, with buttons and pictures; and buttons pressed."""

import base64
import itertools
from dataclasses import replace
from typing import Any

from telethon.tl import functions, types

from sandbox.channels import Channel
from sandbox.codec.entities import entities_in
from sandbox.codec.letters import button_pressed, letter
from sandbox.codec.peers import chat, parties, user
from sandbox.codec.posts import message, message_for
from sandbox.codec.updates import envelope
from sandbox.dispatch import Call, Methods, RefusedError
from sandbox.letters import Buttons, Letter
from sandbox.methods import peers
from sandbox.methods.upload import MAX_PARTS
from sandbox.posts import Post
from sandbox.world import Account

MESSAGE_LENGTH = 4096
CAPTION_LENGTH = 1024
MAX_PICTURE = 8 * 1024 * 1024
DATA_LENGTH = 64
"""Bytes that a button may carry."""
_queries = itertools.count(1)


def send_message(call: Call, request: Any) -> Any:
    """The same random_id twice is one message."""
    if isinstance(request.peer, types.InputPeerChannel):
        return _to_group(call, request)
    _check_text(request.message, MESSAGE_LENGTH)
    return _send(call, request, request.random_id, request.message)


def send_media(call: Call, request: Any) -> Any:
    """A picture that was uploaded, and nothing else."""
    picture = _picture(call, request.media)
    _check_text(request.message, CAPTION_LENGTH, may_be_empty=True)
    return _send(call, request, request.random_id, request.message, picture=picture)


def forward_messages(call: Call, request: Any) -> Any:
    """Posts of a channel, to a person or a bot."""
    channel = peers.channel(call, request.from_peer)
    if channel.noforwards:
        raise RefusedError(400, "CHAT_FORWARDS_RESTRICTED")
    if not request.id:
        raise RefusedError(400, "MESSAGE_IDS_EMPTY")
    if len(request.id) > peers.MAX_NAMED:
        raise RefusedError(400, "LIMIT_INVALID")
    if len(request.random_id) != len(request.id):
        raise RefusedError(400, "RANDOM_ID_INVALID")
    answers = []
    for post_id, random_id in zip(request.id, request.random_id, strict=True):
        post = channel.posts.get(post_id)
        if post is None or post.service:
            raise RefusedError(400, "MESSAGE_ID_INVALID")
        answers.append(
            _send(call, request, random_id, post.text, entities=post.entities, forwarded=(channel.id, post_id))
        )
    first = answers[0]
    first.updates = [update for answer in answers for update in answer.updates]
    first.chats = [chat(call.dc.world, call.account.id, channel)]
    return first


def _send(call: Call, request: Any, random_id: int, text: str, **more: Any) -> Any:
    peer = getattr(request, "to_peer", None) or request.peer
    if isinstance(peer, types.InputPeerChat):
        raise RefusedError(403, "CHAT_WRITE_FORBIDDEN")
    receiver = peers.user(call, peer)
    box = call.dc.world.boxes[call.account.id]
    known = box.by_random_id.get((receiver.id, random_id))
    if known is None:
        sent = call.dc.send_letter(
            call.key,
            receiver.id,
            text=text,
            reply_to=_reply_to(request),
            random_id=random_id,
            buttons=_buttons(call, getattr(request, "reply_markup", None)),
            **{"entities": entities_in(getattr(request, "entities", None)), **more},
        )
        known = box.find(sent.sender_message)
        assert known is not None
    row = box.find(known.id) or known
    # Of a message that came again and was edited since, the step is still the first one.
    update = types.UpdateNewMessage(letter(call.account.id, row), known.pts, 1)
    return _told(call, receiver, [types.UpdateMessageID(row.id, random_id), update])


def _told(call: Call, receiver: Account, updates: list[Any]) -> Any:
    people = {account.id: account for account in (call.account, receiver)}
    users = [user(call.dc.world, call.account.id, account) for account in people.values()]
    return envelope(updates, users=users, date=call.dc.clock.seconds())


def edit_message(call: Call, request: Any) -> Any:
    """One's own private message: its text, buttons and picture. What stays as it was is refused."""
    receiver = peers.user(call, request.peer)
    row = call.dc.world.boxes[call.account.id].find(request.id)
    if row is None or row.peer != receiver.id:
        raise RefusedError(400, "MESSAGE_ID_INVALID")
    if not row.out:
        raise RefusedError(403, "MESSAGE_AUTHOR_REQUIRED")
    text = row.text if request.message is None else request.message
    _check_text(text, CAPTION_LENGTH if row.picture else MESSAGE_LENGTH, may_be_empty=bool(row.picture))
    picture = row.picture if request.media is None else _picture(call, request.media)
    buttons = _buttons(call, request.reply_markup)
    entities = entities_in(request.entities)
    if (text, picture, buttons, entities) == (row.text, row.picture, row.buttons, row.entities):
        raise RefusedError(400, "MESSAGE_NOT_MODIFIED")
    call.dc.reword(call.key, row, text, entities=entities, buttons=buttons, picture=picture)
    edited = call.dc.world.boxes[call.account.id].find(row.id)
    assert edited is not None
    return _told(call, receiver, [types.UpdateEditMessage(letter(call.account.id, edited), edited.pts, 1)])


def press_button(call: Call, request: Any) -> Any:
    """Tells the bot. The answer doesn't wait for the bot's own, and so is always empty."""
    bot = peers.user(call, request.peer)
    row = call.dc.world.boxes[call.user.id].find(request.msg_id)
    if row is None or row.peer != bot.id or not _has(row, request.data or b""):
        raise RefusedError(400, "MESSAGE_ID_INVALID" if row is None or row.peer != bot.id else "DATA_INVALID")
    at, world = call.dc.clock.seconds(), call.dc.world
    push = button_pressed(world, call.user.id, row, query_id=next(_queries), data=request.data, at=at)
    call.dc.hub.push_to(bot.id, push)
    return types.messages.BotCallbackAnswer(cache_time=0)


def answer_button(call: Call, _: Any) -> bool:
    """Taken and not shown."""
    if not call.account.is_bot:
        raise RefusedError(400, "USER_BOT_REQUIRED")
    return True


def _has(row: Letter, data: bytes) -> bool:
    return any(value == data.hex() for line in row.buttons for kind, _, value in line if kind == "data")


def _buttons(call: Call, markup: Any) -> Buttons:
    if markup is None:
        return ()
    if not call.account.is_bot or type(markup) is not types.ReplyInlineMarkup:
        raise RefusedError(400, "REPLY_MARKUP_INVALID")
    return tuple(tuple(_button(each) for each in row.buttons) for row in markup.rows)


def _button(each: Any) -> tuple[str, str, str]:
    match each:
        case types.KeyboardInlineButton(text=text, type=types.InlineButtonTypeCallback(data=data)):
            if not 0 < len(data) <= DATA_LENGTH:
                raise RefusedError(400, "BUTTON_DATA_INVALID")
            return ("data", text, data.hex())
        case types.KeyboardInlineButton(text=text, type=types.InlineButtonTypeUrl(url=url)):
            if not url.startswith(("http://", "https://", "tg://")):
                raise RefusedError(400, "BUTTON_URL_INVALID")
            return ("url", text, url)
    raise RefusedError(400, "BUTTON_TYPE_INVALID")


def _picture(call: Call, media: Any) -> str:
    if type(media) is not types.InputMediaUploadedPhoto or type(media.file) is not types.InputFile:
        raise RefusedError(400, "MEDIA_INVALID")
    content = call.dc.uploads.pop((call.account.id, media.file.id), {})
    if not 0 < media.file.parts <= MAX_PARTS or sorted(content) != list(range(media.file.parts)):
        raise RefusedError(400, "FILE_PARTS_INVALID")
    whole = b"".join(content[part] for part in range(media.file.parts))
    if len(whole) > MAX_PICTURE or not whole.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
        raise RefusedError(400, "IMAGE_PROCESS_FAILED")
    return base64.b64encode(whole).decode()


def _check_text(text: str, most: int, *, may_be_empty: bool = False) -> None:
    if not text and not may_be_empty:
        raise RefusedError(400, "MESSAGE_EMPTY")
    if len(text.encode("utf-16-le")) > 2 * most:
        raise RefusedError(400, "MESSAGE_TOO_LONG" if most == MESSAGE_LENGTH else "MEDIA_CAPTION_TOO_LONG")


def _reply_to(request: Any) -> int:
    return int(getattr(request.reply_to, "reply_to_msg_id", 0) or 0)


def _to_group(call: Call, request: Any) -> Any:
    """Members write in groups; a comment is an answer to a thread's root or to something below it."""
    me, group = call.account.id, peers.channel(call, request.peer)
    if group.broadcast or not (me in group.members or group.linked_id):
        raise RefusedError(403, "CHAT_WRITE_FORBIDDEN")
    if me not in group.members:
        raise RefusedError(403, "CHAT_GUEST_SEND_FORBIDDEN")
    _check_text(request.message, MESSAGE_LENGTH)
    reply_to = _reply_to(request)
    if reply_to and reply_to not in group.posts:
        raise RefusedError(400, "REPLY_MESSAGE_ID_INVALID")
    number = (me, request.random_id)
    post_id, pts = group.random_ids.get(number, (0, 0))
    if post_id not in group.posts:
        draft = Post(
            id=0,
            date=call.dc.clock.seconds(),
            text=request.message,
            entities=entities_in(request.entities),
            reply_to=reply_to,
            sender=me,
            thread=_thread_of(group, reply_to),
        )
        (post_id,) = call.dc.publish_drafts(group, [lambda post_id: replace(draft, id=post_id)], by=call.key)
        pts = group.pts
        group.random_ids[number] = post_id, pts
    world, row = call.dc.world, message_for(call.dc.world, me, group, post_id)
    updates = [types.UpdateMessageID(post_id, request.random_id), types.UpdateNewChannelMessage(row, pts, 1)]
    parts = parties(world, me, group, [message(world, group, post_id)])
    return envelope(updates, **parts, date=call.dc.clock.seconds())


def _thread_of(group: Channel, reply_to: int) -> int:
    post = group.posts.get(reply_to)
    if post is None:
        return 0
    return post.id if group.is_root(post) else post.thread


HANDLERS: Methods = {
    functions.messages.SendMessageRequest: send_message,
    functions.messages.SendMediaRequest: send_media,
    functions.messages.ForwardMessagesRequest: forward_messages,
    functions.messages.EditMessageRequest: edit_message,
    functions.messages.GetBotCallbackAnswerRequest: press_button,
    functions.messages.SetBotCallbackAnswerRequest: answer_button,
}
