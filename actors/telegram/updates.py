"""Raw updates -> messages for channels, and the account's common state: pure functions, no clock, no I/O.

Whatever belongs to no channel that is read here is dropped in ``sort_updates``: it is never decoded, logged or stored.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from telethon.tl import types

from actors.messages.account import DifferenceFetched
from actors.messages.channel import ChannelDeleted, ChannelFigures, ChannelMoved, ChannelPosted
from actors.messages.content import Post
from actors.messages.ids import ChannelId
from actors.messages.rows import UpdateState
from actors.sequence import judge_pts
from actors.telegram.decode import decode_head, decode_post, decode_reactions

ChannelNews = ChannelPosted | ChannelDeleted | ChannelFigures


@dataclass(slots=True)
class Sorted:
    """One raw update, taken apart. Built here only; read and thrown away by the account."""

    news: list[tuple[ChannelId, ChannelNews]] = field(default_factory=list)
    """For channels in ``reading``, in the order given; a channel's own pts tells it what is new."""
    moved: list[ChannelMoved] = field(default_factory=list)
    """Channels in ``reading`` of which the server says only that something has happened."""
    membership: list[ChannelId] = field(default_factory=list)
    """Any channels that the account may have joined or left, or that have changed their name."""
    pts: list[tuple[int, int]] = field(default_factory=list)
    """(pts, pts_count) of the common sequence."""
    qts: int | None = None
    seq: tuple[int, int] | None = None
    """(first, last) of the container; None where it carries no seq."""
    date: int | None = None
    too_long: bool = False
    """The server gave up pushing: only the difference helps."""
    keep_raw: bool = False
    """Whether posts bring along what Telegram sent."""


def sort_updates(raw: Any, reading: Collection[ChannelId], *, keep_raw: bool = False) -> Sorted:
    """Take apart one raw ``Updates`` object of any kind, or a difference. Objects of no interest leave no trace.

    With ``keep_raw`` each post brings along what Telegram sent.
    """
    found = Sorted(keep_raw=keep_raw)
    kind = type(raw)
    if kind is types.Updates or kind is types.UpdatesCombined:
        if raw.seq:
            found.seq = (raw.seq_start if kind is types.UpdatesCombined else raw.seq, raw.seq)
        found.date = _unix(raw.date)
        for update in raw.updates:
            _sort_one(update, reading, found)
    elif kind is types.UpdateShort:
        found.date = _unix(raw.date)
        _sort_one(raw.update, reading, found)
    elif kind is types.UpdatesTooLong:
        found.too_long = True
    elif kind in _SHORT:
        found.pts.append((raw.pts, raw.pts_count))
        found.date = _unix(raw.date)
    elif kind is types.updates.Difference or kind is types.updates.DifferenceSlice:
        # new_messages are of private chats and basic groups alone; channels are in other_updates.
        for update in raw.other_updates:
            _sort_one(update, reading, found)
    return found


_SHORT = (types.UpdateShortMessage, types.UpdateShortChatMessage, types.UpdateShortSentMessage)
_MESSAGE = (types.UpdateNewChannelMessage, types.UpdateEditChannelMessage)
# These count in the channel's pts, and nothing of them is kept: passed on as a deletion of nothing, they move it.
_COUNTED = (types.UpdateChannelWebPage, types.UpdatePinnedChannelMessages)
_FIGURES = (types.UpdateChannelMessageViews, types.UpdateChannelMessageForwards, types.UpdateMessageReactions)
_CHANNEL_OWN = (types.UpdateReadChannelInbox,)


def _sort_one(update: Any, reading: Collection[ChannelId], found: Sorted) -> None:
    kind = type(update)
    if kind in _MESSAGE:
        _sort_message(update, reading, found, edited=kind is types.UpdateEditChannelMessage)
    elif kind is types.UpdateDeleteChannelMessages or kind in _COUNTED:
        if update.channel_id in reading:
            ids = tuple(update.messages) if kind is types.UpdateDeleteChannelMessages else ()
            found.news.append(_deleted(ChannelId(update.channel_id), ids, update.pts, update.pts_count))
    elif kind is types.UpdateChannelTooLong:
        if update.channel_id in reading:
            found.moved.append(ChannelMoved(channel_id=ChannelId(update.channel_id), pts=update.pts))
    elif kind in _FIGURES:
        figures = _figures(update)
        if figures is not None and figures.channel_id in reading:
            found.news.append((figures.channel_id, figures))
    elif kind is types.UpdateChannel:
        found.membership.append(ChannelId(update.channel_id))
    elif kind is types.UpdatePtsChanged:
        found.too_long = True
    elif kind not in _CHANNEL_OWN:
        _advance_of(update, found)


def _sort_message(update: Any, reading: Collection[ChannelId], found: Sorted, *, edited: bool) -> None:
    message = update.message
    peer = message.peer_id
    if type(peer) is not types.PeerChannel or peer.channel_id not in reading:
        return
    channel_id = ChannelId(peer.channel_id)
    post = decode_post(message, channel_id, raw=found.keep_raw)
    if post is None:
        found.news.append(_deleted(channel_id, (), update.pts, update.pts_count))
    else:
        posted = ChannelPosted(post=post, pts=update.pts, pts_count=update.pts_count, edited=edited)
        found.news.append((channel_id, posted))


def _figures(update: Any) -> ChannelFigures | None:
    kind = type(update)
    if kind is types.UpdateMessageReactions:
        if type(update.peer) is not types.PeerChannel:
            return None
        reactions = decode_reactions(update.reactions)
        return ChannelFigures(
            channel_id=ChannelId(update.peer.channel_id), message_id=update.msg_id, reactions=reactions
        )
    channel_id = ChannelId(update.channel_id)
    if kind is types.UpdateChannelMessageViews:
        return ChannelFigures(channel_id=channel_id, message_id=update.id, views=update.views)
    return ChannelFigures(channel_id=channel_id, message_id=update.id, forwards=update.forwards)


def read_difference(answer: Any, channel_id: ChannelId, *, raw: bool = False) -> DifferenceFetched:
    """A channel's difference, or a slice of it, as our message; one that is too long gives the dialog's head."""
    if type(answer) is types.updates.ChannelDifferenceTooLong:
        head = decode_head(answer.dialog)
        return DifferenceFetched(channel_id=channel_id, pts=head.pts, head=head)
    if type(answer) is types.updates.ChannelDifferenceEmpty:
        return DifferenceFetched(channel_id=channel_id, pts=answer.pts, final=bool(answer.final))
    decoded = (decode_post(message, channel_id, raw=raw) for message in answer.new_messages)
    posts = [post for post in decoded if post is not None]
    edits: list[Post] = []
    deleted: list[int] = []
    for update in answer.other_updates:
        if type(update) in _MESSAGE:
            post = decode_post(update.message, channel_id, raw=raw)
            if post is not None:
                (edits if type(update) is types.UpdateEditChannelMessage else posts).append(post)
        elif type(update) is types.UpdateDeleteChannelMessages:
            deleted += update.messages
    return DifferenceFetched(
        channel_id=channel_id,
        posts=tuple(posts),
        edits=tuple(edits),
        deleted_ids=tuple(deleted),
        pts=answer.pts,
        final=bool(answer.final),
    )


def _deleted(channel_id: ChannelId, ids: tuple[int, ...], pts: int, pts_count: int) -> tuple[ChannelId, ChannelNews]:
    return channel_id, ChannelDeleted(channel_id=channel_id, message_ids=ids, pts=pts, pts_count=pts_count)


def _advance_of(update: Any, found: Sorted) -> None:
    pts = getattr(update, "pts", None)
    if pts is not None:
        found.pts.append((pts, update.pts_count))
    qts = getattr(update, "qts", None)
    if qts is not None:
        found.qts = max(qts, found.qts or 0)


def advance(state: UpdateState, found: Sorted) -> tuple[UpdateState, bool]:
    """The common state after an update, and whether something before it is missing.

    Where something is missing the state stays at what is known, so that the difference brings the rest.
    """
    pts, seq, missing = state.pts, state.seq, found.too_long
    for new, count in found.pts:
        verdict = judge_pts(pts, new, count)
        if verdict == "contiguous":
            pts = new
        missing = missing or verdict == "gap"
    if found.seq is not None:
        first, last = found.seq
        if first == seq + 1:
            seq = last
        missing = missing or first > seq + 1
    date = state.date if missing or found.date is None else max(state.date, found.date)
    qts = max(state.qts, found.qts or 0)
    return UpdateState(pts=pts, qts=qts, date=date, seq=seq), missing


def state_of(state: Any) -> UpdateState:
    """Telegram's ``updates.state`` as ours."""
    return UpdateState(pts=state.pts, qts=state.qts, date=_unix(state.date) or 0, seq=state.seq)


def _unix(date: Any) -> int | None:
    return None if date is None else int(date.timestamp())
