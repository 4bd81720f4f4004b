"""How far updates are known, whatever order they come in."""

from hypothesis import given
from hypothesis import strategies as st

from actors.sequence import PARTS, Sequence, applied, reached

KNOWN = 100


@st.composite
def histories(draw):
    """Updates in a row after ``KNOWN``: (pts, pts_count, new post or 0), and an order in which some come or twice."""
    counts = draw(st.lists(st.integers(1, 3), min_size=1, max_size=12))
    updates, pts = [], KNOWN
    for nth, count in enumerate(counts, start=1):
        pts += count
        updates.append((pts, count, nth if draw(st.booleans()) else 0))
    order = draw(st.lists(st.sampled_from(updates), max_size=30))
    return updates, order


@given(histories())
def test_pts_moves_over_what_came_without_a_gap_and_no_further(history):
    updates, order = history
    sequence, came = Sequence(pts=KNOWN, floor=0), set()
    for pts, count, new_id in order:
        sequence, verdict = applied(sequence, pts, count, new_id=new_id)
        came.add((pts, count, new_id))
        known = KNOWN
        floor = 0
        for update in updates:
            if update not in came:
                break
            known, floor = update[0], max(floor, update[2])
        assert sequence.pts == known
        assert sequence.floor == floor
        assert sequence.has_gap == any(update[0] > known for update in came)
        assert verdict in ("contiguous", "old", "gap")


@given(histories())
def test_once_all_have_come_nothing_is_ahead_and_the_floor_is_the_newest_post(history):
    updates, order = history
    sequence = Sequence(pts=KNOWN, floor=0)
    for pts, count, new_id in (*order, *reversed(updates)):
        sequence, _ = applied(sequence, pts, count, new_id=new_id)
    assert sequence == Sequence(pts=updates[-1][0], floor=max(new_id for *_, new_id in updates))


def test_without_a_known_pts_nothing_is_proven():
    sequence, verdict = applied(Sequence(), 5, 1, new_id=9)
    assert (sequence, verdict) == (Sequence(), "gap")


def test_a_difference_joins_what_lies_ahead():
    sequence = Sequence(pts=10, floor=1)
    sequence, _ = applied(sequence, 15, 1, new_id=7)
    sequence, _ = applied(sequence, 20, 1, new_id=8)
    sequence = reached(sequence, 14, 5)
    assert (sequence.pts, sequence.floor, sequence.has_gap) == (15, 7, True)
    assert reached(sequence, 19, 7) == Sequence(pts=20, floor=8)


def test_what_lies_ahead_is_bounded():
    sequence = Sequence(pts=0)
    for nth in range(2, 4 * PARTS, 2):
        sequence, _ = applied(sequence, nth, 1, new_id=nth)
    assert len(sequence.ahead) == PARTS
