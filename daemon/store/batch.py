"""What a batch of records amounts to, as plain functions: which copy of a post is stored, and what each record gets."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from operator import attrgetter

import orjson

from actors.coverage import Coverage, add, subtract
from actors.messages.channel import ChannelFigures
from actors.messages.content import Post
from actors.messages.ids import ChannelId
from actors.messages.recorder import Record

Key = tuple[ChannelId, int]

COLUMNS = (
    *("channel_id", "message_id", "kind", "date", "edited_at", "grouped_id", "reply_to_id"),
    *("pinned", "silent", "noforwards", "text", "author", "entities", "media", "forward", "action"),
    *("sender", "reply", "discussion_id", "details"),
)
"""Of posts, as the attributes of Post are called."""
STATS = ("views", "forwards", "replies", "reactions", "results")

_values = attrgetter(*COLUMNS, *STATS, "raw")
_OLDEST = datetime.min.replace(tzinfo=UTC)
_NUL = rb"\u0000"
_MIGRATED = b"channel_migrate_from"


@dataclass(slots=True)
class Copy:
    """The newest copy of one post in the batch."""

    post: Post
    pts: int | None
    first: int
    """Index of the record that named the post first: the one that added it, if it is new."""
    newest: int
    """Index of the first record that came with this text: the one that edited the post, if it isn't new."""


def newest_copies(batch: Sequence[Record]) -> dict[Key, Copy]:
    """One copy a post: PostgreSQL refuses to write a row twice in one statement."""
    copies: dict[Key, Copy] = {}
    for index, record in enumerate(batch):
        for post in record.posts:
            if post.channel_id != record.channel_id:
                raise ValueError(f"a post of channel {post.channel_id} in a record of channel {record.channel_id}")
            key = (post.channel_id, post.message_id)
            copy = copies.get(key)
            if copy is None:
                copies[key] = Copy(post, record.pts, index, index)
            elif supersedes(post, record.pts, copy.post, copy.pts):
                newest = copy.newest if _reads_alike(post, copy.post) else index
                copies[key] = Copy(post, _greatest(record.pts, copy.pts), copy.first, newest)
    return copies


def supersedes(new: Post, new_pts: int | None, old: Post, old_pts: int | None) -> bool:
    """Whether ``new`` may take the place of ``old``: not older by pts, nor by edit date. ``_MERGE`` says it in SQL."""
    if old.kind == "undecodable":
        return True
    if new.kind != old.kind:
        return False
    if new_pts is not None and old_pts is not None and new_pts < old_pts:
        return False
    return (new.edited_at or _OLDEST) >= (old.edited_at or _OLDEST)


def _reads_alike(one: Post, other: Post) -> bool:
    return (one.text, one.entities, one.media) == (other.text, other.entities, other.media)


def rows(copies: Iterable[Copy]) -> Iterator[tuple[object, ...]]:
    """Values of COLUMNS, STATS, raw and pts, without the NULs that PostgreSQL can't keep."""
    for copy in copies:
        yield *_values(cleaned(copy.post)), copy.pts


def cleaned(post: Post) -> Post:
    """Without the NULs that PostgreSQL can't keep."""
    return _without_nul(post) if _has_nul(post) else post


def predecessors(copies: Iterable[Copy]) -> Iterator[tuple[ChannelId, int]]:
    """(channel, basic group) of each channel that tells, by a service message, which group it was before."""
    for copy in copies:
        action = copy.post.action
        if action is not None and _MIGRATED in action:
            told = orjson.loads(action)
            if told.get("type") == "channel_migrate_from":
                yield copy.post.channel_id, told["chat_id"]


def _has_nul(post: Post) -> bool:
    """Whether there may be one: written out, since this is asked for every post."""
    return bool(
        "\0" in post.text
        or (post.author and "\0" in post.author)
        or (post.entities and _NUL in post.entities)
        or (post.media and _NUL in post.media)
        or (post.forward and _NUL in post.forward)
        or (post.action and _NUL in post.action)
        or (post.reply and _NUL in post.reply)
        or (post.details and _NUL in post.details)
        or (post.reactions and _NUL in post.reactions)
        or (post.results and _NUL in post.results)
    )


def _without_nul(post: Post) -> Post:
    return replace(
        post,
        text=post.text.replace("\0", ""),
        author=post.author and post.author.replace("\0", ""),
        entities=_json_without_nul(post.entities),
        media=_json_without_nul(post.media),
        forward=_json_without_nul(post.forward),
        action=_json_without_nul(post.action),
        reply=_json_without_nul(post.reply),
        details=_json_without_nul(post.details),
        reactions=_json_without_nul(post.reactions),
        results=_json_without_nul(post.results),
    )


def _json_without_nul(blob: bytes | None) -> bytes | None:
    return blob and orjson.dumps(_clean(orjson.loads(blob)))


def _clean(value: object) -> object:
    match value:
        case str():
            return value.replace("\0", "")
        case list():
            return [_clean(part) for part in value]
        case dict():
            return {str(_clean(name)): _clean(part) for name, part in value.items()}
    return value


@dataclass(slots=True)
class Counts:
    """Of one record."""

    added: int = 0
    edited: int = 0
    deleted: int = 0


@dataclass(slots=True)
class Sum:
    """What a batch makes of one channel's coverage."""

    start_id: int | None = None
    top_id: int | None = None
    floor_id: int = 0
    pts: int | None = None
    """The last record's, as ``floor_id``: they stand for all that was recorded up to it."""
    less: Coverage = ()
    """No longer covered."""
    more: Coverage = ()
    """Covered, whatever ``less`` says."""
    why: str | None = None
    added: int = 0
    edited: int = 0
    backfilled: int = 0
    deleted: int = 0


def sums(batch: Sequence[Record], counts: Sequence[Counts]) -> Mapping[ChannelId, Sum]:
    """Per channel: the first start, the greatest top, the last pts, spans in their order, and counters by road."""
    result: dict[ChannelId, Sum] = {}
    for record, count in zip(batch, counts, strict=True):
        total = result.setdefault(record.channel_id, Sum())
        if total.start_id is None:
            total.start_id = record.start_id
        total.top_id = _greatest(total.top_id, record.top_id)
        if record.channel_pts is not None:
            total.pts, total.floor_id = record.channel_pts, record.floor_id
        if record.doubt is not None:
            total.less, total.more = add(total.less, record.doubt), subtract(total.more, record.doubt)
            total.why = record.doubt_why
        if record.covered is not None:
            total.more = add(total.more, record.covered)
        total.deleted += count.deleted
        if record.road == "backfill":
            total.backfilled += count.added
        else:
            total.added += count.added
            total.edited += count.edited
    return result


def newest_figures(batch: Sequence[Record]) -> list[tuple[ChannelId, int, int | None, int | None, bytes | None]]:
    """One row a post: the last of each figure that was told. Of views the store keeps the greatest."""
    found: dict[Key, ChannelFigures] = {}
    for record in batch:
        for told in record.figures:
            key = (told.channel_id, told.message_id)
            known = found.get(key)
            found[key] = told if known is None else _later(known, told)
    return [(*key, told.views, told.forwards, told.reactions) for key, told in found.items()]


def _later(known: ChannelFigures, told: ChannelFigures) -> ChannelFigures:
    return replace(
        told,
        views=_greatest(known.views, told.views),
        forwards=known.forwards if told.forwards is None else told.forwards,
        reactions=known.reactions if told.reactions is None else told.reactions,
    )


def _greatest(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return max(one, other)
