"""What people say to the bot, out of raw updates, and what the bot says, into requests."""

import secrets
from collections.abc import Iterable, Iterator
from typing import Any

from telethon.tl import functions, types

from actors.messages.chat import Button, Note, Person, Pressed, Said
from actors.messages.ids import AccountId, ChannelId, Language
from actors.places import Place
from actors.telegram.caller import Caller
from actors.telegram.decode import decode_profile, username_of

NOT_MODIFIED = "MESSAGE_NOT_MODIFIED"
"""The refusal of an edit that says what the message says already."""
PART = 128 * 1024
"""Bytes of one part of an uploaded file."""
LONGEST = 4096
"""UTF-16 units of a message, of a picture's caption 1024: https://core.telegram.org/api/config#client-configuration"""


def heard_in(raw: Any) -> Iterator[Said | Pressed]:
    """What was said in private, and which buttons were pressed, in an update or a slice of a difference."""
    users = {user.id: user for user in getattr(raw, "users", None) or ()}
    chats = {chat.id: chat for chat in getattr(raw, "chats", None) or ()}
    for message in _messages_in(raw):
        if type(message) is types.Message and not message.out and type(message.peer_id) is types.PeerUser:
            yield Said(
                person=_person(message.peer_id.user_id, users),
                message_id=message.id,
                text=message.message or "",
                forwarded=_forwarded(message.fwd_from, chats),
            )
    if type(raw) is types.UpdateShortMessage and not raw.out:
        yield Said(person=_person(raw.user_id, {}), message_id=raw.id, text=raw.message)
    for update in getattr(raw, "updates", None) or ([raw.update] if type(raw) is types.UpdateShort else ()):
        if type(update) is types.UpdateBotCallbackQuery and type(update.peer) is types.PeerUser:
            yield Pressed(
                person=_person(update.user_id, users),
                message_id=update.msg_id,
                query_id=update.query_id,
                data=(update.data or b"").decode("utf-8", "replace"),
            )


def _messages_in(raw: Any) -> Iterable[Any]:
    updates = getattr(raw, "updates", None) or ([raw.update] if type(raw) is types.UpdateShort else ())
    yield from getattr(raw, "new_messages", None) or ()
    for update in updates:
        if type(update) is types.UpdateNewMessage:
            yield update.message


def _person(user_id: int, users: dict[int, Any]) -> Person:
    user: Any = users.get(user_id)
    if type(user) is not types.User:
        return Person(user_id=AccountId(user_id))
    return Person(
        user_id=AccountId(user_id),
        access_hash=user.access_hash or 0,
        language=_language(user.lang_code),
        profile=decode_profile(user),
    )


def _language(code: str | None) -> Language:
    return "ru" if (code or "ru").casefold().startswith("ru") else "en"


def _forwarded(header: Any, chats: dict[int, Any]) -> Place | None:
    """The channel that a post was forwarded from, by its name where it has one: an account can always find that."""
    if header is None or type(header.from_id) is not types.PeerChannel:
        return None
    chat = chats.get(header.from_id.channel_id)
    name = username_of(chat) if type(chat) is types.Channel else None
    return Place(username=name) if name else Place(channel_id=ChannelId(header.from_id.channel_id))


# --- speaking: each raises as ``Caller`` ---------------------------------------------------------------------------


async def say(call: Caller, person: Person, note: Note, *, answer_to: int = 0) -> int:
    """Send a message; its id."""
    peer, markup, random_id = _peer(person), _markup(note), secrets.randbits(63)
    reply = types.InputReplyToMessage(answer_to) if answer_to else None
    if note.picture is None:
        ask = functions.messages.SendMessageRequest(
            peer=peer, message=note.text, random_id=random_id, reply_markup=markup, reply_to=reply, no_webpage=True
        )
    else:
        ask = functions.messages.SendMediaRequest(
            peer=peer,
            media=await _uploaded(call, note.picture),
            message=note.text,
            random_id=random_id,
            reply_markup=markup,
            reply_to=reply,
        )
    answer = await call(ask)
    if type(answer) is types.UpdateShortSentMessage:
        return int(answer.id)
    return next(int(update.id) for update in answer.updates if type(update) is types.UpdateMessageID)


async def edit(call: Caller, person: Person, message_id: int, note: Note) -> None:
    """Say something else in a message of the bot's own. Raises: Refused where it says that already, or is gone."""
    media = None if note.picture is None else await _uploaded(call, note.picture)
    await call(
        functions.messages.EditMessageRequest(
            peer=_peer(person),
            id=message_id,
            message=note.text,
            media=media,
            reply_markup=_markup(note),
            no_webpage=True,
        )
    )


async def take_press(call: Caller, query_id: int) -> None:
    """Let the button look pressed no more."""
    await call(functions.messages.SetBotCallbackAnswerRequest(query_id, cache_time=0))


async def show_menu(call: Caller, menu: Iterable[tuple[str, str]], language: str) -> None:
    """Have people's apps offer these commands; ``language`` is "" for all that have no menu of their own."""
    commands = [types.BotCommand(command, what) for command, what in menu]
    await call(functions.bots.SetBotCommandsRequest(types.BotCommandScopeDefault(), language, commands))


def _peer(person: Person) -> Any:
    return types.InputPeerUser(person.user_id, person.access_hash)


def _markup(note: Note) -> Any:
    if not note.buttons:
        return None
    return types.ReplyInlineMarkup(
        [types.KeyboardInlineButtonRow([_button(each) for each in row]) for row in note.buttons]
    )


def _button(button: Button) -> Any:
    if button.url:
        return types.KeyboardInlineButton(button.label, types.InlineButtonTypeUrl(button.url))
    return types.KeyboardInlineButton(button.label, types.InlineButtonTypeCallback(button.data.encode()))


async def _uploaded(call: Caller, picture: bytes) -> Any:
    file_id, parts = secrets.randbits(63), range(0, len(picture), PART)
    for number, offset in enumerate(parts):
        await call(functions.upload.SaveFilePartRequest(file_id, number, picture[offset : offset + PART]))
    file = types.InputFile(id=file_id, parts=len(parts), name="picture.png", md5_checksum="")
    return types.InputMediaUploadedPhoto(file=file)
