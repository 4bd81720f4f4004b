"""One message of a Telegram Desktop export as a post."""

import re
from collections import Counter
from datetime import UTC, datetime
from sys import intern
from typing import Any

from sandbox.export_json import Fault
from sandbox.files import MAX_SIDE
from sandbox.posts import Entity, File, Post, Reaction

MAX_ID = 2**31 - 1

_ENTITIES = {
    **{kind: kind for kind in ("blockquote", "bold", "code", "italic", "pre", "spoiler", "underline")},
    **{kind: kind for kind in ("bank_card", "bot_command", "cashtag", "email", "hashtag", "phone")},
    **{kind: kind for kind in ("custom_emoji", "mention", "mention_name")},
    "link": "url",
    "strikethrough": "strike",
    "text_link": "text_url",
}
"""Telegram Desktop's words, and ours."""
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


def read_post(
    row: dict[str, Any], chat_id: int, left_out: Counter[str], *, broadcast: bool, earliest: int
) -> Post | None:
    """None for a message of which the export says nothing but that it's there.

    No post is older than `earliest`; what can't be taken over is counted in `left_out`, by a word for each kind.
    Raises Fault for what no export of Telegram Desktop holds.
    """
    kind = row.get("type")
    if kind == "unsupported":
        left_out["messages unsupported by Telegram Desktop"] += 1
        return None
    if kind not in ("message", "service"):
        raise Fault(f"its type is {kind!r:.40}; only message and service are known")
    date = _moment(row, "date")
    if date == 0:
        raise Fault("it has no date; export the chat again")
    if date < earliest:
        left_out["dates before the last message's"] += 1
        date = earliest
    if kind == "service":
        service, target = _service(row)
        return Post(id=row["id"], date=date, service=service, reply_to=target)
    text, entities = _text(row, left_out)
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
        reply_to=_reply(row, "reply_to_message_id", chat_id),
        forwarded_from=_name(row, "forwarded_from", "forwarded_from_id"),
        author=intern(string(row, "author")) if broadcast else _name(row, "from", "from_id"),
        reactions=_reactions(row, left_out),
    )


def _text(row: dict[str, Any], left_out: Counter[str]) -> tuple[str, tuple[Entity, ...]]:
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
        piece = string(part, "text")
        length = len(piece.encode("utf-16-le")) // 2
        entity = _entity(part, offset, length, left_out) if length else None
        if entity:
            entities.append(entity)
        pieces.append(piece)
        offset += length
    return "".join(pieces), tuple(entities)


def _entity(part: dict[str, Any], offset: int, length: int, left_out: Counter[str]) -> Entity | None:
    """None for plain text, and for what the export doesn't say enough of: it keeps its text."""
    name = string(part, "type")
    if name in _PLAIN:
        return None
    kind = _ENTITIES.get(name)
    argument = string(part, _ARGUMENTS[name]) if name in _ARGUMENTS else ""
    if name in _NUMBERS:  # a custom emoji's id is often a path or "(File not included. …)"
        digits = str(part.get(_NUMBERS[name], ""))
        argument = digits if re.fullmatch(r"[1-9][0-9]{0,18}", digits) and int(digits) < 1 << 63 else ""
    if kind is None or (not argument and kind in ("custom_emoji", "mention_name", "text_url")):
        left_out[f"entities without their argument ({name})" if kind else "entities of unknown types"] += 1
        return None
    return kind, offset, length, argument


def _reactions(row: dict[str, Any], left_out: Counter[str]) -> tuple[Reaction, ...]:
    """Those given as emoji. Custom emoji and paid ones can't be told by a `Reaction`."""
    rows = row.get("reactions") or []
    if not isinstance(rows, list) or not all(isinstance(each, dict) for each in rows):
        raise Fault("its reactions are no list of objects; export the chat again")
    kept = []
    for each in rows:
        emoji, count = string(each, "emoji"), number(each, "count", MAX_ID)
        if each.get("type", "emoji") != "emoji" or not emoji:
            left_out["reactions that are no emoji"] += 1
        elif count:
            kept.append((intern(emoji), count))
    return tuple(kept)


def string(row: dict[str, Any], key: str) -> str:
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


def number(row: dict[str, Any], key: str, most: int) -> int:
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
    if unixtime := number(row, f"{key}_unixtime", MAX_ID):
        return unixtime
    text = string(row, key)
    if not text:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Fault(f"{key} is {text!r:.40}; it should look like 2024-05-01T10:00:00") from None
    seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    if moment.year < 1971:  # how they say "never edited"
        return 0
    if seconds > MAX_ID:
        raise Fault(f"{key} is {text!r:.40}; it should lie between 1971 and 2038")
    return seconds


def _name(row: dict[str, Any], key: str, id_key: str) -> str:
    """A peer's name; '' for no peer. Of a deleted account only the id is left."""
    name = string(row, key)
    return intern(name or ("Deleted Account" if key in row or id_key in row else ""))


def _reply(row: dict[str, Any], key: str, chat_id: int) -> int:
    """The message that is answered, if it is one of this chat."""
    target = row.get(key)
    if isinstance(target, int) and target < 0:
        return 0
    elsewhere = row.get("reply_to_peer_id", f"channel{chat_id}") != f"channel{chat_id}"
    return 0 if elsewhere else number(row, key, MAX_ID)


def _service(row: dict[str, Any]) -> tuple[str, int]:
    """What happened, by our word or else by Telegram Desktop's, and to which message."""
    action = string(row, "action")
    service = _SERVICES.get(action) or action or string(row, "information_text") or "unknown"
    return intern(service), _reply(row, "message_id", 0) if action == "pin_message" else 0


def _media(row: dict[str, Any]) -> tuple[str, File | None]:
    """Kind and file. A photo has no size of its own here: its content is made, and so is its length."""
    if "photo" in row:
        width, height = number(row, "width", MAX_SIDE), number(row, "height", MAX_SIDE)
        return "photo", File(width=width, height=height)
    if "file" in row or "media_type" in row:
        media = _DOCUMENTS.get(string(row, "media_type"), "document")
        return media, File(
            name=_file_name(row) if media in _NAMED else "",
            mime=intern(string(row, "mime_type")),
            size=number(row, "file_size", 1 << 40),
            width=number(row, "width", MAX_ID),
            height=number(row, "height", MAX_ID),
            duration=float(number(row, "duration_seconds", MAX_ID)),
        )
    if row.get("poll") is not None:
        return "poll", None
    if "location_information" in row or "place_name" in row:
        return "geo", None
    return "", None


def _file_name(row: dict[str, Any]) -> str:
    """The name its sender gave it; in exports from before 2024 as far as the path still shows it."""
    if "file_name" in row:
        return string(row, "file_name")
    name = string(row, "file").rpartition("/")[2]
    return "" if name.startswith("(") or _MADE_UP_NAME.fullmatch(name) else name
