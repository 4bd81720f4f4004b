"""How much an account may ask, enforced when it's wished, and answered with waits that grow as the service's do.

The numbers are what operators of collectors report, gathered in November 2026; the real ones aren't published.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

LONGEST = 86_400
"""No wait is longer than a day, in seconds."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `calls` within any `seconds`; the next one waits until the oldest is that old."""

    calls: int
    seconds: int

    def __post_init__(self) -> None:
        """Raises ValueError for numbers out of range."""
        if not (1 <= self.calls <= 100_000 and 1 <= self.seconds <= LONGEST):
            raise ValueError(f"a limit is 1 to 100000 calls in 1 to {LONGEST} seconds")


USUAL: Mapping[str, Sequence[Limit]] = {
    "messages.getHistory": (Limit(30, 30),),
    "contacts.resolveUsername": (Limit(50, 300), Limit(200, 86_400)),
    "messages.getDialogs": (Limit(20, 60), Limit(300, 86_400)),
    "channels.joinChannel": (Limit(2, 600),),
    "messages.importChatInvite": (Limit(2, 600),),
}


@dataclass(slots=True)
class _Account:
    """What one account asked of one method."""

    calls: deque[float] = field(default_factory=deque)
    until: float = 0.0
    wait: int = 0


class Limits:
    """Off until `enforce` names some."""

    def __init__(self) -> None:
        self.rules: dict[str, tuple[Limit, ...]] = {}
        self._accounts: dict[tuple[int, str], _Account] = {}

    def enforce(self, rules: Mapping[str, Sequence[Limit]]) -> None:
        """These limits from now on, and no others; what was asked before is forgotten."""
        self.rules = {method: tuple(limits) for method, limits in rules.items()}
        self._accounts.clear()

    def ask(self, account: int, method: str, now: float) -> int:
        """Count a call. 0 when it may pass, else the seconds of its FLOOD_WAIT.

        Asking again inside a wait doubles it and begins it anew.
        """
        limits = self.rules.get(method)
        if not limits:
            return 0
        state = self._accounts.setdefault((account, method), _Account())
        if now < state.until:
            return self._punish(state, min(LONGEST, state.wait * 2), now)
        longest = max(limit.seconds for limit in limits)
        while state.calls and state.calls[0] <= now - longest:
            state.calls.popleft()
        for limit in limits:
            if len(state.calls) >= limit.calls and (age := now - state.calls[-limit.calls]) < limit.seconds:
                return self._punish(state, max(1, ceil(limit.seconds - age)), now)
        state.calls.append(now)
        return 0

    def _punish(self, state: _Account, wait: int, now: float) -> int:
        state.wait, state.until = wait, now + wait
        return wait
