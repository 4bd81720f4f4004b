"""Feeds systemd's watchdog while there is progress, and says why when there is none.

A ping says: the loop wakes in time, and those whom everything depends on are there and end what they begin. While the
database is away they may wait for it as long as it takes: an outage is no reason to be killed, since a new process
would wait just the same.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta

from actors.runtime.introspection import ActorSnapshot
from actors.runtime.owner import LoopOwner
from daemon.systemd import Notifier

logger = logging.getLogger(__name__)

VITAL = ("supervisor", "alerts", "recorder", "channels", "roster", "accounts", "signin", "scheduler", "errands")
"""Actors whose handlers are short: whoever is in one for long waits for something that doesn't come."""
PINGS = 4
"""In one interval of the watchdog."""
LATE = 1.0
"""Seconds by which the loop may wake late."""
ANSWERS_WITHIN = 2.0
"""Seconds for the database's answer; without one it counts as away."""


def why_stuck(vital: Iterable[tuple[str, ActorSnapshot | None]], patience: float) -> str | None:
    """What keeps from progress; None where nothing does. ``patience``: seconds for a handler, a start, an absence."""
    for key, seen in vital:
        if seen is None:
            return f"{key} isn't there"
        if seen.state in {"waiting", "parked"} and seen.age_s > patience:
            return f"{key} has been {seen.state} for {seen.age_s:.0f} s"
        if seen.state == "starting" and seen.age_s > patience:
            return f"{key} has been starting for {seen.age_s:.0f} s"
        if seen.job_age_s is not None and seen.job_age_s > patience:
            return f"{key} has been at {seen.job} for {seen.job_age_s:.0f} s"
    return None


class Progress:
    """Sends pings from the loop; a thread's would say nothing of it."""

    def __init__(self, owner: LoopOwner, notify: Notifier, check: Callable[[], Awaitable[str | None]]) -> None:
        """``check``: of the database, None while it answers."""
        self._owner = owner
        self._notify = notify
        self._check = check
        self._stuck: str | None = None

    async def feed(self, interval: timedelta) -> None:
        """For ever. A handler may take half the interval: what is stuck is silent before the whole has passed."""
        every, patience = interval.total_seconds() / PINGS, interval.total_seconds() / 2
        due = began = self._owner.clock.monotonic()
        while True:
            due = max(due + every, self._owner.clock.monotonic())
            await asyncio.sleep(due - self._owner.clock.monotonic())
            late = self._owner.clock.monotonic() - due
            if late >= min(LATE, every):
                why: str | None = f"the loop woke {late:.1f} s late"
            elif due - began < patience:
                why = None  # who isn't there yet is about to be
            else:
                why = await self._why(patience)
            self._tell(why)
            if why is None:
                self._notify.watchdog()

    async def _why(self, patience: float) -> str | None:
        why = why_stuck(((key, self._owner.look(key)) for key in VITAL), patience)
        # Asked only where somebody is slow: a healthy daemon needn't ask four times a minute.
        return None if why is None or await self._is_away() else why

    async def _is_away(self) -> bool:
        try:
            async with asyncio.timeout(ANSWERS_WITHIN):
                return await self._check() is not None
        except TimeoutError:
            return True

    def _tell(self, why: str | None) -> None:
        if (why is None) != (self._stuck is None):
            if why is not None:
                logger.error("no progress, the watchdog isn't fed: %s", why)
            else:
                logger.warning("there is progress again, the watchdog is fed")
        self._stuck = why
