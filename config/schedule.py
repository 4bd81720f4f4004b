"""When a schedule fires next, as a pure function of the clock; daylight saving time included."""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta

from cronsim import CronSim

from config.model import Group, Retention, Schedule
from config.values import bare_name, parse_quiet, parse_timezone


def next_firing(schedule: Schedule, after: datetime, last: datetime | None) -> datetime:
    """The first time later than ``after`` at which the schedule fires, in UTC.

    ``every`` counts from ``last``, so that a slow run or a late wake-up moves no later firing; ``cron`` needs no past.
    Firings that were missed meanwhile are not made up for: one run fetches all that is new.

    Args:
        schedule: what its own validation has let pass.
        after: now; aware.
        last: the time this schedule was last due (not when its run ended), or None before its first firing, which is
            then one period away. Aware.
    """
    now = after.astimezone(UTC)
    if schedule.every is not None:
        return _on_grid(schedule.every, now, now if last is None else last.astimezone(UTC))
    assert schedule.cron is not None
    return _by_cron(schedule.cron, schedule.timezone, now)


def names_of(schedule: Schedule | Retention, groups: Iterable[Group]) -> frozenset[str]:
    """The channels that it names itself or by a group, as ``bare_name`` has them; empty: it is about all."""
    theirs = (name for group in groups if group.name in schedule.groups for name in group.channels)
    return frozenset(bare_name(name) for name in (*schedule.channels, *theirs))


def out_of_quiet(schedule: Schedule, due: datetime) -> datetime:
    """``due``, or the end of the quiet hours that it falls into; in UTC."""
    due = due.astimezone(UTC)
    if schedule.quiet is None:
        return due
    begin, end = parse_quiet(schedule.quiet)
    local = due.astimezone(parse_timezone(schedule.timezone))
    at = local.time()
    within = begin <= at < end if begin < end else at >= begin or at < end
    return _next_local(local, end) if within else due


def _next_local(local: datetime, end: time) -> datetime:
    """When the clock on the wall next shows ``end``; both times where autumn shows it twice."""
    for days in range(3):
        for fold in (0, 1):
            day = local.date() + timedelta(days=days)
            found = datetime.combine(day, end.replace(fold=fold), tzinfo=local.tzinfo).astimezone(UTC)
            if found > local.astimezone(UTC):
                return found
    raise AssertionError(f"{end} never comes after {local}")


def _on_grid(every: timedelta, now: datetime, anchor: datetime) -> datetime:
    """The first time later than ``now`` that is a whole number of periods from the anchor.

    An anchor in the future means that the clock was set back: the wait is one period still, never longer.
    """
    return anchor + every * ((now - anchor) // every + 1)


def _by_cron(expression: str, timezone: str, now: datetime) -> datetime:
    """The first local time of the expression that is later than now.

    Follows Debian's cron: a time that spring skips fires when the gap is over, one that autumn repeats fires the
    first time only, ``*/10`` and the like follow real time. cronsim started inside the repeated hour may answer a time
    that is past, hence the loop; and it is started afresh each time, since an iterator is good for one look only.
    """
    simulated = CronSim(expression, now.astimezone(parse_timezone(timezone)))
    for local in simulated:
        firing = local.astimezone(UTC)
        if firing > now:
            return firing
    raise AssertionError(f"{expression!r} never fires")  # check_cron refuses such at load
