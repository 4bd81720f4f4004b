"""Everything that can happen to a world. A change is decided first, written down, and then carried out."""

from dataclasses import dataclass
from typing import Any

from sandbox.letters import Buttons
from sandbox.posts import Entity, Post, Reaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    channel_id: int
    at: int
    posts: tuple[Post, ...]
    silent: bool = False
    """Never pushed: only differences and history show it, as a lost update would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """`count` new posts with rising ids from `first` on, each as the channel's maker makes it."""

    channel_id: int
    at: int
    first: int
    count: int
    silent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    channel_id: int
    at: int
    id: int
    text: str
    entities: tuple[Entity, ...] = ()
    hidden: bool = False
    """Not shown as an edit (`edit_hide`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    channel_id: int
    at: int
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """New figures under one post. They move neither pts nor the top; None leaves a figure as it is."""

    channel_id: int
    at: int
    id: int
    views: int | None = None
    forwards: int | None = None
    reactions: tuple[Reaction, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Founded:
    """A channel that comes to be while the sandbox runs."""

    channel_id: int
    at: int
    title: str
    username: str | None
    invite: str
    broadcast: bool = True
    linked_id: int = 0
    first_id: int = 1
    """The id its first post gets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Altered:
    """A channel's own features; None leaves one as it is, '' takes a username away."""

    channel_id: int
    at: int
    username: str | None = None
    title: str | None = None
    noforwards: bool | None = None
    silent: bool | None = None
    approval: bool | None = None
    invite: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """An account's standing in a channel: `member`, `left`, `banned` or `waiting`."""

    channel_id: int
    at: int
    account_id: int
    standing: str
    silent: bool = False
    """The account is told neither at once nor in a difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secured:
    """An account's password ('' for none) or home data centre; None leaves one as it is."""

    account_id: int
    at: int
    password: str | None = None
    dc_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A private message: it has an id of its own in the sender's and in the receiver's box."""

    at: int
    sender: int
    receiver: int
    sender_message: int
    receiver_message: int
    text: str
    entities: tuple[Entity, ...] = ()
    reply_to: int = 0
    """In the sender's numbering."""
    random_id: int = 0
    buttons: Buttons = ()
    picture: str = ""
    """A JPEG or PNG in base64."""
    forwarded: tuple[int, int] | None = None
    """Channel and post."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reworded:
    """A private message that its sender has edited."""

    at: int
    sender: int
    sender_message: int
    text: str
    entities: tuple[Entity, ...] = ()
    buttons: Buttons = ()
    picture: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """A folder of an account's dialogs, made or replaced; without channels it is gone."""

    at: int
    account_id: int
    folder_id: int
    title: str
    channel_ids: tuple[int, ...]


ChannelChange = Posted | Grown | Edited | Deleted | Counted | Founded | Altered | Moved
Change = ChannelChange | Secured | Sent | Reworded | Filed


def given(change: Change, *names: str) -> dict[str, Any]:
    """Those of a change's optional fields that aren't None, which leaves a thing as it is."""
    return {name: value for name in names if (value := getattr(change, name)) is not None}
