"""One user account: encloses its TelegramClient, makes its calls one at a time, and passes its pushes on.

The mailbox is never blocked by Telegram: requests go into a line that one task works off, each a single RPC, and are
answered later. So an account describes itself, and takes the roster's word, while a call is on its way.

A line that fails is mended here, with backoff and for as long as it takes: an outage makes thousands fail together, and
none of them is to be parked for it. What kills the actor is a defect, or a key that is of no more use.
"""

import logging
from contextlib import suppress
from typing import Any, assert_never

from actors import log
from actors.errors import (
    REFUSED_REST,
    AccountUnusable,
    ActorsError,
    FloodWaited,
    LoopbackViolated,
    NotConnected,
    Refused,
    StoreUnavailable,
    TryAgain,
)
from actors.messages.account import (
    AccountSnapshot,
    DescribeAccount,
    DescribeCalls,
    FetchDifference,
    FetchHistory,
    FetchIds,
    FetchPart,
    FindStart,
    ForgetLimits,
    LocateFiles,
    LookAgain,
    PeekChannels,
    Reading,
    ReadingFor,
    Room,
    RosterUp,
)
from actors.messages.alerts import AlertKind, EndAlert, RaiseAlert
from actors.messages.content import Profile
from actors.messages.following import FollowChannel, ImportChannels, ListFolders, UnfollowChannel, Wish
from actors.messages.ids import AccountId, AccountState
from actors.messages.roster import AccountDown, AccountUp, Introduce, MembershipsRead
from actors.messages.rows import Pace, SessionKey
from actors.messages.settings import SettingsApplied
from actors.neighbours import post
from actors.ports import Store
from actors.runtime.actor import TaskActor
from actors.runtime.clock import pause
from actors.runtime.errors import ActorDeadError, RuntimeFault
from actors.runtime.reply import Later
from actors.telegram.alarms import DEAD_KEYS, alert_of, is_short_of_room
from actors.telegram.belonging import Belonging
from actors.telegram.budget import Budgets, starting_paces
from actors.telegram.caller import Caller, CallMetrics, NoMetrics
from actors.telegram.client import AccountClient, SettingsIncomplete, build_client, is_loopback
from actors.telegram.desk import Desk, Reconnect
from actors.telegram.faults import KEY_UNKNOWN
from actors.telegram.feed import Feed
from actors.telegram.line import Ask, CatchUp, Check, EndTakeout, Line, Listen, Own, ReadDialogs, Save, Task
from actors.telegram.link import Gate, connected, retry_after
from actors.telegram.names import Names
from actors.telegram.notes import Notes
from actors.telegram.outlet import Outlet
from actors.telegram.proxy import proxy_of
from actors.telegram.requests import fetch_self
from actors.telegram.session import AccountSession
from actors.telegram.takeout import Takeout
from actors.telegram.wishes import Wishes
from config.model import Datacenter, Settings

logger = logging.getLogger(__name__)

LINE = 1000
"""Requests that may wait for their turn; each channel has one outstanding."""
KEY_WAIT = 60.0
"""Seconds until a key that the server says it doesn't know is tried once more."""
QUIET = 45.0
"""Seconds without a push or an answer after which an account that is pushed to asks for one: a session that was ended
elsewhere hears of it in no other way, and its channels are to go on within a minute."""
MUTE = 25.0
"""Seconds of calls without any answer, and without a push, after which the client is given up and its channels are
heard by others: Telethon takes what it was asked over to each new connection, so none of it fails when one falls."""
INTRODUCE_AGAIN = 2.0
"""Seconds until an introduction that a busy or restarting roster didn't answer is made once more."""

OVER_WHEN_ACTIVE: tuple[AlertKind, ...] = ("key_dead", "frozen", "account_parked")

Asked = FetchHistory | FetchIds | FetchDifference | FindStart | PeekChannels | LookAgain | LocateFiles | FetchPart


AccountMessage = (
    Asked
    | Wish
    | DescribeAccount
    | DescribeCalls
    | ForgetLimits
    | Reading
    | RosterUp
    | Room
    | SettingsApplied
    | Save
    | Ask
    | Listen
)


class Account(TaskActor):
    """Keeps one user signed in, and reads for the channels that it is told to read for.

    ``DescribeAccount`` is answered at once, whatever Telegram does. Calls (``Asked``) are made one by one; while the
    account isn't connected they fail with ``TryAgain``.
    """

    def __init__(
        self,
        account_id: AccountId,
        *,
        store: Store,
        settings: Settings,
        datacenter: Datacenter | None = None,
        loopback_only: bool = False,
        metrics: CallMetrics | None = None,
        gate: Gate | None = None,
    ) -> None:
        super().__init__()
        self._id = account_id
        self._store = store
        self._settings = settings
        self._datacenter = datacenter
        self._loopback_only = loopback_only
        self._metrics = metrics or NoMetrics()
        self._gate = gate
        self._client: AccountClient | None = None
        self._caller: Caller | None = None
        self._profile: Profile | None = None
        self._state: AccountState = "connecting"
        self._outlet = Outlet(account_id, self, self._metrics)
        self._feed = Feed(account_id, settings.collection, self._outlet)
        names = Names(account_id, settings.collection, store=store, clock=self.owner.clock, tell=self._tell_operator)
        self._belonging = Belonging(
            account_id, settings.collection, store=store, feed=self._feed, names=names, actor=self
        )
        self._wishes = Wishes(account_id, store=store, feed=self._feed)
        self._notes = Notes(account_id, store.accounts, self)
        self._budgets: Budgets | None = None
        self._begun: dict[str, Pace] = {}
        """The paces of one that has learned none."""
        self._takeout = Takeout(self.owner.clock, allowed=account_id in settings.collection.takeout)
        self._line = Line(self.owner.clock, self._ready_at, in_takeout=self._takeout.allowed)
        self._introduced = False
        """Whether the roster may think that this account is up."""
        self._updates: bool | None = None
        """Whether this account is to be pushed to; None until the roster has said so."""
        self._pushed_to = False
        """Whether the present client is."""
        self._failures = 0
        self._key_doubted = False
        self._heard_at = float("-inf")
        """When the last push came, in the clock's monotonic seconds."""

    async def started(self) -> None:
        self.spawn_task(self._live(), name="client")
        self.tell_later(QUIET, Listen())

    async def stopping(self) -> None:
        self._notes.keep_state(self._feed.state)
        await self._notes.save()

    # --- mail ------------------------------------------------------------------------------------------------------

    def on_receive(self, message: AccountMessage) -> object:
        match message:
            case FetchHistory() | FetchIds() | FetchDifference() | FindStart() | PeekChannels():
                return self._queue(message)
            case LookAgain() | LocateFiles() | FetchPart():
                return self._queue(message)
            case FollowChannel() | UnfollowChannel() | ListFolders() | ImportChannels():
                return self._queue(message)
            case DescribeAccount():
                return self._describe()
            case Reading():
                self._take_reading(message)
            case Room(enough=enough):
                self._line.admit(posts=enough)
            case RosterUp():
                self.announce(memberships=True)
            case Save():
                return self._notes.save()
            case Ask(request=request):
                self._ask(request)
            case Listen():
                self._listen()
            case SettingsApplied(settings=settings):
                self._take_settings(settings)
            case DescribeCalls():
                if self._caller is None:
                    raise NotConnected(self._id, "DescribeCalls")
                return self._caller.describe()
            case ForgetLimits(method=method):
                return self._forget_limits(method)
            case _:
                assert_never(message)
        return None

    def on_control(self, message: Reading | Room | RosterUp | SettingsApplied) -> None:
        self.on_receive(message)

    def _take_settings(self, settings: Settings) -> None:
        self._settings = settings
        if self._belonging.renew(settings.collection) and self._caller is not None:
            self._put(ReadDialogs(), first=True)

    async def _forget_limits(self, method: str) -> bool:
        """Stored first: what the database forgets, no later life of this actor remembers."""
        known = await self._notes.forget_limits(method)
        if self._caller is not None:
            known = self._caller.forget_wait(method) or known
        if self._budgets is not None:
            self._budgets.forget(method, self._begun.get(method))
        return known

    def _describe(self) -> AccountSnapshot:
        profile = self._profile
        flooded = self._state == "active" and self._caller is not None and self._caller.waiting
        return AccountSnapshot(
            account_id=self._id,
            username=profile.username if profile else None,
            first_name=profile.first_name if profile else None,
            last_name=profile.last_name if profile else None,
            state="flooded" if flooded else self._state,
            loop_id=self.owner.loop_id if self._client is not None else None,
        )

    def _queue(self, request: Asked | Wish) -> Later[Any]:
        if self._caller is None:
            raise NotConnected(self._id, type(request).__name__)
        if len(self._line) >= LINE:
            raise TryAgain(self._id, type(request).__name__, "too many requests wait")
        later: Later[Any] = Later()
        self._put(request, later=later)
        return later

    def _put(self, request: Any, *, later: Later[Any] | None = None, first: bool = False) -> None:
        self._line.put(Task(request=request, since=self.owner.clock.monotonic(), later=later), first=first)

    # --- one life of the client after the other --------------------------------------------------------------------

    async def _live(self) -> None:
        while True:
            try:
                await self._connect_and_serve()
            except AccountUnusable as fault:
                await self._park(fault)
                raise
            except (LoopbackViolated, SettingsIncomplete) as fault:
                await self._park(AccountUnusable(self._id, "parked", str(fault)))
                raise
            except (TryAgain, FloodWaited, Refused, StoreUnavailable) as fault:
                await self._wait_after(fault)

    async def _connect_and_serve(self) -> None:
        session = AccountSession(await self._load_key(), on_channels=self._feed.take_channels)
        self._pushed_to = await self._is_needed()
        self._client = client = build_client(
            session,
            self._settings.telegram,
            datacenter=self._datacenter,
            loopback_only=self._loopback_only,
            on_update=self._take_push,
            on_doubt=lambda: self._put(CatchUp(tell=True), first=True),
            receive_updates=self._pushed_to,
            proxy=proxy_of(self._id, self._settings.telegram),
        )
        log.emit(log.CLIENT_CREATED, account_id=self._id, loop_id=self.owner.loop_id)
        await self._learn_paces(usual=not is_loopback(session.server_address))
        caller = Caller(
            client,
            self._id,
            clock=self.owner.clock,
            timeout=self._settings.telegram.request_timeout,
            waits=await self._notes.floods(),
            on_flood=self._notes.keep_flood,
            budgets=self._budgets,
            metrics=self._metrics,
            on_alert=self._tell_operator,
        )
        desk = Desk(
            self._id,
            host=self,
            caller=caller,
            feed=self._feed,
            outlet=self._outlet,
            takeout=self._takeout,
            owner=self.owner,
        )
        try:
            on_end = lambda: self._put(Check(), first=True)  # noqa: E731
            async with connected(client, self._id, on_end=on_end, gate=self._gate) as watch:
                await self._go_up(caller, desk)
                await desk.serve(self._line, watch)
        finally:
            self._client = self._caller = None
            self._line.turn_away(lambda name: NotConnected(self._id, name))

    async def _is_needed(self) -> bool:
        """Whether the roster, going by what is stored, wants this account pushed to; one that was never up is."""
        if self._updates is None:
            with suppress(RuntimeFault, ActorDeadError):
                reading = await self.owner.find("roster").call(ReadingFor(account_id=self._id))
                return reading.updates or await self._is_new()
        return self._updates is not False

    async def _is_new(self) -> bool:
        store = self._store
        return not (await store.channels.of_account(self._id) or await store.accounts.update_state(self._id))

    async def _learn_paces(self, *, usual: bool) -> None:
        if self._budgets is None:
            row = await self._store.accounts.one(self._id)
            age = 0.0 if row is None else (self.owner.clock.now() - row.since).total_seconds()
            self._begun = starting_paces({}, usual=usual, age=age)
            paces = {**self._begun, **await self._notes.paces()}
            self._budgets = Budgets(paces, on_learned=self._notes.keep_pace)
            self._metrics.budget_begun(self._budgets)

    def _ready_at(self, method: str, now: float) -> float:
        return now if self._budgets is None else self._budgets.ready_at(method, now)

    async def _load_key(self) -> SessionKey:
        row = await self._store.accounts.one(self._id)
        if row is not None and self._profile is None:
            self._profile = Profile(
                account_id=self._id, username=row.username, first_name=row.first_name, last_name=row.last_name
            )
        key = await self._notes.load_key()
        if key is None:
            raise AccountUnusable(self._id, "signed_out", "there is no session")
        await self._enter("connecting", None)
        return key

    async def _go_up(self, caller: Caller, desk: Desk) -> None:
        """Verify who this is, read what the account belongs to and what happened, and tell the roster."""
        profile = await fetch_self(caller)
        if profile is None or profile.account_id != self._id:
            raise AccountUnusable(self._id, "parked", "the session is another account's")
        self._profile = profile
        await self._store.accounts.save_profile(profile)
        await self._belonging.read(caller)
        self._failures, self._key_doubted, self._caller = 0, False, caller
        await self._introduce()
        if self._pushed_to:
            await desk.catch_up(await self._store.accounts.update_state(self._id))
        await self._enter("active", None)
        for kind in OVER_WHEN_ACTIVE:
            self._tell_operator(EndAlert(kind=kind, account_id=self._id))
        self._notes.keep_state(self._feed.state)
        log.emit(log.SIGNED_IN, account_id=self._id, channels=len(self._feed.memberships))

    async def _introduce(self) -> None:
        """Be taken in by the roster before anyone is told that this user is signed in: a parse must find channels."""
        memberships = tuple(self._feed.memberships.values())
        self._introduced = True
        self._tell_of_room(len(memberships))
        introduction = Introduce(account_id=self._id, memberships=memberships, complete=self._belonging.complete)
        try:
            self._take_reading(await self.owner.find("roster").call(introduction))
        except (RuntimeFault, ActorDeadError) as fault:
            logger.info("account %s introduces itself again: %s", self._id, fault)
            self.tell_later(INTRODUCE_AGAIN, RosterUp())

    def _take_reading(self, reading: Reading) -> None:
        self._feed.reading, self._updates = reading.channel_ids, reading.updates
        if self._caller is not None and self._is_of_wrong_kind:
            self._put(Check(), first=True)

    @property
    def _is_of_wrong_kind(self) -> bool:
        """A session is pushed to from its beginning, or not: to change that it must connect anew."""
        return self._updates is not None and self._updates != self._pushed_to

    def check(self) -> None:
        if self._is_of_wrong_kind:
            raise Reconnect(self._id)
        if self._caller is not None and self._caller.unanswered_for >= MUTE:
            quiet = self.owner.clock.monotonic() - self._heard_at
            if quiet >= MUTE:
                raise TryAgain(self._id, "connect", "nothing is answered")

    async def _enter(self, state: AccountState, cause: str | None) -> None:
        self._state = state
        await self._store.accounts.set_state(self._id, state, cause)

    async def _park(self, fault: AccountUnusable) -> None:
        """Told before it is written: a store that is away delays neither the failover nor the end of the client."""
        self._state = fault.state
        self._outlet.tell_roster(AccountDown(account_id=self._id, state=fault.state))
        alert = alert_of(fault, fault.cause, known=True)
        if alert is not None:
            self._tell_operator(alert)
        log.emit(log.ACCOUNT_PARKED, account_id=self._id, state=fault.state, cause=fault.cause)
        with suppress(StoreUnavailable):
            # The key first: whatever ends the process in between, a dead one is never used again.
            if fault.state in DEAD_KEYS:
                await self._store.accounts.wipe_session(self._id)
            await self._enter(fault.state, fault.cause)

    async def _wait_after(self, fault: ActorsError) -> None:
        """Backoff 1, 2, 4 … 60 s with full jitter; a flood wait exactly; a key in doubt once, after a minute."""
        self._introduced = False
        # Always: a predecessor under this key may have been up when it ended, and told nobody.
        self._outlet.tell_roster(AccountDown(account_id=self._id, state="connecting"))
        self._state = "connecting"
        self._failures += 1
        delay = retry_after(self._failures)
        if isinstance(fault, Reconnect):
            self._failures, delay = 0, 0.0
        elif isinstance(fault, FloodWaited):
            delay = fault.wait.total_seconds()
            await self._notes.save()
        elif isinstance(fault, TryAgain) and fault.cause == KEY_UNKNOWN:
            if self._key_doubted:
                unusable = AccountUnusable(self._id, "revoked", KEY_UNKNOWN)
                await self._park(unusable)
                raise unusable
            self._key_doubted, delay = True, KEY_WAIT
        elif isinstance(fault, Refused):
            delay = REFUSED_REST
        logger.info("account %s connects again in %.1f s: %s", self._id, delay, fault, extra={"account_id": self._id})
        await pause(self.owner.clock, delay)

    async def find_names(self) -> None:
        if self._caller is not None:
            await self._belonging.find_names(self._caller)

    async def belong(self, wish: Wish) -> object:
        if self._caller is None:
            raise NotConnected(self._id, type(wish).__name__)
        return await self._wishes.take(self._caller, wish)

    async def read_dialogs(self) -> None:
        if self._caller is not None:
            await self._belonging.read(self._caller)
            self.announce(memberships=True)

    def again(self, request: Own, wait: float) -> None:
        self.tell_later(wait, Ask(request=request))

    def _ask(self, request: Own) -> None:
        if isinstance(request, CatchUp):
            self._outlet.gap_closes()
        if self._caller is not None:  # connecting does all this of itself
            self._put(request, first=True)

    def _tell_of_room(self, joined: int) -> None:
        if is_short_of_room(joined):
            self._tell_operator(RaiseAlert(kind="room_short", account_id=self._id, cause="channels"))
        else:
            self._tell_operator(EndAlert(kind="room_short", account_id=self._id))

    def _tell_operator(self, alert: RaiseAlert | EndAlert) -> None:
        post(self.owner, "alerts", alert)

    # --- telling and keeping ---------------------------------------------------------------------------------------

    def announce(self, *, memberships: bool) -> None:
        if self._caller is None:
            return
        if memberships:
            known = tuple(self._feed.memberships.values())
            self._outlet.tell_roster(
                MembershipsRead(account_id=self._id, memberships=known, complete=self._belonging.complete)
            )
        self._outlet.tell_roster(AccountUp(account_id=self._id))

    async def keep_floods(self) -> None:
        await self._notes.save()

    def _listen(self) -> None:
        quiet = QUIET
        if self._caller is not None and self._takeout.is_idle:
            self._put(EndTakeout(), first=True)
        if self._caller is not None and self._pushed_to:
            quiet = self.owner.clock.monotonic() - max(self._heard_at, self._caller.answered_at)
            if quiet >= QUIET:
                self._put(CatchUp(tell=False), first=True)
        self.tell_later(max(QUIET - quiet, 1.0) if quiet < QUIET else QUIET, Listen())

    def _take_push(self, raw: Any) -> None:
        self._heard_at = self.owner.clock.monotonic()
        self._feed.take(raw)
        self._notes.keep_state(self._feed.state)
