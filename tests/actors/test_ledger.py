"""Ids that aren't covered, told apart; every id is told once."""

from hypothesis import given
from hypothesis import strategies as st

from actors.coverage import normalise
from actors.ledger import Unknown, unknown_of

ids = st.integers(1, 60)
coverages = st.lists(st.tuples(ids, ids).map(sorted).map(tuple), max_size=6).map(normalise)


@given(covered=coverages, start=st.none() | ids, goal=st.none() | ids, top=st.integers(0, 50))
def test_every_id_that_isn_t_covered_is_told_once_and_where_it_lies(covered, start, goal, top):
    expected = {"missing": 0, "awaited": 0, "unasked": 0}
    for number in range(1, top + 1):
        if any(low <= number <= high for low, high in covered):
            continue
        if start is not None and number >= start:
            expected["missing"] += 1
        elif start is not None and goal is not None and number >= goal:
            expected["awaited"] += 1
        else:
            expected["unasked"] += 1
    assert unknown_of(covered, start=start, goal=goal, top=top) == Unknown(**expected)
