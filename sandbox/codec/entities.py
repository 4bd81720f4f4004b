"""Entities as the world keeps them, from and to Telegram's."""

from collections.abc import Iterable, Sequence
from typing import Any

from telethon.tl import types

from sandbox.posts import Entity

_PLAIN_ENTITIES: dict[str, Any] = {
    "bold": types.MessageEntityBold,
    "italic": types.MessageEntityItalic,
    "code": types.MessageEntityCode,
    "spoiler": types.MessageEntitySpoiler,
    "underline": types.MessageEntityUnderline,
    "strike": types.MessageEntityStrike,
    "blockquote": types.MessageEntityBlockquote,
    "hashtag": types.MessageEntityHashtag,
    "cashtag": types.MessageEntityCashtag,
    "mention": types.MessageEntityMention,
    "bot_command": types.MessageEntityBotCommand,
    "url": types.MessageEntityUrl,
    "email": types.MessageEntityEmail,
    "phone": types.MessageEntityPhone,
    "bank_card": types.MessageEntityBankCard,
}
_ARGUED_ENTITIES: dict[str, tuple[Any, str, type]] = {
    "text_url": (types.MessageEntityTextUrl, "url", str),
    "pre": (types.MessageEntityPre, "language", str),
    "custom_emoji": (types.MessageEntityCustomEmoji, "document_id", int),
    "mention_name": (types.MessageEntityMentionName, "user_id", int),
}
"""Those with an argument: what Telegram calls it, and its type there."""
_ENTITY_KINDS = {constructor: kind for kind, constructor in _PLAIN_ENTITIES.items()}
_ENTITY_KINDS |= {constructor: kind for kind, (constructor, _, _) in _ARGUED_ENTITIES.items()}
ENTITY_KINDS = frozenset(_ENTITY_KINDS.values())


def entities_out(entities: Sequence[Entity]) -> list[Any] | None:
    return [_entity(*entity) for entity in entities] or None


def _entity(kind: str, offset: int, length: int, argument: str) -> Any:
    if kind not in _ARGUED_ENTITIES:
        return _PLAIN_ENTITIES[kind](offset, length)
    constructor, _, its_type = _ARGUED_ENTITIES[kind]
    return constructor(offset, length, its_type(argument))


def entities_in(entities: Iterable[Any] | None) -> tuple[Entity, ...]:
    """A client's entities as the world keeps them; kinds it doesn't know are left out, as by an old server."""
    found: list[Entity] = []
    for entity in entities or ():
        if kind := _ENTITY_KINDS.get(type(entity)):
            name = _ARGUED_ENTITIES[kind][1] if kind in _ARGUED_ENTITIES else ""
            found.append((kind, entity.offset, entity.length, str(getattr(entity, name)) if name else ""))
    return tuple(found)
