"""Where an account's news goes: each channel's straight to its channel, changes of membership to the roster."""

from collections.abc import Iterable

from actors.messages.channel import ChannelFigures, ChannelMoved
from actors.messages.content import Membership
from actors.messages.ids import AccountId, ChannelId
from actors.messages.roster import AccountDown, AccountUp, MembershipLost, MembershipsRead
from actors.neighbours import post
from actors.runtime.actor import TaskActor
from actors.runtime.errors import ActorDeadError, MailboxFull
from actors.telegram.caller import CallMetrics
from actors.telegram.line import Ask, CatchUp
from actors.telegram.updates import ChannelNews

GAP_WAIT = 0.5
"""Seconds that a gap is given to close of itself: https://core.telegram.org/api/updates#recovering-gaps"""
GAP_PAUSE = 10.0
"""Least seconds between two differences asked for because of a gap."""


class Outlet:
    """Never waits and never fails: of what can't be handed over the channel is told that it missed something."""

    def __init__(self, account_id: AccountId, actor: TaskActor, metrics: CallMetrics) -> None:
        self._id = account_id
        self._actor = actor
        self._metrics = metrics
        self._gap_due = False
        self._gap_closed_at = float("-inf")

    def pass_on(self, channel_id: ChannelId, news: ChannelNews) -> None:
        ref = self._actor.owner.get(f"channel/{channel_id}")
        try:
            if ref is not None:
                ref.tell(news)
                return
        except MailboxFull:
            if not isinstance(news, ChannelFigures):
                self.moved((ChannelMoved(channel_id=channel_id, pts=None),))
        except ActorDeadError:
            pass
        self._metrics.push_dropped()  # a channel that isn't there reads its own head when it starts

    def moved(self, hints: Iterable[ChannelMoved]) -> None:
        """By the control lane, which has always room: the channel asks for what it missed."""
        for hint in hints:
            post(self._actor.owner, f"channel/{hint.channel_id}", hint)

    def fell_behind(self) -> None:
        if not self._gap_due:
            self._gap_due = True
            since = self._actor.owner.clock.monotonic() - self._gap_closed_at
            self._actor.tell_later(max(GAP_WAIT, GAP_PAUSE - since), Ask(request=CatchUp(tell=False)))

    def gap_closes(self) -> None:
        """The difference is being asked for."""
        self._gap_due, self._gap_closed_at = False, self._actor.owner.clock.monotonic()

    def joined(self, membership: Membership) -> None:
        self.tell_roster(MembershipsRead(account_id=self._id, memberships=(membership,), complete=False))

    def unfollowed(self, rest: tuple[Membership, ...]) -> None:
        self.tell_roster(MembershipsRead(account_id=self._id, memberships=rest, complete=True))

    def left(self, channel_id: ChannelId) -> None:
        self.tell_roster(MembershipLost(account_id=self._id, channel_id=channel_id))

    def tell_roster(self, message: MembershipsRead | MembershipLost | AccountUp | AccountDown) -> None:
        """By the control lane, which has always room. A roster that isn't there asks when it is (``RosterUp``)."""
        post(self._actor.owner, "roster", message)
