"""What a change will be, decided without touching the world: `World.apply` carries it out.

Each raises WorldError for what can't be.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sandbox.changes import Altered, Counted, Deleted, Edited, Founded, Grown, Moved, Posted, Secured, Sent
from sandbox.channels import Channel
from sandbox.posts import Post
from sandbox.world import DC_IDS, Account, MissingError, World, WorldError

USERNAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{3,31}")
MAX_ID = 2**31 - 1
STANDINGS = ("member", "left", "banned", "waiting")


def posts(channel: Channel, drafts: Sequence[Callable[[int], Post]], at: int, *, silent: bool) -> Posted:
    """Each draft makes its post from the id it gets; ids are never used twice, deleted or not."""
    first = _room(channel, len(drafts))
    made = tuple(draft(first + index) for index, draft in enumerate(drafts))
    return Posted(channel_id=channel.id, at=at, posts=made, silent=silent)


def growth(channel: Channel, count: int, at: int, *, silent: bool) -> Grown:
    """Only where posts are made from a seed."""
    if not channel.posts.can_make:
        raise WorldError(f"channel {channel.id} was loaded: give its new posts a text")
    return Grown(channel_id=channel.id, at=at, first=_room(channel, count), count=count, silent=silent)


def _room(channel: Channel, count: int) -> int:
    """The first of so many new ids."""
    if channel.top_ever + count > MAX_ID:
        raise WorldError(f"channel {channel.id} has no ids left for {count} more posts: found another one")
    return channel.top_ever + 1


def edit(channel: Channel, post_id: int, at: int, **fields: Any) -> Edited:
    post = channel.posts.get(post_id)
    if post is None or post.service:
        raise MissingError(f"channel {channel.id} has no post {post_id} that could be edited")
    return Edited(channel_id=channel.id, at=at, id=post_id, **fields)


def deletion(channel: Channel, ids: Iterable[int], at: int) -> Deleted:
    """Only ids that exist; the others are gone already, as the service sees it."""
    return Deleted(channel_id=channel.id, at=at, ids=tuple(sorted({i for i in ids if i in channel.posts})))


def figures(channel: Channel, post_id: int, at: int, **fields: Any) -> Counted:
    post = channel.posts.get(post_id)
    if post is None or post.service:
        raise MissingError(f"channel {channel.id} has no post {post_id} that has figures")
    return Counted(channel_id=channel.id, at=at, id=post_id, **fields)


def founding(
    world: World, title: str, username: str | None, at: int, *, group_of: Channel | None, first_id: int
) -> Founded:
    """A channel, or the discussion group of one."""
    if username is not None:
        _check_username(world, username)
    if group_of and (group_of.linked_id or not group_of.broadcast):
        raise WorldError(f"channel {group_of.id} is a group, or has its discussion already")
    channel_id = max(world.channels, default=1_000_000_000) + 1
    return Founded(
        channel_id=channel_id,
        at=at,
        title=title,
        username=username,
        invite=world.invite_hash(channel_id),
        broadcast=group_of is None,
        linked_id=group_of.id if group_of else 0,
        first_id=first_id,
    )


def features(world: World, channel: Channel, at: int, **fields: Any) -> Altered:
    if fields.get("username"):
        _check_username(world, fields["username"], of=channel)
    return Altered(channel_id=channel.id, at=at, **fields)


def _check_username(world: World, username: str, of: Channel | None = None) -> None:
    if not USERNAME.fullmatch(username):
        raise WorldError(f"{username!r} is no username: 4 to 32 letters, digits and _, a letter first")
    found = world.named(username)
    if found is not None and found is not of:
        raise WorldError(f"the username {username} is taken")


def new_invite(world: World, channel: Channel, at: int) -> Altered:
    """The link before is void."""
    return Altered(channel_id=channel.id, at=at, invite=world.invite_hash(channel.id, channel.invite))


def standing(channel: Channel, account: Account, wanted: str, at: int, *, silent: bool) -> Moved:
    if wanted not in STANDINGS:
        raise WorldError(f"{wanted!r} is no standing: {', '.join(STANDINGS)}")
    return Moved(channel_id=channel.id, at=at, account_id=account.id, standing=wanted, silent=silent)


def security(account: Account, at: int, *, password: str | None, dc_id: int | None) -> Secured:
    if dc_id is not None and dc_id not in DC_IDS:
        raise WorldError(f"there is no data centre {dc_id}, only {DC_IDS}")
    return Secured(account_id=account.id, at=at, password=password, dc_id=dc_id)


def letter(world: World, sender: int, receiver: int, at: int, **fields: Any) -> Sent:
    mine, theirs = world.boxes[sender].top + 1, world.boxes[receiver].top + 1
    return Sent(at=at, sender=sender, receiver=receiver, sender_message=mine, receiver_message=theirs, **fields)
