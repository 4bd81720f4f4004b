"""What an account makes of its pushes and differences: news for channels, changes of membership, its common state."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from telethon.tl import types

from actors.messages.channel import ChannelMoved
from actors.messages.content import Membership, WantedName
from actors.messages.ids import AccountId, ChannelId
from actors.messages.rows import UpdateState
from actors.telegram.decode import decode_membership
from actors.telegram.follow import differ, followed
from actors.telegram.updates import ChannelNews, Sorted, advance, sort_updates
from config.model import Collection


class Sink(Protocol):
    """Where it all goes; plain functions that never wait and never raise."""

    def pass_on(self, channel_id: ChannelId, news: ChannelNews) -> None: ...

    def joined(self, membership: Membership) -> None:
        """A channel is new, or its name, title or access hash has changed."""

    def left(self, channel_id: ChannelId) -> None: ...

    def unfollowed(self, rest: tuple[Membership, ...]) -> None:
        """Something isn't followed any more; what is."""

    def moved(self, hints: Iterable[ChannelMoved]) -> None:
        """Channels of which is known only that something happened."""

    def fell_behind(self) -> None:
        """Something is missing from the common sequence."""


class Feed:
    """Keeps an account's memberships and common update state; everything else passes through."""

    def __init__(self, account_id: AccountId, settings: Collection, outlet: Sink) -> None:
        self._account_id = account_id
        self.settings = settings
        self._outlet = outlet
        self.reading: frozenset[ChannelId] = frozenset()
        self.memberships: dict[ChannelId, Membership] = {}
        self.state: UpdateState | None = None
        self.names: Mapping[str, WantedName] = {}
        """What is known of the names that settings want."""
        self.choices: Mapping[ChannelId, bool] = {}
        """What the user chose to follow and not to follow."""

    @property
    def raw(self) -> bool:
        return self.settings.raw

    def peer_of(self, channel_id: ChannelId) -> Any | None:
        """How this account names a channel in a request; None for one that it doesn't know."""
        membership = self.memberships.get(channel_id)
        return None if membership is None else types.InputPeerChannel(channel_id, membership.access_hash)

    def peers_of(self, channel_ids: Iterable[ChannelId]) -> dict[ChannelId, Any]:
        """Of these, the ones that this account knows."""
        return {each: peer for each in channel_ids if (peer := self.peer_of(each)) is not None}

    def take(self, raw: Any) -> None:
        """Sort one raw push and pass on what is wanted of it."""
        self.take_channels(getattr(raw, "chats", None) or ())
        found = sort_updates(raw, self.reading, keep_raw=self.raw)
        self._pass_on(found, raw)
        if self.state is not None:
            self.state, missing = advance(self.state, found)
            if missing:
                self._outlet.fell_behind()

    def take_in(self, membership: Membership) -> None:
        """One that was found otherwise: by its name, or by looking again for a channel that was lost."""
        self.memberships[membership.channel_id] = membership
        self._outlet.joined(membership)

    def drop(self, channel_id: ChannelId) -> bool:
        """One that isn't to be followed any more; whether it was."""
        if self.memberships.pop(channel_id, None) is None:
            return False
        self._outlet.unfollowed(tuple(self.memberships.values()))
        return True

    def take_slice(self, raw: Any, after: UpdateState) -> bool:
        """Take one slice of a difference; whether it was too long, so that anything may have happened."""
        found = sort_updates(raw, self.reading, keep_raw=self.raw)
        self._pass_on(found, raw)
        self.state = after
        return found.too_long

    def _pass_on(self, found: Sorted, raw: Any) -> None:
        for channel_id, news in found.news:
            self._outlet.pass_on(channel_id, news)
        if found.moved:
            self._outlet.moved(found.moved)
        if found.membership:
            chats = {chat.id: chat for chat in getattr(raw, "chats", None) or ()}
            for channel_id in found.membership:
                self._take_membership(channel_id, chats.get(channel_id))

    def _take_membership(self, channel_id: ChannelId, chat: Any) -> None:
        """The update says only that something changed; the chat that rides along says what."""
        membership = decode_membership(chat, self._account_id)
        if membership is not None:
            self._keep(membership)
        elif chat is not None and not getattr(chat, "min", False) and channel_id in self.memberships:
            del self.memberships[channel_id]
            self._outlet.left(channel_id)

    def _keep(self, membership: Membership) -> None:
        known = self.memberships.get(membership.channel_id)
        wanted = known is not None or followed((membership,), self.settings, self.names, self.choices)
        if differ(known, membership) and wanted:
            self.memberships[membership.channel_id] = membership
            self._outlet.joined(membership)

    def take_channels(self, channels: Sequence[Any]) -> None:
        """Keep what rides along with answers and pushes true: names, titles and access hashes of known channels."""
        for chat in channels:
            if chat.id in self.memberships:
                membership = decode_membership(chat, self._account_id, joined=False)
                if membership is not None:
                    self._keep(membership)
