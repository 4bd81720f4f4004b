"""Which account reads which channel: memberships, sticky readers, failover, and the heads read on their behalf.

Everything here can be rebuilt from the store; readers are kept there, so that a restart moves no channel.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import assert_never

from actors import log
from actors.channel import key_of
from actors.errors import FloodWaited
from actors.messages import (
    AccountDown,
    AccountId,
    AccountUp,
    ChannelId,
    ChannelSeen,
    ChannelsPeeked,
    ChannelsUp,
    Introduce,
    MembershipLost,
    MembershipsRead,
    PeekChannels,
    ReaderFor,
    Readers,
    ReadersFor,
    Reading,
    RosterUp,
)
from actors.neighbours import ASK_FAULTS, or_again, post
from actors.ports import Channels
from actors.runtime.actor import TaskActor
from actors.runtime.clock import Timer
from actors.runtime.errors import ActorMissing, ChildParked, KeyTaken
from actors.runtime.supervision import ChildSpec, StartChild

logger = logging.getLogger(__name__)

KEY = "roster"
FAILOVER_AFTER = 60.0
"""Seconds that a channel waits for a reader that is away but not lost."""
PEEK = 100
"""Channels per messages.getPeerDialogs."""
PEEK_AGAIN = 5.0
"""Seconds until heads are asked for again after a passing fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderLate:
    """An account was away for ``FAILOVER_AFTER``: its channels look for another reader."""

    account_id: AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """Read the heads of these channels with their reader and tell each its own."""

    account_id: AccountId
    channel_ids: tuple[ChannelId, ...]


RosterMessage = (
    Introduce
    | MembershipsRead
    | AccountUp
    | AccountDown
    | MembershipLost
    | ReaderFor
    | ReadersFor
    | ReaderLate
    | CatchUp
    | ChannelsUp
)


def elect(members: Iterable[AccountId], up: set[AccountId], load: dict[AccountId, int]) -> AccountId | None:
    """The least loaded member that is up, the lowest id among equals; None when none is."""
    return min((member for member in members if member in up), key=lambda m: (load.get(m, 0), m), default=None)


class Roster(TaskActor):
    """Elects one reader per channel and keeps it while it belongs to the channel and isn't lost."""

    mailbox_size = 16_384

    def __init__(self, *, channels: Channels, spec_of: Callable[[ChannelId], ChildSpec]) -> None:
        super().__init__()
        self._channels = channels
        self._spec_of = spec_of
        self._members: dict[ChannelId, set[AccountId]] = {}
        self._readers: dict[ChannelId, AccountId] = {}
        self._up: set[AccountId] = set()
        self._awaited: dict[AccountId, Timer] = {}
        """Accounts that are away, yet may come back in time: their channels wait for them."""

    async def started(self) -> None:
        for membership in await self._channels.memberships():
            self._members.setdefault(membership.channel_id, set()).add(membership.account_id)
        for row in await self._channels.all():
            if row.reader_id is not None and row.reader_id in self._members.get(row.channel_id, ()):
                self._readers[row.channel_id] = row.reader_id
        for account_id in set(self._readers.values()):
            self._await_account(account_id)
        await self._fill()
        for key in self.owner.keys("account/"):
            # A restarted roster asks the accounts that are well to introduce themselves again.
            post(self.owner, key, RosterUp())

    def on_control(self, message: RosterMessage) -> None:
        """Losses overtake mail only as far as the mailbox: they are handled in turn, yet never refused for room."""
        self.tell_self(message)

    def on_receive(self, message: RosterMessage) -> object:
        match message:
            case Introduce():
                return self._take_in(message)
            case MembershipsRead():
                return or_again(self, self._take_memberships(message), message)
            case AccountUp(account_id=account_id):
                return or_again(self, self._take_up(account_id), message)
            case AccountDown():
                return or_again(self, self._take_down(message), message)
            case MembershipLost():
                return or_again(self, self._take_loss(message), message)
            case ReaderLate(account_id=account_id):
                return or_again(self, self._take_late(account_id), message)
            case ReaderFor(channel_id=channel_id):
                return self._reader_now(channel_id)
            case ReadersFor(channel_ids=channel_ids):
                return self._group(channel_ids)
            case ChannelsUp():
                return or_again(self, self._refill(), message)
            case CatchUp():
                self.spawn_task(self._peek(message), name=f"heads for account {message.account_id}")
                return None
            case _:
                assert_never(message)

    async def _take_in(self, message: Introduce) -> None:
        await self._take_memberships(
            MembershipsRead(account_id=message.account_id, memberships=message.memberships, complete=message.complete)
        )
        await self._take_up(message.account_id)

    # --- members ---------------------------------------------------------------------------------------------------

    async def _take_memberships(self, message: MembershipsRead) -> None:
        account_id = message.account_id
        await self._channels.save_memberships(account_id, message.memberships, complete=message.complete)
        named = {membership.channel_id for membership in message.memberships}
        for channel_id in named:
            self._members.setdefault(channel_id, set()).add(account_id)
            await self._ensure_channel(channel_id)
        if message.complete:
            for channel_id, members in self._members.items():
                if channel_id not in named:
                    members.discard(account_id)
        # Also those that it reads and has left meanwhile, whether or not it is up itself.
        await self._settle(named | set(self._read_by(account_id)))

    async def _fill(self) -> None:
        """See that every followed channel has its actor."""
        for channel_id in tuple(self._members):
            await self._ensure_channel(channel_id)

    async def _refill(self) -> None:
        """The supervisor of the channels has started anew, and with it nothing."""
        await self._fill()
        for account_id in self._up:
            self._catch_up(account_id, self._read_by(account_id))

    async def _ensure_channel(self, channel_id: ChannelId) -> None:
        if self.owner.get(key_of(channel_id)) is not None:
            return
        tree = self.owner.find("channels")
        try:
            await tree.call(StartChild(spec=self._spec_of(channel_id)))
        except (KeyTaken, ChildParked, ActorMissing) as error:  # it ends, is parked, or waits for its restart
            logger.debug("channel %s isn't started: %s", channel_id, error)

    async def _take_loss(self, message: MembershipLost) -> None:
        members = self._members.get(message.channel_id, set())
        if message.account_id not in members and self._readers.get(message.channel_id) != message.account_id:
            return
        await self._channels.end_membership(message.account_id, message.channel_id)
        if not members - {message.account_id}:
            await self._channels.set_condition(message.channel_id, "private", "no account belongs to it")
        log.emit(log.CHANNEL_LOST, channel_id=message.channel_id, account_id=message.account_id, cause=message.cause)
        members.discard(message.account_id)
        await self._settle({message.channel_id})

    # --- accounts --------------------------------------------------------------------------------------------------

    async def _take_up(self, account_id: AccountId) -> None:
        self._up.add(account_id)
        self._await_no_more(account_id)
        mine = {channel for channel, members in self._members.items() if account_id in members}
        await self._settle(mine | set(self._read_by(account_id)))
        self._tell_reading(account_id)
        self._catch_up(account_id, self._read_by(account_id))

    async def _take_down(self, message: AccountDown) -> None:
        was_up = message.account_id in self._up
        self._up.discard(message.account_id)
        if message.state == "connecting":
            if was_up:
                self._await_account(message.account_id)
            return
        self._await_no_more(message.account_id)
        await self._settle(set(self._read_by(message.account_id)))

    async def _take_late(self, account_id: AccountId) -> None:
        if account_id not in self._up:
            self._await_no_more(account_id)
            await self._settle(set(self._read_by(account_id)))

    def _await_account(self, account_id: AccountId) -> None:
        self._await_no_more(account_id)
        self._awaited[account_id] = self.tell_later(FAILOVER_AFTER, ReaderLate(account_id=account_id))

    def _await_no_more(self, account_id: AccountId) -> None:
        timer = self._awaited.pop(account_id, None)
        if timer is not None:
            timer.cancel()

    # --- readers ---------------------------------------------------------------------------------------------------

    def _read_by(self, account_id: AccountId) -> tuple[ChannelId, ...]:
        return tuple(channel for channel, reader in self._readers.items() if reader == account_id)

    def _load(self) -> dict[AccountId, int]:
        load: dict[AccountId, int] = {}
        for reader in self._readers.values():
            load[reader] = load.get(reader, 0) + 1
        return load

    async def _settle(self, channel_ids: set[ChannelId]) -> None:
        """Elect a reader for each channel whose reader is lost; readers that are well, or awaited, stay."""
        moved: dict[AccountId, list[ChannelId]] = {}
        try:
            await self._elect_all(sorted(channel_ids), moved)
        finally:  # what was decided before the database went away is told all the same
            for account_id, channels in moved.items():
                self._tell_reading(account_id)
                self._catch_up(account_id, channels)

    async def _elect_all(self, channel_ids: Iterable[ChannelId], moved: dict[AccountId, list[ChannelId]]) -> None:
        load = self._load()
        for channel_id in channel_ids:
            members = self._members.get(channel_id, set())
            reader = self._readers.get(channel_id)
            if reader in members and (reader in self._up or reader in self._awaited):
                continue
            successor = elect(members, self._up, load)
            if successor is None:
                if reader is not None and reader not in members:
                    await self._channels.set_reader(channel_id, None)
                    del self._readers[channel_id]
                continue
            await self._channels.set_reader(channel_id, successor)
            self._readers[channel_id] = successor
            load[successor] = load.get(successor, 0) + 1
            moved.setdefault(successor, []).append(channel_id)
            if reader is not None:
                moved.setdefault(reader, [])  # it is told that it reads one less

    def _tell_reading(self, account_id: AccountId) -> None:
        post(self.owner, f"account/{account_id}", Reading(channel_ids=frozenset(self._read_by(account_id))))

    def _reader_now(self, channel_id: ChannelId) -> AccountId | None:
        """The channel's reader, where it is up and still belongs to the channel."""
        reader = self._readers.get(channel_id)
        return reader if reader in self._up and reader in self._members.get(channel_id, ()) else None

    def _group(self, channel_ids: Iterable[ChannelId]) -> Readers:
        groups: dict[AccountId, list[ChannelId]] = {}
        awaited = []
        for channel_id in channel_ids:
            reader = self._reader_now(channel_id)
            if reader is not None:
                groups.setdefault(reader, []).append(channel_id)
            elif self._readers.get(channel_id) in self._awaited:
                awaited.append(channel_id)
        return Readers(
            by_account={reader: tuple(channels) for reader, channels in groups.items()}, awaited=tuple(awaited)
        )

    # --- heads -----------------------------------------------------------------------------------------------------

    def _catch_up(self, account_id: AccountId, channel_ids: Iterable[ChannelId]) -> None:
        channels = tuple(channel_ids)
        for at in range(0, len(channels), PEEK):
            self.tell_self(CatchUp(account_id=account_id, channel_ids=channels[at : at + PEEK]))

    async def _peek(self, batch: CatchUp) -> None:
        account = self.owner.get(f"account/{batch.account_id}")
        if account is None or batch.account_id not in self._up:
            return  # Its return, or its successor's election, starts the catch-up anew.
        try:
            peeked = await account.call(PeekChannels(channel_ids=batch.channel_ids), timeout=60.0)
        except FloodWaited as error:
            self.tell_later(error.wait.total_seconds(), batch)
        except ASK_FAULTS as error:
            logger.info("heads of %s channels come later: %s", len(batch.channel_ids), error)
            self.tell_later(PEEK_AGAIN, batch)
        else:
            self._spread(batch.account_id, peeked)

    def _spread(self, account_id: AccountId, peeked: ChannelsPeeked) -> None:
        for head in peeked.heads:
            post(self.owner, key_of(head.channel_id), ChannelSeen(head=head))
        for channel_id in peeked.lost:
            self.tell_self(MembershipLost(account_id=account_id, channel_id=channel_id))
