"""The table of cases: what each method promises, in checks of their own. One module per namespace fills it."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from telethon import types

from tests.conformance.stage import Row, Stage

Check = Callable[[Stage], Awaitable[None]]

CASES: dict[Check, tuple[str, ...]] = {}
"""Each check with the methods that it is about, in Telegram's own words, such as `messages.getHistory`."""


def case(*methods: str) -> Callable[[Check], Check]:
    """A check of these methods: after it each of them must have been asked."""

    def keep(check: Check) -> Check:
        CASES[check] = methods
        return check

    return keep


def understood(message: Any) -> Row:
    """A message in the words of the ledger."""
    service = isinstance(message, types.MessageService)
    reactions = [] if service or not message.reactions else message.reactions.results
    return {
        "id": message.id,
        "date": _date(message.date),
        "text": "" if service else message.message,
        "edited": None if service or not message.edit_date else _date(message.edit_date),
        "media": None if service else _media(message.media),
        "service": _ACTIONS[type(message.action)] if service else None,
        "grouped_id": None if service else message.grouped_id,
        "reply_to": message.reply_to.reply_to_msg_id if message.reply_to else None,
        "views": 0 if service else message.views,
        "forwards": 0 if service else message.forwards,
        "reactions": {row.reaction.emoticon: row.count for row in reactions},
    }


_ACTIONS = {
    types.MessageActionChannelCreate: "create",
    types.MessageActionPinMessage: "pin",
    types.MessageActionChatEditTitle: "title",
}
_MEDIA = {types.MessageMediaPhoto: "photo", types.MessageMediaDocument: "document"}


def _media(media: Any) -> str | None:
    return _MEDIA[type(media)] if media else None


def _date(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


async def agrees(stage: Stage, channel: str | int, messages: list[Any]) -> None:
    """These messages stand in the ledger just so. Without a control interface there is none to compare with."""
    if not stage.has_control:
        return
    posts = {row["id"]: row for row in (await stage.ledger(channel))["posts"]}
    told = [understood(message) for message in messages]
    assert [(row, true) for row in told if (true := posts.get(row["id"])) != row] == []
