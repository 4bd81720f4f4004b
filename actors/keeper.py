"""Lets go of posts that are older than the settings keep them, a few thousand at a time, and says how many those were.

A channel begins where its oldest kept post stands: below it nothing is missing any more, since nobody wants it. What is
let go isn't fetched again, except by a backfill that somebody asks for.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from actors import log
from actors.channel import key_of
from actors.downloader import remove_unused
from actors.errors import StoreUnavailable
from actors.messages.channel import Begun
from actors.messages.ids import AccountId
from actors.messages.rows import ChannelRow
from actors.metrics import Metrics
from actors.neighbours import post
from actors.ports import Store
from actors.runtime.actor import TaskActor
from actors.telegram.follow import is_named
from config.model import Group, Retention
from config.schedule import names_of

logger = logging.getLogger(__name__)

KEY = "keeper"
LOOK_EVERY = 3600.0
"""Seconds between two looks."""
AT_ONCE = 2000
"""Rows of one transaction: some 50 ms, while which the channel's records wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """See what has become too old."""


class Keeper(TaskActor):
    def __init__(
        self, *, store: Store, rules: tuple[Retention, ...], groups: tuple[Group, ...], metrics: Metrics
    ) -> None:
        super().__init__()
        self._store = store
        self._rules = rules
        self._groups = groups
        self._metrics = metrics

    async def started(self) -> None:
        self.tell_self(Look())

    def on_receive(self, message: Look) -> None:
        match message:
            case Look():
                self.spawn_task(self._sweep(), name="let old posts go")
                self.tell_later(LOOK_EVERY, Look())
            case _:
                assert_never(message)

    async def _sweep(self) -> None:
        try:
            for row, keep in await kept(self._store, self._rules, self._groups):
                await self._let_go(row, keep)
        except StoreUnavailable as error:
            logger.info("old posts are let go later: %s", error)
        await remove_unused(self.owner)

    async def _let_go(self, row: ChannelRow, keep: timedelta) -> None:
        retention = self._store.retention
        below = await retention.begin(row.channel_id, self.owner.clock.now() - keep)
        if below is None:
            return
        post(self.owner, key_of(row.channel_id), Begun(start=below))
        total, rows = 0, AT_ONCE
        while rows == AT_ONCE:
            rows, counted = await retention.expire(row.channel_id, below, limit=AT_ONCE)
            total += counted
            self._metrics.posts_expired.inc(counted)
        name = f"@{row.username}" if row.username else row.title
        log.emit(log.POSTS_EXPIRED, channel=name, count=total, days=keep.days, channel_id=row.channel_id)


async def kept(
    store: Store, rules: Iterable[Retention], groups: Iterable[Group]
) -> tuple[tuple[ChannelRow, timedelta], ...]:
    """Each channel of which posts are let go, and how long they are kept. Raises: StoreUnavailable."""
    rules, groups = tuple(rules), tuple(groups)
    followers: dict[int, set[AccountId]] = {}
    for membership in await store.channels.memberships():
        followers.setdefault(membership.channel_id, set()).add(membership.account_id)
    found = []
    for row in await store.channels.all():
        keep = keep_for(row, followers.get(row.channel_id, set()), rules, groups)
        if keep is not None:
            found.append((row, keep))
    return tuple(found)


def keep_for(
    channel: ChannelRow, followers: Iterable[AccountId], rules: Iterable[Retention], groups: Iterable[Group]
) -> timedelta | None:
    """How long a channel's posts are kept; None for ever.

    Rules that name the channel hold before those that name all of its followers, and those before rules for all
    channels; of several of a kind the one that keeps longest.
    """
    groups, followers = tuple(groups), frozenset(followers)
    by_name, by_user, for_all = [], [], []
    for rule in rules:
        names = names_of(rule, groups)
        if names:
            if is_named(channel, names):
                by_name.append(rule.keep)
        elif rule.users:
            if followers and followers <= frozenset(rule.users):
                by_user.append(rule.keep)
        else:
            for_all.append(rule.keep)
    return next((max(each) for each in (by_name, by_user, for_all) if each), None)
