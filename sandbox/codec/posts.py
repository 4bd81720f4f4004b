"""A channel's posts as messages, made once for all readers."""

from collections.abc import Sequence
from typing import Any

from telethon.tl import types

from sandbox.channels import Channel
from sandbox.codec.entities import entities_out
from sandbox.codec.media import media
from sandbox.codec.raw import Naming, Raw
from sandbox.posts import Post, Reaction
from sandbox.world import World


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
        media=media(world, channel, post),
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
