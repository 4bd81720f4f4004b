"""When a child comes back: restart policies, and the plain function that decides by them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2


@dataclass(frozen=True, slots=True, kw_only=True)
class Intensity:
    """Erlang's restart intensity, for infrastructure: more failures than this, and the supervisor gives up.

    Counted over all children of the supervisor; restarts are immediate.
    """

    restarts: int = 3
    """Restarts granted within ``period``."""
    period: float = 300.0
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """For accounts and channels: wait longer each time, at last set this one child aside; never escalate.

    Counted for each child on its own. The wait is drawn between nothing and ``first``, twice that, … ``most`` (full
    jitter), so that thousands that failed together don't come back together.
    """

    first: float = 1.0
    """Seconds, the most the first wait may take."""
    most: float = 60.0
    """Seconds, the most any wait may take."""
    healthy_after: float = 600.0
    """A life of this many seconds makes the next wait a first one."""
    park_after: tuple[tuple[int, float], ...] = ((5, 60.0), (20, 86400.0))
    """Pairs of restarts and seconds: a child that has used up one pair's restarts within its seconds is parked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One end of a child that calls for a restart."""

    at: float
    """Monotonic seconds."""
    lived: float
    """Seconds from its start to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    delay: float
    """Seconds from now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    failures: int
    period: float


Decision = Restart | Park | GiveUp


def decide_restart(
    policy: Intensity | Backoff, failures: Sequence[Failure], now: float, rng: random.Random
) -> Decision:
    """What to do after the newest of ``failures``, which are oldest first and hold at least that one."""
    if isinstance(policy, Intensity):
        recent = _within(failures, now, policy.period)
        if recent > policy.restarts:
            return GiveUp(failures=recent, period=policy.period)
        return Restart(delay=0.0)
    for restarts, seconds in policy.park_after:
        recent = _within(failures, now, seconds)
        if recent > restarts:
            return Park(reason=f"{recent} failures within {seconds:g} s")
    ceiling = min(policy.most, policy.first * 2.0 ** min(_streak(policy, failures) - 1, 64))
    return Restart(delay=rng.uniform(0.0, ceiling))


def memory(policy: Intensity | Backoff) -> float:
    """Seconds for which a failure can matter to ``policy``."""
    if isinstance(policy, Intensity):
        return policy.period
    # The wait grows over this many failures in a row, each at most a life short of health and a wait after the last.
    steps = 1 + (ceil(log2(policy.most / policy.first)) if 0.0 < policy.first < policy.most else 0)
    return max(steps * (policy.healthy_after + policy.most), *(seconds for _, seconds in policy.park_after), 0.0)


def _within(failures: Sequence[Failure], now: float, seconds: float) -> int:
    return sum(now - failure.at <= seconds for failure in failures)


def _streak(policy: Backoff, failures: Sequence[Failure]) -> int:
    streak = 0
    for failure in reversed(failures):
        streak += 1
        if failure.lived >= policy.healthy_after:
            break
    return max(1, streak)
