"""Nothing is sent by a process that stood still, until the accounts are known to be still its own.

A process that is stopped and continued (SIGSTOP, a suspended machine) doesn't notice, and meanwhile another may have
taken its accounts over. Telegram kills a key that two call with at once, so every connection asks here before it sends.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from actors import log
from actors.errors import OwnershipLost, StoreUnavailable

STOOD_STILL = 2.0
"""Seconds in which nothing ran, after which the process may have missed a take-over. A shorter stop is too short for
another to begin: it waits for ``HAND_OVER``."""
LOOK_EVERY = 0.5
CONFIRM_EVERY = 1.0
"""Seconds between two questions whether this process is still the owner, while all is well."""
RETRY = 0.5
"""Seconds until a database that didn't answer is asked again."""
HAND_OVER = 5.0
"""Seconds that one who takes the accounts from a living owner waits before it connects any: that one has noticed by
then (``STOOD_STILL``, ``CONFIRM_EVERY`` and a new connection to the database)."""

logger = logging.getLogger(__name__)


def boot_time() -> float:
    """Seconds since the machine began, those in which it was suspended included."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Fence:
    """One for the process, since that is what is stopped.

    ``confirm`` returns while this process owns the accounts, and raises OwnershipLost or StoreUnavailable. ``on_lost``
    is told once; nothing is sent from then on. ``look`` and ``watch`` run beside everything else.
    """

    def __init__(
        self,
        confirm: Callable[[], Awaitable[None]],
        *,
        on_lost: Callable[[OwnershipLost], None],
        now: Callable[[], float] = boot_time,
    ) -> None:
        self._confirm = confirm
        self._on_lost = on_lost
        self._now = now
        self._ran_at = now()
        self._stops = 0
        self._lost = False
        self._open = asyncio.Event()
        self._open.set()
        self._doubted = asyncio.Event()

    @property
    def shut(self) -> bool:
        """Whether nothing may be sent just now. Asking is what notices that the process stood still."""
        before, self._ran_at = self._ran_at, self._now()
        if (stood := self._ran_at - before) > STOOD_STILL and not self._lost:
            self._stops += 1
            self._open.clear()
            self._doubted.set()
            log.emit(log.STOOD_STILL, seconds=f"{stood:.1f}")
        return self._lost or not self._open.is_set()

    async def passed(self) -> None:
        """Return when something may be sent. Raises: ConnectionError, when that will never be again."""
        while self.shut:
            if self._lost:
                raise ConnectionError("another daemon owns the accounts")
            await self._open.wait()

    async def look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            _ = self.shut

    async def watch(self) -> None:
        """Ask whether this process is still the owner, until it isn't."""
        while not self._lost:
            with suppress(TimeoutError):
                async with asyncio.timeout(CONFIRM_EVERY):
                    await self._doubted.wait()
            self._doubted.clear()
            await self._ask()

    async def _ask(self) -> None:
        stops = self._stops
        try:
            await self._confirm()
        except OwnershipLost as lost:
            self._lost = True
            self._open.set()  # those who wait are to hear it
            self._on_lost(lost)
        except StoreUnavailable as error:
            logger.debug("not known whether this process is still the owner: %s", error)
            await asyncio.sleep(RETRY)
            if self.shut:
                self._doubted.set()
        else:
            # An answer that lay there while the process stood still is worth nothing.
            if self.shut and self._stops == stops:
                self._open.set()
