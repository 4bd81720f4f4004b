"""Who reads which channel, and who stands by. Decides, never acts.

A channel's panel is its reader and up to two standbys, each with an access hash of its own. Panels share accounts where
they can, so that few accounts receive the pushes of many channels and all others connect without updates.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from actors.messages.ids import AccountId, ChannelId
from actors.messages.roster import Readers

PANEL = 3
"""A reader and two standbys."""
UNEVEN = 10
"""Channels by which a reader may have fewer than its share before it takes some over."""


def choose_panel(
    members: Collection[AccountId],
    keep: Iterable[AccountId],
    able: Collection[AccountId],
    weight: Mapping[AccountId, int],
) -> tuple[AccountId, ...]:
    """Up to ``PANEL`` members that are able: those of ``keep`` first, then the heaviest, the lowest id among equals."""
    kept = list(dict.fromkeys(account for account in keep if account in members and account in able))[:PANEL]
    if len(kept) < PANEL:
        others = (account for account in members if account in able and account not in kept)
        kept += sorted(others, key=lambda account: (-weight.get(account, 0), account))[: PANEL - len(kept)]
    return tuple(kept)


@dataclass(slots=True)
class Panels:
    """Sticky: a reader stays while it belongs to the channel and isn't lost, a standby while it may come back."""

    members: dict[ChannelId, set[AccountId]] = field(default_factory=dict)
    readers: dict[ChannelId, AccountId] = field(default_factory=dict)
    up: set[AccountId] = field(default_factory=set)
    awaited: set[AccountId] = field(default_factory=set)
    """Away, yet they may come back in time: their channels wait for them."""
    _panels: dict[ChannelId, tuple[AccountId, ...]] = field(default_factory=dict)
    _belongs: defaultdict[AccountId, set[ChannelId]] = field(default_factory=lambda: defaultdict(set))
    _sits: defaultdict[AccountId, set[ChannelId]] = field(default_factory=lambda: defaultdict(set))
    _reads: defaultdict[AccountId, set[ChannelId]] = field(default_factory=lambda: defaultdict(set))

    def take_reader(self, channel_id: ChannelId, account_id: AccountId) -> None:
        """As it was stored."""
        self._set_reader(channel_id, account_id)

    def read_by(self, account_id: AccountId) -> frozenset[ChannelId]:
        return frozenset(self._reads[account_id])

    def panel_of(self, channel_id: ChannelId) -> tuple[AccountId, ...]:
        """The reader first where it has one."""
        reader = self.readers.get(channel_id)
        panel = self._panels.get(channel_id, ())
        return tuple(sorted(panel, key=lambda account: account != reader))

    def needs(self, account_id: AccountId) -> bool:
        """Whether the account reads or stands by for any channel: only then it has to be pushed to."""
        return bool(self._sits[account_id])

    def heard_by(self, account_id: AccountId) -> frozenset[ChannelId]:
        """The channels whose pushes this account passes on: those that it reads, and those whose reader is away."""
        return frozenset(
            channel_id
            for channel_id in self._sits[account_id]
            if (reader := self.readers.get(channel_id)) == account_id or reader not in self.up
        )

    def reader_now(self, channel_id: ChannelId) -> AccountId | None:
        """The channel's reader, where it is up and still belongs to the channel."""
        reader = self.readers.get(channel_id)
        return reader if reader in self.up and reader in self.members.get(channel_id, ()) else None

    def grouped(self, channel_ids: Iterable[ChannelId]) -> Readers:
        """Who reads these now; those without a member that is up or awaited are in neither part."""
        groups: dict[AccountId, list[ChannelId]] = {}
        awaited = []
        for channel_id in channel_ids:
            reader = self.reader_now(channel_id)
            if reader is not None:
                groups.setdefault(reader, []).append(channel_id)
            elif self.readers.get(channel_id) in self.awaited:
                awaited.append(channel_id)
        return Readers(by_account={each: tuple(channels) for each, channels in groups.items()}, awaited=tuple(awaited))

    def sat_with(self, account_id: AccountId) -> set[AccountId]:
        """All who share a panel with this account, itself included."""
        return {account_id}.union(*(self._panels[channel_id] for channel_id in self._sits[account_id]))

    # --- changes -----------------------------------------------------------------------------------------------------

    def join(self, account_id: AccountId, channel_ids: Iterable[ChannelId]) -> None:
        for channel_id in channel_ids:
            self.members.setdefault(channel_id, set()).add(account_id)
            self._belongs[account_id].add(channel_id)

    def leave(self, account_id: AccountId, channel_id: ChannelId) -> None:
        self.members.get(channel_id, set()).discard(account_id)
        self._belongs[account_id].discard(channel_id)

    def of(self, account_id: AccountId) -> set[ChannelId]:
        """The channels that the account belongs to, sits for or reads."""
        return self._belongs[account_id] | self._sits[account_id] | self._reads[account_id]

    def elect(self, channel_id: ChannelId) -> AccountId | None:
        """Fill the channel's panel; the reader that it should have now. None where nobody who is up belongs to it.

        Changes the panel, not yet the reader: that is for ``appoint``, once it is stored.
        """
        members, reader = self.members.get(channel_id, set()), self.readers.get(channel_id)
        able = self.up | self.awaited
        keep = (*((reader,) if reader is not None else ()), *self._panels.get(channel_id, ()))
        self._seat(channel_id, choose_panel(members, keep, able, {a: len(self._sits[a]) for a in members}))
        if reader in members and reader in able:
            return reader
        ready = (account for account in self._panels[channel_id] if account in self.up)
        return min(ready, key=lambda account: (len(self._reads[account]), account), default=None)

    def appoint(self, channel_id: ChannelId, account_id: AccountId | None) -> None:
        self._set_reader(channel_id, account_id)

    def fair_share(self, account_id: AccountId) -> tuple[ChannelId, ...]:
        """Channels to take over from readers of its panels that have more than their share; none if all is even."""
        load = {account: len(self._reads[account]) for account in self.sat_with(account_id) if account in self.up}
        share = sum(load.values()) / max(1, len(load))
        if load.get(account_id, share) > share - UNEVEN:
            return ()
        taken = []
        for channel_id in sorted(self._sits[account_id]):
            reader = self.readers.get(channel_id)
            if reader in load and load[reader] > share and load[account_id] < share:
                load[reader] -= 1
                load[account_id] += 1
                taken.append(channel_id)
        return tuple(taken)

    def _seat(self, channel_id: ChannelId, panel: tuple[AccountId, ...]) -> None:
        for account_id in self._panels.get(channel_id, ()):
            self._sits[account_id].discard(channel_id)
        for account_id in panel:
            self._sits[account_id].add(channel_id)
        self._panels[channel_id] = panel

    def _set_reader(self, channel_id: ChannelId, account_id: AccountId | None) -> None:
        former = self.readers.pop(channel_id, None)
        if former is not None:
            self._reads[former].discard(channel_id)
        if account_id is not None:
            self.readers[channel_id] = account_id
            self._reads[account_id].add(channel_id)
