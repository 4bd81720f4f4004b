"""What Telegram has, decoded.

JSON parts of a post travel as the bytes that PostgreSQL will keep (canonical JSON, UTF-8), so that they are immutable
and encoded once.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from actors.messages.ids import AccountId, ChannelId


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One message of a channel, decoded. ``kind`` tells posts from service messages; text may be empty."""

    channel_id: ChannelId
    message_id: int
    kind: Literal["post", "service", "undecodable"] = "post"
    date: datetime | None
    """None only for an undecodable message."""
    edited_at: datetime | None = None
    text: str = ""
    entities: bytes | None = None
    """JSON array of ``{"type", "offset", "length", ...}``; offsets in UTF-16 units as Telegram counts them."""
    media: bytes | None = None
    """JSON object with at least ``type``; docs/posts.md says what else."""
    forward: bytes | None = None
    action: bytes | None = None
    """JSON object of a service message."""
    reply_to_id: int | None = None
    """In the same channel; for a pin, what was pinned."""
    reply: bytes | None = None
    """JSON object where there is more to say: a quote, a thread, another peer, a story."""
    grouped_id: int | None = None
    author: str | None = None
    """The signature, where the channel signs."""
    sender: bytes | None = None
    """JSON ``{"type", "id"}`` of who wrote it, in groups and where the channel shows it."""
    discussion_id: int | None = None
    """The group in which the post is discussed."""
    details: bytes | None = None
    """JSON object of what few posts have: buttons, the bot it came by, restrictions."""
    views: int | None = None
    forwards: int | None = None
    reactions: bytes | None = None
    replies: int | None = None
    results: bytes | None = None
    """JSON object of a poll's votes or a list's done items: figures, never an edit."""
    pinned: bool = False
    silent: bool = False
    noforwards: bool = False
    raw: bytes | None = field(default=None, repr=False)
    """The TL object as compressed JSON, where ``collection.raw`` asks for it; written, never read back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A channel as one account sees it; ``access_hash`` is that account's own."""

    account_id: AccountId
    channel_id: ChannelId
    access_hash: int = field(repr=False)
    username: str | None
    title: str
    broadcast: bool = True
    noforwards: bool = False
    top_id: int | None = None
    """Newest message id when it was read; None where the answer didn't say."""
    pts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedName:
    """A name of a channel in the settings, and what is known of it."""

    name: str
    """Lower case, without @."""
    channel_ids: tuple[ChannelId, ...] = ()
    """Every channel that has borne it while it was wanted: a rename loses none."""
    tried_at: datetime | None = None
    """When it was last asked for in vain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Who an account is, as Telegram says."""

    account_id: AccountId
    username: str | None
    first_name: str | None
    last_name: str | None
    bot: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelHead:
    channel_id: ChannelId
    top_id: int
    """0 for an empty channel."""
    pts: int
