"""Which account reads which channel: memberships, panels, failover, and the heads read on the channels' behalf.

Everything here can be rebuilt from the store; readers are kept there, so that a restart moves no channel.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from actors import log
from actors.channel import key_of
from actors.errors import StoreUnavailable
from actors.heads import CatchUp, Heads, HeadsMessage, LookAtRisen, Reconcile
from actors.lost import NOBODY_UP, look_again, next_look
from actors.messages.account import Reading, ReadingFor, RosterUp
from actors.messages.alerts import EndAlert, RaiseAlert
from actors.messages.content import Membership
from actors.messages.ids import AccountId, ChannelId
from actors.messages.jobs import ChannelUp
from actors.messages.roster import (
    AccountDown,
    AccountUp,
    ChannelsUp,
    Forget,
    Introduce,
    MembershipLost,
    MembershipsRead,
    ReaderFor,
    ReadersFor,
)
from actors.messages.rows import AccountRow, ChannelRow
from actors.neighbours import once_stored, or_again, post
from actors.panels import Panels
from actors.ports import Store
from actors.runtime.actor import TaskActor
from actors.runtime.clock import Timer
from actors.runtime.errors import ActorMissing, ChildParked, KeyTaken
from actors.runtime.supervision import ChildSpec, StartChild
from actors.telegram.follow import USABLE
from actors.telegram.link import CONNECTS_A_SECOND

logger = logging.getLogger(__name__)

KEY = "roster"
FAILOVER_AFTER = 20.0
"""Seconds that a channel waits for a reader that is away but not lost: beside the half minute in which a call shows
that nothing is answered, its channels go on within a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderLate:
    """An account was away for ``FAILOVER_AFTER``: its channels look for another reader."""

    account_id: AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class LookForLost:
    """Have a channel looked at again that nobody can read any more."""

    channel_id: ChannelId


RosterMessage = (
    Introduce
    | Forget
    | MembershipsRead
    | AccountUp
    | AccountDown
    | MembershipLost
    | ReaderFor
    | ReadersFor
    | ReadingFor
    | ReaderLate
    | HeadsMessage
    | ChannelUp
    | ChannelsUp
    | LookForLost
)


class Roster(TaskActor):
    """Elects one reader per channel and keeps it while it belongs to the channel and isn't lost."""

    mailbox_size = 16_384

    def __init__(self, *, store: Store, spec_of: Callable[[ChannelId], ChildSpec]) -> None:
        super().__init__()
        self._store = store
        self._channels = store.channels
        self._spec_of = spec_of
        self._panels = Panels()
        self._timers: dict[AccountId, Timer] = {}
        """Of the accounts that are awaited."""
        self._lost: dict[ChannelId, datetime] = {}
        """Those of which the operator was told that nobody can read them, and since when."""
        self._heads = Heads(self, self._panels)
        self._coming_up = 0.0
        """Seconds that accounts need to connect one after the other, while the process starts."""
        self._told: dict[AccountId, Reading] = {}

    async def started(self) -> None:
        panels = self._panels
        accounts, memberships, lost, channels = await once_stored(self, self._read)
        awaited = [row.account_id for row in accounts if row.has_session and not row.bot and row.state in USABLE]
        # They connect one after the other: whose turn comes late isn't lost for it.
        self._coming_up = len(awaited) / CONNECTS_A_SECOND
        for account_id in awaited:
            self._await_account(account_id)
        for membership in memberships:
            panels.join(membership.account_id, (membership.channel_id,))
        for channel_id, since in lost.items():
            self._look_later(channel_id, since)
        for channel in channels:
            reader = channel.reader_id
            if reader is not None and reader in panels.members.get(channel.channel_id, ()):
                panels.take_reader(channel.channel_id, reader)
                self._await_account(reader)
        for channel_id in panels.members:
            panels.elect(channel_id)
        await self._fill()
        self._heads.none_risen()
        self._coming_up = 0.0
        for key in self.owner.keys("account/"):
            # A restarted roster asks the accounts that are well to introduce themselves again.
            post(self.owner, key, RosterUp())
        self._heads.begin()

    async def _read(
        self,
    ) -> tuple[Sequence[AccountRow], Sequence[Membership], Mapping[ChannelId, datetime], Sequence[ChannelRow]]:
        store = self._store
        return (
            await store.accounts.all(),
            await store.channels.memberships(),
            await store.channels.lost_since(),
            await store.channels.all(),
        )

    def on_control(self, message: RosterMessage) -> None:
        """Losses overtake mail only as far as the mailbox: they are handled in turn, yet never refused for room."""
        self.tell_self(message)

    def on_receive(self, message: RosterMessage) -> object:
        match message:
            case Introduce():
                return self._take_in(message)
            case Forget(account_id=account_id):
                return self._forget(account_id)
            case MembershipsRead():
                return or_again(self, self._take_memberships(message), message)
            case AccountUp() | AccountDown() | MembershipLost() | ReaderLate():
                return or_again(self, self._take_change(message), message)
            case ReaderFor(channel_id=channel_id):
                return self._panels.reader_now(channel_id)
            case ReadersFor(channel_ids=channel_ids):
                return self._panels.grouped(channel_ids)
            case ReadingFor(account_id=account_id):
                return self._reading(account_id)
            case ChannelsUp():
                return or_again(self, self._refill(), message)
            case ChannelUp(channel_id=channel_id):
                self._heads.risen(channel_id)
            case CatchUp() | Reconcile() | LookAtRisen():
                self._heads.take(message)
            case LookForLost(channel_id=channel_id):
                if channel_id in self._lost:
                    self.spawn_task(self._look_again(channel_id), name=f"look for channel {channel_id}")
            case _:
                assert_never(message)
        return None

    async def _take_change(self, message: AccountUp | AccountDown | MembershipLost | ReaderLate) -> None:
        match message:
            case AccountUp(account_id=account_id):
                await self._take_up(account_id)
            case AccountDown():
                await self._take_down(message)
            case MembershipLost():
                await self._take_loss(message)
            case ReaderLate(account_id=account_id):
                await self._take_late(account_id)
            case _:
                assert_never(message)

    async def _take_in(self, message: Introduce) -> Reading:
        await self._take_memberships(
            MembershipsRead(account_id=message.account_id, memberships=message.memberships, complete=message.complete)
        )
        await self._take_up(message.account_id)
        return self._reading(message.account_id)

    async def _forget(self, account_id: AccountId) -> None:
        former = self._panels.of(account_id)
        await self._take_down(AccountDown(account_id=account_id, state="signed_out"))
        for channel_id in former:
            self._panels.leave(account_id, channel_id)
            if self._panels.readers.get(channel_id) == account_id:
                await self._channels.set_reader(channel_id, None)
                self._panels.appoint(channel_id, None)
        await self._settle(set(former))

    # --- members ---------------------------------------------------------------------------------------------------

    async def _take_memberships(self, message: MembershipsRead) -> None:
        account_id = message.account_id
        await self._channels.save_memberships(account_id, message.memberships, complete=message.complete)
        named = {membership.channel_id for membership in message.memberships}
        former = self._panels.of(account_id)
        self._panels.join(account_id, named)
        for channel_id in named:
            await self._ensure_channel(channel_id)
        if message.complete:
            for channel_id in former - named:
                self._panels.leave(account_id, channel_id)
        # Also those that it reads and has left meanwhile, whether or not it is up itself.
        await self._settle(named | former)

    async def _fill(self) -> None:
        """See that every followed channel has its actor."""
        for channel_id in tuple(self._panels.members):
            await self._ensure_channel(channel_id)

    async def _refill(self) -> None:
        """The supervisor of the channels has started anew, and with it nothing."""
        await self._fill()

    async def _ensure_channel(self, channel_id: ChannelId) -> None:
        if self.owner.get(key_of(channel_id)) is not None:
            return
        tree = self.owner.find("channels")
        try:
            await tree.call(StartChild(spec=self._spec_of(channel_id)))
        except (KeyTaken, ChildParked, ActorMissing) as error:  # it ends, is parked, or waits for its restart
            logger.debug("channel %s isn't started: %s", channel_id, error)

    async def _take_loss(self, message: MembershipLost) -> None:
        account_id, channel_id = message.account_id, message.channel_id
        members = self._panels.members.get(channel_id, set())
        if account_id not in members and self._panels.readers.get(channel_id) != account_id:
            return
        await self._channels.end_membership(account_id, channel_id)
        if not members - {account_id}:
            await self._channels.set_condition(channel_id, "private", "no account belongs to it")
            cause = f"no account can read it any more: {message.cause}"
            self._look_later(channel_id, self.owner.clock.now())
            post(self.owner, "alerts", RaiseAlert(kind="channel_private", channel_id=channel_id, cause=cause))
        log.emit(log.CHANNEL_LOST, channel_id=channel_id, account_id=account_id, cause=message.cause)
        self._panels.leave(account_id, channel_id)
        await self._settle({channel_id})

    def _look_later(self, channel_id: ChannelId, since: datetime) -> None:
        self._lost[channel_id] = since
        wait = next_look((self.owner.clock.now() - since).total_seconds())
        if wait is not None:
            self.tell_later(wait, LookForLost(channel_id=channel_id))

    async def _look_again(self, channel_id: ChannelId) -> None:
        try:
            wait = await look_again(channel_id, self._channels, self.owner)
        except StoreUnavailable:
            wait = NOBODY_UP
        if wait is not None:
            self.tell_later(wait, LookForLost(channel_id=channel_id))
        elif channel_id in self._lost:
            self._look_later(channel_id, self._lost[channel_id])

    # --- accounts --------------------------------------------------------------------------------------------------

    async def _take_up(self, account_id: AccountId) -> None:
        self._panels.up.add(account_id)
        self._await_no_more(account_id)
        await self._settle(self._panels.of(account_id))
        await self._share(account_id)
        self._tell_readings(self._panels.sat_with(account_id))
        self._tell_reading(account_id, again=True)
        self._heads.want(account_id, self._panels.read_by(account_id))

    async def _share(self, account_id: AccountId) -> None:
        """Take over channels from those that read far more."""
        for channel_id in self._panels.fair_share(account_id):
            await self._channels.set_reader(channel_id, account_id)
            self._panels.appoint(channel_id, account_id)

    async def _take_down(self, message: AccountDown) -> None:
        account_id = message.account_id
        was_up = account_id in self._panels.up
        self._panels.up.discard(account_id)
        if message.state == "connecting":
            if was_up:
                self._await_account(account_id)
            self._tell_readings(self._panels.sat_with(account_id))  # standbys listen until it is back
            return
        self._await_no_more(account_id)
        await self._settle(self._panels.of(account_id))

    async def _take_late(self, account_id: AccountId) -> None:
        if account_id not in self._panels.up:
            self._await_no_more(account_id)
            await self._settle(self._panels.of(account_id))

    def _await_account(self, account_id: AccountId) -> None:
        self._await_no_more(account_id)
        self._panels.awaited.add(account_id)
        wait = FAILOVER_AFTER + self._coming_up
        self._timers[account_id] = self.tell_later(wait, ReaderLate(account_id=account_id))

    def _await_no_more(self, account_id: AccountId) -> None:
        self._panels.awaited.discard(account_id)
        timer = self._timers.pop(account_id, None)
        if timer is not None:
            timer.cancel()

    # --- readers ---------------------------------------------------------------------------------------------------

    async def _settle(self, channel_ids: set[ChannelId]) -> None:
        """Fill panels, and elect a reader for each channel whose reader is lost; one that is awaited stays."""
        concerned: set[AccountId] = set()
        moved: dict[AccountId, list[ChannelId]] = {}
        try:
            for channel_id in sorted(channel_ids):
                concerned.update(self._panels.panel_of(channel_id))
                await self._elect(channel_id, moved)
                concerned.update(self._panels.panel_of(channel_id))
        finally:  # what was decided before the database went away is told all the same
            self._tell_readings(concerned)
            for account_id, channels in moved.items():
                self._heads.want(account_id, channels)

    async def _elect(self, channel_id: ChannelId, moved: dict[AccountId, list[ChannelId]]) -> None:
        panels = self._panels
        reader, successor = panels.readers.get(channel_id), panels.elect(channel_id)
        if successor == reader:
            return
        if successor is None and reader in panels.members.get(channel_id, ()):
            return  # it may come back, and nobody else could read
        await self._channels.set_reader(channel_id, successor)
        panels.appoint(channel_id, successor)
        if successor is not None:
            moved.setdefault(successor, []).append(channel_id)
            if channel_id in self._lost:
                del self._lost[channel_id]
                post(self.owner, "alerts", EndAlert(kind="channel_private", channel_id=channel_id))

    def _reading(self, account_id: AccountId) -> Reading:
        return Reading(channel_ids=self._panels.heard_by(account_id), updates=self._panels.needs(account_id))

    def _tell_readings(self, account_ids: Iterable[AccountId]) -> None:
        for account_id in account_ids:
            self._tell_reading(account_id)

    def _tell_reading(self, account_id: AccountId, *, again: bool = False) -> None:
        reading = self._reading(account_id)
        if again or self._told.get(account_id) != reading:
            self._told[account_id] = reading
            post(self.owner, f"account/{account_id}", reading)
