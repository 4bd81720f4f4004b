"""Other settings for a daemon that runs: all of them are checked before any is applied, and who isn't concerned notices
nothing.

Reading, checking and comparing a large file takes seconds: a thread does that. What it decides is applied on the loop.
"""

import asyncio
import gc
import logging
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from actors import log
from actors.messages.ids import AccountId, ChannelId
from actors.messages.settings import ApplySettings, SetSchedules
from actors.ports import Store
from actors.runtime.owner import LoopOwner
from actors.telegram.follow import followed
from actors.timetable import Planned, plan
from config.diff import Change, applied, differences
from config.faults import SettingsInvalid
from config.model import Settings
from config.words import shortened

logger = logging.getLogger(__name__)

SWITCH_WITHIN = 0.0005
"""Seconds after which a thread that works is asked to let others on; Python's own are 0.005."""
CHANGES_LOGGED = 50
"""Of a reload; how many there were is told in any case."""
ASK_WITHIN = 30.0
"""Seconds for the scheduler's one transaction, and for the root to tell everybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What new settings change, or have changed."""

    changes: tuple[Change, ...]
    dropped: tuple[str, ...]
    """Channels that are followed, and won't be."""

    @property
    def now(self) -> tuple[Change, ...]:
        """Those that hold as soon as they are applied."""
        return tuple(change for change in self.changes if change.takes == "now")

    @property
    def after_restart(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.takes == "restart")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    live: Settings
    """The settings in force with all that can be applied."""
    changes: tuple[Change, ...]
    planned: tuple[Planned, ...]


class Reloading:
    """The settings in force, and the way to others. Nothing else in the process says which those are."""

    def __init__(
        self,
        *,
        owner: LoopOwner,
        store: Store,
        settings: Settings,
        load: Callable[[], Settings],
        told: Iterable[Callable[[Settings], object]] = (),
    ) -> None:
        """``load`` reads the settings anew, in a thread, and raises ``SettingsInvalid``.

        ``told``: who is called with settings that were applied, besides the actors.
        """
        self._owner = owner
        self._store = store
        self._load = load
        self._told = tuple(told)
        self._turn = asyncio.Lock()
        self._reading = asyncio.Lock()
        self.settings = settings

    async def look(self) -> Outlook:
        """What a reload would do. Raises: SettingsInvalid, StoreUnavailable."""
        prepared = await self._prepare()
        return Outlook(changes=prepared.changes, dropped=await self._dropped(prepared.live))

    async def apply(self) -> Outlook:
        """Go by the file as it is now, as far as that takes no restart; one reload after the other.

        Raises: SettingsInvalid, StoreUnavailable: nothing has changed then.
        """
        async with self._turn:
            try:
                prepared = await self._prepare()
            except SettingsInvalid as invalid:
                for fault in invalid.faults:
                    logger.error("%s", fault)  # noqa: TRY400 - plain words for an operator, no traceback
                log.emit(log.RELOAD_REFUSED, cause=f"{len(invalid.faults)} faults, see above")
                raise
            outlook = Outlook(changes=prepared.changes, dropped=await self._dropped(prepared.live))
            if outlook.now:
                await self._put_in_force(prepared)
            self._report(outlook)
        return outlook

    async def _prepare(self) -> _Prepared:
        async with self._reading:
            with _giving_way():
                return await asyncio.to_thread(prepare, self.settings, self._load, self._owner.clock.now())

    async def _put_in_force(self, prepared: _Prepared) -> None:
        """The schedules first: they alone need the database. What comes after them fails only with the tree itself."""
        live = prepared.live
        scheduler, root = self._owner.find("scheduler"), self._owner.find("supervisor")
        schedules = SetSchedules(
            schedules=live.schedules, groups=live.groups, plans=live.plans, planned=prepared.planned
        )
        await scheduler.call(schedules, timeout=ASK_WITHIN)
        await root.call(ApplySettings(settings=live), timeout=ASK_WITHIN)
        self.settings = live
        # They live on, and hold no circles: the collector needn't look through them.
        gc.freeze()
        for tell in self._told:
            tell(live)

    async def _dropped(self, live: Settings) -> tuple[str, ...]:
        """Channels that some account follows by the settings in force, and none would by the new ones."""
        if (live.collection.follow, live.collection.channels) == (
            self.settings.collection.follow,
            self.settings.collection.channels,
        ):
            return ()
        names = await self._store.channels.wanted_names()
        theirs: dict[AccountId, list[Any]] = {}
        for membership in await self._store.channels.memberships():
            theirs.setdefault(membership.account_id, []).append(membership)
        kept: set[ChannelId] = set()
        for account_id, memberships in theirs.items():
            choices = await self._store.people.choices(account_id)
            kept.update(each.channel_id for each in followed(memberships, live.collection, names, choices))
        rows = await self._store.channels.all()
        return tuple(
            f"@{row.username}" if row.username else row.title
            for row in rows
            if row.subscriptions and row.channel_id not in kept
        )

    def _report(self, outlook: Outlook) -> None:
        for change in outlook.changes[:CHANGES_LOGGED]:
            before, after = (shortened(value) for value in (change.before, change.after))
            log.emit(log.SETTING_CHANGED, path=change.path, before=before, after=after, takes=change.takes)
        if outlook.dropped:
            log.emit(log.CHANNELS_DROPPED, count=len(outlook.dropped), channels=", ".join(outlook.dropped[:10]))
        log.emit(log.SETTINGS_RELOADED, changed=len(outlook.now))
        if outlook.after_restart:
            paths = ", ".join(change.path for change in outlook.after_restart[:10])
            log.emit(log.RESTART_NEEDED, count=len(outlook.after_restart), paths=paths)


@contextmanager
def _giving_way() -> Iterator[None]:
    """Let the loop have the interpreter whenever it wants it, and collect no garbage, while a thread works hard.

    Measured with 10,000 schedules: of 80 looks at the loop most came 10 to 50 ms late and one more than 100 ms; so most
    come within a few.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_WITHIN)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        sys.setswitchinterval(before)


def prepare(old: Settings, load: Callable[[], Settings], now: datetime) -> _Prepared:
    """All that takes long, from the file to each schedule's first firing. Raises: SettingsInvalid."""
    new = load()
    live = applied(old, new)
    rng = random.Random()  # noqa: S311 - jitter, not secrets
    planned = plan(live.schedules, now, rng, in_force=old.schedules)
    return _Prepared(live=live, changes=differences(old, new), planned=planned)
