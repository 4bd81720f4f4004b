"""Pacing: no crowd of actors may take the loop for itself, and no crowd of events the log."""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

from actors.runtime.clock import Clock


class Pace:
    """Lets ``burst`` pass in each turn of the loop; the rest wait in line."""

    def __init__(self, loop: asyncio.AbstractEventLoop, burst: int) -> None:
        self._loop = loop
        self._burst = burst
        self._used = 0
        self._line: deque[Callable[[], None]] = deque()

    def take(self) -> bool:
        """Whether the caller may pass in this turn; if not, it goes in line with ``run`` or ``queue``."""
        if self._line or self._used >= self._burst:
            return False
        if not self._used:
            self._loop.call_soon(self._next_turn)
        self._used += 1
        return True

    def run(self, callback: Callable[[], None]) -> None:
        """Call ``callback``, now or when its turn comes."""
        if self.take():
            callback()
        else:
            self._line.append(callback)

    def wake(self, waiter: "asyncio.Future[None]") -> None:
        """Finish ``waiter``, now or when its turn comes."""
        if not self.take():
            self._line.append(partial(_wake, waiter))
        elif not waiter.done():
            waiter.set_result(None)

    def queue(self) -> "asyncio.Future[None] | None":
        """None if the caller may pass; else await the future for its turn."""
        if self.take():
            return None
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._line.append(partial(_wake, waiter))
        return waiter

    def _next_turn(self) -> None:
        self._used = 0
        while self._line and self._used < self._burst:
            self._used += 1
            self._line.popleft()()
        if self._used:
            self._loop.call_soon(self._next_turn)


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)


class Quota:
    """At most ``burst`` in each ``period`` seconds; counts what it holds back."""

    def __init__(self, clock: Clock, burst: int, period: float) -> None:
        self._clock = clock
        self._burst = burst
        self._period = period
        self._since = -period
        self._used = 0
        self.held_back = 0

    def take(self) -> bool:
        now = self._clock.monotonic()
        if now - self._since >= self._period:
            self._since, self._used = now, 0
        if self._used >= self._burst:
            self.held_back += 1
            return False
        self._used += 1
        return True
