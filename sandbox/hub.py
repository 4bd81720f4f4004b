"""Who listens, and what they are told when the world changes."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sandbox.changes import Counted, Sent
from sandbox.channels import Channel, Event
from sandbox.codec.letters import letter_pushed
from sandbox.codec.peers import parties
from sandbox.codec.posts import message
from sandbox.codec.raw import Raw
from sandbox.codec.updates import Push, channel_changed, channel_too_long, channel_update, counted_updates
from sandbox.faults import HELD, Turbulence
from sandbox.keys import AuthKey
from sandbox.world import World

if TYPE_CHECKING:
    from sandbox.session import Session


MAX_PUSHED = 50
"""Updates in one push; more of them follow in further ones, as a packet must stay small."""


class Hub:
    """Knows the sessions of every account that want updates."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._listening: defaultdict[int, dict[Session, None]] = defaultdict(dict)
        self._held: dict[Session, tuple[bytes, asyncio.TimerHandle]] = {}
        self.turbulence = Turbulence()
        self.pushed = 0
        """Pushes so far, those that were lost included."""

    def reset_counts(self) -> None:
        self.pushed = 0
        self.turbulence.happened.clear()

    def listen(self, session: "Session") -> None:
        """Note whose updates a session wants now; call after anything that may have changed it."""
        key = session.key
        wants = session.wants_updates and not key.refusal
        owner = self._world.accounts.get(key.account_id) if wants else None
        # Elsewhere than at home a key is good for files and errands: nothing is pushed there.
        account = owner.id if owner and owner.dc_id == key.dc_id else 0
        if account != session.listening_as:
            self.leave(session)
            if account:
                self._listening[account][session] = None
            session.listening_as = account

    def leave(self, session: "Session") -> None:
        sessions = self._listening.get(session.listening_as)
        if sessions is not None:
            sessions.pop(session, None)
            if not sessions:
                del self._listening[session.listening_as]
        session.listening_as = 0
        if session in self._held:
            self._held.pop(session)[1].cancel()

    def hush(self, key: AuthKey) -> None:
        """A key was revoked: its sessions hear nothing more."""
        for session in [each for sessions in self._listening.values() for each in sessions if each.key is key]:
            self.leave(session)

    def channel_moved(self, channel: Channel, events: list[Event], at: int, by: AuthKey | None = None) -> None:
        """Push a channel's events to every member that listens, each with the member's own access hash.

        Not to the key `by`, here and below: that learns it from its answer.
        """
        if channel.silent or not any(member in self._listening for member in channel.members):
            return
        named = {event.ids[0] for event in events if event.kind != "delete" and event.ids[0] in channel.posts}
        rows = [message(self._world, channel, post_id) for post_id in named]
        shared = self._updates(channel, events, 0) if channel.broadcast else None
        for member in channel.members:
            if member in self._listening:
                updates = self._updates(channel, events, member) if shared is None else shared
                for start in range(0, len(updates), MAX_PUSHED):
                    self._tell(member, channel, updates[start : start + MAX_PUSHED], at, rows=rows, by=by)

    def _updates(self, channel: Channel, events: list[Event], viewer: int) -> list[Raw]:
        """In a group each writer sees his own messages as his; a channel's are the same for all."""
        made = (channel_update(self._world, channel, event, viewer) for event in events)
        return [Raw(bytes(update)) for update in made if update is not None]

    def figures_changed(self, channel: Channel, change: Counted) -> None:
        if not channel.silent:
            self._tell_members(channel, counted_updates(channel, change), change.at)

    def channel_altered(self, channel: Channel, at: int, *, only: int | None = None, by: AuthKey | None = None) -> None:
        """Tell every member, or one account whose standing changed, to look at a channel again."""
        if only is None:
            self._tell_members(channel, [channel_changed(channel)], at)
        else:
            self._tell(only, channel, [channel_changed(channel)], at, by=by)

    def _tell_members(self, channel: Channel, updates: list[Any], at: int) -> None:
        for member in channel.members:
            if member in self._listening:
                self._tell(member, channel, updates, at)

    def _tell(
        self,
        account: int,
        channel: Channel,
        updates: list[Any],
        at: int,
        *,
        rows: Sequence[Raw] = (),
        by: AuthKey | None = None,
    ) -> None:
        """`rows` are the messages among the updates, which may name others."""
        sessions = [session for session in self._listening.get(account, ()) if by is None or session.key is not by]
        if not sessions:
            return
        parts = parties(self._world, account, channel, rows)
        full = Push(updates, **parts, date=at)
        for session in sessions:
            fate = self.turbulence.fate(account, channel.id)
            push = full
            if self.turbulence.strips(account, channel.id):
                push = Push(updates, chats=[], users=[], date=at)
            if fate == "too_long":
                hint = Push([channel_too_long(channel)], **parts, date=at)
                self._push(session, hint, "")
            else:
                self._push(session, push, fate)

    def letter_sent(self, change: Sent, by: AuthKey | None) -> None:
        """Push a private message to both sides, but not to the key that sent it: that learns it from its answer."""
        for owner in {change.sender, change.receiver}:
            if owner in self._listening:
                push = letter_pushed(self._world, owner, change)
                self.push_to(owner, push, but=by if owner == change.sender else None)

    def push_to(self, owner: int, push: Push, *, but: AuthKey | None = None) -> None:
        """To all sessions of an account that listen, but not to that key."""
        for session in self._listening.get(owner, ()):
            if session.key is not but:
                self._push(session, push, self.turbulence.fate(owner, 0))

    def _push(self, session: "Session", push: Push, fate: str) -> None:
        self.pushed += 1
        body = push.body(session.key.layer)
        held = self._held.pop(session, None)
        if fate == "reorder" and held is None:
            timer = asyncio.get_running_loop().call_later(HELD, self._release, session)
            self._held[session] = (body, timer)
            return
        if fate != "loss":
            session.push(body)
        if fate == "double":
            session.push(body)
        if held is not None:
            held[1].cancel()
            session.push(held[0])

    def _release(self, session: "Session") -> None:
        held = self._held.pop(session, None)
        if held is not None:
            session.push(held[0])
