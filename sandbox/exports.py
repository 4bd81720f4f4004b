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
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any

from sandbox.channels import Channel
from sandbox.export_json import Fault, JsonReader
from sandbox.export_posts import MAX_ID, number, read_post, string
from sandbox.posts import Post

logger = logging.getLogger(__name__)

_MAX_CHANNEL_ID = 997_852_516_352
"""https://core.telegram.org/api/bots/ids"""

_CHANNELS = {"public_channel": True, "private_channel": True, "public_supergroup": False, "private_supergroup": False}
"""The types of chats that are taken, and whether they are broadcasts."""
_LISTS = ("chats", "left_chats")


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
                chat.id = number({key: self._reader.value()}, key, _MAX_CHANNEL_ID)
            case "name":
                chat.name = string({key: self._reader.value()}, key)
            case "type":
                chat.kind = string({key: self._reader.value()}, key)
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
                or not -MAX_ID <= post_id <= MAX_ID
            ):
                raise Fault(f"a message has the id {post_id!r:.40}; export the chat again")
            self._message, self._inside = post_id, True
            if post_id < 0:  # Telegram Desktop's mark for those of the basic group that a supergroup once was
                self.left_out["messages of the group before it was a supergroup"] += 1
            elif post_id <= last:
                raise Fault(f"stands below message {last}; every id must be above the one before: export again")
            else:
                last = post_id
                post = read_post(row, chat.id, self.left_out, broadcast=broadcast, earliest=date)
                if post is not None:
                    date = post.date
                    yield post
            self._inside = False
