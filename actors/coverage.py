"""Set arithmetic over message ids: what is covered, what is missing, which page to ask for next.

A span is a pair of ids, both included. A coverage is a tuple of spans, ascending, disjoint and never touching.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from actors.messages.ids import Span
from actors.messages.rows import ChannelRow

Coverage = tuple[Span, ...]

PAGE = 100
"""Messages per page: the most that messages.getHistory gives."""


def lacking(row: ChannelRow) -> int | None:
    """How many of a channel's ids aren't known; None before its start is: then nobody knows what is to be had."""
    return None if row.start_id is None else size(missing(row.covered, row.start_id, row.top_id))


def normalise(spans: Iterable[Span]) -> Coverage:
    """Sort, join what overlaps or touches, drop what is empty."""
    merged: list[Span] = []
    for low, high in sorted(spans):
        if low > high:
            continue
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def add(covered: Coverage, span: Span) -> Coverage:
    """``covered`` and ``span`` together. The common case, a span at the top, costs no sort."""
    low, high = span
    if low > high:
        return covered
    if not covered or low > covered[-1][1] + 1:
        return (*covered, span)
    if low >= covered[-1][0]:
        return (*covered[:-1], (covered[-1][0], max(high, covered[-1][1])))
    return normalise((*covered, span))


def subtract(covered: Coverage, span: Span) -> Coverage:
    """``covered`` without the ids of ``span``."""
    low, high = span
    if low > high:
        return covered
    kept: list[Span] = []
    for first, last in covered:
        if last < low or first > high:
            kept.append((first, last))
            continue
        if first < low:
            kept.append((first, low - 1))
        if last > high:
            kept.append((high + 1, last))
    return tuple(kept)


def missing(covered: Coverage, low: int, high: int) -> Coverage:
    """What [low, high] has that ``covered`` hasn't."""
    holes: list[Span] = []
    at = low
    for first, last in covered:
        if last < at:
            continue
        if first > high:
            break
        if first > at:
            holes.append((at, first - 1))
        at = max(at, last + 1)
    if at <= high:
        holes.append((at, high))
    return tuple(holes)


def contains(covered: Coverage, message_id: int) -> bool:
    return any(low <= message_id <= high for low, high in reversed(covered))


def size(spans: Coverage) -> int:
    return sum(high - low + 1 for low, high in spans)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageWanted:
    """One history call: messages below ``offset_id``, for the ids of ``span``."""

    span: Span
    offset_id: int
    limit: int


def next_page(covered: Coverage, start: int, top: int) -> PageWanted | None:
    """The page to ask for next: the newest missing ids first; None when [start, top] is covered.

    One message more than the span could hold is asked for, because only a message below the span proves that the page
    reached its end; ids that Telegram skipped would otherwise cost a second call.
    """
    holes = missing(covered, start, top)
    if not holes:
        return None
    low, high = holes[-1]
    return PageWanted(span=(low, high), offset_id=high + 1, limit=min(PAGE, high - low + 2))


def proven(page: PageWanted, lowest_id: int | None) -> Span:
    """Which ids a page's answer proves: down to its lowest id, or the whole span when nothing lies between.

    A short page proves no more than its lowest id: the service may answer fewer messages than asked for. Only an empty
    page says that nothing is left.
    """
    low, high = page.span
    if lowest_id is None or lowest_id <= low:
        return page.span
    return (lowest_id, high)
