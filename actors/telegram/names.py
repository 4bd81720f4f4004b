"""Names of channels in the settings that none of an account's channels bears: found by asking, as seldom as can be."""

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from telethon.tl import functions, types

from actors.errors import FloodWaited, Refused
from actors.messages.alerts import EndAlert, RaiseAlert
from actors.messages.content import Membership, WantedName
from actors.messages.ids import AccountId
from actors.ports import Store
from actors.runtime.clock import Clock
from actors.telegram.caller import Caller
from actors.telegram.decode import decode_membership
from actors.telegram.follow import new_names, resolver_of, to_resolve
from config.model import Collection

logger = logging.getLogger(__name__)

NOT_AGAIN_FOR = timedelta(days=1)
"""After a name was asked for in vain: resolving is the dearest call there is, about 200 a day (docs/telegram.md)."""


class Names:
    """What one account knows of the wanted names."""

    def __init__(
        self,
        account_id: AccountId,
        settings: Collection,
        *,
        store: Store,
        clock: Clock,
        tell: Callable[[RaiseAlert | EndAlert], object],
    ) -> None:
        self._id = account_id
        self.settings = settings
        self._store = store
        self._clock = clock
        self._tell = tell
        self.known: Mapping[str, WantedName] = {}

    async def load(self) -> None:
        if self.settings.channels:
            self.known = await self._store.channels.wanted_names()

    async def find(self, call: Caller, memberships: Iterable[Membership]) -> tuple[tuple[Membership, ...], timedelta]:
        """Memberships for the names that nobody reads and this account is the one to ask for: one call each.

        And when to look again, if there is any name. A channel that bears a wanted name is remembered by its id: it is
        followed under whatever name it takes.
        """
        channels, theirs = self._store.channels, tuple(memberships)
        await self.load()
        for name, channel_id in new_names(theirs, self.settings, self.known):
            await channels.keep_name(name, channel_id)
        await self.load()
        found: list[Membership] = []
        for name in await self._to_ask_for(theirs):
            try:
                membership = await resolve(call, name, self._id)
            except FloodWaited as fault:
                logger.warning("@%s, named in the settings, is looked for later: %s", name, fault)
                return tuple(found), fault.wait
            except Refused as fault:
                await self._miss(name, fault.cause)
                continue
            if membership is None:
                await self._miss(name, "it is no channel's name")
                continue
            found.append(membership)
            await channels.keep_name(name, membership.channel_id)
            self._tell(EndAlert(kind="name_unknown", cause=_unknown(name)))
        return tuple(found), NOT_AGAIN_FOR

    async def _to_ask_for(self, memberships: tuple[Membership, ...]) -> list[str]:
        names = [
            name
            for name in to_resolve(memberships, self.settings, self.known)
            if not self._was_tried(name) and not await self._is_read(name)
        ]
        accounts = await self._store.accounts.all() if names else ()
        return [name for name in names if resolver_of(name, accounts) == self._id]

    def _was_tried(self, name: str) -> bool:
        tried_at = self.known[name].tried_at if name in self.known else None
        return tried_at is not None and self._clock.now() - tried_at < NOT_AGAIN_FOR

    async def _is_read(self, name: str) -> bool:
        channels = self._store.channels
        rows = [await channels.by_name(name)]
        rows += [await channels.one(each) for each in (self.known[name].channel_ids if name in self.known else ())]
        return any(row is not None and row.subscriptions > 0 for row in rows)

    async def _miss(self, name: str, cause: str) -> None:
        await self._store.channels.miss_name(name, cause, self._clock.now())
        logger.warning("@%s, named in the settings, isn't found: %s", name, cause)
        self._tell(RaiseAlert(kind="name_unknown", cause=_unknown(name)))


def _unknown(name: str) -> str:
    return f"@{name}: renamed, gone, or no channel's name"


async def resolve(call: Caller, name: str, account_id: AccountId) -> Membership | None:
    """The channel behind a public name: one call, and a dear one. None when it is no channel's.

    Raises: Refused where nobody bears it.
    """
    result = await call(functions.contacts.ResolveUsernameRequest(name))
    if type(result.peer) is not types.PeerChannel:
        return None
    chat: Any = next((chat for chat in result.chats if chat.id == result.peer.channel_id), None)
    return None if chat is None else decode_membership(chat, account_id, joined=False)
