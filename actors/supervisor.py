"""The tree: what runs under the root, in which order it starts, and what happens to a child that keeps failing.

Start order: alerts, recorder, channels, roster, accounts (with the bot), sign-in, scheduler, errands, and where they
are wanted the rereader and the downloader; stop in reverse, so that pushes end before the channels do and the recorder
commits what the channels handed over. Channels start before the roster, which fills them; accounts start after it,
because they introduce themselves to it.
"""

import logging
import random
from dataclasses import dataclass
from typing import Any

from actors import log
from actors.account import Account
from actors.alerts import Alerts
from actors.bot import Bot
from actors.channel import Channel, key_of
from actors.downloader import Downloader
from actors.errands import Errands
from actors.errors import StoreUnavailable
from actors.messages.ids import AccountId, ChannelId
from actors.messages.roster import AccountDown, ChannelsUp
from actors.messages.signin import AccountSignedIn, StopAccount
from actors.metrics import Metrics
from actors.neighbours import post
from actors.ports import Blobs, Store
from actors.recorder import Recorder
from actors.rereader import Rereader
from actors.roster import Roster
from actors.runtime.supervision import Backoff, ChildSpec, Intensity, ParkedChild, Supervisor, SupervisorMessage
from actors.scheduler import Scheduler
from actors.signin import SignIn
from actors.telegram.link import Gate
from config.model import Datacenter, Settings

logger = logging.getLogger(__name__)

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


AccountsMessage = AccountSignedIn | StopAccount | SupervisorMessage


class Accounts(Supervisor):
    """One child per signed-in account, and the bot; a child that keeps failing is parked, its siblings untouched."""

    def __init__(self, *, parts: Parts) -> None:
        super().__init__(policy=Backoff(), on_parked=self._report, concurrent=True)
        self._parts = parts
        self._gate = Gate(self.owner.clock)

    async def started(self) -> None:
        await super().started()
        # Connections begin at a pace: those go first that have something to read.
        for row in sorted(await self._parts.store.accounts.all(), key=lambda row: (row.channels == 0, row.account_id)):
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
            case _:
                return super().on_receive(message)

    async def _start_anew(self, account_id: AccountId) -> None:
        """A fresh sign-in replaces the actor that had the old key."""
        await self.stop_child(f"account/{account_id}")
        await self._start_account(account_id)

    async def _stop_account(self, account_id: AccountId) -> None:
        await self.stop_child(f"account/{account_id}")

    async def _start_account(self, account_id: AccountId) -> None:
        parts, key = self._parts, f"account/{account_id}"
        spec = ChildSpec(
            key=key,
            factory=lambda: Account.start(
                account_id=account_id,
                store=parts.store,
                settings=parts.settings,
                datacenter=parts.datacenter,
                loopback_only=parts.loopback_only,
                metrics=parts.metrics,
                gate=self._gate,
                key=key,
            ),
            shutdown=ACCOUNT_SHUTDOWN,
        )
        await self.start_child(spec)

    def _start_bot(self) -> Any:
        parts = self._parts
        return Bot.start(
            token=parts.bot_token,
            store=parts.store,
            settings=parts.settings,
            datacenter=parts.datacenter,
            loopback_only=parts.loopback_only,
            key="bot",
        )

    def _report(self, key: str, parked: ParkedChild) -> None:
        """An account that said why it can't go on has reported itself; one that only kept failing is reported here."""
        self.spawn_task(self._park(key, parked), name=f"report {key} parked")

    async def _park(self, key: str, parked: ParkedChild) -> None:
        kind, _, number = key.partition("/")
        if kind != "account":
            logger.error("%s is parked: %s", key, parked.reason)
            return
        account_id = AccountId(int(number))
        try:
            row = await self._parts.store.accounts.one(account_id)
            if row is not None and row.state in {"active", "connecting", "flooded"}:
                await self._parts.store.accounts.set_state(account_id, "parked", parked.reason)
                log.emit(log.ACCOUNT_PARKED, account_id=account_id, state="parked", cause=parked.reason)
        except StoreUnavailable as error:
            logger.warning("%s is parked (%s), which the database doesn't know yet: %s", key, parked.reason, error)
        post(self.owner, "roster", AccountDown(account_id=account_id, state="parked"))


class ChannelTree(Supervisor):
    """One child per followed channel, started by the roster; a child that keeps failing is quarantined."""

    def __init__(self, *, parts: Parts) -> None:
        super().__init__(policy=Backoff(), on_parked=self._report, concurrent=True)
        self._parts = parts

    async def started(self) -> None:
        await super().started()
        post(self.owner, "roster", ChannelsUp())

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
        parts = self._parts
        for spec in (
            ChildSpec(key="alerts", factory=self._start_alerts, shutdown=1.0),
            ChildSpec(key="recorder", factory=self._start_recorder, shutdown=5.0),
            ChildSpec(key="channels", factory=lambda: ChannelTree.start(parts=parts, key="channels"), shutdown=3.0),
            ChildSpec(key="roster", factory=self._start_roster, shutdown=2.0),
            ChildSpec(
                key="accounts",
                factory=lambda: Accounts.start(parts=parts, key="accounts"),
                shutdown=ACCOUNT_SHUTDOWN + 1,
            ),
            ChildSpec(key="signin", factory=self._start_signin, shutdown=2.0),
            ChildSpec(key="scheduler", factory=self._start_scheduler, shutdown=2.0),
            ChildSpec(key="errands", factory=self._start_errands, shutdown=2.0),
        ):
            await self.start_child(spec)
        if parts.settings.collection.reread_after:
            await self.start_child(ChildSpec(key="rereader", factory=self._start_rereader, shutdown=2.0))
        if parts.blobs is not None and parts.settings.media.channels:
            # Posts are collected without files too: one that keeps failing is parked, and ends nothing else.
            await self.start_child(
                ChildSpec(key="downloader", factory=self._start_downloader, shutdown=2.0, policy=Backoff())
            )

    def _start_alerts(self) -> Any:
        return Alerts.start(store=self._parts.store.alerts, metrics=self._parts.metrics, key="alerts")

    def _start_recorder(self) -> Any:
        return Recorder.start(posts=self._parts.store.posts, metrics=self._parts.metrics, key="recorder")

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
