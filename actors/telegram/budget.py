"""How often an account may call a method: plain functions over the times of its last calls, no clock, no I/O.

A pace is a sliding window, since that is how the service counts: a bucket that refills would let twice as many through.
Paces are learned: a flood wait tells how many calls were too many.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from actors.messages.rows import Pace

CAREFUL = 0.9
"""Part of what flooded that is asked for from then on."""
WINDOW = 30.0
"""Seconds over which calls are counted: the one window that is on record (docs/telegram.md)."""
TELLING = 10
"""Calls within a window from which on a flood wait is taken to be about their number."""
FLOODS_AN_HOUR = 3
"""So many floods of one method within an hour halve its pace once more."""
HOUR = 3600.0
DAY = 86_400.0
LATE = 0.5
"""Seconds that a window is kept longer than the service's, for calls that took longer on their way than later ones."""
REMEMBERED = 2000
"""Most calls of one method that are remembered."""


COMMON = Pace(28, WINDOW)
USUAL: Mapping[str, Pace] = {
    # What operators of collectors report, November 2026 (docs/telegram.md): 30 in 30 s, the 31st floods.
    "messages.getHistory": COMMON,
    # Nobody reports a limit of its own; an account that isn't a collector makes far fewer.
    "updates.getChannelDifference": COMMON,
    "messages.getPeerDialogs": Pace(20, 60.0),
    "messages.getDialogs": Pace(10, 60.0),
    "contacts.resolveUsername": Pace(40, 300.0),
    "channels.getMessages": COMMON,
    # Joining is what floods, and limits accounts, soonest of all: a handful within ten minutes.
    "channels.joinChannel": Pace(2, 600.0),
    "messages.importChatInvite": Pace(2, 600.0),
}
"""Where nothing has been learned yet."""


@dataclass(slots=True, kw_only=True)
class Budget:
    """One account's calls of one method."""

    pace: Pace | None = None
    """None for no bound: nothing is known against it."""
    calls: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    floods: deque[float] = field(default_factory=lambda: deque(maxlen=FLOODS_AN_HOUR))

    def ready_at(self, now: float) -> float:
        """When the next call may be made; ``now`` or earlier for at once."""
        pace = self.pace
        if pace is None or len(self.calls) < pace.calls:
            return now
        return self.calls[-pace.calls] + pace.seconds + LATE

    def called(self, now: float) -> None:
        self.calls.append(now)

    def flooded(self, now: float) -> Pace | None:
        """The pace that a flood wait teaches, if any: a wait after few calls says nothing of how many are too many."""
        recent = sum(1 for at in self.calls if at > now - WINDOW)
        if recent >= TELLING:
            taught = Pace(int(recent * CAREFUL), WINDOW)
            self.pace = taught if self.pace is None or _rate(taught) < _rate(self.pace) else self.pace
        self.floods.append(now)
        if len(self.floods) == FLOODS_AN_HOUR and now - self.floods[0] <= HOUR:
            self.pace = halved(self.pace or COMMON)
            self.floods.clear()
        return self.pace


class Budgets:
    """One account's calls, by method. ``on_learned`` is told each pace that a flood has taught."""

    def __init__(
        self, paces: Mapping[str, Pace] | None = None, *, on_learned: Callable[[str, Pace], None] | None = None
    ) -> None:
        self._budgets = {method: Budget(pace=pace) for method, pace in (paces or {}).items()}
        self._on_learned = on_learned

    def _of(self, method: str) -> Budget:
        return self._budgets.setdefault(method, Budget())

    def ready_at(self, method: str, now: float) -> float:
        budget = self._budgets.get(method)
        return now if budget is None else budget.ready_at(now)

    def called(self, method: str, now: float) -> None:
        self._of(method).called(now)

    def flooded(self, method: str, now: float) -> None:
        pace = self._of(method).flooded(now)
        if pace is not None and self._on_learned is not None:
            self._on_learned(method, pace)

    def forget(self, method: str, pace: Pace | None) -> None:
        """Go by this pace again, as if the method had never flooded."""
        budget = self._of(method)
        budget.pace = pace
        budget.floods.clear()

    def left(self, now: float) -> Iterator[tuple[str, float]]:
        """Of each method with a pace the part of its calls that may be made now, 0 to 1."""
        for method, budget in self._budgets.items():
            if budget.pace is not None:
                made = sum(at > now - budget.pace.seconds for at in islice(reversed(budget.calls), budget.pace.calls))
                yield method, max(0.0, 1 - made / budget.pace.calls)

    def describe(self, now: float) -> Iterator[tuple[str, Pace | None, int, float]]:
        """Each method with its pace, the calls of its last window, and the seconds until it may be called."""
        for method, budget in sorted(self._budgets.items()):
            since = float("-inf") if budget.pace is None else now - budget.pace.seconds
            made = sum(at > since for at in budget.calls)
            yield method, budget.pace, made, max(0.0, budget.ready_at(now) - now)


def starting_paces(learned: Mapping[str, Pace], *, usual: bool, age: float) -> dict[str, Pace]:
    """What an account begins with: what it has learned, else with ``usual`` the usual, by the age of its session."""
    begun = {method: scaled(pace, share_of_age(age)) for method, pace in USUAL.items()} if usual else {}
    return {**begun, **learned}


def halved(pace: Pace) -> Pace:
    return replace(pace, calls=pace.calls // 2) if pace.calls > 1 else replace(pace, seconds=pace.seconds * 2)


def scaled(pace: Pace, share: float) -> Pace:
    """A part of a pace, at least one call."""
    return replace(pace, calls=max(1, int(pace.calls * share)))


def share_of_age(age: float) -> float:
    """The part of the usual pace that a fresh session may use, by its age in seconds: new ones are watched most."""
    if age < DAY:
        return 0.25
    return 0.5 if age < 3 * DAY else 1.0


def _rate(pace: Pace) -> float:
    return pace.calls / pace.seconds
