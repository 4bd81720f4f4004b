"""decide_restart, as properties."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.restart import Backoff, Failure, GiveUp, Intensity, Park, Restart, decide_restart, memory
from tests.fuzz import fuzz

LIVES = st.lists(st.floats(0, 2000, allow_nan=False), min_size=1, max_size=40)


class Longest(random.Random):
    """Draws the upper bound: the wait becomes its own limit."""

    def uniform(self, a: float, b: float) -> float:
        assert a == 0.0
        return b


def history(lives: list[float], down: float = 1.0) -> tuple[list[Failure], float]:
    failures, now = [], 0.0
    for lived in lives:
        now += lived
        failures.append(Failure(at=now, lived=lived))
        now += down
    return failures, failures[-1].at


@fuzz(100)
@given(lives=LIVES, restarts=st.integers(0, 6), period=st.one_of(st.floats(1, 1000), st.integers(1, 10).map(float)))
def test_intensity_gives_up_exactly_when_its_restarts_are_used_up(
    lives: list[float], restarts: int, period: float
) -> None:
    failures, now = history(lives)
    decision = decide_restart(Intensity(restarts=restarts, period=period), failures, now, random.Random(1))
    recent = sum(now - failure.at <= period for failure in failures)
    if recent > restarts:
        assert decision == GiveUp(failures=recent, period=period)
    else:
        assert decision == Restart(delay=0.0)


@fuzz(100)
@given(lives=LIVES, seed=st.integers())
def test_backoff_never_gives_up_and_waits_within_its_bounds(lives: list[float], seed: int) -> None:
    policy = Backoff()
    failures, now = history(lives)
    decision = decide_restart(policy, failures, now, random.Random(seed))
    crowded = any(sum(now - one.at <= span for one in failures) > most for most, span in policy.park_after)
    match decision:
        case Restart(delay=delay):
            assert not crowded
            assert 0.0 <= delay <= policy.most
        case Park():
            assert crowded
        case GiveUp():
            raise AssertionError("one child must not end the others")


@fuzz(100)
@given(streak=st.integers(1, 2000), first=st.floats(0.001, 10), most=st.floats(10, 600))
def test_the_longest_wait_doubles_with_each_failure_up_to_the_most(streak: int, first: float, most: float) -> None:
    policy = Backoff(first=first, most=most, park_after=())
    failures, now = history([5.0] * streak)
    decision = decide_restart(policy, failures, now, Longest())
    assert decision == Restart(delay=min(most, first * 2.0 ** min(streak - 1, 60)))


@fuzz(100)
@given(lives=LIVES, more=st.integers(0, 4))
def test_ten_healthy_minutes_make_the_next_wait_a_first_one(lives: list[float], more: int) -> None:
    policy = Backoff(park_after=())
    failures, now = history([*lives, 600.0, *[5.0] * more])
    assert decide_restart(policy, failures, now, Longest()) == Restart(delay=2.0**more)
    short, now = history([*[5.0] * 3, 599.0])
    assert decide_restart(policy, short, now, Longest()) == Restart(delay=8.0)


@fuzz(100)
@given(
    lives=st.lists(st.floats(0, 700, allow_nan=False), min_size=1, max_size=40),
    parks=st.sampled_from([(), ((2, 30.0),), ((5, 60.0), (20, 3000.0))]),
    down=st.floats(0, 60),
)
def test_what_memory_forgets_does_not_matter(
    lives: list[float], parks: tuple[tuple[int, float], ...], down: float
) -> None:
    policy = Backoff(park_after=parks)
    failures, now = history(lives, down)
    kept = [one for one in failures if now - one.at <= memory(policy)]
    assert decide_restart(policy, kept, now, Longest()) == decide_restart(policy, failures, now, Longest())


def test_a_long_streak_of_long_lives_is_remembered_beyond_the_parking_window() -> None:
    policy = Backoff(park_after=((2, 30.0),))
    failures, now = history([500.0] * 7)
    kept = [one for one in failures if now - one.at <= memory(policy)]
    assert decide_restart(policy, kept, now, Longest()) == Restart(delay=60.0)


def test_jitter_spreads_a_thousand_that_fell_together() -> None:
    rng = random.Random(7)
    failures, now = history([5.0] * 5)
    delays = [decide_restart(Backoff(park_after=()), failures, now, rng) for _ in range(1000)]
    per_second = Counter(int(one.delay) for one in delays if isinstance(one, Restart))
    assert max(per_second.values()) < 100
