"""Of which faults the operator is told, and when calls of a method rest: plain functions and values, no clock."""

from dataclasses import dataclass
from datetime import timedelta

from actors.errors import AccountUnusable, ActorsError, FloodWaited, Refused
from actors.messages.alerts import AlertKind, RaiseAlert
from actors.messages.ids import AccountState

LONG_WAIT = timedelta(seconds=300)
PARKING_WAIT = timedelta(seconds=3600)
"""Flood waits beyond which an operator is told, and beyond which the method counts as parked (docs/telegram.md)."""
FAILING = 300.0
"""Seconds of nothing but failures of a method after which its circuit opens (docs/telegram.md)."""
PROBE_EVERY = 60.0
"""Seconds that an open circuit rests before one call is let through."""

EVERYDAY = frozenset({"USERNAME_NOT_OCCUPIED", "USERNAME_INVALID", "CHANNEL_PRIVATE", "CHANNEL_INVALID"})
"""Refusals that say something of a channel; the roster and the resolver deal with them."""
DEAD_KEYS: frozenset[AccountState] = frozenset({"revoked", "duplicated"})
"""States in which the key is wiped: it opens nothing any more, and asking with it again can only harm."""


JOINED_MOST = (500, 1000)
"""Channels that an account can belong to, and with Premium (docs/telegram.md)."""
ROOM = 0.1
"""The part of them below which an operator is told."""


def is_short_of_room(joined: int) -> bool:
    """Whether an account has little room for more channels; one that is beyond the usual limit has Premium."""
    most = next((most for most in JOINED_MOST if joined <= most), joined)
    return most - joined < most * ROOM


def alert_of(decision: ActorsError, name: str, *, known: bool) -> RaiseAlert | None:
    """What the operator is told of a fault. ``name``: Telegram's; ``known``: whether there is a row for it."""
    match decision:
        case FloodWaited(account_id=account_id, method=method, wait=wait):
            kind = _flood(wait, known=known)
            cause = f"{method}: {name}" if kind == "unknown_wait" else method
            return None if kind is None else RaiseAlert(kind=kind, account_id=account_id, cause=cause)
        case AccountUnusable(account_id=account_id, state=state, cause=cause):
            return RaiseAlert(kind=_parked(state), account_id=account_id, cause=f"{state}: {cause}")
        case Refused(account_id=account_id, method=method) if name not in EVERYDAY and not known:
            return RaiseAlert(kind="refused", account_id=account_id, cause=f"{method}: {name}")
    return None


def _flood(wait: timedelta, *, known: bool) -> AlertKind | None:
    if wait > PARKING_WAIT:
        return "method_parked"
    if not known:
        return "unknown_wait"
    return "flood_wait" if wait > LONG_WAIT else None


def _parked(state: AccountState) -> AlertKind:
    if state in DEAD_KEYS:
        return "key_dead"
    return "frozen" if state == "frozen" else "account_parked"


@dataclass(slots=True)
class Circuit:
    """One method of one account. Closed: calls go through. Open: one a minute does, until one is answered."""

    failing_since: float | None = None
    rests_until: float | None = None

    def rest(self, now: float) -> float:
        """Seconds until a call may be made."""
        return 0.0 if self.rests_until is None else max(0.0, self.rests_until - now)

    def failed(self, now: float) -> bool:
        """Returns whether the circuit is open."""
        if self.failing_since is None:
            self.failing_since = now
        if now - self.failing_since >= FAILING:
            self.rests_until = now + PROBE_EVERY
        return self.rests_until is not None

    def answered(self) -> bool:
        """Returns whether it was open."""
        was_open = self.rests_until is not None
        self.failing_since = self.rests_until = None
        return was_open
