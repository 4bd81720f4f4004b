"""What is measured of every message, by actor class: cheap enough to be always on (0.6 µs a message, 2 cores)."""

from bisect import bisect_left
from collections.abc import Sequence

BOUNDS = (0.000_1, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 30.0)
"""Seconds; a bucket counts what took at most this long. The last, 30 s, is a call's own deadline."""


class Durations:
    """A histogram over ``BOUNDS``, and above them."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        """How many fell into each bucket, not cumulated; the last holds what lies above all bounds."""
        self.total = 0.0
        """Their sum, in seconds."""

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    def cumulated(self) -> Sequence[tuple[float, int]]:
        """Pairs of a bound in seconds (the last is infinite) and how many took at most that."""
        pairs, seen = [], 0
        for bound, count in zip((*BOUNDS, float("inf")), self.counts, strict=True):
            seen += count
            pairs.append((bound, seen))
        return pairs


class Meter:
    """One for each actor class, for as long as the owner lives: a class name is a bounded label, a key isn't."""

    __slots__ = ("failures", "handling", "restarts", "waiting")

    def __init__(self) -> None:
        self.waiting = Durations()
        """From a message's arrival in the mailbox to the begin of its handling."""
        self.handling = Durations()
        """Of each message, a coroutine handler's awaits included."""
        self.restarts = 0
        """By supervisors."""
        self.failures = 0
        """Lives that ended by an error."""
