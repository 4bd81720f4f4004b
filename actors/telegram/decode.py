"""TL messages, chats and dialogs -> our messages. The one place that looks inside what Telegram sends.

What is kept is the same whoever reads it: nothing that belongs to one account (access hashes, file references, votes of
one's own) goes into a post, or copies of one post from two readers would look like edits.
"""

from typing import Any

import orjson
from telethon.tl import types

from actors.messages import AccountId, ChannelHead, ChannelId, Membership, Post, Profile
from actors.telegram.media import describe_media, name_of

_ENTITY = {
    cls: (name_of(cls, "MessageEntity"), ()) for name, cls in vars(types).items() if name.startswith("MessageEntity")
} | {
    types.MessageEntityTextUrl: ("text_url", ("url",)),
    types.MessageEntityPre: ("pre", ("language",)),
    types.MessageEntityMentionName: ("mention_name", ("user_id",)),
    types.MessageEntityCustomEmoji: ("custom_emoji", ("document_id",)),
    types.MessageEntityBlockquote: ("blockquote", ("collapsed",)),
}
_PLAIN = (str, int, bool, float)


def decode_post(message: Any, channel_id: ChannelId) -> Post | None:
    """A channel's message as a post, or None for one that isn't there (``messageEmpty``)."""
    kind = type(message)
    if kind is types.Message:
        return _post(message, channel_id)
    if kind is types.MessageService:
        return _service(message, channel_id)
    return None


def _post(message: Any, channel_id: ChannelId) -> Post:
    text = message.message or ""
    media = message.media
    reactions = message.reactions
    replies = message.replies
    return Post(
        channel_id=channel_id,
        message_id=message.id,
        date=message.date,
        edited_at=message.edit_date,
        # PostgreSQL has no NUL; a replacement of the same length keeps the entities' offsets true.
        text=text.replace("\0", "\ufffd") if "\0" in text else text,
        entities=_entities(message.entities) if message.entities else None,
        media=None if media is None else canonical(describe_media(media)),
        forward=None if message.fwd_from is None else canonical(_forward(message.fwd_from)),
        reply_to_id=None if message.reply_to is None else _reply_to(message.reply_to),
        grouped_id=message.grouped_id,
        author=message.post_author,
        views=message.views,
        forwards=message.forwards,
        reactions=decode_reactions(reactions) if reactions is not None and reactions.results else None,
        replies=None if replies is None else replies.replies,
        pinned=bool(message.pinned),
        silent=bool(message.silent),
        noforwards=bool(message.noforwards),
    )


def _service(message: Any, channel_id: ChannelId) -> Post:
    return Post(
        channel_id=channel_id,
        message_id=message.id,
        kind="service",
        date=message.date,
        action=canonical(_action(message.action)),
        reply_to_id=None if message.reply_to is None else _reply_to(message.reply_to),
        silent=bool(message.silent),
    )


def _entities(entities: list[Any]) -> bytes:
    described = []
    for entity in entities:
        known = _ENTITY.get(type(entity))
        name, extras = known if known is not None else (name_of(type(entity), "MessageEntity"), ())
        fields = {"type": name, "offset": entity.offset, "length": entity.length}
        for extra in extras:
            value = getattr(entity, extra)
            if value is not None:
                fields[extra] = value
        described.append(fields)
    return canonical(described)


def decode_reactions(reactions: Any) -> bytes:
    """Counts by reaction, as JSON; who reacted isn't looked at."""
    return canonical({_reaction(each.reaction): each.count for each in reactions.results})


def _reaction(reaction: Any) -> str:
    if type(reaction) is types.ReactionEmoji:
        return str(reaction.emoticon)
    if type(reaction) is types.ReactionCustomEmoji:
        return f"custom:{reaction.document_id}"
    return name_of(type(reaction), "Reaction")


def _forward(header: Any) -> dict[str, Any]:
    described: dict[str, Any] = {"date": header.date.isoformat() if header.date else None}
    if header.from_id is not None:
        described["from"] = _peer(header.from_id)
    if header.from_name:
        described["name"] = header.from_name
    if header.channel_post is not None:
        described["message_id"] = header.channel_post
    if header.post_author:
        described["author"] = header.post_author
    return described


def _peer(peer: Any) -> dict[str, Any]:
    for field, name in (("channel_id", "channel"), ("user_id", "user"), ("chat_id", "chat")):
        value = getattr(peer, field, None)
        if value is not None:
            return {"type": name, "id": value}
    return {"type": name_of(type(peer), "Peer")}


def _reply_to(header: Any) -> int | None:
    """The id that is answered, when it is one of the same channel."""
    if type(header) is types.MessageReplyHeader and header.reply_to_peer_id is None:
        replied: int | None = header.reply_to_msg_id
        return replied
    return None


def _action(action: Any) -> dict[str, Any]:
    """Its type and its plain fields; objects within (photos, calls, wallpapers) are left out."""
    plain = {field: value for field, value in vars(action).items() if _is_plain(value)}
    return plain | {"type": name_of(type(action), "MessageAction")}


def _is_plain(value: Any) -> bool:
    return type(value) in _PLAIN or (type(value) is list and all(type(item) in _PLAIN for item in value))


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and without NUL, which ``jsonb`` refuses."""
    encoded = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    if b"\\u0000" in encoded:
        encoded = orjson.dumps(_without_nul(value), option=orjson.OPT_SORT_KEYS)
    return encoded


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    return value


def decode_membership(
    chat: Any, account_id: AccountId, *, top_id: int | None = None, pts: int | None = None, joined: bool = True
) -> Membership | None:
    """A channel or megagroup that the account belongs to; None for anything else (left, forbidden, ``min``, chats).

    With ``joined=False`` also one that it has only found by its name, and may read without belonging to it.
    """
    if type(chat) is not types.Channel or (joined and chat.left) or chat.min or not chat.access_hash:
        return None
    return Membership(
        account_id=account_id,
        channel_id=ChannelId(chat.id),
        access_hash=chat.access_hash,
        username=username_of(chat),
        title=(chat.title or "").replace("\0", "\ufffd"),
        broadcast=bool(chat.broadcast),
        noforwards=bool(chat.noforwards),
        top_id=top_id,
        pts=pts,
    )


def username_of(entity: Any) -> str | None:
    """The name by which it can be found: its own, or the first active one of several (bought names)."""
    if entity.username:
        return str(entity.username)
    return next((str(name.username) for name in entity.usernames or () if name.active), None)


def decode_heads(result: Any) -> dict[ChannelId, ChannelHead]:
    """The channels of a ``dialogs`` answer, most recently active first as the server gave them."""
    return {
        ChannelId(dialog.peer.channel_id): decode_head(dialog)
        for dialog in result.dialogs
        if type(dialog) is types.Dialog and type(dialog.peer) is types.PeerChannel and dialog.pts is not None
    }


def decode_head(dialog: Any) -> ChannelHead:
    """A channel's dialog, which has its pts."""
    return ChannelHead(channel_id=ChannelId(dialog.peer.channel_id), top_id=dialog.top_message, pts=dialog.pts)


def decode_profile(user: Any) -> Profile:
    return Profile(
        account_id=AccountId(user.id),
        username=username_of(user),
        first_name=user.first_name,
        last_name=user.last_name,
        bot=bool(user.bot),
    )
