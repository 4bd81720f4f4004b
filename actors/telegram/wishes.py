"""What a person asks an account to follow, to join, and not to follow any more."""

from datetime import timedelta
from typing import Any, assert_never

from actors.errors import FloodWaited, FolderUnknown, LimitReached, NotAChannel
from actors.messages.content import Membership
from actors.messages.following import (
    FollowChannel,
    Followed,
    ImportChannels,
    Imported,
    ListFolders,
    UnfollowChannel,
    Wish,
)
from actors.messages.ids import AccountId
from actors.places import Place
from actors.ports import Store
from actors.telegram.caller import Caller
from actors.telegram.dialogs import fetch_dialogs
from actors.telegram.feed import Feed
from actors.telegram.joining import JOINS, fetch_filters, folder_of, join, join_by_invite, look_behind, within
from actors.telegram.names import resolve


class Wishes:
    """Carries them out by the account's caller, and keeps what was chosen."""

    def __init__(self, account_id: AccountId, *, store: Store, feed: Feed) -> None:
        self._id = account_id
        self._store = store
        self._feed = feed

    async def take(self, call: Caller, wish: Wish) -> Any:
        """Do what was asked. Raises as the messages say."""
        match wish:
            case FollowChannel():
                return await self._follow(call, wish)
            case UnfollowChannel():
                return await self._unfollow(wish)
            case ListFolders():
                return tuple(folder_of(each) for each in await fetch_filters(call))
            case ImportChannels():
                return await self._import(call, wish)
            case _:
                assert_never(wish)

    async def _follow(self, call: Caller, wish: FollowChannel) -> Followed:
        known = self._known(wish.place)
        if known is not None:
            # It may be read without being a member; joining what one belongs to is no fault.
            if wish.join and await self._join(call, known) is None:
                return _told(known, "join_requested")
            await self._choose(known)
            return _told(known, "already")
        if wish.limit is not None and len(self._feed.memberships) >= wish.limit:
            raise LimitReached(wish.limit)
        if wish.place.invite is not None:
            return await self._follow_invite(call, wish.place.invite, join=wish.join)
        found = await self._find_place(call, wish.place)
        if wish.join:
            joined = await self._join(call, found)
            if joined is None:
                return _told(found, "join_requested")
            found = joined
        await self._choose(found)
        return _told(found, "followed")

    async def _follow_invite(self, call: Caller, invite: str, *, join: bool) -> Followed:
        behind = await look_behind(call, invite, self._id)
        found, state = behind.membership, "join_needed"
        if found is None and join:
            self._wait_for_a_join(call)
            found, state = await join_by_invite(call, invite, self._id), "join_requested"
        if found is None:
            return Followed(channel_id=None, title=behind.title, username=None, state=state)  # type: ignore[arg-type]  # one of them
        await self._choose(found)
        return _told(found, "followed")

    async def _join(self, call: Caller, membership: Membership) -> Membership | None:
        self._wait_for_a_join(call)
        return await join(call, membership)

    def _known(self, place: Place) -> Membership | None:
        name = (place.username or "").casefold()
        return next(
            (
                each
                for each in self._feed.memberships.values()
                if each.channel_id == place.channel_id or (name and (each.username or "").casefold() == name)
            ),
            None,
        )

    async def _find_place(self, call: Caller, place: Place) -> Membership:
        """One call for a name. What has only an id must be known: no call leads from there to an access hash."""
        name = place.username
        if name is None:
            assert place.channel_id is not None, "a place is one of three"
            for former in await self._store.channels.former_members(place.channel_id):
                if former.account_id == self._id:
                    return former
            row = await self._store.channels.one(place.channel_id)
            name = None if row is None else row.username
        found = None if name is None else await resolve(call, name, self._id)
        if found is None:
            raise NotAChannel(f"{place.username or place.channel_id} is no channel that this account can find")
        return found

    def _wait_for_a_join(self, call: Caller) -> None:
        """Joining is the dearest thing an account does: it waits, but nobody waits with it."""
        for method in JOINS:
            wait = call.ready_in(method)
            if wait > 0:
                raise FloodWaited(self._id, method, timedelta(seconds=wait))

    async def _choose(self, membership: Membership) -> None:
        channels = (membership.channel_id,)
        # The channel's row, and the membership, come before the choice that names them.
        await self._store.channels.save_memberships(self._id, (membership,), complete=False)
        await self._store.people.choose(self._id, channels, wanted=True)
        self._feed.choices = {**self._feed.choices, membership.channel_id: True}
        self._feed.take_in(membership)

    async def _unfollow(self, wish: UnfollowChannel) -> bool:
        if wish.channel_id not in self._feed.memberships:
            return False
        await self._store.people.choose(self._id, (wish.channel_id,), wanted=False)
        self._feed.choices = {**self._feed.choices, wish.channel_id: False}
        return self._feed.drop(wish.channel_id)

    async def _import(self, call: Caller, wish: ImportChannels) -> Imported:
        filters = await fetch_filters(call) if wish.folder_id is not None else ()
        folder = next((each for each in filters if each.id == wish.folder_id), None)
        if wish.folder_id is not None and folder is None:
            raise FolderUnknown(wish.folder_id)
        found: list[Membership] = []
        async for page, _ in fetch_dialogs(call, self._id):
            found += page
        wanted = found if folder is None else within(folder, found)
        new = [each for each in wanted if each.channel_id not in self._feed.memberships]
        room = len(new) if wish.limit is None else max(0, wish.limit - len(self._feed.memberships))
        known = [each.channel_id for each in wanted if each.channel_id in self._feed.memberships]
        await self._store.people.choose(self._id, known, wanted=True)
        for membership in new[:room]:
            await self._choose(membership)
        return Imported(followed=len(new[:room]), already=len(wanted) - len(new), over_limit=len(new[room:]))


def _told(membership: Membership, state: Any) -> Followed:
    return Followed(channel_id=membership.channel_id, title=membership.title, username=membership.username, state=state)
