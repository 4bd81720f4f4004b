"""What people say to the bot, and the buttons that they press."""

from dataclasses import dataclass, field

from actors.messages.content import Profile
from actors.messages.ids import AccountId, Language
from actors.places import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who speaks to the bot in private."""

    user_id: AccountId
    access_hash: int = field(default=0, repr=False)
    """0 where it isn't known: a bot may leave it out (https://core.telegram.org/api/peers#access-hash)."""
    language: Language = "ru"
    profile: Profile | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message to the bot."""

    person: Person
    message_id: int
    text: str = field(repr=False)
    forwarded: Place | None = None
    """The channel of a forwarded post."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """A button under one of the bot's messages."""

    person: Person
    message_id: int
    query_id: int
    data: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Button:
    label: str
    data: str = ""
    url: str = ""
    """Instead of ``data``: opens this address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A message of the bot's."""

    text: str
    buttons: tuple[tuple[Button, ...], ...] = ()
    picture: bytes | None = field(default=None, repr=False)
    """A PNG."""
