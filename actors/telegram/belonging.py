"""What an account belongs to: read from its dialogs, from the store, and by the names that settings want."""

from collections.abc import Iterable

from actors.messages.content import Membership
from actors.messages.ids import AccountId
from actors.ports import Store
from actors.runtime.actor import TaskActor
from actors.runtime.clock import Timer
from actors.telegram.caller import Caller
from actors.telegram.dialogs import read_memberships
from actors.telegram.feed import Feed
from actors.telegram.line import Ask, FindNames
from actors.telegram.names import Names
from config.model import Collection

READ_AGAIN = 600.0
"""Seconds after which the first page of dialogs is read again when the account connects anew."""


class Belonging:
    """Keeps the feed's memberships. Looks for names again by mail to the account itself."""

    def __init__(
        self, account_id: AccountId, settings: Collection, *, store: Store, feed: Feed, names: Names, actor: TaskActor
    ) -> None:
        self._id = account_id
        self._settings = settings
        self._store = store
        self._feed = feed
        self._names = names
        self._actor = actor
        self._search: Timer | None = None
        """Of the next look for names."""
        self._read_at = 0.0
        """When the dialogs were read, in the clock's monotonic seconds."""
        self._whole = False
        """Whether every page is to be read, whatever is known."""
        self.complete = False
        """Whether the feed's memberships are all that the account has."""

    def renew(self, settings: Collection) -> bool:
        """Go by these settings; whether they may want other channels, so that all dialogs are to be read."""
        other = (settings.follow, settings.channels) != (self._settings.follow, self._settings.channels)
        self._settings = self._names.settings = self._feed.settings = settings
        self._whole = self._whole or other
        return other

    async def read(self, call: Caller) -> None:
        """Read them, unless they were read a moment ago. Raises as ``call`` does, where nothing is stored to go by."""
        feed, now = self._feed, self._actor.owner.clock.monotonic()
        if feed.memberships and now - self._read_at <= READ_AGAIN and not self._whole:
            return
        stored = feed.memberships.values() or await self._store.channels.memberships(self._id)
        await self._names.load()
        feed.choices = await self._store.people.choices(self._id)
        read, self.complete = await read_memberships(
            call,
            self._id,
            stored,
            self._settings,
            names=self._names.known,
            choices=feed.choices,
            whole=self._whole,
        )
        self._whole = False
        found = await self._find(call, read)
        feed.memberships = {each.channel_id: each for each in (*read, *found)}
        self._read_at = now

    async def find_names(self, call: Caller) -> None:
        """Look for the names in the settings that no channel bears."""
        for membership in await self._find(call, self._feed.memberships.values()):
            self._feed.take_in(membership)

    async def _find(self, call: Caller, memberships: Iterable[Membership]) -> tuple[Membership, ...]:
        if not self._settings.channels:
            return ()
        found, wait = await self._names.find(call, memberships)
        self._feed.names = self._names.known
        if self._search is not None:
            self._search.cancel()
        self._search = self._actor.tell_later(wait.total_seconds(), Ask(request=FindNames()))
        return found
