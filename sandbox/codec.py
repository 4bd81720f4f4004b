"""From the world's rows to Telegram's constructors; the only place besides methods/ that names them."""

from collections.abc import Iterable, Sequence
from typing import Any

from telethon.tl import types

from sandbox.world import Account, Channel, Entity, Event, Letter, Post, Sent, World

DC_ID = 203
"""No data centre of the real service has this number, so a session of the sandbox can be told by it."""


class Raw(bytes):
    """Finished bytes that stand where a TL object could: Telethon's writer asks for `_bytes` and nothing else."""

    __slots__ = ()

    def _bytes(self) -> bytes:
        return self


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
}
_ENTITY_KINDS = {constructor: kind for kind, constructor in _PLAIN_ENTITIES.items()}


def entities_out(entities: Sequence[Entity]) -> list[Any] | None:
    return [_entity(*entity) for entity in entities] or None


def _entity(kind: str, offset: int, length: int, argument: str) -> Any:
    if kind == "text_url":
        return types.MessageEntityTextUrl(offset, length, argument)
    if kind == "pre":
        return types.MessageEntityPre(offset, length, argument)
    return _PLAIN_ENTITIES[kind](offset, length)


def entities_in(entities: Iterable[Any] | None) -> tuple[Entity, ...]:
    """A client's entities as the world keeps them; kinds it doesn't know are left out, as by an old server."""
    found: list[Entity] = []
    for entity in entities or ():
        if isinstance(entity, types.MessageEntityTextUrl):
            found.append(("text_url", entity.offset, entity.length, entity.url))
        elif isinstance(entity, types.MessageEntityPre):
            found.append(("pre", entity.offset, entity.length, entity.language))
        elif kind := _ENTITY_KINDS.get(type(entity)):
            found.append((kind, entity.offset, entity.length, ""))
    return tuple(found)


def message(channel: Channel, post_id: int) -> Raw:
    """A channel post as bytes, the same for every reader; made once and kept until the post changes."""
    cached = channel.encoded.get(post_id)
    if isinstance(cached, Raw):
        return cached
    made = Raw(bytes(_message(channel, channel.posts[post_id])))
    channel.encoded[post_id] = made
    return made


def _message(channel: Channel, post: Post) -> Any:
    peer = types.PeerChannel(channel.id)
    reply = types.MessageReplyHeader(reply_to_msg_id=post.reply_to) if post.reply_to else None
    if post.service:
        return types.MessageService(
            id=post.id, peer_id=peer, date=post.date, action=_action(channel, post), post=True, reply_to=reply
        )
    forward = (
        types.MessageFwdHeader(date=post.date - 600, from_name=post.forwarded_from) if post.forwarded_from else None
    )
    return types.Message(
        id=post.id,
        peer_id=peer,
        date=post.date,
        message=post.text,
        post=channel.broadcast or None,
        fwd_from=forward,
        reply_to=reply,
        media=_media(channel, post),
        entities=entities_out(post.entities),
        views=post.views,  # views and forwards share a flag: both or neither
        forwards=post.forwards,
        edit_date=post.edited or None,
        grouped_id=post.grouped_id or None,
    )


def _action(channel: Channel, post: Post) -> Any:
    match post.service:
        case "create":
            return types.MessageActionChannelCreate(channel.title)
        case "pin":
            return types.MessageActionPinMessage()
        case _:
            return types.MessageActionChatEditTitle(channel.title)


def _media(channel: Channel, post: Post) -> Any:
    """The description of a file; its content can't be fetched."""
    file_id = channel.id * 1_000_000 + post.id
    reference = b"sandbox" + post.id.to_bytes(4, "little")
    if post.media == "photo":
        sizes = [types.PhotoSize("m", 320, 213, 15_234), types.PhotoSize("x", 800, 533, 88_010)]
        photo = types.Photo(file_id, file_id ^ 0x5A5A5A5A, reference, post.date, sizes, DC_ID)
        return types.MessageMediaPhoto(photo=photo)
    if post.media == "document":
        name = types.DocumentAttributeFilename(f"table-{post.id}.pdf")
        document = types.Document(
            file_id, file_id ^ 0x5A5A5A5A, reference, post.date, "application/pdf", 120_000 + post.id, DC_ID, [name]
        )
        return types.MessageMediaDocument(document=document)
    return None


def letter(owner: int, row: Letter) -> Any:
    """A private message as its owner sees it."""
    return types.Message(
        id=row.id,
        peer_id=types.PeerUser(row.peer),
        from_id=types.PeerUser(owner if row.out else row.peer),
        date=row.date,
        message=row.text,
        out=row.out or None,
        entities=entities_out(row.entities),
        reply_to=types.MessageReplyHeader(reply_to_msg_id=row.reply_to) if row.reply_to else None,
    )


def user(world: World, viewer: int, account: Account) -> Any:
    own = viewer == account.id
    return types.User(
        id=account.id,
        is_self=own or None,
        contact=own or None,
        bot=account.is_bot or None,
        bot_info_version=1 if account.is_bot else None,
        bot_chat_history=None,
        access_hash=world.access_hash(viewer, "user", account.id),
        first_name=account.first_name,
        last_name=account.last_name or None,
        username=account.username,
        phone=account.phone if own and account.phone else None,
    )


def chat(world: World, viewer: int, channel: Channel) -> Any:
    """A channel with the viewer's own access hash; a private one that he doesn't follow is only a shadow."""
    access_hash = world.access_hash(viewer, "channel", channel.id)
    member = viewer in channel.members
    if not member and channel.username is None:
        return types.ChannelForbidden(channel.id, access_hash, channel.title, broadcast=channel.broadcast or None)
    return types.Channel(
        id=channel.id,
        title=channel.title,
        photo=types.ChatPhotoEmpty(),
        date=channel.date,
        left=None if member else True,
        broadcast=channel.broadcast or None,
        megagroup=None if channel.broadcast else True,
        access_hash=access_hash,
        username=channel.username,
        participants_count=len(channel.members),
    )


def history_page(world: World, viewer: int, channel: Channel, ids: Sequence[int]) -> Any:
    return types.messages.ChannelMessages(
        pts=channel.pts,
        count=len(channel.ids),
        messages=[message(channel, post_id) for post_id in ids],
        topics=[],
        chats=[chat(world, viewer, channel)],
        users=[],
    )


def channel_update(channel: Channel, event: Event) -> Any:
    """The update for one step of pts; None for a post or an edit of a post that is gone since."""
    if event.kind == "delete":
        return types.UpdateDeleteChannelMessages(channel.id, list(event.ids), event.pts, event.count)
    if event.ids[0] not in channel.posts:
        return None
    constructor = types.UpdateNewChannelMessage if event.kind == "new" else types.UpdateEditChannelMessage
    return constructor(message(channel, event.ids[0]), event.pts, event.count)


def pushed(updates: Sequence[Any], *, users: Sequence[Any] = (), chats: Sequence[Any] = (), date: int) -> bytes:
    """An `updates` envelope. Its seq is 0, as for updates that are ordered by pts alone."""
    return bytes(types.Updates(updates=updates, users=users, chats=chats, date=date, seq=0))


def letter_update(world: World, owner: int, sent: Sent) -> Any:
    """The updateNewMessage for one side of a private message, with that side's pts."""
    row = world.boxes[owner].find(sent.sender_message if owner == sent.sender else sent.receiver_message)
    if row is None:
        raise LookupError(f"account {owner} has no copy of a message that was just sent")
    return types.UpdateNewMessage(letter(owner, row), row.pts, 1)


def letter_pushed(world: World, owner: int, sent: Sent) -> bytes:
    people = [user(world, owner, world.accounts[side]) for side in {sent.sender, sent.receiver}]
    return pushed([letter_update(world, owner, sent)], users=people, date=sent.at)


def notify_settings() -> Any:
    return types.PeerNotifySettings()


def channel_dialog(channel: Channel) -> Any:
    return types.Dialog(
        peer=types.PeerChannel(channel.id),
        top_message=channel.top,
        read_inbox_max_id=0,
        read_outbox_max_id=0,
        unread_count=len(channel.ids),
        unread_mentions_count=0,
        unread_reactions_count=0,
        unread_poll_votes_count=0,
        notify_settings=notify_settings(),
        pts=channel.pts,
    )


def user_dialog(peer: int, top: int) -> Any:
    return types.Dialog(
        peer=types.PeerUser(peer),
        top_message=top,
        read_inbox_max_id=0,
        read_outbox_max_id=top,
        unread_count=0,
        unread_mentions_count=0,
        unread_reactions_count=0,
        unread_poll_votes_count=0,
        notify_settings=notify_settings(),
    )
