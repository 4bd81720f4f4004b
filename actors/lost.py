"""Channels that nobody can read any more: when they are looked at again, and through whom."""

import logging

from actors.errors import FloodWaited
from actors.messages.account import LookAgain
from actors.messages.ids import ChannelId
from actors.neighbours import ASK_FAULTS
from actors.panels import PANEL
from actors.ports import Channels
from actors.runtime.owner import LoopOwner

logger = logging.getLogger(__name__)

LOOKS = (3600.0, 6 * 3600.0, 24 * 3600.0)
"""Seconds after its loss at which a channel is looked at again (docs/telegram.md, CHANNEL_PRIVATE)."""
NOBODY_UP = 60.0
"""Seconds until a look that nobody could make is made."""


def next_look(age: float) -> float | None:
    """Seconds until the next look at a channel that was lost ``age`` seconds ago; None after the last."""
    return next((due - age for due in LOOKS if due > age), None)


async def look_again(channel_id: ChannelId, channels: Channels, owner: LoopOwner) -> float | None:
    """Have up to ``PANEL`` of its former members ask for it, those that lost it last first: one call each.

    One that can read it again says so to the roster itself. Returns the seconds until the look is to be made anew, None
    where it was made.
    """
    waits = []
    for membership in (await channels.former_members(channel_id))[:PANEL]:
        account = owner.get(f"account/{membership.account_id}")
        if account is None:
            continue
        try:
            if await account.call(LookAgain(membership=membership), timeout=60.0):
                return None
        except FloodWaited as fault:
            waits.append(fault.wait.total_seconds())
        except ASK_FAULTS as fault:
            logger.info("channel %s is looked at again later: %s", channel_id, fault)
            waits.append(NOBODY_UP)
        else:
            waits.append(0.0)
    if not waits:
        return NOBODY_UP
    return None if 0.0 in waits else min(waits)
