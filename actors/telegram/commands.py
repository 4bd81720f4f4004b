"""What people say to the bot, and how it answers them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from telethon.tl import functions, types

from actors.messages.ids import AccountId
from actors.telegram.caller import Caller

Language = Literal["ru", "en"]
NAMES = frozenset({"start", "status", "parse"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command sent to the bot in private."""

    name: Literal["start", "status", "parse", "other"]
    message_id: int
    sender_id: AccountId
    access_hash: int = field(repr=False)
    language: Language


def commands_in(raw: Any) -> Iterator[Command]:
    """The commands in a raw update or a slice of a difference; everything else is passed over unread."""
    users = {user.id: user for user in getattr(raw, "users", None) or ()}
    for message in _messages_in(raw):
        if type(message) is types.Message and not message.out and type(message.peer_id) is types.PeerUser:
            text = message.message or ""
            if text.startswith("/"):
                yield _command(text, message.id, message.peer_id.user_id, users.get(message.peer_id.user_id))
    if type(raw) is types.UpdateShortMessage and not raw.out and raw.message.startswith("/"):
        yield _command(raw.message, raw.id, raw.user_id, None)


def _messages_in(raw: Any) -> Iterable[Any]:
    updates = getattr(raw, "updates", None) or ([raw.update] if type(raw) is types.UpdateShort else ())
    yield from getattr(raw, "new_messages", None) or ()
    for update in updates:
        if type(update) is types.UpdateNewMessage:
            yield update.message


def _command(text: str, message_id: int, sender_id: int, user: Any) -> Command:
    word = text[1:].split(maxsplit=1)[0].partition("@")[0].casefold() if text[1:].strip() else ""
    code = getattr(user, "lang_code", None) or "ru"
    return Command(
        name=word if word in NAMES else "other",  # type: ignore[arg-type]  # one of NAMES
        message_id=message_id,
        sender_id=AccountId(sender_id),
        # A bot may leave the hash out: https://core.telegram.org/api/peers#access-hash
        access_hash=getattr(user, "access_hash", None) or 0,
        language="ru" if code.casefold().startswith("ru") else "en",
    )


async def say(call: Caller, command: Command, text: str, random_id: int) -> None:
    """Answer in private; the same ``random_id`` twice is one message. Raises as ``Caller``."""
    peer = types.InputPeerUser(command.sender_id, command.access_hash)
    ask = functions.messages.SendMessageRequest(peer=peer, message=text, random_id=random_id, no_webpage=True)
    await call(ask)


TEXTS: dict[str, dict[Language, str]] = {
    "hello": {
        "ru": "Здравствуйте! Я слежу за каналами, на которые вы подписаны.\n"
        "/status: как идут дела\n/parse: собрать новые посты сейчас",
        "en": "Hello! I follow the channels that you belong to.\n/status: how things are\n/parse: fetch new posts now",
    },
    "stranger": {
        "ru": "Здравствуйте! Этот бот отвечает только тем, чей аккаунт добавлен в систему.",
        "en": "Hello! This bot answers only those whose account has been added.",
    },
    "status": {
        "ru": "Пользователей в сети: {up} из {users}\nКаналов: {channels}\nПостов: {posts}\nПарсинг: {job}",
        "en": "Users signed in: {up} of {users}\nChannels: {channels}\nPosts: {posts}\nParse: {job}",
    },
    "running": {"ru": "идёт, каналов {done} из {total}", "en": "running, channels {done} of {total}"},
    "idle": {"ru": "не идёт", "en": "not running"},
    "started": {"ru": "Парсинг начат.", "en": "The parse has begun."},
    "done": {"ru": "✅ Парсинг завершен: добавлено {added} постов", "en": "✅ Parse finished: added {added} posts"},
    "failed": {
        "ru": "⚠️ Парсинг завершен с ошибками: добавлено {added} постов",
        "en": "⚠️ Parse finished with errors: added {added} posts",
    },
    "signed_out": {
        "ru": "Ваш аккаунт сейчас не в сети ({state}): войдите заново.",
        "en": "Your account isn't signed in now ({state}): sign in again.",
    },
    "later": {"ru": "Сейчас не получилось, попробуйте позже.", "en": "That didn't work now, try again later."},
    "unknown": {"ru": "Не знаю такой команды: есть /status и /parse.", "en": "No such command: try /status or /parse."},
}


def text_of(name: str, language: Language, **fields: object) -> str:
    return TEXTS[name][language].format(**fields)
