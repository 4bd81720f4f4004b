"""A year of firings on a clock that is moved by hand: nothing missed, nothing doubled, whatever the clock does."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from actors.timetable import JUMP_MOST, Firing, Mark, Timetable, first_due, plan
from config.model import Schedule
from config.schedule import next_firing, out_of_quiet
from config.values import parse_timezone

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe")


def timetable(*schedules, now=START, marks=(), seed=1):
    rng = random.Random(seed)
    made = Timetable(rng)
    made.set(schedules, plan(schedules, now, rng, marks={mark.name: mark for mark in marks}))
    return made


def play(made, now, until, rng=None, *, look=30.0):
    """What the scheduler does: look when something is due, or at most ``look`` seconds later, or late."""
    fired = []
    while True:
        due = made.next_at
        now = max(now, due) if due is not None else until
        if rng is not None:
            now += timedelta(seconds=rng.uniform(0, look))
        if now >= until:
            return fired
        for firing in made.take(now):
            fired.append((now, firing))
            made.done(firing, now)


@pytest.mark.parametrize("zone", ZONES)
def test_a_year_with_both_edges_misses_no_firing_and_doubles_none(zone):
    schedules = (
        Schedule(name="night", cron="30 2 * * *", timezone=zone),
        Schedule(name="hours", cron="15 * * * *", timezone=zone),
        Schedule(name="period", every=7 * HOUR, timezone=zone),
    )
    end = START + timedelta(days=365)
    fired = play(timetable(*schedules), START, end, random.Random(3))
    by = {each.name: [firing.due for _, firing in fired if firing.schedule.name == each.name] for each in schedules}
    local = parse_timezone(zone)
    nights = [due.astimezone(local).date() for due in by["night"]]
    assert {late - early for early, late in pairwise(nights)} == {timedelta(days=1)}
    assert len(nights) in {364, 365}
    assert all(late > early for dues in by.values() for early, late in pairwise(dues))
    assert by["period"] == [START + 7 * HOUR * n for n in range(1, len(by["period"]) + 1)]
    assert len(by["period"]) == 365 * 24 // 7
    hours = [due.astimezone(local).replace(tzinfo=None) for due in by["hours"]]
    assert len(hours) in range(365 * 24 - 2, 365 * 24 + 2)
    assert {hour.minute for hour in hours} <= {15, 0, 45}, "at the edge of half an hour the gap ends at :00 or :45"


@pytest.mark.parametrize("by", [HOUR, -HOUR])
@pytest.mark.parametrize("at", range(0, 24, 5))
def test_a_clock_that_is_set_by_an_hour_neither_loses_a_firing_nor_repeats_one(by, at):
    daily, period = Schedule(name="daily", cron="30 * * * *"), Schedule(name="period", every=25 * MINUTE)
    made, set_at = timetable(daily, period), START + at * HOUR + 10 * MINUTE
    before = play(made, START, set_at)
    made.jumped(by, set_at + by)
    after = play(made, set_at + by, START + timedelta(days=2))
    dues = [firing.due for _, firing in before + after if firing.schedule.name == "daily"]
    assert dues == [START + 30 * MINUTE + n * HOUR for n in range(48)]
    # By elapsed time: the clock's own was moved under it.
    elapsed = [now for now, firing in before if firing.schedule.name == "period"]
    elapsed += [now - by for now, firing in after if firing.schedule.name == "period"]
    assert {late - early for early, late in pairwise(elapsed)} == {25 * MINUTE}


def test_several_times_that_a_jump_leaves_out_fire_once():
    made = timetable(Schedule(cron="*/10 * * * *"))
    later = START + 65 * MINUTE
    made.jumped(HOUR, later)
    (firing,) = made.take(later)
    assert firing.due == START + 10 * MINUTE
    made.done(firing, later)
    assert made.next_at == START + 70 * MINUTE


def test_a_clock_that_was_wrong_by_years_is_believed_when_it_is_right_again():
    made = timetable(Schedule(cron="0 * * * *"))
    wrong = datetime(2031, 1, 1, tzinfo=UTC)
    fired = play(made, wrong, wrong + HOUR)
    assert len(fired) == 1
    made.jumped(START - wrong, START)
    assert made.next_at == START + HOUR


def test_drift_moves_nothing():
    made = timetable(Schedule(every=HOUR))
    made.jumped(timedelta(seconds=1), START)
    assert made.next_at == START + HOUR


def test_a_firing_that_is_being_acted_on_comes_again_only_when_that_is_done():
    made = timetable(Schedule(every=MINUTE))
    (firing,) = made.take(START + MINUTE)
    assert made.take(START + HOUR) == ()
    made.jumped(HOUR, START + HOUR + MINUTE)
    assert made.take(START + 2 * HOUR) == ()
    made.done(firing, START + 2 * HOUR)
    assert made.next_at == START + 2 * HOUR + MINUTE


def test_jitter_comes_after_the_due_time_moves_no_later_one_and_loses_none():
    schedule = Schedule(every=10 * MINUTE, jitter=timedelta(minutes=9, seconds=50))
    fired = play(timetable(schedule), START, START + timedelta(days=3), random.Random(5))
    late = [at - firing.due for at, firing in fired]
    assert [firing.due for _, firing in fired] == [START + 10 * MINUTE * n for n in range(1, len(fired) + 1)]
    assert timedelta(0) <= min(late) < MINUTE
    assert 9 * MINUTE < max(late) < 11 * MINUTE
    assert len(set(late)) > 100


def test_what_falls_into_quiet_hours_fires_once_at_their_end():
    schedule = Schedule(every=30 * MINUTE, quiet="23:00-07:00", timezone="Europe/Moscow")
    fired = [
        at.astimezone(parse_timezone("Europe/Moscow")) for at, _ in play(timetable(schedule), START, START + 48 * HOUR)
    ]
    assert all(7 <= at.hour < 23 for at in fired)
    mornings = [at for at in fired if (at.hour, at.minute) == (7, 0)]
    assert len(mornings) == 2
    per_day = [at for at in fired if at.date() == mornings[0].date()]
    assert len(per_day) == 32


def test_a_schedule_that_falls_into_its_quiet_hours_alone_fires_at_their_end():
    schedule = Schedule(cron="0 3 * * *", quiet="23:00-07:00")
    assert [at.hour for at, _ in play(timetable(schedule), START, START + 72 * HOUR)] == [7, 7, 7]


def test_jitter_reaches_into_no_quiet_hours():
    schedule = Schedule(cron="55 22 * * *", quiet="23:00-07:00", jitter=HOUR)
    for seed in range(30):
        ((at, _),) = play(timetable(schedule, seed=seed), START, START + 32 * HOUR)
        assert at.hour in {22, 7}


@pytest.mark.parametrize(
    ("zone", "quiet", "due", "expected"),
    [
        # Spring skips 2:00-3:00: a gap's end is the end of hours that end in it.
        ("Europe/Berlin", "22:00-02:30", "2026-03-29 00:30", "2026-03-29 01:30"),
        # Autumn repeats 2:00-3:00: the hours end twice.
        ("Europe/Berlin", "22:00-02:30", "2026-10-25 00:10", "2026-10-25 00:30"),
        ("Europe/Berlin", "22:00-02:30", "2026-10-25 01:10", "2026-10-25 01:30"),
        ("Europe/Berlin", "22:00-02:30", "2026-10-25 00:40", "2026-10-25 00:40"),
        ("UTC", "09:00-17:00", "2026-05-01 16:59", "2026-05-01 17:00"),
        ("UTC", "09:00-17:00", "2026-05-01 17:00", "2026-05-01 17:00"),
        ("UTC", "09:00-17:00", "2026-05-01 08:59", "2026-05-01 08:59"),
    ],
)  # fmt: skip
def test_quiet_hours_follow_the_clock_on_the_wall(zone, quiet, due, expected):
    schedule = Schedule(every=HOUR, timezone=zone, quiet=quiet)
    due, expected = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (due, expected))
    assert out_of_quiet(schedule, due) == expected


# --- across a restart ----------------------------------------------------------------------------------------------


def mark(schedule, last):
    return Mark(name=schedule.name, rule=schedule.rule, last=last)


def test_a_restart_goes_on_with_the_grid_and_makes_up_once_for_what_was_missed():
    schedule = Schedule(every=30 * MINUTE)
    back = START + 10 * MINUTE
    assert timetable(schedule, now=back, marks=[mark(schedule, START)]).next_at == START + 30 * MINUTE
    back = START + 3 * HOUR + 10 * MINUTE
    made = timetable(schedule, now=back, marks=[mark(schedule, START)])
    fired = play(made, back, START + 5 * HOUR)
    assert [at for at, _ in fired] == [back, *(START + 3 * HOUR + n * 30 * MINUTE for n in (1, 2, 3))]
    for after in (None, mark(schedule, START - 30 * MINUTE)):
        none = schedule.model_copy(update={"catch_up": "none"})
        made = timetable(none, now=back, marks=[after] if after else [])
        assert made.next_at == (START + 3 * HOUR + 30 * MINUTE if after else back + 30 * MINUTE)


def test_a_restart_within_the_minute_of_a_firing_repeats_it_not():
    schedule = Schedule(cron="30 12 * * *")
    last = START + 12 * HOUR + 30 * MINUTE
    for now in (last, last + MINUTE, last - HOUR):
        made = timetable(schedule, now=now, marks=[mark(schedule, last)])
        assert made.next_at == last + 24 * HOUR
    wrong = mark(schedule, last + timedelta(days=400))
    assert timetable(schedule, now=START, marks=[wrong]).next_at == last


def test_a_schedule_with_another_rule_begins_anew():
    schedule = Schedule(cron="0 9 * * *", timezone="Europe/Moscow")
    old = Mark(name="all", rule="every 30m", last=START - timedelta(days=3))
    (new,) = plan([schedule], START, random.Random(1), marks={"all": old})
    assert new.mark == Mark(name="all", rule="0 9 * * * (Europe/Moscow)", last=START)
    assert new.at == START + 6 * HOUR


def test_a_schedule_whose_rule_stays_keeps_its_time_when_others_change():
    before = (Schedule(name="a", every=HOUR), Schedule(name="b", every=HOUR))
    made, now = timetable(*before), START + 20 * MINUTE
    after = (Schedule(name="a", every=HOUR, overlap="wait"), Schedule(name="c", every=2 * HOUR))
    planned = plan(after, now, random.Random(1), in_force=before)
    assert [each.schedule.name for each in planned] == ["c"]
    made.set(after, planned)
    assert ("a" in made, "b" in made, made["a"].overlap) == (True, False, "wait")
    assert [made.times(name, 2) for name in "ac"] == [
        (START + HOUR, START + 2 * HOUR),
        (now + 2 * HOUR, now + 4 * HOUR),
    ]
    (firing,) = made.take(START + HOUR)
    assert firing.schedule.overlap == "wait"
    made.set([], ())
    made.done(firing, START + HOUR)
    assert made.next_at is None


def test_first_due_never_waits_longer_than_a_period_for_a_clock_that_was_set_back():
    schedule = Schedule(every=HOUR)
    assert first_due(schedule, START + 2 * HOUR, START) <= START + HOUR
    assert JUMP_MOST > 2 * HOUR
    assert next_firing(schedule, START, START + 2 * HOUR) == first_due(schedule, START + 2 * HOUR, START)


def test_firings_come_in_the_order_of_their_times():
    schedules = [Schedule(name=f"s{n}", every=MINUTE * n) for n in (5, 1, 3)]
    taken = timetable(*schedules).take(START + 5 * MINUTE)
    assert [firing.schedule.name for firing in taken] == ["s1", "s3", "s5"]
    assert isinstance(taken[0], Firing)
