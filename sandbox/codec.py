"""From the world's rows to Telegram's constructors; the only place besides methods/ that names them."""

import base64
import struct
from collections.abc import Iterable, Sequence
from typing import Any, Self

from telethon.tl import types
from telethon.tl.alltlobjects import LAYER

from sandbox import files
from sandbox.changes import Counted, Sent
from sandbox.channels import Channel, Event
from sandbox.letters import Buttons, Letter
from sandbox.posts import Entity, File, Post, Reaction
from sandbox.world import DC_ID, Account, World

PHOTO_SIZES = (("m", 320, 213), ("x", 800, 533))
"""Types and dimensions of a photo, unless it says its own; the last is the whole one."""


class Raw(bytes):
    """Finished bytes that stand where a TL object could: Telethon's writer asks for `_bytes` and nothing else."""

    __slots__ = ()

    sender: int = 0
    users: frozenset[int] = frozenset()
    channels: frozenset[int] = frozenset()

    def _bytes(self) -> bytes:
        return self


OF_A_LATER_LAYER = Raw(b"\xff\xfe\x1e\x7e")
"""A constructor that no schema has: a client can't read whatever holds it."""


class Naming(Raw):
    """A finished message that names others: who wrote it, and all whom an answer that holds it has to describe."""

    def __new__(cls, made: bytes, sender: int, users: frozenset[int], channels: frozenset[int]) -> Self:
        self = super().__new__(cls, made)
        self.sender, self.users, self.channels = sender, users, channels
        return self

    def out(self) -> Raw:
        """The message as its own writer sees it. Flags follow the constructor, and `out` is flags.1 in both kinds."""
        return Raw(self[:4] + (int.from_bytes(self[4:8], "little") | 2).to_bytes(4, "little") + self[8:])


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


def message(world: World, channel: Channel, post_id: int) -> Raw:
    """A channel's post as bytes, the same for every reader; made once and kept until the post changes.

    Raises KeyError when there is no such post.
    """
    cached = world.shelf.find(channel.id, post_id)
    if isinstance(cached, Raw):
        return cached
    post = channel.posts[post_id]
    made = Raw(bytes(_message(world, channel, post)))
    users, channels = _named(world, channel, post)
    if users or channels:
        made = Naming(made, post.sender, users, channels)
    world.shelf.put(channel.id, post_id, made)
    return made


def _named(world: World, channel: Channel, post: Post) -> tuple[frozenset[int], frozenset[int]]:
    """Users and other channels that a post speaks of, as far as they exist."""
    users = {post.sender, *(int(argument) for kind, _, _, argument in post.entities if kind == "mention_name")}
    channels = {post.forwarded_post[0]} if post.forwarded_post else set()
    if channel.broadcast and (thread := _thread(world, channel, post)):
        group, root = thread
        channels.add(group.id)
        users.update(_repliers(group, root))
    # One by one: an intersection with all that exist would cost more than the message itself.
    others = frozenset(each for each in channels if each in world.channels and each != channel.id)
    return frozenset(each for each in users if each in world.accounts), others


def message_for(world: World, viewer: int, channel: Channel, post_id: int) -> Raw:
    """The same as one account sees it: what it wrote itself is marked so. Raises KeyError."""
    made = message(world, channel, post_id)
    return made.out() if isinstance(made, Naming) and made.sender == viewer else made


def parties(world: World, viewer: int, channel: Channel, messages: Iterable[Raw] = ()) -> dict[str, list[Any]]:
    """`chats` and `users` of an answer about a channel: itself, and whomever these messages name."""
    users: set[int] = set()
    channels: set[int] = set()
    for row in messages:
        users |= row.users
        channels |= row.channels
    others = (world.channels[channel_id] for channel_id in sorted(channels - {channel.id}))
    return {
        "chats": [chat(world, viewer, each) for each in (channel, *others)],
        "users": [user(world, viewer, world.accounts[user_id]) for user_id in sorted(users)],
    }


def _message(world: World, channel: Channel, post: Post) -> Any:
    peer = types.PeerChannel(channel.id)
    sender = _sender(channel, post)
    target = post.reply_to or post.thread
    reply = types.MessageReplyHeader(reply_to_msg_id=target) if target else None
    if reply and post.thread and post.thread != target:
        reply.reply_to_top_id = post.thread
    if post.service:
        return types.MessageService(
            id=post.id,
            peer_id=peer,
            date=post.date,
            action=_action(channel, post),
            post=channel.broadcast or None,
            reply_to=reply,
            from_id=sender,
        )
    return types.Message(
        id=post.id,
        peer_id=peer,
        date=post.date,
        message=post.text,
        post=channel.broadcast or None,
        from_id=sender,
        noforwards=channel.noforwards or None,
        fwd_from=_forward(world, channel, post),
        reply_to=reply,
        media=_media(world, channel, post),
        entities=entities_out(post.entities),
        views=post.views if channel.broadcast else None,  # views and forwards share a flag: both or neither
        forwards=post.forwards if channel.broadcast else None,
        replies=_replies(world, channel, post),
        edit_date=post.edited or None,
        edit_hide=post.edit_hidden or None,
        post_author=post.author or None,
        grouped_id=post.grouped_id or None,
        reactions=reactions(post.reactions) if post.reactions else None,
    )


def _sender(channel: Channel, post: Post) -> Any:
    """Nobody in a channel; in a group a user, the channel whose post was forwarded there, or the group itself."""
    if channel.broadcast:
        return None
    if post.sender:
        return types.PeerUser(post.sender)
    return types.PeerChannel(channel.linked_id if channel.is_root(post) else channel.id)


def _forward(world: World, channel: Channel, post: Post) -> Any:
    if post.forwarded_post is not None:
        origin_id, origin_post = post.forwarded_post
        original = world.channels[origin_id].posts.get(origin_post) if origin_id in world.channels else None
        header = types.MessageFwdHeader(
            date=original.date if original else post.date,
            from_id=types.PeerChannel(origin_id),
            channel_post=origin_post,
            post_author=original.author or None if original else None,
        )
        if channel.is_root(post):
            header.saved_from_peer, header.saved_from_msg_id = header.from_id, origin_post
        return header
    if post.forwarded_from:
        return types.MessageFwdHeader(date=post.date - 600, from_name=post.forwarded_from)
    return None


def _thread(world: World, channel: Channel, post: Post) -> tuple[Channel, int] | None:
    """Group and root of the comments below a channel's post or below its twin in the group; None for no thread."""
    if not channel.linked_id:
        return None
    if not channel.broadcast:
        return (channel, post.id) if channel.is_root(post) else None
    group = world.channels[channel.linked_id]
    root = group.roots.get(post.id)
    return (group, root) if root else None


def _repliers(group: Channel, root: int) -> list[int]:
    """The last three who commented, the newest first."""
    if not group.comments.get(root):
        return []
    writers = [group.posts[post_id].sender for post_id in reversed(group.thread(root))]
    return [writer for writer in dict.fromkeys(writers) if writer][:3]


def _replies(world: World, channel: Channel, post: Post) -> Any:
    """How many comments a post has: for the post, and for its twin in the discussion group."""
    thread = _thread(world, channel, post)
    if thread is None:
        return None
    group, root = thread
    count = group.comments.get(root, 0)
    replies = types.MessageReplies(
        replies=count, replies_pts=group.pts, max_id=group.thread(root)[-1] if count else None
    )
    if channel.broadcast:
        replies.comments, replies.channel_id = True, group.id
        replies.recent_repliers = [types.PeerUser(writer) for writer in _repliers(group, root)] or None
    return replies


def figures(world: World, channel: Channel, post: Post | None) -> Any:
    """What is counted below a post; nothing at all for one that isn't there."""
    if post is None:
        return types.MessageViews()
    views, forwards = (post.views, post.forwards) if channel.broadcast else (None, None)
    return types.MessageViews(views=views, forwards=forwards, replies=_replies(world, channel, post))


def reactions(rows: Sequence[Reaction]) -> Any:
    return types.MessageReactions([types.ReactionCount(types.ReactionEmoji(emoji), count) for emoji, count in rows])


def _action(channel: Channel, post: Post) -> Any:
    match post.service:
        case "create":
            return types.MessageActionChannelCreate(channel.title)
        case "pin":
            return types.MessageActionPinMessage()
        case "photo":
            return types.MessageActionChatDeletePhoto()
        case "join":
            return types.MessageActionChatJoinedByRequest()
        case "title":
            return types.MessageActionChatEditTitle(channel.title)
        case other:
            return types.MessageActionCustomAction(other)


def file_id(channel: Channel, post: Post) -> int:
    """Names the post too, so that nothing needs to be kept of a file. Of a channel's id only 31 bits have room."""
    channel_id, post_id = post.file.of if post.file and post.file.of else (channel.id, post.id)
    return (channel_id & _LOW) << 32 | post_id


_LOW = 2**31 - 1


def file_origin(world: World, file: int) -> tuple[Channel, Post] | None:
    """The post that a file belongs to; None when there is none, or it was deleted."""
    for high in range(2**9):  # ids go on to 40 bits, nearly all of them are the first or second guess
        channel = world.channels.get(high << 31 | file >> 32)
        post = channel.posts.get(file & 0xFFFF_FFFF) if channel else None
        if channel and post:
            return channel, post
    return None


def file_hash(file: int) -> int:
    return file ^ 0x5A5A5A5A


_REFERENCE = struct.Struct("<7siq")


def file_reference(world: World, file: int) -> bytes:
    """Good until the world's references expire all at once."""
    return _REFERENCE.pack(b"sandbox", world.references, file)


def reference_fault(world: World, file: int, reference: bytes) -> str:
    """What is wrong with a file reference, in the service's words; '' for a good one."""
    if not reference:
        return "FILE_REFERENCE_EMPTY"
    if len(reference) != _REFERENCE.size or _REFERENCE.unpack(reference)[::2] != (b"sandbox", file):
        return "FILE_REFERENCE_INVALID"
    return "" if reference == file_reference(world, file) else "FILE_REFERENCE_EXPIRED"


def photo_sizes(file: File | None) -> Sequence[tuple[str, int, int]]:
    return (("x", file.width, file.height),) if file and file.width and file.height else PHOTO_SIZES


def document_size(post: Post) -> int:
    return (post.file.size if post.file else 0) or 120_000 + post.id % 50_000


_MIMES = {
    "document": "application/pdf",
    "video": "video/mp4",
    "animation": "video/mp4",
    "audio": "audio/mpeg",
    "voice": "audio/ogg",
    "sticker": "image/webp",
}


def document_mime(post: Post) -> str:
    """'' when the post has no document."""
    made = _MIMES.get(post.media, "")
    return (post.file.mime if post.file else "") or made if made else ""


def _media(world: World, channel: Channel, post: Post) -> Any:
    file = file_id(channel, post)
    match post.media:
        case "":
            return None
        case "photo":
            sizes = [types.PhotoSize(kind, w, h, files.photo_size(w, h)) for kind, w, h in photo_sizes(post.file)]
            photo = types.Photo(file, file_hash(file), file_reference(world, file), post.date, sizes, world.files_dc)
            return types.MessageMediaPhoto(photo=photo)
        case "poll":
            question = types.TextWithEntities("?", [])
            answers = [types.PollAnswer(types.TextWithEntities(text, []), text.encode()) for text in ("1", "2")]
            return types.MessageMediaPoll(types.Poll(file, question, answers, hash=0), types.PollResults())
        case "webpage":
            url = f"https://example.org/read/{post.id}"
            return types.MessageMediaWebPage(types.WebPage(file, url, url, 0, type="article", title=channel.title))
        case "geo":
            return types.MessageMediaGeo(types.GeoPoint(long=37.6, lat=55.7, access_hash=0))
        case "unsupported":
            return types.MessageMediaUnsupported()
        case "unknown":
            return OF_A_LATER_LAYER
        case _:
            return _document(world, file, post)


def _document(world: World, file: int, post: Post) -> Any:
    known = post.file or File()
    width, height, duration = known.width or 640, known.height or 360, known.duration or 3.0
    attributes: list[Any] = []
    match post.media:
        case "video":
            attributes = [types.DocumentAttributeVideo(duration, width, height, supports_streaming=True)]
        case "animation":
            attributes = [types.DocumentAttributeVideo(duration, width, height), types.DocumentAttributeAnimated()]
        case "audio" | "voice":
            attributes = [types.DocumentAttributeAudio(int(duration), voice=(post.media == "voice") or None)]
        case "sticker":
            attributes = [
                types.DocumentAttributeImageSize(512, 512),
                types.DocumentAttributeSticker("🙂", types.InputStickerSetEmpty()),
            ]
    name = known.name or (f"table-{post.id}.pdf" if post.media == "document" else "")
    if name:
        attributes.append(types.DocumentAttributeFilename(name))
    document = types.Document(
        id=file,
        access_hash=file_hash(file),
        file_reference=file_reference(world, file),
        date=post.date,
        mime_type=document_mime(post),
        size=document_size(post),
        dc_id=world.files_dc,
        attributes=attributes,
    )
    return types.MessageMediaDocument(
        document=document, video=(post.media == "video") or None, voice=(post.media == "voice") or None
    )


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
        reply_markup=_markup(row.buttons) if row.buttons else None,
        media=_picture(owner, row) if row.picture else None,
        fwd_from=_forwarded(row) if row.forwarded else None,
        edit_date=row.edited or None,
    )


def _forwarded(row: Letter) -> Any:
    assert row.forwarded is not None
    channel_id, post_id = row.forwarded
    return types.MessageFwdHeader(date=row.date, from_id=types.PeerChannel(channel_id), channel_post=post_id)


def _markup(buttons: Buttons) -> Any:
    def button(kind: str, label: str, value: str) -> Any:
        if kind == "url":
            return types.KeyboardInlineButton(label, types.InlineButtonTypeUrl(value))
        return types.KeyboardInlineButton(label, types.InlineButtonTypeCallback(bytes.fromhex(value)))

    return types.ReplyInlineMarkup([types.KeyboardInlineButtonRow([button(*each) for each in row]) for row in buttons])


LETTER_PICTURES = 1 << 60
"""Ids of pictures in private messages are below this, those of a channel's files above."""


def _picture(owner: int, row: Letter) -> Any:
    size = len(base64.b64decode(row.picture))
    photo = types.Photo(
        id=(owner % (1 << 40)) << 20 | row.id % (1 << 20),
        access_hash=row.pts,
        file_reference=b"letter",
        date=row.date,
        sizes=[types.PhotoSize("x", 400, 400, size)],
        dc_id=DC_ID,
    )
    return types.MessageMediaPhoto(photo=photo)


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
    """A channel with the viewer's own access hash; what he may not read is only a shadow."""
    access_hash = world.access_hash(viewer, "channel", channel.id)
    member = viewer in channel.members
    if not channel.can_be_read_by(viewer):
        return types.ChannelForbidden(
            channel.id,
            access_hash,
            channel.title,
            broadcast=channel.broadcast or None,
            megagroup=None if channel.broadcast else True,
        )
    return types.Channel(
        id=channel.id,
        title=channel.title,
        photo=types.ChatPhotoEmpty(),
        date=channel.date,
        left=None if member else True,
        broadcast=channel.broadcast or None,
        megagroup=None if channel.broadcast else True,
        has_link=True if channel.linked_id else None,
        noforwards=channel.noforwards or None,
        join_request=channel.approval or None,
        join_to_send=True if channel.linked_id and not channel.broadcast else None,
        access_hash=access_hash,
        username=channel.username,
        participants_count=len(channel.members),
    )


def history_page(world: World, viewer: int, channel: Channel, ids: Sequence[int], *, count: int | None = None) -> Any:
    rows = [message(world, channel, post_id) for post_id in ids]
    parts = parties(world, viewer, channel, rows)
    if not channel.broadcast:
        rows = [message_for(world, viewer, channel, post_id) for post_id in ids]
    return types.messages.ChannelMessages(
        pts=channel.pts, count=len(channel.ids) if count is None else count, messages=rows, topics=[], **parts
    )


def channel_update(world: World, channel: Channel, event: Event) -> Any:
    """The update for one step of pts; None for a post or an edit of a post that is gone since."""
    if event.kind == "delete":
        return types.UpdateDeleteChannelMessages(channel.id, list(event.ids), event.pts, event.count)
    if event.ids[0] not in channel.posts:
        return None
    constructor = types.UpdateNewChannelMessage if event.kind == "new" else types.UpdateEditChannelMessage
    return constructor(message(world, channel, event.ids[0]), event.pts, event.count)


def counted_updates(channel: Channel, change: Counted) -> list[Any]:
    """The updates for new figures under a post. They carry no pts."""
    updates: list[Any] = []
    if change.views is not None:
        updates.append(types.UpdateChannelMessageViews(channel.id, change.id, change.views))
    if change.forwards is not None:
        updates.append(types.UpdateChannelMessageForwards(channel.id, change.id, change.forwards))
    if change.reactions is not None:
        peer = types.PeerChannel(channel.id)
        updates.append(types.UpdateMessageReactions(peer, change.id, reactions(change.reactions)))
    return updates


def channel_changed(channel: Channel) -> Any:
    """Something about a channel is new for this account: ask. Sent when it joins, leaves, is banned or let in."""
    return types.UpdateChannel(channel.id)


def channel_too_long(channel: Channel) -> Any:
    return types.UpdateChannelTooLong(channel.id, channel.pts)


def updates(rows: Sequence[Any], *, users: Sequence[Any] = (), chats: Sequence[Any] = (), date: int) -> Any:
    """An `updates` envelope. Its seq is 0, as for updates that are ordered by pts alone."""
    return types.Updates(updates=rows, users=users, chats=chats, date=date, seq=0)


class Push:
    """Updates for all sessions of one account, whatever layers they speak."""

    def __init__(self, rows: Sequence[Any], **parts: Any) -> None:
        """`parts` are those of `updates`."""
        self._rows = rows
        self._parts = parts
        self._body = b""

    def body(self, layer: int) -> bytes:
        if layer < LAYER:
            return bytes(spoken_in(layer, updates(self._rows, **self._parts)))
        self._body = self._body or bytes(updates(self._rows, **self._parts))
        return self._body


_OLDER = {types.User: 0x31774388, types.Channel: 0x1C32B11C}
"""Until layer 229 these had another constructor, which lacked one optional field; it is never set here."""
_HOLDERS = ("users", "chats", "user", "chat", "authorization")
"""Where answers hold users and channels."""


def spoken_in(layer: int, answer: Any) -> Any:
    """An answer as a client of this layer knows it. Clients of layers before 227 may still find strangers in it."""
    if layer >= LAYER:
        return answer
    if isinstance(answer, list | tuple):
        return [spoken_in(layer, item) for item in answer]
    if older := _OLDER.get(type(answer)):
        return Raw(older.to_bytes(4, "little") + bytes(answer)[4:])
    for name in _HOLDERS:
        if (held := getattr(answer, name, None)) is not None:
            setattr(answer, name, spoken_in(layer, held))
    return answer


def token_accepted(at: int) -> bytes:
    """To whoever shows a QR code that was scanned."""
    return bytes(types.UpdateShort(types.UpdateLoginToken(), at))


def letter_update(world: World, owner: int, sent: Sent) -> Any:
    """The updateNewMessage for one side of a private message, with that side's pts."""
    row = world.boxes[owner].find(sent.sender_message if owner == sent.sender else sent.receiver_message)
    if row is None:
        raise LookupError(f"account {owner} has no copy of a message that was just sent")
    return types.UpdateNewMessage(letter(owner, row), row.pts, 1)


def letter_edited(world: World, owner: int, row: Letter) -> Push:
    """The updateEditMessage for one side of a private message."""
    sides = [user(world, owner, world.accounts[side]) for side in {owner, row.peer}]
    return Push([types.UpdateEditMessage(letter(owner, row), row.pts, 1)], users=sides, date=row.edited)


def button_pressed(world: World, who: int, row: Letter, *, query_id: int, data: bytes, at: int) -> Push:
    """What a bot hears when somebody presses a button under its message, of which `row` is that one's copy."""
    query = types.UpdateBotCallbackQuery(
        query_id=query_id, user_id=who, peer=types.PeerUser(who), msg_id=row.twin, chat_instance=who, data=data
    )
    return Push([query], users=[user(world, row.peer, world.accounts[who])], date=at)


def letter_pushed(world: World, owner: int, sent: Sent) -> Push:
    sides = [user(world, owner, world.accounts[side]) for side in {sent.sender, sent.receiver}]
    return Push([letter_update(world, owner, sent)], users=sides, date=sent.at)


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
