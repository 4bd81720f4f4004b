"""How often an account may call: windows, what floods teach, and how fresh sessions begin."""

from hypothesis import given
from hypothesis import strategies as st

from actors.messages.rows import Pace
from actors.telegram.budget import (
    CAREFUL,
    COMMON,
    DAY,
    HOUR,
    LATE,
    USUAL,
    WINDOW,
    Budget,
    Budgets,
    halved,
    scaled,
    share_of_age,
    starting_paces,
)

paces = st.builds(Pace, st.integers(1, 50), st.floats(0.1, 100.0))


@given(paces, st.lists(st.floats(0.0, 5.0), max_size=200))
def test_whoever_calls_when_it_is_ready_never_makes_more_calls_in_a_window_than_the_pace_says(pace, pauses):
    budget, now, calls = Budget(pace=pace), 0.0, []
    for pause in pauses:
        now = max(now + pause, budget.ready_at(now + pause))
        budget.called(now)
        calls.append(now)
        assert sum(at > now - pace.seconds for at in calls) <= pace.calls


def test_without_a_pace_it_is_always_ready():
    budget = Budget()
    for at in range(1000):
        budget.called(float(at))
        assert budget.ready_at(float(at)) == at


def test_the_call_after_a_full_window_waits_until_the_first_of_it_is_old():
    budget = Budget(pace=Pace(3, 30.0))
    for at in (0.0, 10.0, 11.0):
        assert budget.ready_at(at) <= at
        budget.called(at)
    assert budget.ready_at(12.0) == 30.0 + LATE


def test_a_flood_after_many_calls_teaches_their_number_and_after_few_nothing():
    budget = Budget()
    for at in range(9):
        budget.called(float(at))
    assert budget.flooded(9.0) is None
    budget = Budget()
    for at in range(20):
        budget.called(float(at))
    assert budget.flooded(20.0) == Pace(int(20 * CAREFUL), WINDOW)


def test_a_flood_never_teaches_a_faster_pace():
    budget = Budget(pace=Pace(10, 30.0))
    for at in range(20):
        budget.called(float(at))
    assert budget.flooded(20.0) == Pace(10, 30.0)


def test_three_floods_within_an_hour_halve_the_pace_and_over_longer_they_do_not():
    budget = Budget(pace=Pace(10, 30.0))
    assert [budget.flooded(at) for at in (0.0, 100.0, HOUR)] == [Pace(10, 30.0), Pace(10, 30.0), Pace(5, 30.0)]
    budget = Budget()
    assert [budget.flooded(at) for at in (0.0, 100.0, 200.0)] == [None, None, halved(COMMON)]
    budget = Budget(pace=Pace(10, 30.0))
    assert [budget.flooded(at) for at in (0.0, HOUR, 2 * HOUR)] == [Pace(10, 30.0)] * 3


@given(paces)
def test_half_a_pace_is_half_as_fast_and_never_none_at_all(pace):
    half = halved(pace)
    assert half.calls >= 1
    assert half.calls / half.seconds <= pace.calls / pace.seconds / 2 + 1e-9 or pace.calls % 2


def test_each_method_has_its_own_budget_and_what_is_learned_is_told():
    told = []
    budgets = Budgets({"a": Pace(1, 30.0)}, on_learned=lambda method, pace: told.append((method, pace)))
    budgets.called("a", 0.0)
    assert budgets.ready_at("a", 1.0) == 30.0 + LATE
    assert budgets.ready_at("b", 1.0) == 1.0
    for at in range(10):
        budgets.called("b", float(at))
    budgets.flooded("b", 10.0)
    assert told == [("b", Pace(9, WINDOW))]


def test_a_fresh_session_begins_with_a_part_of_the_usual_and_keeps_what_it_has_learned():
    assert [share_of_age(age) for age in (0.0, DAY - 1, DAY, 3 * DAY - 1, 3 * DAY)] == [0.25, 0.25, 0.5, 0.5, 1.0]
    learned = {"messages.getHistory": Pace(3, 30.0)}
    begun = starting_paces(learned, usual=True, age=0.0)
    assert begun["messages.getHistory"] == Pace(3, 30.0)
    assert begun["messages.getPeerDialogs"] == scaled(USUAL["messages.getPeerDialogs"], 0.25) == Pace(5, 60.0)
    assert starting_paces(learned, usual=False, age=0.0) == learned
    assert scaled(Pace(2, 60.0), 0.25).calls == 1
