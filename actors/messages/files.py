"""Files of posts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from actors.messages.ids import ChannelId, Sha256

FileState = Literal["wanted", "stored", "failed", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostFile:
    """The file of a stored post, as its description tells. The same file has the same key in every post."""

    channel_id: ChannelId
    message_id: int
    file_key: str
    """``photo-ID`` (its largest size) or ``document-ID``."""
    kind: str
    """One of ``config.model.MediaKind``."""
    size: int | None
    """Bytes, where Telegram says so."""
    mime: str | None
    name: str | None = None
    protected: bool = False
    """Whether its post or channel forbids saving it."""
    skipped: str | None = None
    """Why it isn't wanted; None for one that is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelFiles:
    """A channel in which files may be that nobody has looked at, under the rules as they are now."""

    channel_id: ChannelId
    username: str | None
    counted: int
    """How much had happened to its posts before the question was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedFile:
    file_key: str
    size: int | None
    attempts: int
    carriers: tuple[tuple[ChannelId, int], ...]
    """Some posts that carry it, newest message first: channel and message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """A post's file as it stands; also what HTTP answers."""

    message_id: int
    file_key: str
    kind: str
    size: int | None
    mime: str | None
    name: str | None
    state: FileState
    cause: str | None
    sha256: Sha256 | None
    stored_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    sha256: Sha256
    size: int
    mime: str | None
    """As Telegram named it: an uploader's word, not to be trusted."""
    name: str | None
