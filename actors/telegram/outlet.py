"""Where an account's news goes: each channel's straight to its channel, changes of membership to the roster."""

from collections.abc import Iterable
from contextlib import suppress

from actors.messages import (
    AccountDown,
    AccountId,
    AccountUp,
    ChannelHead,
    ChannelId,
    ChannelSeen,
    Membership,
    MembershipLost,
    MembershipsRead,
)
from actors.runtime.actor import TaskActor
from actors.runtime.errors import ActorDeadError, MailboxFull
from actors.telegram.caller import CallMetrics
from actors.telegram.line import Ask, CatchUp, Heal
from actors.telegram.updates import ChannelNews

HEAL_AFTER = 2.0
"""Seconds until channels whose pushes found no room are looked at."""
GAP_WAIT = 0.5
"""Seconds that a gap is given to close of itself: https://core.telegram.org/api/updates#recovering-gaps"""
GAP_PAUSE = 10.0
"""Least seconds between two differences asked for because of a gap."""


class Outlet:
    """Never waits and never fails: what can't be handed over is doubted, and looked at a little later."""

    def __init__(self, account_id: AccountId, actor: TaskActor, metrics: CallMetrics) -> None:
        self._id = account_id
        self._actor = actor
        self._metrics = metrics
        self._doubted: set[ChannelId] = set()
        self._gap_due = False
        self._gap_closed_at = float("-inf")

    def pass_on(self, channel_id: ChannelId, news: ChannelNews) -> None:
        ref = self._actor.owner.get(f"channel/{channel_id}")
        if ref is not None:
            with suppress(MailboxFull, ActorDeadError):
                ref.tell(news)
                return
        self._metrics.push_dropped()
        self.moved((channel_id,))

    def moved(self, channel_ids: Iterable[ChannelId]) -> None:
        if not self._doubted:
            self._actor.tell_later(HEAL_AFTER, Heal())
        self._doubted.update(channel_ids)

    def take_doubted(self) -> frozenset[ChannelId]:
        """The channels that are to be looked at, once."""
        doubted, self._doubted = frozenset(self._doubted), set()
        return doubted

    def fell_behind(self) -> None:
        if not self._gap_due:
            self._gap_due = True
            since = self._actor.owner.clock.monotonic() - self._gap_closed_at
            self._actor.tell_later(max(GAP_WAIT, GAP_PAUSE - since), Ask(request=CatchUp(tell=False)))

    def gap_closes(self) -> None:
        """The difference is being asked for."""
        self._gap_due, self._gap_closed_at = False, self._actor.owner.clock.monotonic()

    def seen(self, heads: Iterable[ChannelHead]) -> None:
        for head in heads:
            ref = self._actor.owner.get(f"channel/{head.channel_id}")
            if ref is not None:  # one that isn't there reads its own head when it starts
                with suppress(ActorDeadError):
                    ref.control(ChannelSeen(head=head))

    def joined(self, membership: Membership) -> None:
        self.tell_roster(MembershipsRead(account_id=self._id, memberships=(membership,), complete=False))

    def left(self, channel_id: ChannelId) -> None:
        self.tell_roster(MembershipLost(account_id=self._id, channel_id=channel_id))

    def tell_roster(self, message: MembershipsRead | MembershipLost | AccountUp | AccountDown) -> None:
        """By the control lane, which has always room. A roster that isn't there asks when it is (``RosterUp``)."""
        ref = self._actor.owner.get("roster")
        if ref is not None:
            with suppress(ActorDeadError):
                ref.control(message)
