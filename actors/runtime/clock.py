"""Time as actors see it: real on the loop, or moved by hand in tests."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Timer(Protocol):
    def cancel(self) -> None:
        """Forget the callback; harmless when it has run."""
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Run ``callback`` on the owner loop in ``delay`` seconds, in an empty context."""
        ...


class LoopClock:
    """The real clock; ``call_later`` belongs to the running loop."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        # An empty context: a callback must not inherit the ask chain of whoever set it (trap 8).
        return asyncio.get_running_loop().call_later(delay, callback, context=Context())


async def pause(clock: Clock, seconds: float) -> None:
    """Wait on the actors' clock, beside a mailbox, never in a handler."""
    over = asyncio.Event()
    timer = clock.call_later(seconds, over.set)
    try:
        await over.wait()
    finally:
        timer.cancel()


class ManualTimer:
    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualClock:
    """Time that stands still until ``advance``; every deadline and timer of the runtime follows it."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed = 0.0
        self._order = itertools.count()
        self._timers: list[tuple[float, int, ManualTimer]] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        timer = ManualTimer(callback)
        heapq.heappush(self._timers, (self._elapsed + max(0.0, delay), next(self._order), timer))
        return timer

    @property
    def pending(self) -> int:
        """How many timers wait."""
        return sum(timer.callback is not None for _, _, timer in self._timers)

    def advance(self, seconds: float) -> None:
        """Move time on and run what falls due, in order, each at its own time.

        What those callbacks wake on the loop runs only when the caller next awaits; ``run_for`` does both.
        """
        until = self._elapsed + seconds
        while (due := self._next_due()) is not None and due <= until:
            self._fire(due)
        self._elapsed = until

    async def run_for(self, seconds: float, *, turns: int = 20) -> None:
        """``advance``, but give the loop ``turns`` turns before the first timer and after each one."""
        until = self._elapsed + seconds
        await _turn(turns)
        while (due := self._next_due()) is not None and due <= until:
            self._fire(due)
            await _turn(turns)
        self._elapsed = max(self._elapsed, until)
        await _turn(turns)

    def _next_due(self) -> float | None:
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _fire(self, due: float) -> None:
        _, _, timer = heapq.heappop(self._timers)
        callback, timer.callback = timer.callback, None
        self._elapsed = max(self._elapsed, due)
        if callback is not None:
            Context().run(callback)


async def _turn(turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)
