"""Who listens, and what they are told when the world changes."""

from collections import defaultdict
from typing import TYPE_CHECKING

from sandbox import codec
from sandbox.keys import AuthKey
from sandbox.world import Channel, Event, Sent, World

if TYPE_CHECKING:
    from sandbox.session import Session


MAX_PUSHED = 50
"""Updates in one push; more of them follow in further ones, as a packet must stay small."""


class Hub:
    """Knows the sessions of every account that want updates."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._listening: defaultdict[int, set[Session]] = defaultdict(set)

    def listen(self, session: "Session") -> None:
        """Note whose updates a session wants now; call after anything that may have changed it."""
        wants = session.key.wants_updates and not session.quiet
        account = session.key.account_id if wants else 0
        if account != session.listening_as:
            self.leave(session)
            if account:
                self._listening[account].add(session)
            session.listening_as = account

    def leave(self, session: "Session") -> None:
        self._listening[session.listening_as].discard(session)
        session.listening_as = 0

    def channel_moved(self, channel: Channel, events: list[Event], at: int) -> None:
        """Push a channel's events to every member that listens, each with the member's own access hash."""
        updates = [update for event in events if (update := codec.channel_update(channel, event))]
        for start in range(0, len(updates), MAX_PUSHED):
            for member in channel.members:
                sessions = self._listening.get(member)
                if sessions:
                    chats = [codec.chat(self._world, member, channel)]
                    body = codec.pushed(updates[start : start + MAX_PUSHED], chats=chats, date=at)
                    for session in sessions:
                        session.push(body)

    def letter_sent(self, change: Sent, by: AuthKey) -> None:
        """Push a private message to both sides, but not to the key that sent it: that learns it from its answer."""
        for owner in {change.sender, change.receiver}:
            sessions = [s for s in self._listening.get(owner, ()) if owner != change.sender or s.key is not by]
            if sessions:
                body = codec.letter_pushed(self._world, owner, change)
                for session in sessions:
                    session.push(body)
