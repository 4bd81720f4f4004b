"""Asking a channel's reader with patience: through flood waits, passing faults and the loss of the reader."""

import logging
import random
from typing import TypeVar

from actors.channel import retry_after
from actors.errors import ChannelLost, FloodWaited, Refused
from actors.messages.ids import ChannelId
from actors.messages.roster import MembershipLost, ReaderFor
from actors.neighbours import ASK_FAULTS, post
from actors.runtime.clock import pause
from actors.runtime.errors import ActorMissing
from actors.runtime.message import Request
from actors.runtime.owner import LoopOwner

logger = logging.getLogger(__name__)

R = TypeVar("R")

ATTEMPTS = 3
"""Of one who has no patience."""
ASK_WITHIN = 900.0
"""Seconds for an answer, most of them spent in the account's line."""


class Readers:
    """Asks on behalf of an errand, which has time: it gives up only at what asking again won't change."""

    def __init__(self, owner: LoopOwner, rng: random.Random) -> None:
        self._owner = owner
        self._rng = rng

    async def ask(self, channel_id: ChannelId, request: Request[R], *, patient: bool = True) -> R:
        """The answer of whoever reads the channel now. Raises: Refused.

        Without patience also FloodWaited, and whatever the third attempt ends with.
        """
        failures = 0
        while True:
            try:
                reader = await self._owner.find("roster").call(ReaderFor(channel_id=channel_id))
                if reader is None:
                    raise ActorMissing(f"a reader for channel {channel_id}")
                return await self._owner.find(f"account/{reader}").call(request, timeout=ASK_WITHIN)
            except FloodWaited as fault:
                if not patient:
                    raise
                # The errand waits with its reader, as the channel does.
                await pause(self._owner.clock, fault.wait.total_seconds())
            except Refused:
                raise
            except ASK_FAULTS as fault:
                failures += 1
                if isinstance(fault, ChannelLost):
                    lost = MembershipLost(account_id=fault.account_id, channel_id=channel_id, cause=fault.cause)
                    post(self._owner, "roster", lost)
                if not patient and failures == ATTEMPTS:
                    raise
                logger.debug("an errand for channel %s asks again: %s", channel_id, fault)
                await pause(self._owner.clock, retry_after(failures, self._rng))
