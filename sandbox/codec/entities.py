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
_ENTITY_KINDS = {constructor: kind for kind, constructor in _PLAIN_ENTITIES.items()}
ENTITY_KINDS = frozenset(_PLAIN_ENTITIES) | {"text_url", "pre", "custom_emoji", "mention_name"}


def entities_out(entities: Sequence[Entity]) -> list[Any] | None:
    return [_entity(*entity) for entity in entities] or None


def _entity(kind: str, offset: int, length: int, argument: str) -> Any:
    if kind == "text_url":
        return types.MessageEntityTextUrl(offset, length, argument)
    if kind == "pre":
        return types.MessageEntityPre(offset, length, argument)
    if kind == "custom_emoji":
        return types.MessageEntityCustomEmoji(offset, length, int(argument))
    if kind == "mention_name":
        return types.MessageEntityMentionName(offset, length, int(argument))
    return _PLAIN_ENTITIES[kind](offset, length)


def entities_in(entities: Iterable[Any] | None) -> tuple[Entity, ...]:
    """A client's entities as the world keeps them; kinds it doesn't know are left out, as by an old server."""
    found: list[Entity] = []
    for entity in entities or ():
        if isinstance(entity, types.MessageEntityTextUrl):
            found.append(("text_url", entity.offset, entity.length, entity.url))
        elif isinstance(entity, types.MessageEntityPre):
            found.append(("pre", entity.offset, entity.length, entity.language))
        elif isinstance(entity, types.MessageEntityCustomEmoji):
            found.append(("custom_emoji", entity.offset, entity.length, str(entity.document_id)))
        elif isinstance(entity, types.MessageEntityMentionName):
            found.append(("mention_name", entity.offset, entity.length, str(entity.user_id)))
        elif kind := _ENTITY_KINDS.get(type(entity)):
            found.append((kind, entity.offset, entity.length, ""))
    return tuple(found)
