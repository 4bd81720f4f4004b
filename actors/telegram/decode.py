"""TL messages, chats and dialogs -> our messages. The one place that looks inside what Telegram sends.

What is kept of a post is the plan's to say (``plan*.py``), and the same whoever reads it: nothing that belongs to one
account (access hashes, file references, votes of one's own) goes into a post, or copies of one post from two readers
would look like edits.
"""

import zlib
from base64 import b64encode
from dataclasses import field as keep
from dataclasses import fields, make_dataclass
from operator import attrgetter
from typing import Any

from telethon.tl import types

from actors.messages.content import ChannelHead, Membership, Post, Profile
from actors.messages.ids import AccountId, ChannelId
from actors.telegram.describe import PLAN, canonical, describe, put
from actors.telegram.plan import type_name

_SPAN = [("offset", "offset"), ("length", "length")]
_PLAIN_ENTITIES = {
    getattr(types, name): str(shape.constants["type"])
    for name, shape in PLAN.items()
    if name.startswith("MessageEntity") and shape.kept == _SPAN
}

_Draft: Any = make_dataclass(
    "_Draft", [(each.name, Any, keep(default=each.default)) for each in fields(Post)], slots=True, kw_only=True
)
"""A post that isn't frozen yet, in the same slots: making a frozen one takes 3.7 µs, this one and its turning 1.5."""

_DETAILS = tuple(
    (field, place.removeprefix("details."))
    for field, place in PLAN["Message"].elsewhere.items()
    if place.startswith("details.")
)
"""(field, key)"""
_reply_given = attrgetter(*(field for field, _ in PLAN["MessageReplyHeader"].kept if field != "reply_to_msg_id"))


def decode_post(message: Any, channel_id: ChannelId, *, raw: bool = False) -> Post | None:
    """A channel's message as a post, or None for one that isn't there (``messageEmpty``).

    With ``raw`` the post brings along what Telegram sent, all of it but the reader's keys to it.
    """
    kind = type(message)
    if kind is types.Message:
        return _post(message, channel_id, raw_of(message) if raw else None)
    if kind is types.MessageService:
        return _service(message, channel_id, raw_of(message) if raw else None)
    return None


def _post(message: Any, channel_id: ChannelId, raw: bytes | None) -> Post:
    text = message.message or ""
    media = message.media
    reactions = message.reactions
    replies = message.replies
    reply = message.reply_to
    made = _Draft(
        channel_id=channel_id,
        message_id=message.id,
        date=message.date,
        edited_at=message.edit_date,
        # PostgreSQL has no NUL; a replacement of the same length keeps the entities' offsets true.
        text=text.replace("\0", "\ufffd") if "\0" in text else text,
        entities=_entities(message.entities) if message.entities else None,
        media=None if media is None and message.rich_message is None else _media(media, message.rich_message),
        forward=None if message.fwd_from is None else canonical(describe(message.fwd_from)),
        reply_to_id=None if reply is None else _reply_to(reply),
        reply=None if reply is None else _reply(reply),
        grouped_id=message.grouped_id,
        author=message.post_author,
        sender=None if message.from_id is None else canonical(describe(message.from_id)),
        discussion_id=None if replies is None else replies.channel_id,
        views=message.views,
        forwards=message.forwards,
        reactions=decode_reactions(reactions) if reactions is not None and reactions.results else None,
        replies=None if replies is None else replies.replies,
        results=None if media is None else _results(media),
        details=_details(message) if _has_details(message) else None,
        pinned=message.pinned or False,
        silent=message.silent or False,
        noforwards=message.noforwards or False,
        raw=raw,
    )
    made.__class__ = Post
    frozen: Post = made
    return frozen


def _service(message: Any, channel_id: ChannelId, raw: bytes | None) -> Post:
    reply = message.reply_to
    reactions = message.reactions
    return Post(
        channel_id=channel_id,
        message_id=message.id,
        kind="service",
        date=message.date,
        action=canonical(describe(message.action)),
        reply_to_id=None if reply is None else _reply_to(reply),
        reply=None if reply is None else _reply(reply),
        sender=None if message.from_id is None else canonical(describe(message.from_id)),
        reactions=decode_reactions(reactions) if reactions is not None and reactions.results else None,
        details=canonical({"ttl": message.ttl_period}) if message.ttl_period else None,
        silent=bool(message.silent),
        raw=raw,
    )


def _entities(entities: list[Any]) -> bytes:
    described = []
    for entity in entities:
        name = _PLAIN_ENTITIES.get(type(entity))
        if name is not None:
            described.append({"length": entity.length, "offset": entity.offset, "type": name})
        else:
            described.append(describe(entity))
    return canonical(described)


def _media(media: Any, rich: Any) -> bytes:
    """A rich message has its text in blocks, with its own files: an edit of it is one of the post."""
    described = {"type": "rich"} if media is None else describe(media)
    if rich is not None:
        described["rich"] = describe(rich)
    return canonical(described)


def _has_details(message: Any) -> bool:
    """Whether one of ``_DETAILS`` is there: written out, since it is asked of every post (0.2 µs instead of 0.7)."""
    return bool(
        message.reply_markup
        or message.edit_hide
        or message.via_bot_id
        or message.restriction_reason
        or message.invert_media
        or message.ttl_period
        or message.factcheck
        or message.effect
        or message.from_boosts_applied
        or message.from_rank
        or message.paid_message_stars
        or message.paid_suggested_post_stars
        or message.paid_suggested_post_ton
        or message.suggested_post
        or message.via_business_bot_id
        or message.guestchat_via_from
    )


def _details(message: Any) -> bytes:
    made: dict[str, Any] = {}
    for field, key in _DETAILS:
        value = getattr(message, field)
        if value:
            put(made, key, value)
    return canonical(made)


def decode_reactions(reactions: Any) -> bytes:
    """Counts by reaction, as JSON; who reacted isn't looked at."""
    return canonical({_reaction(each.reaction): each.count for each in reactions.results})


def _reaction(reaction: Any) -> str:
    if type(reaction) is types.ReactionEmoji:
        return str(reaction.emoticon)
    if type(reaction) is types.ReactionCustomEmoji:
        return f"custom:{reaction.document_id}"
    return type_name(type(reaction).__name__, "Reaction")


def _results(media: Any) -> bytes | None:
    """What readers have done with a poll or a list so far: it changes without the author, so it is no part of the post.

    Votes stand in the order of the answers, None where they aren't told. Telegram tells them, and what was right, only
    to those who have voted, and to all once the poll is closed.
    """
    kind = type(media)
    if kind is types.MessageMediaPoll:
        made = describe(media.results)
        told = {each.option: each for each in media.results.results or ()}
        if told:
            answers = [told.get(getattr(answer, "option", None)) for answer in media.poll.answers]
            made["votes"] = [None if answer is None else answer.voters for answer in answers]
            correct = [place for place, answer in enumerate(answers) if answer is not None and answer.correct]
            made |= {"correct": correct} if correct else {}
        return canonical(made) if made else None
    if kind is types.MessageMediaToDo and media.completions:
        return canonical({"completed": [describe(each) for each in media.completions]})
    return None


def _reply_to(header: Any) -> int | None:
    """The id that is answered, when it is one of the same channel."""
    if type(header) is types.MessageReplyHeader and header.reply_to_peer_id is None:
        replied: int | None = header.reply_to_msg_id
        return replied
    return None


def _reply(header: Any) -> bytes | None:
    """What is answered, when there is more to say of it than an id of the same channel."""
    if type(header) is types.MessageReplyHeader and not any(_reply_given(header)):
        return None
    return canonical(describe(header))


_KEYS = frozenset(("access_hash", "file_reference"))


def raw_of(message: Any) -> bytes:
    """The TL object as zlib-compressed JSON: times in ISO 8601, bytes in base64, without access hashes and references.

    It holds what is the reader's own (``out``, ``mentioned``, a vote), so that copies from two readers may differ.
    """
    return zlib.compress(canonical(_without_keys(message.to_dict())))


def _without_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_keys(part) for key, part in value.items() if key not in _KEYS}
    if isinstance(value, list):
        return [_without_keys(part) for part in value]
    return b64encode(value).decode() if isinstance(value, bytes) else value


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
