"""The set arithmetic of coverage against plain sets of ids."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from actors.coverage import add, contains, missing, next_page, normalise, proven, size

ids = st.integers(min_value=1, max_value=60)
spans = st.lists(st.tuples(ids, ids).map(lambda pair: (min(pair), max(pair))), max_size=12)


def as_set(coverage):
    return {i for low, high in coverage for i in range(low, high + 1)}


@given(spans)
def test_a_normal_coverage_holds_the_same_ids_in_spans_that_never_touch(some):
    normal = normalise(some)
    assert as_set(normal) == as_set(some)
    assert all(left[1] + 1 < right[0] for left, right in itertools.pairwise(normal))


@given(spans)
def test_adding_spans_one_by_one_is_the_same_as_joining_them_all(some):
    coverage = ()
    for span in some:
        coverage = add(coverage, span)
    assert coverage == normalise(some)


@given(spans, ids, ids)
def test_what_is_missing_is_the_range_without_the_covered_ids(some, low, high):
    assert as_set(missing(normalise(some), low, high)) == set(range(low, high + 1)) - as_set(some)


@given(spans, ids)
def test_an_id_is_contained_when_a_span_has_it(some, one):
    assert contains(normalise(some), one) == (one in as_set(some))


@given(spans)
def test_the_size_counts_ids(some):
    assert size(normalise(some)) == len(as_set(some))


@given(spans, ids, ids, st.sets(ids), st.integers(min_value=1, max_value=7))
def test_asking_page_by_page_covers_everything_whatever_the_channel_holds(some, start, top, held, page_size):
    """Pages may be shorter than asked for; only posts that exist come; the loop ends and nothing is claimed unasked."""
    covered = normalise(some)
    seen: set[int] = set()
    for _ in range(500):
        page = next_page(covered, start, top)
        if page is None:
            break
        answer = sorted((i for i in held if i < page.offset_id), reverse=True)[: min(page.limit, page_size)]
        low, high = proven(page, answer[-1] if answer else None)
        assert start <= low <= high <= top
        seen |= {i for i in answer if low <= i <= high}
        covered = add(covered, (low, high))
    else:
        raise AssertionError("the paging never ended")
    assert seen == {i for i in held if start <= i <= top} - as_set(some)


def test_five_new_posts_cost_one_call_when_the_page_reaches_below_them():
    page = next_page(((1, 100),), 1, 105)
    assert (page.span, page.offset_id, page.limit) == ((101, 105), 106, 6)
    assert proven(page, 100) == (101, 105)


def test_a_short_page_above_the_span_proves_no_more_than_its_lowest_id():
    page = next_page((), 1, 500)
    assert proven(page, 401) == (401, 500)
    assert proven(page, None) == (1, 500)
