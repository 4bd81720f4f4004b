"""Telegram Desktop's JSON exports as channels: the `result.json` of one chat, or of everything an account has.

What stands in one is known from its writer, `Telegram/SourceFiles/export/output/export_output_json.cpp`. It tells
neither views nor forwards nor albums nor usernames, and of a forward only the name it came from; nothing is made up
for them but the usernames of public channels, without which nobody could find those.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b, file_digest
from pathlib import Path
from sys import intern
from typing import Any

from sandbox.channels import Channel
from sandbox.export_json import Fault, JsonReader
from sandbox.files import MAX_SIDE
from sandbox.posts import Entity, File, Post, Reaction

logger = logging.getLogger(__name__)

_MAX_ID = 2**31 - 1
_MAX_CHANNEL_ID = 997_852_516_352
"""https://core.telegram.org/api/bots/ids"""

_CHANNELS = {"public_channel": True, "private_channel": True, "public_supergroup": False, "private_supergroup": False}
"""The types of chats that are taken, and whether they are broadcasts."""
_LISTS = ("chats", "left_chats")
_ENTITIES = {
    "bank_card": "bank_card",
    "blockquote": "blockquote",
    "bold": "bold",
    "bot_command": "bot_command",
    "cashtag": "cashtag",
    "code": "code",
    "custom_emoji": "custom_emoji",
    "email": "email",
    "hashtag": "hashtag",
    "italic": "italic",
    "link": "url",
    "mention": "mention",
    "mention_name": "mention_name",
    "phone": "phone",
    "pre": "pre",
    "spoiler": "spoiler",
    "strikethrough": "strike",
    "text_link": "text_url",
    "underline": "underline",
}
_PLAIN = ("", "plain", "unknown")
_ARGUMENTS = {"pre": "language", "text_link": "href"}
_NUMBERS = {"custom_emoji": "document_id", "mention_name": "user_id"}
_DOCUMENTS = {
    "animation": "animation",
    "audio_file": "audio",
    "sticker": "sticker",
    "video_file": "video",
    "video_message": "video",
    "voice_message": "voice",
}
_NAMED = ("animation", "audio", "document", "video")
"""Media whose exported file has the name that its sender gave it, if he gave one."""
_SERVICES = {
    "create_channel": "create",
    "create_group": "create",
    "delete_group_photo": "photo",
    "edit_group_photo": "photo",
    "edit_group_title": "title",
    "invite_members": "join",
    "join_group_by_link": "join",
    "join_group_by_request": "join",
    "migrate_from_group": "create",
    "pin_message": "pin",
}

_MADE_UP_NAME = re.compile(r".*@\d\d-\d\d-\d{4}_\d\d-\d\d-\d\d\.\w+")
"""`video_1@31-12-2023_20-15-00.mp4`: of a file without a name. Placeholders for a path stand in brackets."""


class ExportError(Exception):
    """An export can't be used; the text says which file, where in it, why, and what to do."""


def load_export(path: Path, taken: Iterable[str] = ()) -> Iterator[Channel]:
    """The channel of a chat's export, or every channel and supergroup of a full one; personal chats are passed over.

    `path` is the `result.json` or the folder it lies in; `taken` are usernames that no channel may get. One message
    at a time is parsed, so the memory needed is that of the posts. What had to be left out is counted in the log.

    Raises ExportError, between two channels too: the ones before are whole, but the export isn't.
    """
    file = _find(path)
    walk = None
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            walk = _Walk(JsonReader(stream), taken)
            yield from walk.channels()
    except UnicodeDecodeError as error:
        raise ExportError(f"{file}: is not UTF-8; export the chat again, in JSON") from error
    except OSError as error:
        raise ExportError(f"{file}: {error.strerror or error}") from error
    except Fault as error:
        raise ExportError(f"{file}: {walk.place if walk else ''}{error}") from error
    logger.info(
        "export loaded: %s, channels: %d, posts: %d, left out: %s",
        file,
        len(walk.loaded),
        walk.posts,
        ", ".join(f"{count} {what}" for what, count in sorted(walk.left_out.items())) or "nothing",
    )


def export_digest(path: Path) -> str:
    """Changes with what the export holds, not with the place it lies in. Raises ExportError."""
    file = _find(path)
    try:
        with file.open("rb") as stream:
            return file_digest(stream, lambda: blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise ExportError(f"{file}: {error.strerror or error}") from error


def _find(path: Path) -> Path:
    if not path.is_dir():
        return path
    file = path / "result.json"
    if not file.exists() and (path / "messages.html").exists():
        raise ExportError(f"{path}: is an export in HTML; export the chat again and choose JSON as its format")
    return file


@dataclass(slots=True)
class _Chat:
    """A chat as far as it has been read."""

    id: int = 0
    name: str = ""
    kind: str = ""
    posts: list[Post] | None = None
    rows: list[Any] | None = None
    """Messages that stood before the chat's type and id, which decide what they mean."""


class _Walk:
    """One way through an export."""

    def __init__(self, reader: JsonReader, taken: Iterable[str]) -> None:
        self.left_out: Counter[str] = Counter()
        self.loaded: set[int] = set()
        self.posts = 0
        self._reader = reader
        self._taken = {username.lower() for username in taken}
        self._chat = _Chat()
        self._message = 0
        self._inside = False

    @property
    def place(self) -> str:
        """Where the walk is, to be followed by what is wrong there."""
        chat = f"«{self._chat.name}», " if self._chat.name else ""
        if not self._message:
            return chat
        return f"{chat}{'message' if self._inside else 'after message'} {self._message}: "

    def channels(self) -> Iterator[Channel]:
        if self._reader.peek() != "{":
            raise Fault("is no export of Telegram Desktop: it begins with no {")
        whole = self._chat
        full = False
        for key in self._reader.members():
            if key in _LISTS:
                full = True
                yield from self._listed()
            else:
                self._take(whole, key)
        if found := self._reader.peek():
            self._reader.fail(f"the end of the file expected, {found} found")
        if full and not self.loaded:
            raise Fault("holds no channel and no supergroup; export with them ticked, with all messages")
        if full:
            return
        if whole.rows is None and whole.posts is None:
            raise Fault('is no export of Telegram Desktop: there are neither "messages" nor "chats" in it')
        channel = self._channel(whole)
        if channel is None:
            kind = whole.kind or "chat of no type"
            raise Fault(f"holds a {kind}; only channels and supergroups can be loaded ({', '.join(_CHANNELS)})")
        yield channel

    def _listed(self) -> Iterator[Channel]:
        for key in self._reader.members():
            if key != "list":
                self._reader.value()
                continue
            for _ in self._reader.items():
                self._chat, self._message = _Chat(), 0
                for field in self._reader.members():
                    self._take(self._chat, field)
                channel = self._channel(self._chat)
                if channel is None:
                    self.left_out[f"{self._chat.kind or 'unknown'} chats"] += 1
                else:
                    yield channel
            self._chat, self._message = _Chat(), 0

    def _take(self, chat: _Chat, key: str) -> None:
        match key:
            case "id":
                chat.id = _number({key: self._reader.value()}, key, _MAX_CHANNEL_ID)
            case "name":
                chat.name = _string({key: self._reader.value()}, key)
            case "type":
                chat.kind = _string({key: self._reader.value()}, key)
            case "messages":
                rows = (self._reader.value() for _ in self._reader.items())
                if chat.kind and chat.id:
                    chat.posts = list(self._read(chat, rows))
                else:
                    chat.rows = list(rows)
            case _:
                self._reader.value()

    def _channel(self, chat: _Chat) -> Channel | None:
        """None for a chat of a type that isn't taken."""
        if chat.kind not in _CHANNELS:
            return None
        if not chat.id:
            raise Fault("the chat has no id; export it again")
        if chat.id in self.loaded:
            raise Fault(f"the chat {chat.id} is there twice; take one of them out")
        if chat.rows is not None:
            chat.posts = list(self._read(chat, chat.rows))
        channel = Channel(
            id=chat.id,
            username=self._username(chat) if chat.kind.startswith("public_") else None,
            title=chat.name or f"Channel {chat.id}",
            broadcast=_CHANNELS[chat.kind],
            generated=False,
        )
        channel.fill(chat.posts or ())
        self.loaded.add(chat.id)
        self.posts += len(channel.posts)
        return channel

    def _username(self, chat: _Chat) -> str:
        """Out of the name's Latin letters and digits; out of the id if too few of them are left."""
        derived = re.sub(r"^[^A-Za-z]+|[^A-Za-z0-9]", "", chat.name)[:32]
        username = derived if len(derived) >= 4 and derived.lower() not in self._taken else f"export_{chat.id}"
        if username.lower() in self._taken:
            raise Fault(f"the username {username} is taken; give the chat another id")
        self._taken.add(username.lower())
        return username

    def _read(self, chat: _Chat, rows: Iterable[Any]) -> Iterator[Post]:
        """The posts of those messages that are some, in order."""
        wanted, broadcast = chat.kind in _CHANNELS, _CHANNELS.get(chat.kind, False)
        last = date = 0
        for row in rows:
            if not wanted:
                continue
            if not isinstance(row, dict):
                raise Fault(f"a {type(row).__name__} stands where a message should; export the chat again")
            post_id = row.get("id")
            if (
                not isinstance(post_id, int)
                or isinstance(post_id, bool)
                or not post_id
                or not -_MAX_ID <= post_id <= _MAX_ID
            ):
                raise Fault(f"a message has the id {post_id!r:.40}; export the chat again")
            self._message, self._inside = post_id, True
            if post_id < 0:  # Telegram Desktop's mark for those of the basic group that a supergroup once was
                self.left_out["messages of the group before it was a supergroup"] += 1
            elif post_id <= last:
                raise Fault(f"stands below message {last}; every id must be above the one before: export again")
            else:
                last = post_id
                post = self._post(chat, row, broadcast=broadcast, earliest=date)
                if post is not None:
                    date = post.date
                    yield post
            self._inside = False

    def _post(self, chat: _Chat, row: dict[str, Any], *, broadcast: bool, earliest: int) -> Post | None:
        """None for a message of which the export says nothing but that it's there."""
        kind = row.get("type")
        if kind == "unsupported":
            self.left_out["messages unsupported by Telegram Desktop"] += 1
            return None
        if kind not in ("message", "service"):
            raise Fault(f"its type is {kind!r:.40}; only message and service are known")
        date = _moment(row, "date")
        if date == 0:
            raise Fault("it has no date; export the chat again")
        if date < earliest:
            self.left_out["dates before the last message's"] += 1
            date = earliest
        if kind == "service":
            service, target = _service(row)
            return Post(id=row["id"], date=date, service=service, reply_to=target)
        text, entities = self._text(row)
        media, file = _media(row)
        if not media and not text:
            media = "unsupported"
        return Post(
            id=row["id"],
            date=date,
            text=text,
            entities=entities,
            media=media,
            file=file,
            edited=_moment(row, "edited"),
            reply_to=_reply(row, "reply_to_message_id", chat.id),
            forwarded_from=_name(row, "forwarded_from", "forwarded_from_id"),
            author=intern(_string(row, "author")) if broadcast else _name(row, "from", "from_id"),
            reactions=self._reactions(row),
        )

    def _text(self, row: dict[str, Any]) -> tuple[str, tuple[Entity, ...]]:
        parts = row.get("text_entities") or row.get("text") or []
        if isinstance(parts, str):
            parts = [parts]
        if not isinstance(parts, list):
            raise Fault("its text is neither text nor a list; export the chat again")
        pieces: list[str] = []
        entities: list[Entity] = []
        offset = 0
        for each in parts:
            part = {"text": each} if isinstance(each, str) else each
            if not isinstance(part, dict):
                raise Fault("a part of its text is neither text nor an object; export the chat again")
            piece = _string(part, "text")
            length = len(piece.encode("utf-16-le")) // 2
            entity = self._entity(part, offset, length) if length else None
            if entity:
                entities.append(entity)
            pieces.append(piece)
            offset += length
        return "".join(pieces), tuple(entities)

    def _entity(self, part: dict[str, Any], offset: int, length: int) -> Entity | None:
        """None for plain text, and for what the export doesn't say enough of: it keeps its text."""
        name = _string(part, "type")
        if name in _PLAIN:
            return None
        kind = _ENTITIES.get(name)
        argument = _string(part, _ARGUMENTS[name]) if name in _ARGUMENTS else ""
        if name in _NUMBERS:  # a custom emoji's id is often a path or "(File not included. …)"
            number = str(part.get(_NUMBERS[name], ""))
            argument = number if re.fullmatch(r"[1-9][0-9]{0,18}", number) and int(number) < 1 << 63 else ""
        if kind is None or (not argument and kind in ("custom_emoji", "mention_name", "text_url")):
            self.left_out[f"entities without their argument ({name})" if kind else "entities of unknown types"] += 1
            return None
        return kind, offset, length, argument

    def _reactions(self, row: dict[str, Any]) -> tuple[Reaction, ...]:
        """Those given as emoji. Custom emoji and paid ones can't be told by a `Reaction`."""
        rows = row.get("reactions") or []
        if not isinstance(rows, list) or not all(isinstance(each, dict) for each in rows):
            raise Fault("its reactions are no list of objects; export the chat again")
        kept = []
        for each in rows:
            emoji, count = _string(each, "emoji"), _number(each, "count", _MAX_ID)
            if each.get("type", "emoji") != "emoji" or not emoji:
                self.left_out["reactions that are no emoji"] += 1
            elif count:
                kept.append((intern(emoji), count))
        return tuple(kept)


def _string(row: dict[str, Any], key: str) -> str:
    """'' for none."""
    value = row.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Fault(f"{key} is {value!r:.40}; it should be text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Fault(f"{key} holds half of a surrogate pair; export the chat again") from None
    return value


def _number(row: dict[str, Any], key: str, most: int) -> int:
    """0 for none. Text is taken too: Telegram Desktop writes times so."""
    value = row.get(key)
    if value is None:
        return 0
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}", value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise Fault(f"{key} is {value!r:.40}; it should be a number from 0 to {most}")
    return value


def _moment(row: dict[str, Any], key: str) -> int:
    """0 for none. Exports from before 2021 tell only the exporting computer's local time, taken for UTC here."""
    if unixtime := _number(row, f"{key}_unixtime", _MAX_ID):
        return unixtime
    text = _string(row, key)
    if not text:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Fault(f"{key} is {text!r:.40}; it should look like 2024-05-01T10:00:00") from None
    seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    if moment.year < 1971:  # how they say "never edited"
        return 0
    if seconds > _MAX_ID:
        raise Fault(f"{key} is {text!r:.40}; it should lie between 1971 and 2038")
    return seconds


def _name(row: dict[str, Any], key: str, id_key: str) -> str:
    """A peer's name; '' for no peer. Of a deleted account only the id is left."""
    name = _string(row, key)
    return intern(name or ("Deleted Account" if key in row or id_key in row else ""))


def _reply(row: dict[str, Any], key: str, chat_id: int) -> int:
    """The message that is answered, if it is one of this chat."""
    target = row.get(key)
    if isinstance(target, int) and target < 0:
        return 0
    elsewhere = row.get("reply_to_peer_id", f"channel{chat_id}") != f"channel{chat_id}"
    return 0 if elsewhere else _number(row, key, _MAX_ID)


def _service(row: dict[str, Any]) -> tuple[str, int]:
    """What happened, by our word or else by Telegram Desktop's, and to which message."""
    action = _string(row, "action")
    service = _SERVICES.get(action) or action or _string(row, "information_text") or "unknown"
    return intern(service), _reply(row, "message_id", 0) if action == "pin_message" else 0


def _media(row: dict[str, Any]) -> tuple[str, File | None]:
    """Kind and file. A photo has no size of its own here: its content is made, and so is its length."""
    if "photo" in row:
        width, height = _number(row, "width", MAX_SIDE), _number(row, "height", MAX_SIDE)
        return "photo", File(width=width, height=height)
    if "file" in row or "media_type" in row:
        media = _DOCUMENTS.get(_string(row, "media_type"), "document")
        return media, File(
            name=_file_name(row) if media in _NAMED else "",
            mime=intern(_string(row, "mime_type")),
            size=_number(row, "file_size", 1 << 40),
            width=_number(row, "width", _MAX_ID),
            height=_number(row, "height", _MAX_ID),
            duration=float(_number(row, "duration_seconds", _MAX_ID)),
        )
    if row.get("poll") is not None:
        return "poll", None
    if "location_information" in row or "place_name" in row:
        return "geo", None
    return "", None


def _file_name(row: dict[str, Any]) -> str:
    """The name its sender gave it; in exports from before 2024 as far as the path still shows it."""
    if "file_name" in row:
        return _string(row, "file_name")
    name = _string(row, "file").rpartition("/")[2]
    return "" if name.startswith("(") or _MADE_UP_NAME.fullmatch(name) else name
