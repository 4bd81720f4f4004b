"""Private messages, as each side sees them and hears of them."""

import base64
from collections.abc import Iterable
from typing import Any

from telethon.tl import types

from sandbox.changes import Sent
from sandbox.channels import Channel
from sandbox.codec.entities import entities_out
from sandbox.codec.peers import chat, user
from sandbox.codec.updates import Push
from sandbox.letters import Buttons, Letter
from sandbox.world import DC_ID, World


def letter(owner: int, row: Letter) -> Any:
    """A private message as its owner sees it."""
    return types.Message(
        id=row.id,
        peer_id=types.PeerUser(row.peer),
        from_id=types.PeerUser(owner if row.out else row.peer),
        date=row.date,
        message=row.text,
        out=row.out or None,
        entities=entities_out(row.entities),
        reply_to=types.MessageReplyHeader(reply_to_msg_id=row.reply_to) if row.reply_to else None,
        reply_markup=_markup(row.buttons) if row.buttons else None,
        media=_picture(owner, row) if row.picture else None,
        fwd_from=_forwarded(row) if row.forwarded else None,
        edit_date=row.edited or None,
    )


def _forwarded(row: Letter) -> Any:
    assert row.forwarded is not None
    channel_id, post_id = row.forwarded
    return types.MessageFwdHeader(date=row.date, from_id=types.PeerChannel(channel_id), channel_post=post_id)


def _markup(buttons: Buttons) -> Any:
    def button(kind: str, label: str, value: str) -> Any:
        if kind == "url":
            return types.KeyboardInlineButton(label, types.InlineButtonTypeUrl(value))
        return types.KeyboardInlineButton(label, types.InlineButtonTypeCallback(bytes.fromhex(value)))

    return types.ReplyInlineMarkup([types.KeyboardInlineButtonRow([button(*each) for each in row]) for row in buttons])


def _picture(owner: int, row: Letter) -> Any:
    size = len(base64.b64decode(row.picture))
    photo = types.Photo(
        id=(owner % (1 << 40)) << 20 | row.id % (1 << 20),
        access_hash=row.pts,
        file_reference=b"letter",
        date=row.date,
        sizes=[types.PhotoSize("x", 400, 400, size)],
        dc_id=DC_ID,
    )
    return types.MessageMediaPhoto(photo=photo)


def origins(world: World, rows: Iterable[Letter]) -> list[Channel]:
    """The channels that these messages were forwarded from, as far as they exist."""
    ids = dict.fromkeys(row.forwarded[0] for row in rows if row.forwarded)
    return [world.channels[channel_id] for channel_id in ids if channel_id in world.channels]


def letter_update(world: World, owner: int, sent: Sent) -> Any:
    """The updateNewMessage for one side of a private message, with that side's pts."""
    row = world.boxes[owner].find(sent.sender_message if owner == sent.sender else sent.receiver_message)
    if row is None:
        raise LookupError(f"account {owner} has no copy of a message that was just sent")
    return types.UpdateNewMessage(letter(owner, row), row.pts, 1)


def letter_edited(world: World, owner: int, row: Letter) -> Push:
    """The updateEditMessage for one side of a private message."""
    sides = [user(world, owner, world.accounts[side]) for side in {owner, row.peer}]
    return Push([types.UpdateEditMessage(letter(owner, row), row.pts, 1)], users=sides, date=row.edited)


def button_pressed(world: World, who: int, row: Letter, *, query_id: int, data: bytes, at: int) -> Push:
    """What a bot hears when somebody presses a button under its message, of which `row` is that one's copy."""
    query = types.UpdateBotCallbackQuery(
        query_id=query_id, user_id=who, peer=types.PeerUser(who), msg_id=row.twin, chat_instance=who, data=data
    )
    return Push([query], users=[user(world, row.peer, world.accounts[who])], date=at)


def letter_pushed(world: World, owner: int, sent: Sent) -> Push:
    sides = [user(world, owner, world.accounts[side]) for side in {sent.sender, sent.receiver}]
    origin = world.channels.get(sent.forwarded[0]) if sent.forwarded else None
    chats = [chat(world, owner, origin)] if origin else []
    return Push([letter_update(world, owner, sent)], users=sides, chats=chats, date=sent.at)
