"""What people write when they mean a channel: a name, a link, an invite, an id."""

import re
from dataclasses import dataclass

from actors.messages.ids import ChannelId

_HOST = r"(?:https?://)?(?:www\.)?(?:t|telegram)\.(?:me|dog)/"
_INVITE = re.compile(rf"(?:{_HOST}(?:\+|joinchat/)|tg://join\?invite=)([A-Za-z0-9_-]{{16,22}})(?:[/?#&].*)?", re.ASCII)
_PRIVATE = re.compile(rf"{_HOST}c/(\d{{1,18}})(?:[/?#].*)?", re.ASCII | re.IGNORECASE)
_LINK = re.compile(rf"(?:{_HOST}(?:s/)?|tg://resolve\?domain=)([A-Za-z]\w{{3,31}})(?:[/?#&].*)?", re.ASCII)
_OWN = re.compile(r"(?:https?://)?([A-Za-z]\w{3,31})\.(?:t|telegram)\.me/?", re.ASCII | re.IGNORECASE)
_NAME = re.compile(r"@?([A-Za-z]\w{3,31})", re.ASCII)
_ID = re.compile(r"-?\d{1,18}", re.ASCII)
_BOT_API = 1_000_000_000_000
"""The Bot API calls channel n -(10^12 + n), which reads as -100n for ids of ten digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One of the three is set."""

    username: str | None = None
    invite: str | None = None
    """The hash of an invite link: whoever has it may join."""
    channel_id: ChannelId | None = None


def place_of(text: str) -> Place | None:
    """What ``text`` names: name, @name, t.me/name, t.me/name/5, t.me/c/1/5, t.me/+hash, tg:// links, id, -100… id.

    None for anything else.
    """
    text = text.strip()
    if found := _INVITE.fullmatch(text):
        return Place(invite=found[1])
    if found := _PRIVATE.fullmatch(text):
        return Place(channel_id=ChannelId(int(found[1])))
    for form in (_LINK, _OWN, _NAME):
        if found := form.fullmatch(text):
            return Place(username=found[1])
    return Place(channel_id=_bare(text)) if _ID.fullmatch(text) else None


def _bare(text: str) -> ChannelId:
    number = int(text)
    if number < -_BOT_API:
        return ChannelId(-number - _BOT_API)
    if text.startswith("-100"):
        return ChannelId(int(text[4:] or 0))
    return ChannelId(abs(number))
