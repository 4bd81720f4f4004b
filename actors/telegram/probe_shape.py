"""The shape of an answer: constructors, fields that are set, relations. The one place of a probe that looks inside.

Only names out of Telethon's schema, truths, counts and differences of pts leave these functions. Ids, texts, names,
hashes, dates and file references are compared with each other here and go no further.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from telethon.tl import TLObject, types

Facts = dict[str, Any]
Seen = dict[str, set[str]]


def constructor(thing: Any) -> str:
    """Telegram's name: ``updates.channelDifferenceTooLong``; ``vector`` for a bare list."""
    if not isinstance(thing, TLObject):
        return "vector" if isinstance(thing, list) else type(thing).__name__
    name = type(thing).__name__
    # Telethon's own Message classes stand in for the schema's.
    module = type(thing).__module__.removeprefix("telethon.tl.patched").removeprefix("telethon.tl.types")
    namespace = module.strip(".")
    name = name[0].lower() + name[1:]
    return f"{namespace}.{name}" if namespace else name


def fields_of(thing: Any) -> list[str]:
    """The fields that are there and the flags that are on; an empty vector is there."""
    if not isinstance(thing, TLObject):
        return []
    rows = vars(thing).items()
    return sorted(name for name, value in rows if value is not None and value is not False and name[0] != "_")


def note_seen(things: Iterable[Any], seen: Seen) -> None:
    """Add every constructor at any depth, with those of its fields that are set in one place or another."""
    rest = list(things)
    while rest:
        thing = rest.pop()
        if isinstance(thing, TLObject):
            seen.setdefault(constructor(thing), set()).update(fields_of(thing))
            rest += vars(thing).values()
        elif isinstance(thing, list):
            rest += thing


def direction(numbers: Sequence[int]) -> str | None:
    """``rising``, ``falling`` or ``mixed``, strictly; None for fewer than two."""
    pairs = list(itertools.pairwise(numbers))
    if not pairs:
        return None
    if all(one < other for one, other in pairs):
        return "rising"
    return "falling" if all(one > other for one, other in pairs) else "mixed"


def all_of(claims: Iterable[bool]) -> bool | None:
    """Whether all hold; None where there is nothing to look at."""
    rows = list(claims)
    return all(rows) if rows else None


def is_channel(dialog: Any) -> bool:
    return type(dialog) is types.Dialog and type(dialog.peer) is types.PeerChannel


def dialogs_shape(result: Any) -> Facts:
    """A dialog page. Nothing of private chats but whether their dialogs carry a pts."""
    dialogs = [dialog for dialog in result.dialogs if type(dialog) is types.Dialog]
    known = {(str(message.peer_id), message.id): message for message in result.messages if hasattr(message, "peer_id")}
    tops = [(dialog, known.get((str(dialog.peer), dialog.top_message))) for dialog in dialogs if dialog.top_message]
    dates = [
        message.date
        for dialog, message in tops
        if message is not None and not dialog.pinned and hasattr(message, "date")
    ]
    return {
        "at_most_as_asked": len(dialogs) <= 100,
        "channels_carry_pts": all_of(dialog.pts is not None for dialog in dialogs if is_channel(dialog)),
        "others_carry_pts": all_of(dialog.pts is not None for dialog in dialogs if not is_channel(dialog)),
        "tops_come_along": all_of(message is not None for _, message in tops),
        "newest_first": all(one >= other for one, other in itertools.pairwise(dates)) if dates[1:] else None,
    }


def peer_dialogs_shape(result: Any, asked: Sequence[int]) -> Facts:
    """Dialogs of channels named in this order; ``asked`` holds those that can be read."""
    came = [dialog.peer.channel_id for dialog in result.dialogs if is_channel(dialog)]
    return {
        "answered": "all" if set(came) == set(asked) else "none" if not came else "some",
        "in_order": came == list(asked) if set(came) == set(asked) and len(asked) > 1 else None,
        "carry_pts": all_of(dialog.pts is not None for dialog in result.dialogs if is_channel(dialog)),
        "tops_come_along": all_of(
            any(message.id == dialog.top_message and message.peer_id == dialog.peer for message in result.messages)
            for dialog in result.dialogs
            if is_channel(dialog) and dialog.top_message
        ),
    }


def history_shape(result: Any, places: Mapping[int, int], *, pts: int) -> Facts:
    """A page of history. ``places`` says where an id stands on the newest page, 0 for the top."""
    ids = [message.id for message in result.messages]
    return {
        "came": len(ids),
        "first_place": _place(ids[:1], places),
        "last_place": _place(ids[-1:], places),
        "order": direction(ids),
        "pts": _relation(getattr(result, "pts", None), pts),
        "count_is_more": result.count >= len(ids) if getattr(result, "count", None) is not None else None,
    }


def _place(ids: Sequence[int], places: Mapping[int, int]) -> int | str | None:
    if not ids:
        return None
    if (known := places.get(ids[0])) is not None:
        return known
    return "newer" if places and ids[0] > max(places) else "older"


def _relation(pts: int | None, reference: int) -> str:
    if pts is None:
        return "absent"
    return "same" if pts == reference else "above" if pts > reference else "below"


def messages_shape(result: Any, asked: Sequence[int], *, missing: int, hole: int | None) -> Facts:
    """Messages asked for by id, of which ``missing`` never was and ``hole`` (None: not asked) is gone."""
    came = {message.id: constructor(message) for message in result.messages}
    return {
        "answered": "all" if set(came) == set(asked) else "some",
        "in_order": [message.id for message in result.messages] == [number for number in asked if number in came],
        "missing": came.get(missing, "absent"),
        "hole": None if hole is None else came.get(hole, "absent"),
    }


def difference_shape(result: Any, asked: int, reference: int) -> Facts:
    """A channel's difference since pts ``asked``, while its pts is held to be ``reference``."""
    pts = end_of(result)
    messages = getattr(result, "new_messages", None)
    return {
        "final": bool(result.final),
        "timeout": result.timeout,
        "ends": _relation(pts, reference),
        "advance": None if result.final or pts is None else pts - asked,
        "updates_pts": updates_pts(result),
        "order": None if messages is None else direction([message.id for message in messages]),
    }


def end_of(result: Any) -> int | None:
    """The pts that a channel's difference of any kind leads to."""
    if type(result) is types.updates.ChannelDifferenceTooLong:
        return getattr(result.dialog, "pts", None)
    pts: int = result.pts
    return pts


def updates_pts(result: Any) -> str | None:
    """Which pts the updates inside a difference carry: each its ``own``, all the difference's ``end``, or None.

    One update alone may be the last step, so only two steps that claim the same pts show that it isn't their own.
    """
    if type(result) is not types.updates.ChannelDifference:
        return None
    claimed = [update.pts for update in result.other_updates if getattr(update, "pts_count", 0)]
    if any(pts < result.pts for pts in claimed):
        return "own"
    if any(pts > result.pts for pts in claimed):
        return "beyond"
    return "end" if len(claimed) > 1 else None


def account_shape(result: Any) -> Facts:
    """The account's difference. Nothing of what it brings but whether channels are named."""
    updates = getattr(result, "other_updates", None)
    named = [update for update in updates or () if type(update) is types.UpdateChannelTooLong]
    return {
        "names_channels": None if updates is None else bool(named),
        "named_with_pts": all_of(update.pts is not None for update in named),
    }


def views_shape(result: Any, asked: int) -> Facts:
    return {
        "answered": "all" if len(result.views) == asked else "some",
        "carry_views": all_of(row.views is not None for row in result.views),
        "carry_forwards": all_of(row.forwards is not None for row in result.views),
    }


def resolved_shape(result: Any) -> Facts:
    return {
        "peer": constructor(result.peer),
        "access_hash_comes_along": any(getattr(chat, "access_hash", None) is not None for chat in result.chats),
    }


def latency(seconds: float) -> str:
    for most, name in ((0.05, "<50ms"), (0.2, "<200ms"), (1.0, "<1s"), (5.0, "<5s")):
        if seconds < most:
            return name
    return ">=5s"
