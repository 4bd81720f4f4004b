"""The tree: what runs under the root, in which order it starts, and what happens to a child that keeps failing.

Start order: alerts, recorder, channels, roster, accounts (with the bot), sign-in, scheduler, errands, and where they
are wanted the rereader, the keeper and the downloader; stop in reverse, so that pushes end before the channels do and
the recorder commits what the channels handed over. Channels start before the roster, which fills them; accounts start
after it, because they introduce themselves to it.
"""

import logging
import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from actors import log
from actors.account import Account
from actors.alerts import Alerts
from actors.bot import Bot
from actors.channel import Channel, key_of
from actors.downloader import Downloader
from actors.errands import Errands
from actors.errors import StoreUnavailable
from actors.keeper import Keeper
from actors.messages.ids import AccountId, ChannelId
from actors.messages.roster import AccountDown, ChannelsUp
from actors.messages.settings import ApplySettings, SettingsApplied
from actors.messages.signin import AccountSignedIn, StopAccount
from actors.metrics import Metrics
from actors.neighbours import once_stored, post
from actors.ports import Blobs, Store
from actors.recorder import Recorder
from actors.rereader import Rereader
from actors.roster import Roster
from actors.runtime.errors import ActorDeadError
from actors.runtime.supervision import (
    Backoff,
    ChildSpec,
    Intensity,
    ParkedChild,
    RestartChild,
    Supervisor,
    SupervisorMessage,
)
from actors.scheduler import Scheduler
from actors.signin import SignIn
from actors.telegram.link import Gate
from actors.telegram.proxy import proxy_of
from config.model import Datacenter, Settings

logger = logging.getLogger(__name__)

SLICE = 500
"""Channels that hear of new settings in one turn of the loop: some 5 ms."""
ACCOUNT_SHUTDOWN = 4.0
"""Seconds for one account to disconnect and save its state; all of them stop at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the tree is built from."""

    settings: Settings
    store: Store
    metrics: Metrics
    datacenter: Datacenter | None
    """Overrides the data centre of stored sessions: the sandbox's, or ``telegram.datacenter``."""
    loopback_only: bool
    bot_token: str | None
    blobs: Blobs | None = None
    """Where files of posts are kept; without it none are fetched."""


AccountsMessage = AccountSignedIn | StopAccount | SettingsApplied | SupervisorMessage


class Accounts(Supervisor):
    """One child per signed-in account, and the bot; a child that keeps failing is parked, its siblings untouched."""

    def __init__(self, *, parts: Parts) -> None:
        super().__init__(policy=Backoff(), on_parked=self._report, concurrent=True)
        self._parts = parts
        self._gate = Gate(self.owner.clock)

    async def started(self) -> None:
        await super().started()
        # Connections begin at a pace: those go first that have something to read.
        rows = await once_stored(self, self._parts.store.accounts.all)
        for row in sorted(rows, key=lambda row: (row.channels == 0, row.account_id)):
            if row.has_session and not row.bot and row.state != "disabled":
                await self._start_account(row.account_id)
        if self._parts.bot_token is not None:
            await self.start_child(ChildSpec(key="bot", factory=self._start_bot, shutdown=ACCOUNT_SHUTDOWN))

    def on_receive(self, message: AccountsMessage) -> Any:
        match message:
            case AccountSignedIn(account_id=account_id):
                return self._start_anew(account_id)
            case StopAccount(account_id=account_id):
                return self._answer_later(lambda: self._stop_account(account_id), f"stop account {account_id}")
            case SettingsApplied(settings=settings):
                self._take_settings(settings)
                return None
            case _:
                return super().on_receive(message)

    def _take_settings(self, settings: Settings) -> None:
        """Accounts that connect otherwise, or may do other than before, begin anew; the others are told."""
        old, self._parts = self._parts.settings, replace(self._parts, settings=settings)
        for key in self._nursery.children:
            account_id = _account_of(key)
            if account_id is None:
                if old.telegram != settings.telegram:
                    self.tell_self(RestartChild(key=key))
                continue
            # Who isn't there, parked or between two lives, begins by these settings when it does.
            told = post(self.owner, key, SettingsApplied(settings=settings))
            if told and not connects_alike(account_id, old, settings):
                self.tell_self(AccountSignedIn(account_id=account_id))

    async def _start_anew(self, account_id: AccountId) -> None:
        """A fresh sign-in replaces the actor that had the old key."""
        await self.stop_child(f"account/{account_id}")
        await self._start_account(account_id)

    async def _stop_account(self, account_id: AccountId) -> None:
        await self.stop_child(f"account/{account_id}")

    async def _start_account(self, account_id: AccountId) -> None:
        key = f"account/{account_id}"
        await self.start_child(
            ChildSpec(key=key, factory=lambda: self._account(account_id, key), shutdown=ACCOUNT_SHUTDOWN)
        )

    def _account(self, account_id: AccountId, key: str) -> Any:
        """By the settings that hold when it starts, at its first start and at each one after a failure."""
        parts = self._parts
        return Account.start(
            account_id=account_id,
            store=parts.store,
            settings=parts.settings,
            datacenter=parts.datacenter,
            loopback_only=parts.loopback_only,
            metrics=parts.metrics,
            gate=self._gate,
            key=key,
        )

    def _start_bot(self) -> Any:
        parts = self._parts
        return Bot.start(
            token=parts.bot_token,
            store=parts.store,
            settings=parts.settings,
            datacenter=parts.datacenter,
            loopback_only=parts.loopback_only,
            metrics=parts.metrics,
            key="bot",
        )

    def _report(self, key: str, parked: ParkedChild) -> None:
        """An account that said why it can't go on has reported itself; one that only kept failing is reported here."""
        self.spawn_task(self._park(key, parked), name=f"report {key} parked")

    async def _park(self, key: str, parked: ParkedChild) -> None:
        account_id = _account_of(key)
        if account_id is None:
            logger.error("%s is parked: %s", key, parked.reason)
            return
        try:
            row = await self._parts.store.accounts.one(account_id)
            if row is not None and row.state in {"active", "connecting", "flooded"}:
                await self._parts.store.accounts.set_state(account_id, "parked", parked.reason)
                log.emit(log.ACCOUNT_PARKED, account_id=account_id, state="parked", cause=parked.reason)
        except StoreUnavailable as error:
            logger.warning("%s is parked (%s), which the database doesn't know yet: %s", key, parked.reason, error)
        post(self.owner, "roster", AccountDown(account_id=account_id, state="parked"))


def _account_of(key: str) -> AccountId | None:
    kind, _, number = key.partition("/")
    return AccountId(int(number)) if kind == "account" else None


def connects_alike(account_id: AccountId, old: Settings, new: Settings) -> bool:
    """Whether what an account's connection is made with is the same in both."""
    return proxy_of(account_id, old.telegram) == proxy_of(account_id, new.telegram) and (
        (account_id in old.collection.takeout) == (account_id in new.collection.takeout)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TellNext:
    """Tell the settings to the next of these channels, a slice in one turn of the loop."""

    keys: tuple[str, ...]
    told: SettingsApplied


class ChannelTree(Supervisor):
    """One child per followed channel, started by the roster; a child that keeps failing is quarantined."""

    def __init__(self, *, parts: Parts) -> None:
        super().__init__(policy=Backoff(), on_parked=self._report, concurrent=True)
        self._parts = parts

    async def started(self) -> None:
        await super().started()
        post(self.owner, "roster", ChannelsUp())

    def on_receive(self, message: SettingsApplied | TellNext | SupervisorMessage) -> Any:
        match message:
            case SettingsApplied():
                self.tell_self(TellNext(keys=tuple(self._nursery.children), told=message))
            case TellNext(keys=keys, told=told):
                for key in keys[:SLICE]:
                    post(self.owner, key, told)
                if keys[SLICE:]:
                    self.tell_self(replace(message, keys=keys[SLICE:]))
            case _:
                return super().on_receive(message)
        return None

    def _report(self, key: str, parked: ParkedChild) -> None:
        self.spawn_task(self._quarantine(key, parked), name=f"quarantine {key}")

    async def _quarantine(self, key: str, parked: ParkedChild) -> None:
        channel_id = ChannelId(int(key.partition("/")[2]))
        log.emit(log.CHANNEL_QUARANTINED, channel_id=channel_id, cause=parked.reason)
        try:
            await self._parts.store.channels.set_condition(channel_id, "quarantined", parked.reason)
        except StoreUnavailable as error:
            logger.warning("%s is quarantined, which the database doesn't know yet: %s", key, error)


class Root(Supervisor):
    """Owns the loop's tree. Its children are infrastructure: three failures within 300 s and the process gives up."""

    def __init__(self, *, parts: Parts) -> None:
        super().__init__(policy=Intensity())
        self._parts = parts
        self._rng = random.Random()  # noqa: S311 - jitter, not secrets

    async def started(self) -> None:
        await super().started()
        for spec in (
            ChildSpec(key="alerts", factory=self._start_alerts, shutdown=1.0),
            ChildSpec(key="recorder", factory=self._start_recorder, shutdown=5.0),
            ChildSpec(
                key="channels", factory=lambda: ChannelTree.start(parts=self._parts, key="channels"), shutdown=3.0
            ),
            ChildSpec(key="roster", factory=self._start_roster, shutdown=2.0),
            ChildSpec(key="accounts", factory=self._start_accounts, shutdown=ACCOUNT_SHUTDOWN + 1),
            ChildSpec(key="signin", factory=self._start_signin, shutdown=2.0),
            ChildSpec(key="scheduler", factory=self._start_scheduler, shutdown=2.0),
            ChildSpec(key="errands", factory=self._start_errands, shutdown=2.0),
        ):
            await self.start_child(spec)
        for spec in self._wanted():
            await self.start_child(spec)

    def _wanted(self) -> Iterator[ChildSpec]:
        """Those that run only where the settings ask for what they do."""
        if self._parts.settings.collection.reread_after:
            yield ChildSpec(key="rereader", factory=self._start_rereader, shutdown=2.0)
        if self._parts.settings.retention:
            yield ChildSpec(key="keeper", factory=self._start_keeper, shutdown=2.0, policy=Backoff())
        if self._parts.blobs is not None and self._parts.settings.media.channels:
            # Posts are collected without files too: one that keeps failing is parked, and ends nothing else.
            yield ChildSpec(key="downloader", factory=self._start_downloader, shutdown=2.0, policy=Backoff())

    def on_receive(self, message: ApplySettings | SupervisorMessage) -> Any:
        match message:
            case ApplySettings(settings=settings):
                return self._answer_later(lambda: self._apply(settings), "apply settings")
            case _:
                return super().on_receive(message)

    async def _apply(self, settings: Settings) -> None:
        """Schedules are in force already: they alone need the database, so they come first (``SetSchedules``)."""
        old, self._parts = self._parts.settings, replace(self._parts, settings=settings)
        for key in ("channels", "accounts", "signin", "bot"):
            ref = self.owner.get(key)
            if ref is not None:
                with suppress(ActorDeadError):  # its successor is made by these settings
                    await ref.send(SettingsApplied(settings=settings))
        changed = {
            "rereader": old.collection.reread_after != settings.collection.reread_after,
            "downloader": old.media != settings.media,
            "keeper": (old.retention, old.groups) != (settings.retention, settings.groups),
        }
        for key, is_changed in changed.items():
            if is_changed:
                await self.stop_child(key)
        for spec in self._wanted():
            if changed[spec.key]:
                await self.start_child(spec)

    def _start_alerts(self) -> Any:
        return Alerts.start(store=self._parts.store.alerts, metrics=self._parts.metrics, key="alerts")

    def _start_recorder(self) -> Any:
        return Recorder.start(posts=self._parts.store.posts, metrics=self._parts.metrics, key="recorder")

    def _start_channels(self) -> Any:
        return ChannelTree.start(parts=self._parts, key="channels")

    def _start_accounts(self) -> Any:
        return Accounts.start(parts=self._parts, key="accounts")

    def _start_roster(self) -> Any:
        return Roster.start(store=self._parts.store, spec_of=self._channel_spec, key="roster")

    def _start_signin(self) -> Any:
        parts = self._parts
        return SignIn.start(
            store=parts.store,
            settings=parts.settings,
            datacenter=parts.datacenter,
            loopback_only=parts.loopback_only,
            key="signin",
        )

    def _start_scheduler(self) -> Any:
        parts = self._parts
        return Scheduler.start(
            store=parts.store,
            schedules=parts.settings.schedules,
            groups=parts.settings.groups,
            rng=self._rng,
            plans=parts.settings.plans,
            metrics=parts.metrics,
            key="scheduler",
        )

    def _start_downloader(self) -> Any:
        parts = self._parts
        return Downloader.start(
            media=parts.store.media,
            blobs=parts.blobs,
            settings=parts.settings.media,
            metrics=parts.metrics,
            key="downloader",
        )

    def _start_keeper(self) -> Any:
        parts = self._parts
        return Keeper.start(
            store=parts.store,
            rules=parts.settings.retention,
            groups=parts.settings.groups,
            metrics=parts.metrics,
            key="keeper",
        )

    def _start_errands(self) -> Any:
        parts = self._parts
        return Errands.start(store=parts.store, metrics=parts.metrics, rng=self._rng, key="errands")

    def _start_rereader(self) -> Any:
        parts = self._parts
        return Rereader.start(
            rereads=parts.store.rereads,
            plans=parts.settings.collection.reread_after,
            metrics=parts.metrics,
            rng=self._rng,
            key="rereader",
        )

    def _channel_spec(self, channel_id: ChannelId) -> ChildSpec:
        key = key_of(channel_id)
        return ChildSpec(
            key=key,
            factory=lambda: Channel.start(
                channel_id=channel_id,
                channels=self._parts.store.channels,
                collection=self._parts.settings.collection,
                metrics=self._parts.metrics,
                rng=self._rng,
                key=key,
            ),
            shutdown=2.0,
        )
