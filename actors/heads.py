"""Reads the heads of channels with their readers, and tells each channel its own: a call for a hundred of them."""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import assert_never

from actors.channel import key_of
from actors.errors import FloodWaited, Refused
from actors.messages.account import ChannelsPeeked, PeekChannels
from actors.messages.channel import ChannelSeen
from actors.messages.ids import AccountId, ChannelId
from actors.messages.roster import MembershipLost
from actors.neighbours import ASK_FAULTS, post
from actors.panels import Panels
from actors.runtime.actor import TaskActor

logger = logging.getLogger(__name__)

PEEK = 100
"""Channels per messages.getPeerDialogs."""
PEEK_WITHIN = 300.0
"""Seconds for heads, most of them spent in the account's line."""
PEEK_AGAIN = 5.0
"""Seconds until heads are asked for again after a passing fault."""
RISEN_AFTER = 1.0
"""Seconds in which channels that start are gathered, to be looked at together."""
RECONCILE = 240.0
"""Seconds between two looks at the heads of active channels: what was never pushed is stored within 5 minutes."""
IDLE_ROUNDS = 14
"""Rounds after which the heads of idle channels are looked at too: within 60 minutes."""
ACTIVE_FOR = 86_400.0
"""Seconds since a channel last moved, or was first looked at, during which it counts as active."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """Read the heads of these channels with their reader and tell each its own."""

    account_id: AccountId
    channel_ids: tuple[ChannelId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAtRisen:
    """Read the heads of the channels whose actors have started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconcile:
    """Look for what was never pushed."""

    number: int


HeadsMessage = CatchUp | LookAtRisen | Reconcile


class Heads:
    """The roster's eyes. What an account can't see any more it says to the roster itself."""

    def __init__(self, actor: TaskActor, panels: Panels) -> None:
        self._actor = actor
        self._panels = panels
        self._risen: set[ChannelId] = set()
        self._moved: dict[ChannelId, tuple[int, float]] = {}
        """The last pts that was read of each channel, and when it had changed."""

    def begin(self) -> None:
        """Look for what was never pushed, from now on."""
        self._actor.tell_later(RECONCILE, Reconcile(number=1))

    def risen(self, channel_id: ChannelId) -> None:
        """A channel's actor has started: soon its head is read, together with those of others."""
        if not self._risen:
            self._actor.tell_later(RISEN_AFTER, LookAtRisen())
        self._risen.add(channel_id)

    def none_risen(self) -> None:
        """All that have started are looked at anyway."""
        self._risen.clear()

    def take(self, message: HeadsMessage) -> None:
        match message:
            case CatchUp():
                self._actor.spawn_task(self._peek(message), name=f"heads for account {message.account_id}")
            case Reconcile(number=number):
                self._reconcile(number)
            case LookAtRisen():
                for account_id, channels in self._panels.grouped(self._risen).by_account.items():
                    self.want(account_id, channels)
                self._risen.clear()
            case _:
                assert_never(message)

    def _reconcile(self, number: int) -> None:
        """Heads of active channels every time, of idle ones now and then: a call for a hundred of them."""
        now = self._actor.owner.clock.monotonic()
        for account_id in self._panels.up:
            channels = self._panels.read_by(account_id)
            if number % IDLE_ROUNDS:
                channels = frozenset(each for each in channels if self._is_active(each, now))
            self.want(account_id, channels)
        self._actor.tell_later(RECONCILE, Reconcile(number=number + 1))

    def _is_active(self, channel_id: ChannelId, now: float) -> bool:
        _, moved_at = self._moved.get(channel_id, (0, now))
        return now - moved_at < ACTIVE_FOR

    def want(self, account_id: AccountId, channel_ids: Collection[ChannelId]) -> None:
        channels = tuple(sorted(channel_ids))
        for at in range(0, len(channels), PEEK):
            self._actor.tell_self(CatchUp(account_id=account_id, channel_ids=channels[at : at + PEEK]))

    async def _peek(self, batch: CatchUp) -> None:
        account = self._actor.owner.get(f"account/{batch.account_id}")
        if account is None or batch.account_id not in self._panels.up:
            return  # Its return, or its successor's election, starts the catch-up anew.
        try:
            peeked = await account.call(PeekChannels(channel_ids=batch.channel_ids), timeout=PEEK_WITHIN)
        except FloodWaited as error:
            self._actor.tell_later(error.wait.total_seconds(), batch)
        except Refused as error:
            logger.info("heads of %s channels are left to the next round: %s", len(batch.channel_ids), error)
        except ASK_FAULTS as error:
            logger.info("heads of %s channels come later: %s", len(batch.channel_ids), error)
            self._actor.tell_later(PEEK_AGAIN, batch)
        else:
            self._spread(batch.account_id, peeked)

    def _spread(self, account_id: AccountId, peeked: ChannelsPeeked) -> None:
        now = self._actor.owner.clock.monotonic()
        for head in peeked.heads:
            if self._moved.get(head.channel_id, (0, 0.0))[0] != head.pts:
                self._moved[head.channel_id] = (head.pts, now)
            post(self._actor.owner, key_of(head.channel_id), ChannelSeen(head=head))
        self.want(account_id, peeked.left)
        for channel_id in peeked.lost:
            self._actor.tell_self(MembershipLost(account_id=account_id, channel_id=channel_id))
