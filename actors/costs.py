"""What settings cost in calls to Telegram, by account and day, whether that fits, and when backfills end. Pure.

Figures are upper bounds: as if no push ever came, so that every look at a channel with news costs a call. What has no
known limit (files, signs of life) isn't counted. docs/plan.md explains each figure.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from actors.heads import PEEK, RECONCILE
from actors.messages.ids import AccountId, AccountState, ChannelId
from actors.messages.rows import Pace
from actors.rereader import LATE
from actors.telegram.budget import LATE as SLACK
from actors.telegram.line import BACKFILL_TURN
from config.model import Group, Schedule
from config.schedule import names_of, next_firing, out_of_quiet
from config.values import bare_name

PAGE = 100
"""Posts of a page of history, and steps of a difference."""
FITS = 0.8
"""The part of an account's calls that settings may use: the rest is for outages, new channels and people's wishes."""
CALL_SECONDS = 0.5
"""Of a call where no limit is known: an account makes one at a time."""
DAY = 86_400.0
WEEK = timedelta(days=7)

HEADS = "messages.getPeerDialogs"
NEWS = "updates.getChannelDifference"
PAGES = "messages.getHistory"


Runs = tuple[frozenset[int], frozenset[str], float]
"""Of whose channels (of everybody's where nobody is named), and how often a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """An account as it is."""

    account_id: AccountId
    username: str | None
    state: AccountState
    paces: Mapping[str, Pace]
    """What it may call how often; nothing is known against other methods."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A channel as it is."""

    channel_id: ChannelId
    name: str
    reader_id: AccountId | None
    posts_per_day: float
    followers: frozenset[AccountId] = frozenset()
    older: float = 0.0
    """Messages that its running backfill, or one that is wished for, has yet to bring."""
    wished: bool = False
    """Whether it is asked about: then it is answered also where nothing is to be brought."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    method: str
    calls_per_day: int
    limit_per_day: int | None
    """None where no limit is known."""
    fits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCosts:
    account_id: AccountId
    username: str | None
    state: AccountState
    channels: int
    """That it reads."""
    costs: tuple[Cost, ...]
    fits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillCosts:
    channel_id: ChannelId
    channel: str
    messages: int
    calls: int
    ends_at: datetime | None
    """At the pace that all else leaves to it; None while nobody can read the channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    fits: bool
    accounts: tuple[AccountCosts, ...]
    backfills: tuple[BackfillCosts, ...]
    unread: tuple[str, ...]
    """Channels that nobody reads now: they cost nothing, and bring nothing."""


def plan(
    readers: Iterable[Reader],
    sources: Iterable[Source],
    *,
    schedules: Sequence[Schedule],
    groups: Sequence[Group] = (),
    reread_after: Sequence[timedelta],
    now: datetime,
) -> Plan:
    """The costs of these settings for these accounts and channels."""
    theirs: dict[AccountId | None, list[Source]] = {}
    for source in sources:
        theirs.setdefault(source.reader_id, []).append(source)
    runs = [
        (frozenset(schedule.users), names_of(schedule, groups), runs_per_day(schedule, now)) for schedule in schedules
    ]
    accounts, backfills = [], []
    for reader in sorted(readers, key=lambda each: each.account_id):
        read = theirs.pop(reader.account_id, [])
        needs = needed(read, runs, reread_after)
        costs = tuple(_cost(method, calls, reader.paces.get(method)) for method, calls in needs.items())
        accounts.append(
            AccountCosts(
                account_id=reader.account_id,
                username=reader.username,
                state=reader.state,
                channels=len(read),
                costs=costs,
                fits=all(cost.fits for cost in costs),
            )
        )
        backfills += _backfills(read, left_for_backfill(reader.paces.get(PAGES), needs[PAGES]), now)
    unread = [source for rest in theirs.values() for source in rest]
    return Plan(
        fits=all(account.fits for account in accounts),
        accounts=tuple(accounts),
        backfills=(*backfills, *_backfills(unread, None, now)),
        unread=tuple(source.name for source in unread),
    )


def runs_per_day(schedule: Schedule, now: datetime) -> float:
    """How often a schedule fires, on average over the next week."""
    if schedule.every is not None and schedule.quiet is None:
        return DAY / schedule.every.total_seconds()
    due, count = next_firing(schedule, now, None), 0
    while due <= now + WEEK:
        count += 1
        due = next_firing(schedule, out_of_quiet(schedule, due), due)
    return count / 7


def needed(read: Sequence[Source], runs: Sequence[Runs], reread_after: Sequence[timedelta]) -> dict[str, float]:
    """Calls a day by method, for the channels that one account reads."""
    looks = [(frozenset[int](), frozenset[str](), DAY / RECONCILE), *runs]
    seen = dict.fromkeys((source.channel_id for source in read), 0.0)
    heads = 0.0
    for users, names, times in looks:
        named = [source for source in read if not names or {bare_name(source.name), str(source.channel_id)} & names]
        # Those of each user are a job of its own.
        for theirs in [_followed_by(read, user) for user in users] if users else [named]:
            heads += math.ceil(len(theirs) / PEEK) * times
            for source in theirs:
                seen[source.channel_id] += times
    news = sum(min(source.posts_per_day, seen[source.channel_id]) + source.posts_per_day / PAGE for source in read)
    pages = sum(rereads_per_day(source.posts_per_day, after) for source in read for after in reread_after)
    return {HEADS: heads, NEWS: news, PAGES: pages}


def _followed_by(read: Iterable[Source], user: int) -> list[Source]:
    return [source for source in read if user in source.followers]


def rereads_per_day(posts_per_day: float, after: timedelta) -> float:
    """Pages of one plan in one channel: full ones, or one for each tenth of the plan's age in which posts came."""
    most_patient = DAY / (after.total_seconds() * LATE)
    return max(posts_per_day / PAGE, min(posts_per_day, most_patient))


def left_for_backfill(pace: Pace | None, needed_per_day: float) -> float:
    """Pages a day: what the rest leaves, and never less than the turn that the line gives it."""
    most = DAY / CALL_SECONDS if pace is None else min(per_day(pace), DAY / CALL_SECONDS)
    return max(most - needed_per_day, most / BACKFILL_TURN)


def per_day(pace: Pace) -> float:
    return pace.calls / (pace.seconds + SLACK) * DAY


def _cost(method: str, calls: float, pace: Pace | None) -> Cost:
    limit = None if pace is None else int(per_day(pace))
    fits = limit is None or calls <= limit * FITS
    return Cost(method=method, calls_per_day=math.ceil(calls), limit_per_day=limit, fits=fits)


def _backfills(read: Iterable[Source], pages_per_day: float | None, now: datetime) -> list[BackfillCosts]:
    """They share the account: each ends with the last of them, at the latest."""
    wanted = [source for source in read if source.older > 0 or source.wished]
    calls = {source.channel_id: math.ceil(source.older / PAGE) for source in wanted}
    ends_at = None
    if pages_per_day is not None:
        ends_at = now + timedelta(days=sum(calls.values()) / pages_per_day)
    return [
        BackfillCosts(
            channel_id=source.channel_id,
            channel=source.name,
            messages=math.ceil(source.older),
            calls=calls[source.channel_id],
            ends_at=ends_at,
        )
        for source in wanted
    ]
