"""Down to which id a backfill goes: from what was wished for, and where it has come to when it is ended."""

import logging
from datetime import UTC, datetime, time

from actors.errors import StoreUnavailable
from actors.messages.account import FindStart
from actors.messages.ids import ChannelId
from actors.messages.rows import ChannelRow
from actors.ports import Channels
from actors.reading import Readers
from actors.runtime.clock import pause
from actors.runtime.owner import LoopOwner
from config.model import Start

logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between two looks at a channel whose start isn't known yet."""


class Goals:
    """Finds the goals of backfills, with the patience of one who has time."""

    def __init__(self, channels: Channels, readers: Readers, owner: LoopOwner) -> None:
        self._channels = channels
        self._readers = readers
        self._owner = owner

    async def find(self, channel_id: ChannelId, wish: Start) -> int:
        """The lowest id that is wished for: at most one call. Raises: Refused."""
        if wish.policy == "since":
            since = datetime.combine(wish.since or datetime.now(UTC).date(), time.min, UTC)
            request = FindStart(channel_id=channel_id, since=since)
        elif wish.policy == "last":
            request = FindStart(channel_id=channel_id, newest=wish.count, below=await self._bottom(channel_id))
        else:
            return 1
        return (await self._readers.ask(channel_id, request)).message_id

    async def _bottom(self, channel_id: ChannelId) -> int:
        """The lowest id that is wanted already; waits until the channel's start is known."""
        while True:
            try:
                row = await self._channels.one(channel_id)
            except StoreUnavailable as error:
                logger.debug("channel %s can't be looked at: %s", channel_id, error)
                row = None
            if row is not None and row.start_id is not None:
                return row.start_id if row.goal_id is None else min(row.start_id, row.goal_id)
            await pause(self._owner.clock, LOOK_EVERY)


def reached(channel: ChannelRow) -> int | None:
    """The goal of a backfill that ends where it is: what it has brought without a hole stays wanted."""
    if channel.start_id is None:
        return None
    below = [low for low, high in channel.covered if low < channel.start_id <= high + 1]
    return max(below[0], channel.goal_id or 1) if below else None
