"""What settings cost, by hand."""

from datetime import UTC, datetime, timedelta

import pytest

from actors.costs import (
    HEADS,
    NEWS,
    PAGES,
    Reader,
    Source,
    left_for_backfill,
    per_day,
    plan,
    rereads_per_day,
    runs_per_day,
)
from actors.messages.ids import AccountId, ChannelId
from actors.messages.rows import Pace
from config.model import Schedule

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
USUAL = {HEADS: Pace(20, 60.0), NEWS: Pace(28, 30.0), PAGES: Pace(28, 30.0)}
HALF_HOURLY = (Schedule(every=timedelta(minutes=30)),)
ROUNDS = 360


def reader(number=1, paces=USUAL):
    return Reader(account_id=AccountId(number), username=None, state="active", paces=paces)


def source(number, reader_id=1, posts_per_day=0.0, older=0.0, followers=()):
    return Source(
        channel_id=ChannelId(number),
        name=f"@c{number}",
        reader_id=None if reader_id is None else AccountId(reader_id),
        posts_per_day=posts_per_day,
        older=older,
        followers=frozenset(followers),
    )


def made(readers, sources, schedules=HALF_HOURLY, reread_after=()):
    return plan(readers, sources, schedules=schedules, reread_after=reread_after, now=NOON)


def calls(account):
    return {cost.method: cost.calls_per_day for cost in account.costs}


@pytest.mark.parametrize(
    ("schedule", "runs"),
    [
        ({"every": timedelta(minutes=30)}, 48),
        ({"cron": "0 8 * * *"}, 1),
        ({"cron": "*/30 8-9 * * *"}, 4),
        ({"cron": "0 8 * * 1"}, 1 / 7),
    ],
)
def test_a_schedule_runs_so_often_a_day(schedule, runs):
    assert runs_per_day(Schedule(**schedule), NOON) == pytest.approx(runs)


def test_idle_channels_cost_a_call_for_a_hundred_at_each_look():
    (account,) = made([reader()], [source(number) for number in range(101)]).accounts
    assert calls(account) == {HEADS: 2 * (48 + ROUNDS), NEWS: 0, PAGES: 0}
    assert (account.channels, account.fits) == (101, True)


@pytest.mark.parametrize(("posts", "news"), [(10.0, 11), (1000.0, 408 + 10)])
def test_news_cost_a_call_each_or_one_a_look_and_more_for_hundreds(posts, news):
    (account,) = made([reader()], [source(1, posts_per_day=posts)]).accounts
    assert calls(account)[NEWS] == news


@pytest.mark.parametrize(
    ("posts", "after", "pages"),
    [
        (5000.0, timedelta(days=1), 50),  # full pages
        (300.0, timedelta(days=1), 10),  # one for each tenth of a day
        (5.0, timedelta(days=1), 5),  # never more than one a post
        (300.0, timedelta(hours=1), 240),
    ],
)
def test_rereading_costs_full_pages_or_one_for_each_tenth_of_the_age(posts, after, pages):
    assert rereads_per_day(posts, after) == pages


def test_what_an_account_may_not_call_so_often_does_not_fit():
    hasty = (Schedule(every=timedelta(seconds=10)),)
    channels = [source(number) for number in range(400)]
    found = made([reader(1), reader(2)], channels, hasty)
    first, second = found.accounts
    assert (found.fits, first.fits, second.fits) == (False, False, True)
    assert [cost.method for cost in first.costs if not cost.fits] == [HEADS]
    assert calls(first)[HEADS] == 4 * (8640 + ROUNDS)
    assert first.costs[0].limit_per_day == int(per_day(USUAL[HEADS]))
    assert made([reader(1, paces={})], channels, hasty).fits, "nothing is known against it"


@pytest.mark.parametrize(("channels", "fits"), [(200, True), (300, False)])
def test_a_fifth_of_the_limit_is_kept_free(channels, fits):
    schedules = (Schedule(every=timedelta(seconds=11)),)  # 8,214 looks a day; 28,561 calls fit, 22,848 may be planned
    assert made([reader()], [source(number) for number in range(channels)], schedules).fits is fits


def test_a_backfill_ends_at_the_pace_that_the_rest_leaves():
    (one,) = made([reader()], [source(1, older=100_000.0)]).backfills
    days = 1000 / per_day(USUAL[PAGES])
    assert (one.calls, one.messages) == (1000, 100_000)
    assert one.ends_at == NOON + timedelta(days=days)
    both = made([reader()], [source(1, older=100_000.0), source(2, older=50.0)]).backfills
    assert [each.calls for each in both] == [1000, 1]
    assert len({each.ends_at for each in both}) == 1
    (nobody,) = made([reader()], [source(1, reader_id=None, older=5.0)]).backfills
    assert nobody.ends_at is None


def test_a_backfill_keeps_a_fifth_however_much_else_is_wanted():
    assert left_for_backfill(Pace(28, 30.0), 10**9) == pytest.approx(per_day(Pace(28, 30.0)) / 5)
    assert left_for_backfill(None, 0.0) == 86_400 / 0.5


def test_channels_that_nobody_reads_are_named():
    found = made([reader()], [source(1), source(2, reader_id=None), source(3, reader_id=9)])
    assert found.unread == ("@c2", "@c3")
    assert found.fits


def test_a_schedule_of_named_users_looks_at_their_channels_alone_each_by_a_call_of_its_own():
    own = Schedule(name="own", every=timedelta(hours=1), users=(7, 8))
    both = [source(number, posts_per_day=1e6, followers=(7, 8)) for number in range(100)]
    others = [source(number, posts_per_day=1e6, followers=(9,)) for number in range(100, 200)]
    (account,) = made([reader(paces={})], both + others, schedules=(own,)).accounts
    assert calls(account)[HEADS] == 2 * ROUNDS + 2 * 24
    assert calls(account)[NEWS] == 100 * (ROUNDS + 2 * 24) + 100 * ROUNDS + 200 * 10_000
