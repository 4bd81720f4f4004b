from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.model import Schedule
from config.schedule import next_firing

ZONES = ("UTC", "Europe/Berlin", "Europe/Moscow", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
MOMENTS = st.floats(0, 15 * 365 * 86_400).map(lambda late: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=late))
PERIODS = st.integers(10, 10_000_000).map(lambda seconds: timedelta(seconds=seconds))
CRONS = st.sampled_from(
    [
        "30 2 * * *",
        "*/30 * * * *",
        "0 0 * * *",
        "15 */2 * * *",
        "0 3 1 * *",
        "59 1 * * 0",
        "0 0 29 2 *",
        "30 2 25-31 3,10 *",
    ]
)


def firings(schedule, start, count):
    """What a scheduler does: each firing is the ``after`` of the next."""
    times = [start]
    for _ in range(count):
        times.append(next_firing(schedule, times[-1], times[-1] if len(times) > 1 else None))
    return times[1:]


@given(PERIODS, MOMENTS, MOMENTS)
def test_every_is_later_than_now_by_at_most_a_period_and_stays_on_its_grid(every, last, now):
    firing = next_firing(Schedule(every=every), now, last)
    assert now < firing <= now + every
    assert (firing - last) % every == timedelta(0)


def test_a_run_that_ends_late_moves_no_later_firing():
    every = Schedule(every=timedelta(minutes=30))
    due = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert next_firing(every, due + timedelta(minutes=7), due) == due + timedelta(minutes=30)
    assert next_firing(every, due + timedelta(minutes=67), due) == due + timedelta(minutes=90)


def test_a_first_firing_is_one_period_away():
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert next_firing(Schedule(every=timedelta(hours=1)), now, None) == now + timedelta(hours=1)


def test_every_knows_no_daylight_saving():
    start = datetime(2024, 3, 30, 23, 45, tzinfo=UTC)
    times = firings(Schedule(every=timedelta(minutes=30), timezone="Europe/Berlin"), start, 20)
    assert {late - early for early, late in pairwise(times)} == {timedelta(minutes=30)}


@given(CRONS, st.sampled_from(ZONES), MOMENTS)
def test_cron_is_always_later_than_now_even_inside_a_repeated_hour(cron, zone, now):
    assert next_firing(Schedule(cron=cron, timezone=zone), now, None) > now


@given(CRONS, st.sampled_from(ZONES), MOMENTS, st.integers(0, 3600))
def test_no_cron_firing_is_missed_or_doubled_wherever_one_wakes_between(cron, zone, now, seconds):
    schedule = Schedule(cron=cron, timezone=zone)
    firing = next_firing(schedule, now, None)
    between = min(now + timedelta(seconds=seconds), firing - timedelta(microseconds=1))
    assert next_firing(schedule, between, None) == firing


@settings(max_examples=25)
@given(st.sampled_from(ZONES), st.integers(2020, 2034), st.integers(0, 23), st.integers(0, 59))
def test_a_daily_time_fires_once_a_day_through_the_whole_year(zone, year, hour, minute):
    local = ZoneInfo(zone)
    start = datetime(year, 1, 1, tzinfo=local).astimezone(UTC) - timedelta(microseconds=1)
    days = [
        firing.astimezone(local).date()
        for firing in firings(Schedule(cron=f"{minute} {hour} * * *", timezone=zone), start, 365)
    ]
    assert {late - early for early, late in pairwise(days)} == {timedelta(days=1)}


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        # Spring skips 2:00-3:00 of 31 March: 2:30 fires as the gap ends.
        (datetime(2024, 3, 30, 12, tzinfo=UTC), ["31 01:00", "01 00:30"]),
        # Autumn repeats 2:00-3:00 of 27 October: 2:30 fires the first time and not the second.
        (datetime(2024, 10, 26, 12, tzinfo=UTC), ["27 00:30", "28 01:30"]),
        # Started inside the repeated hour, cronsim alone answers 00:30 UTC, which is past.
        (datetime(2024, 10, 27, 1, 0, tzinfo=UTC), ["28 01:30", "29 01:30"]),
        (datetime(2024, 10, 27, 1, 45, tzinfo=UTC), ["28 01:30", "29 01:30"]),
    ],
)
def test_half_past_two_in_berlin_at_the_edges(start, expected):
    times = firings(Schedule(cron="30 2 * * *", timezone="Europe/Berlin"), start, 2)
    assert [time.strftime("%d %H:%M") for time in times] == expected


def test_a_half_hourly_cron_follows_real_time_through_both_edges():
    schedule = Schedule(cron="*/30 * * * *", timezone="Europe/Berlin")
    for start in (datetime(2024, 3, 30, 23, 10, tzinfo=UTC), datetime(2024, 10, 26, 23, 10, tzinfo=UTC)):
        assert {late - early for early, late in pairwise(firings(schedule, start, 12))} == {timedelta(minutes=30)}
