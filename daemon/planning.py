"""Gathers what a plan is made of from the store, and watches whether the daemon's own settings fit."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from actors.costs import Plan, Reader, Source, plan
from actors.coverage import missing, size
from actors.errors import StoreUnavailable
from actors.messages.alerts import EndAlert, RaiseAlert
from actors.messages.ids import AccountId, ChannelId
from actors.messages.rows import ChannelRow
from actors.neighbours import post
from actors.ports import Store
from actors.runtime.owner import LoopOwner
from actors.telegram.budget import starting_paces
from config.model import Group, Schedule, Settings

logger = logging.getLogger(__name__)

LOOK_AFTER = 600.0
LOOK_EVERY = 3600.0
"""Seconds until the first look, when readers are elected, and between two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A backfill that may be begun."""

    channel_id: ChannelId
    posts: int | None
    """So many older ones; None for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The settings that cost calls."""

    schedules: tuple[Schedule, ...]
    groups: tuple[Group, ...]
    reread_after: tuple[timedelta, ...]
    usual: bool
    """Whether the paces of the real service hold, where an account has learned none of its own."""

    @classmethod
    def of(cls, settings: Settings) -> "Planned":
        return cls(
            schedules=settings.schedules,
            groups=settings.groups,
            reread_after=settings.collection.reread_after,
            usual=not settings.sandbox.enabled,
        )

    def but(
        self,
        *,
        schedules: tuple[Schedule, ...] | None,
        groups: tuple[Group, ...] | None,
        reread_after: tuple[timedelta, ...] | None,
    ) -> "Planned":
        """With these where they are given."""
        return replace(
            self,
            schedules=self.schedules if schedules is None else schedules,
            groups=self.groups if groups is None else groups,
            reread_after=self.reread_after if reread_after is None else reread_after,
        )


async def gather(store: Store, planned: Planned, now: datetime, wish: Wish | None = None) -> Plan:
    """The plan for the accounts and channels as they are. Raises: StoreUnavailable."""
    readers = []
    for row in await store.accounts.all():
        if row.bot or not row.has_session:
            continue
        age = (now - row.since).total_seconds()
        paces = starting_paces(await store.accounts.paces(row.account_id), usual=planned.usual, age=age)
        readers.append(Reader(account_id=row.account_id, username=row.username, state=row.state, paces=paces))
    known = {reader.account_id for reader in readers}
    traffic = await store.channels.traffic(now)
    followers: dict[ChannelId, set[AccountId]] = {}
    for membership in await store.channels.memberships():
        followers.setdefault(membership.channel_id, set()).add(membership.account_id)
    sources = [
        replace(
            _source(row, traffic.get(row.channel_id, 0.0), known, wish),
            followers=frozenset(followers.get(row.channel_id, ())),
        )
        for row in await store.channels.all()
        if row.subscriptions or row.reader_id is not None
    ]
    return plan(
        readers,
        sources,
        schedules=planned.schedules,
        groups=planned.groups,
        reread_after=planned.reread_after,
        now=now,
    )


def _source(row: ChannelRow, posts_per_day: float, known: set[AccountId], wish: Wish | None) -> Source:
    is_wished = wish is not None and wish.channel_id == row.channel_id
    return Source(
        channel_id=row.channel_id,
        name=f"@{row.username}" if row.username else row.title,
        reader_id=row.reader_id if row.reader_id in known and row.condition == "active" else None,
        posts_per_day=posts_per_day,
        older=older(row, wish if is_wished else None),
        wished=is_wished,
    )


def older(row: ChannelRow, wish: Wish | None) -> float:
    """Messages below the start that a backfill has yet to bring: the missing ids, as dense as those that are known."""
    low = row.goal_id if wish is None else 1
    if row.start_id is None or low is None:
        return 0.0
    messages = size(missing(row.covered, low, row.start_id - 1)) * density(row)
    return messages if wish is None or wish.posts is None else min(messages, float(wish.posts))


def density(row: ChannelRow) -> float:
    """Posts for each id, of those that are covered; 1 where nothing is."""
    covered = size(row.covered)
    return min(1.0, row.posts / covered) if covered and row.posts else 1.0


async def watch(owner: LoopOwner, store: Store, settings: Callable[[], Settings]) -> None:
    """Tell the operator once, and again when it is over, of accounts for which the settings are too much."""
    told: set[tuple[AccountId, str]] = set()
    await asyncio.sleep(LOOK_AFTER)
    while True:
        try:
            found = await gather(store, Planned.of(settings()), owner.clock.now())
        except StoreUnavailable as error:
            logger.debug("no plan for now: %s", error)
        else:
            told = _tell(owner, found, told)
        await asyncio.sleep(LOOK_EVERY)


def _tell(owner: LoopOwner, found: Plan, told: set[tuple[AccountId, str]]) -> set[tuple[AccountId, str]]:
    over = {(account.account_id, cost.method) for account in found.accounts for cost in account.costs if not cost.fits}
    for account_id, method in over - told:
        post(owner, "alerts", RaiseAlert(kind="overfull", account_id=account_id, cause=method))
    for account in found.accounts:
        for cost in account.costs:
            if cost.fits:
                post(owner, "alerts", EndAlert(kind="overfull", account_id=account.account_id, cause=cost.method))
    return over
