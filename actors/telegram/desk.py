"""Works off an account's line, one call after the other, for as long as its client lives."""

import logging
from typing import Any, Protocol

from actors import log
from actors.errors import (
    REFUSED_REST,
    AccountUnusable,
    ActorsError,
    ChannelLost,
    FileLost,
    FloodWaited,
    FolderUnknown,
    LimitReached,
    NotAChannel,
    Refused,
    StoreUnavailable,
    TryAgain,
)
from actors.messages.account import (
    FetchDifference,
    FetchHistory,
    FetchIds,
    FetchPart,
    FindStart,
    LocateFiles,
    LookAgain,
    PeekChannels,
)
from actors.messages.content import Membership
from actors.messages.following import FollowChannel, ImportChannels, ListFolders, UnfollowChannel, Wish
from actors.messages.ids import AccountId, ChannelId
from actors.messages.rows import UpdateState
from actors.runtime.loop import LoopOwner
from actors.telegram.caller import Caller
from actors.telegram.faults import INVALID
from actors.telegram.feed import Feed
from actors.telegram.files import Files
from actors.telegram.line import CatchUp, EndTakeout, FindNames, Line, Own, ReadDialogs, Task
from actors.telegram.link import Watch
from actors.telegram.names import resolve
from actors.telegram.outlet import Outlet
from actors.telegram.requests import (
    fetch_difference,
    fetch_difference_of,
    fetch_history,
    fetch_state,
    find_start,
    peek,
    peer_of,
    read_ids,
)
from actors.telegram.takeout import Takeout

logger = logging.getLogger(__name__)

STALE = 900.0
"""Seconds after which a request's asker has given up: it is dropped instead of made."""
RENEW_AFTER = 86_400.0
"""Seconds until a channel is asked for by its name once more because its access hash means nothing."""
AGAIN_AFTER = 2.0
"""Seconds until a task of the account's own is tried again."""

CALL_FAULTS = (FloodWaited, ChannelLost, FileLost, TryAgain, Refused, AccountUnusable)
WISH_FAULTS = (FolderUnknown, LimitReached, NotAChannel, StoreUnavailable)
"""Of what a person asked for: the asker hears of them, and the account goes on."""


class Reconnect(TryAgain):
    """The account is needed, or not needed any more, and a session is pushed to from its beginning or not at all."""

    def __init__(self, account_id: AccountId) -> None:
        super().__init__(account_id, "connect", "it connects anew to be pushed to, or to be left in peace")


class Host(Protocol):
    """The account that the desk works for."""

    def check(self) -> None:
        """Raise ``Reconnect`` where this client isn't of the kind that is needed, ``TryAgain`` where it is mute."""

    async def keep_floods(self) -> None:
        """Write down the waits that Telegram has just told."""

    def announce(self, *, memberships: bool) -> None:
        """Tell the roster that the account is there, and that what its channels know may be old."""

    async def find_names(self) -> None:
        """Look for the names in the settings that no channel bears."""

    async def read_dialogs(self) -> None:
        """Read all dialogs again, and tell the roster."""

    async def belong(self, wish: Wish) -> object:
        """Do as a person wishes about what the account belongs to."""

    def again(self, request: Own, wait: float) -> None:
        """Put a task of the account's own in line again after ``wait`` seconds."""


class Desk:
    def __init__(
        self,
        account_id: AccountId,
        *,
        host: Host,
        caller: Caller,
        feed: Feed,
        outlet: Outlet,
        takeout: Takeout,
        owner: LoopOwner,
    ) -> None:
        self._id = account_id
        self._host = host
        self._caller = caller
        self._files = Files(caller)
        self._feed = feed
        self._outlet = outlet
        self._takeout = takeout
        self._owner = owner
        self._no_difference_until = 0.0
        self._renewed: dict[ChannelId, float] = {}
        """When a channel was last asked for by its name because its access hash meant nothing."""

    async def serve(self, line: Line, watch: Watch) -> None:
        """Work until the client is gone, then raise why; what was taken is answered first."""
        while True:
            task = await line.next()
            try:
                watch.check()
                self._host.check()
                self._refuse_stale(task)
                reply = await self._make(task.request)
            except WISH_FAULTS as fault:
                if task.later is None:
                    raise
                task.later.fail(fault)
            except CALL_FAULTS as fault:
                await self._take_fault(fault, task)
                watch.check()
                self._host.check()
            else:
                if task.later is not None:
                    task.later.reply(reply)

    def _refuse_stale(self, task: Task) -> None:
        if task.later is not None and self._owner.clock.monotonic() - task.since > STALE:
            raise TryAgain(self._id, type(task.request).__name__, "waited too long for its turn")

    async def _take_fault(self, fault: ActorsError, task: Task) -> None:
        if isinstance(fault, FloodWaited):
            await self._host.keep_floods()
        if task.later is not None:
            task.later.fail(fault)
        elif isinstance(task.request, Own):
            # Our own: nobody else will ask again.
            wait = REFUSED_REST if isinstance(fault, Refused) else AGAIN_AFTER
            wait = fault.wait.total_seconds() if isinstance(fault, FloodWaited) else wait
            logger.info("account %s asks again in %.1f s: %s", self._id, wait, fault)
            self._host.again(task.request, wait)
        if isinstance(fault, AccountUnusable | Reconnect):
            raise fault

    async def _make(self, request: Any) -> Any:
        try:
            return await self._make_once(request)
        except ChannelLost as fault:
            if fault.cause != INVALID or await self._renew(fault.channel_id) is None:
                raise
        return await self._make_once(request)

    async def _renew(self, channel_id: ChannelId) -> Any | None:
        """The channel's peer under a new access hash, asked for by its name: one call, at most once a day."""
        membership, now = self._feed.memberships.get(channel_id), self._owner.clock.monotonic()
        if membership is None or membership.username is None or now < self._renewed.get(channel_id, 0.0):
            return None
        self._renewed[channel_id] = now + RENEW_AFTER
        try:
            found = await resolve(self._caller, membership.username, self._id)
        except (FloodWaited, Refused) as fault:
            logger.info("channel %s can't be asked for by its name: %s", channel_id, fault)
            return None
        if found is None or found.channel_id != channel_id:
            return None
        self._feed.take_in(found)
        return self._feed.peer_of(channel_id)

    async def _look_again(self, membership: Membership) -> bool:
        channel_id = membership.channel_id
        peers = {channel_id: peer_of(channel_id, membership.access_hash)}
        if not (await peek(self._caller, peers, (channel_id,))).heads:
            return False
        self._feed.take_in(membership)
        return True

    async def _make_once(self, request: Any) -> Any:
        match request:
            case FetchHistory(channel_id=channel_id):
                peer = self._peer(channel_id)
                return await fetch_history(self._caller, peer, request, raw=self._feed.raw, takeout=self._takeout)
            case FetchDifference(channel_id=channel_id):
                return await fetch_difference_of(self._caller, self._peer(channel_id), request, raw=self._feed.raw)
            case FetchIds(channel_id=channel_id, span=span):
                return await read_ids(self._caller, self._peer(channel_id), channel_id, span, raw=self._feed.raw)
            case FindStart(channel_id=channel_id):
                return await find_start(self._caller, self._peer(channel_id), request)
            case PeekChannels(channel_ids=channel_ids):
                log.emit(log.CLIENT_REUSED, account_id=self._id, loop_id=self._owner.loop_id)
                return await peek(self._caller, self._feed.peers_of(channel_ids), channel_ids, renew=self._renew)
            case LookAgain(membership=membership):
                return await self._look_again(membership)
            case LocateFiles(channel_id=channel_id):
                return await self._files.locate(self._peer(channel_id), request)
            case FetchPart():
                return await self._files.fetch(request)
            case FollowChannel() | UnfollowChannel() | ListFolders() | ImportChannels():
                return await self._host.belong(request)
            case FindNames():
                await self._host.find_names()
            case ReadDialogs():
                await self._host.read_dialogs()
            case EndTakeout():
                await self._takeout.finish(self._caller)
            case CatchUp(tell=tell):
                too_long = await self.catch_up(None)
                if tell or too_long:
                    self._host.announce(memberships=False)
        return None

    def _peer(self, channel_id: ChannelId) -> Any:
        peer = self._feed.peer_of(channel_id)
        if peer is None:
            raise ChannelLost(self._id, channel_id, "not a member")
        return peer

    async def catch_up(self, known: UpdateState | None) -> bool:
        """Learn what happened since the feed's state, or else since ``known``; with neither begin at the present.

        Answers whether so much happened that any channel may have moved.
        """
        feed, too_long = self._feed, False
        known = feed.state or known
        now = self._owner.clock.monotonic()
        if known is None or now < self._no_difference_until:
            feed.state = await fetch_state(self._caller)
            return False
        try:
            async for part, after in fetch_difference(self._caller, known):
                too_long = feed.take_slice(part, after) or too_long
        except Refused:
            self._no_difference_until = now + REFUSED_REST
            feed.state = await fetch_state(self._caller)
            return True
        return too_long
