"""The walk of a verification: reads a channel by numbers, newest first, compares, and has what differs recorded.

It claims no coverage: what isn't covered isn't compared, and is the channel's own to fetch.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from actors.channel import key_of
from actors.coverage import Coverage, missing, size
from actors.errand import Difference, Findings
from actors.errors import StoreUnavailable
from actors.messages.account import FetchIds, IdsFetched
from actors.messages.channel import Mend
from actors.messages.ids import ChannelId, Span
from actors.neighbours import ASK_FAULTS
from actors.ports import Store
from actors.reading import Readers
from actors.runtime.clock import pause
from actors.runtime.owner import LoopOwner

logger = logging.getLogger(__name__)

T = TypeVar("T")

PAGE = 100
"""The most ids that channels.getMessages takes."""
SETTLE = 10
SETTLE_AFTER = 0.5
"""Looks, and seconds between them, at a channel that has yet to commit what had happened when its page was read."""
AGAIN_AFTER = 1.0
"""Seconds until a question to a database or a channel that is away is asked again."""
FIRST = 20
"""Differences that a result names; the rest is counted."""
MEND_TRIES = 5
MEND_WITHIN = 60.0
"""Seconds for a commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageVerified:
    """What one page has shown."""

    ids: int
    """Ids that it went past, covered or not."""
    calls: int
    differences: tuple[Difference, ...] = ()
    mended: int = 0


def bounds(covered: Coverage, top: int, low: int | None, high: int | None) -> Span | None:
    """The ids to verify: those asked for, from the lowest covered id to the top; None where there are none."""
    if not covered:
        return None
    span = (max(covered[0][0], low or 1), min(top, covered[-1][1], high or top))
    return span if span[0] <= span[1] else None


def found_with(found: Findings, page: PageVerified) -> Findings:
    """What was found so far and what one page more has shown."""
    counts = Counter(one.what for one in page.differences)
    kinds = replace(
        found.differences, **{what: getattr(found.differences, what) + count for what, count in counts.items()}
    )
    return Findings(
        calls=found.calls + page.calls,
        differences=kinds,
        mended=found.mended + page.mended,
        first=(*found.first, *page.differences)[:FIRST],
    )


class Walk:
    """One verification of one channel."""

    def __init__(self, channel_id: ChannelId, *, store: Store, readers: Readers, owner: LoopOwner) -> None:
        self._channel_id = channel_id
        self._store = store
        self._readers = readers
        self._owner = owner

    async def page(self, span: Span) -> PageVerified:
        """Verify up to 100 ids. Raises: Refused."""
        ids = span[1] - span[0] + 1
        row = await self._patiently(lambda: self._store.channels.one(self._channel_id))
        if row is None or size(missing(row.covered, *span)) == ids:
            return PageVerified(ids=ids, calls=0)
        read = await self._readers.ask(self._channel_id, FetchIds(channel_id=self._channel_id, span=span))
        found = await self._settled(span, read)
        if not found:
            return PageVerified(ids=ids, calls=read.calls)
        await self._mend(span, read)
        left = await self._compare(span, read)
        return PageVerified(ids=ids, calls=read.calls, differences=found, mended=len(set(found) - set(left)))

    async def _settled(self, span: Span, read: IdsFetched) -> tuple[Difference, ...]:
        """What differs once all that had happened when the page was read is committed, or seems lost."""
        found: tuple[Difference, ...] = ()
        for _ in range(SETTLE):
            row = await self._patiently(lambda: self._store.channels.one(self._channel_id))
            found = await self._compare(span, read)
            if not found or row is None or row.pts is None or read.pts is None or row.pts >= read.pts:
                break
            await pause(self._owner.clock, SETTLE_AFTER)
        return found

    async def _compare(self, span: Span, read: IdsFetched) -> tuple[Difference, ...]:
        posts = self._store.posts
        return await self._patiently(lambda: posts.differences(self._channel_id, span, read.posts, read.pts))

    async def _mend(self, span: Span, read: IdsFetched) -> None:
        """By the channel, whose records are committed in their order. One that stays away leaves it unmended."""
        mend = Mend(span=span, posts=read.posts, pts=read.pts)
        for _ in range(MEND_TRIES):
            try:
                if await self._owner.find(key_of(self._channel_id)).call(mend, timeout=MEND_WITHIN):
                    return
            except ASK_FAULTS as fault:
                logger.debug("channel %s isn't mended yet: %s", self._channel_id, fault)
            await pause(self._owner.clock, AGAIN_AFTER)

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await ask()
            except StoreUnavailable as fault:
                logger.debug("a verification waits for the database: %s", fault)
                await pause(self._owner.clock, AGAIN_AFTER)
