"""Signing users in: a small state machine for each attempt, several side by side, and the same without a daemon.

The mailbox waits for no attempt: each step is a task of its own, answered later. A client is closed before its key is
handed to an account, for a key on two connections is lost for good.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, assert_never

from actors.errors import ActorsError, LoopbackViolated, StoreUnavailable, UserUnknown
from actors.leaving import Leaving
from actors.messages.content import Profile
from actors.messages.ids import UP, AccountId, AccountState, SignInId
from actors.messages.rows import SessionKey
from actors.messages.settings import SettingsApplied
from actors.messages.signin import (
    AccountSignedIn,
    CancelSignIn,
    DescribeSignIn,
    DisableUser,
    EnableUser,
    EnterCode,
    EnterPassword,
    ImportSession,
    RemoveUser,
    SignInStep,
    SignOut,
    StartQrSignIn,
    StartSignIn,
)
from actors.ports import Alerts, Store
from actors.runtime.actor import TaskActor
from actors.runtime.clock import Clock
from actors.runtime.errors import ActorDeadError, MailboxFull, RuntimeFault
from actors.runtime.reply import Later
from actors.telegram.client import SettingsIncomplete
from actors.telegram.link import Gate
from actors.telegram.login import Attempt, Shown, SignInRefused, read_session, save
from config.model import Datacenter, Settings

LIFETIME = 600.0
"""Seconds that a sign-in may take; Telegram's own codes live for about five minutes."""
ATTEMPTS = 100
"""Sign-ins that may be open at the same time: each holds a connection."""
KEYS_A_SECOND = 10.0
"""Sign-ins that begin in a second. Each makes a key, 15 ms of arithmetic on the loop that must not come all at once."""
ENTRIES = 3
"""Wrong entries that are forgiven where a person types them at a terminal."""


OVER = frozenset({"done", "failed"})
UNFINISHED = "the sign-in didn't come to its end"
UNKNOWN = "there is no such sign-in, or its time is over: begin again"
ANOTHER = "this is another account than the one that was to sign in; it is signed out again"
INCIDENT = "several accounts lost their keys within minutes: find out why, then close the alert key_incident"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expire:
    """A sign-in has had its time."""

    sign_in_id: SignInId


@dataclass(slots=True)
class Record:
    """One sign-in: its step as it stands, and its client while it needs one."""

    step: SignInStep
    attempt: Attempt | None
    expected: AccountId | None = None
    former: tuple[AccountState, str | None] | None = None
    """State and cause of the expected user before it was shown as signing in."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set, and replaced, whenever the step changes."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def showing(self) -> Attempt | None:
        """The attempt whose QR code waits to be scanned, if it is one."""
        return self.attempt if self.step.state == "scan_needed" else None

    def take(self, step: SignInStep) -> None:
        """The next step; a link leads nowhere once the sign-in has gone on."""
        self.step = step if step.state == "scan_needed" else replace(step, qr_link=None, qr_expires_at=None)
        self.changed.set()
        self.changed = asyncio.Event()


SignInMessage = (
    StartSignIn
    | StartQrSignIn
    | DescribeSignIn
    | EnterCode
    | EnterPassword
    | ImportSession
    | CancelSignIn
    | Expire
    | SignOut
    | DisableUser
    | EnableUser
    | RemoveUser
    | SettingsApplied
)


class SignIn(TaskActor):
    """Turns a phone, a code and a password into a stored session, and says so to ``accounts``."""

    def __init__(
        self, *, store: Store, settings: Settings, datacenter: Datacenter | None = None, loopback_only: bool = False
    ) -> None:
        super().__init__()
        self._store = store
        self._settings = settings
        self._datacenter = datacenter
        self._loopback_only = loopback_only
        self._records: dict[SignInId, Record] = {}
        self._gate = Gate(self.owner.clock, rate=KEYS_A_SECOND)
        self._leaving = Leaving(
            owner=self.owner,
            store=store,
            telegram=settings.telegram,
            datacenter=datacenter,
            loopback_only=loopback_only,
        )

    async def started(self) -> None:
        """What the process before this one didn't bring to its end is over."""
        with suppress(StoreUnavailable):  # shown as it was until the next start
            for row in await self._store.accounts.all():
                if row.state == "signing_in":
                    await self._store.accounts.set_state(row.account_id, "signed_out", UNFINISHED)

    async def stopping(self) -> None:
        await asyncio.gather(*(self._close(record) for record in self._records.values()))

    def on_receive(self, message: SignInMessage) -> object:
        match message:
            case StartSignIn(phone=phone, expected=expected):
                return self._begin(lambda record: self._send_code(record, phone), expected)
            case StartQrSignIn(expected=expected):
                return self._begin(self._show, expected)
            case DescribeSignIn():
                return self._describe(message)
            case ImportSession(session=source):
                return self._begin(lambda record: self._import(record, source))
            case EnterCode(sign_in_id=sign_in_id, code=code):
                return self._go_on(sign_in_id, "code_needed", lambda record: self._enter_code(record, code))
            case EnterPassword(sign_in_id=sign_in_id, password=password):
                return self._go_on(sign_in_id, "password_needed", lambda record: self._enter_password(record, password))
            case CancelSignIn(sign_in_id=sign_in_id):
                return self._go_on(sign_in_id, None, self._cancel)
            case SignOut(account_id=account_id):
                return self._beside(self._leaving.sign_out(account_id), name=f"sign {account_id} out")
            case DisableUser(account_id=account_id):
                return self._beside(self._leaving.disable(account_id), name=f"disable {account_id}")
            case EnableUser(account_id=account_id):
                return self._beside(self._leaving.enable(account_id), name=f"enable {account_id}")
            case RemoveUser(account_id=account_id, posts=posts):
                return self._beside(self._leaving.remove(account_id, posts=posts), name=f"remove {account_id}")
            case SettingsApplied(settings=settings):
                self._settings, self._leaving.telegram = settings, settings.telegram
            case Expire(sign_in_id=sign_in_id):
                self._expire(sign_in_id)
            case _:
                assert_never(message)
        return None

    def _beside(self, work: Coroutine[Any, Any, Any], name: str) -> Later[Any]:
        later: Later[Any] = Later()

        async def run() -> None:
            try:
                later.reply(await work)
            except (ActorsError, RuntimeFault, ActorDeadError) as fault:
                later.fail(fault)

        self.spawn_task(run(), name=name)
        return later

    # --- steps -----------------------------------------------------------------------------------------------------

    def _begin(self, work: Callable[[Record], Awaitable[None]], expected: AccountId | None = None) -> object:
        sign_in_id = SignInId(secrets.token_urlsafe(12))
        if sum(record.attempt is not None for record in self._records.values()) >= ATTEMPTS:
            return SignInStep(sign_in_id=sign_in_id, state="failed", error="too many sign-ins at the same time")
        record = Record(SignInStep(sign_in_id=sign_in_id, state="code_needed"), None, expected=expected)
        self._records[sign_in_id] = record
        self.tell_later(LIFETIME, Expire(sign_in_id=sign_in_id))

        async def begin(record: Record) -> None:
            await work(record)
            await self._show_as_signing_in(record)

        return self._apart(record, begin)

    def _go_on(self, sign_in_id: SignInId, state: str | None, work: Callable[[Record], Awaitable[None]]) -> object:
        record = self._records.get(sign_in_id)
        if record is None:
            return SignInStep(sign_in_id=sign_in_id, state="failed", error=UNKNOWN)

        async def step(record: Record) -> None:
            if record.attempt is not None and state in (None, record.step.state):
                await work(record)

        return self._apart(record, step)

    def _apart(self, record: Record, work: Callable[[Record], Awaitable[None]]) -> Later[SignInStep]:
        """Do one step beside the mailbox, after the step before it; whatever refuses it becomes part of the answer."""
        later: Later[SignInStep] = Later()

        async def run() -> None:
            async with record.lock:
                try:
                    await work(record)
                except SignInRefused as fault:
                    await self._refuse(record, fault)
                except (SettingsIncomplete, LoopbackViolated) as fault:
                    await self._end(record, error=str(fault))
                except StoreUnavailable:
                    await self._end(record, error="the database can't be reached: begin again")
                later.reply(record.step)

        self.spawn_task(run(), name=f"sign-in {record.step.sign_in_id}")
        return later

    async def _show_as_signing_in(self, record: Record) -> None:
        """One who is expected and has no session, for as long as the sign-in goes on."""
        if record.expected is None or record.attempt is None:
            return
        row = await self._store.accounts.one(record.expected)
        if row is not None and not row.has_session and row.state != "signing_in":
            record.former = (row.state, row.cause)
            await self._store.accounts.set_state(row.account_id, "signing_in", None)

    async def _show_as_before(self, record: Record) -> None:
        former, record.former = record.former, None
        if former is None or record.expected is None:
            return
        with suppress(StoreUnavailable, UserUnknown):
            row = await self._store.accounts.one(record.expected)
            if row is not None and row.state == "signing_in":
                await self._store.accounts.set_state(row.account_id, *former)

    async def _send_code(self, record: Record, phone: str) -> None:
        await refuse_in_an_incident(self._store.alerts)
        await self._gate.turn()
        record.attempt = self._attempt(None, record.expected)
        await record.attempt.send_code(phone)

    async def _show(self, record: Record) -> None:
        """Show the first code, and see to it that the next ones follow until one is scanned."""
        await refuse_in_an_incident(self._store.alerts)
        await self._gate.turn()
        record.attempt = self._attempt(None, record.expected)
        await self._show_next(record, record.attempt)
        if record.showing is not None:
            self.spawn_task(self._go_on_showing(record), name=f"QR codes of sign-in {record.step.sign_in_id}")

    async def _show_next(self, record: Record, attempt: Attempt) -> None:
        """The next code, or, where one was scanned, the next step."""
        active = [row.account_id for row in await self._store.accounts.all() if row.state in UP and not row.bot]
        shown = await attempt.show(active)
        match shown:
            case Shown(link=link, seconds=seconds):
                expires_at = self.owner.clock.now() + timedelta(seconds=seconds)
                record.take(replace(record.step, state="scan_needed", qr_link=link, qr_expires_at=expires_at))
            case Profile():
                await self._keep(record, attempt, shown)
            case None:
                record.take(replace(record.step, state="password_needed"))

    async def _go_on_showing(self, record: Record) -> None:
        while (attempt := record.showing) is not None:
            expires_at = record.step.qr_expires_at or self.owner.clock.now()
            left = (expires_at - self.owner.clock.now()).total_seconds()
            await _first_of(attempt.scanned, self.owner.clock, left)
            async with record.lock:
                if record.showing is not None:  # it may have been cancelled meanwhile
                    await self._show_next_or_end(record, attempt)

    async def _show_next_or_end(self, record: Record, attempt: Attempt) -> None:
        try:
            await self._show_next(record, attempt)
        except SignInRefused as fault:
            await self._end(record, error=str(fault))
        except StoreUnavailable:
            await self._end(record, error="the database can't be reached: begin again")

    def _describe(self, request: DescribeSignIn) -> SignInStep | Later[SignInStep]:
        record = self._records.get(request.sign_in_id)
        if record is None:
            return SignInStep(sign_in_id=request.sign_in_id, state="failed", error=UNKNOWN)
        if request.wait <= timedelta(0) or record.step.state in OVER:
            return record.step
        later: Later[SignInStep] = Later()

        async def wait() -> None:
            await _first_of(record.changed, self.owner.clock, request.wait.total_seconds())
            later.reply(record.step)

        self.spawn_task(wait(), name=f"wait for sign-in {request.sign_in_id}")
        return later

    async def _enter_code(self, record: Record, code: str) -> None:
        attempt = record.attempt
        assert attempt is not None
        profile = await attempt.enter_code(code)
        if profile is None:
            record.take(replace(record.step, state="password_needed", error=None))
        else:
            await self._keep(record, attempt, profile)

    async def _enter_password(self, record: Record, password: str) -> None:
        attempt = record.attempt
        assert attempt is not None
        await self._keep(record, attempt, await attempt.enter_password(password))

    async def _import(self, record: Record, source: str | bytes) -> None:
        await refuse_in_an_incident(self._store.alerts)
        record.attempt = attempt = self._attempt(read_session(source))
        profile = await attempt.who()
        key = attempt.key(profile.account_id)
        # An imported session isn't ours to give back where the store fails: it stays with whoever brought it.
        await self._close(record)
        if (wrong := await self._store_or_say(profile, key)) is not None:
            await self._end(record, error=wrong)
        else:
            self._done(record, profile.account_id)

    async def _cancel(self, record: Record) -> None:
        await self._end(record, error="cancelled")

    # --- ends ------------------------------------------------------------------------------------------------------

    async def _keep(self, record: Record, attempt: Attempt, profile: Profile) -> None:
        wrong = None if record.expected in (None, profile.account_id) else ANOTHER
        wrong = wrong or await self._store_or_say(profile, attempt.key(profile.account_id))
        if wrong is not None:
            with suppress(SignInRefused):
                await attempt.log_out()
            await self._end(record, error=wrong)
            return
        await self._close(record)
        self._done(record, profile.account_id)

    async def _store_or_say(self, profile: Profile, key: SessionKey) -> str | None:
        """Why the session isn't stored; None when it is."""
        try:
            await save(self._store.accounts, profile, key)
        except SignInRefused as fault:
            return str(fault)
        except StoreUnavailable:
            return "the session couldn't be stored: begin again"
        return None

    def _done(self, record: Record, account_id: AccountId) -> None:
        record.take(replace(record.step, state="done", account_id=account_id, error=None))
        accounts = self.owner.get("accounts")
        if accounts is not None:  # it starts what is stored when it comes
            with suppress(ActorDeadError, MailboxFull):
                accounts.tell(AccountSignedIn(account_id=account_id))

    async def _refuse(self, record: Record, fault: SignInRefused) -> None:
        if fault.enter_again:
            record.take(replace(record.step, error=str(fault)))
        else:
            await self._end(record, error=str(fault))

    async def _end(self, record: Record, *, error: str) -> None:
        record.take(replace(record.step, state="failed", error=error))
        await self._close(record)

    async def _close(self, record: Record) -> None:
        attempt, record.attempt = record.attempt, None
        if attempt is not None:
            await attempt.close()
        await self._show_as_before(record)

    def _expire(self, sign_in_id: SignInId) -> None:
        record = self._records.pop(sign_in_id, None)
        if record is not None:
            self.spawn_task(self._close_after_its_step(record), name=f"sign-in {sign_in_id} expires")

    async def _close_after_its_step(self, record: Record) -> None:
        async with record.lock:  # a client must not be closed while it connects
            await self._close(record)

    def _attempt(self, key: SessionKey | None, expected: AccountId | None = None) -> Attempt:
        return Attempt(
            self._settings.telegram,
            datacenter=self._datacenter,
            loopback_only=self._loopback_only,
            key=key,
            expected=expected,
        )


async def _first_of(event: asyncio.Event, clock: Clock, seconds: float) -> None:
    """Wait for the event, or so long on the actors' clock."""
    over = asyncio.Event()
    timer = clock.call_later(seconds, over.set)
    waits = [asyncio.ensure_future(each.wait()) for each in (event, over)]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
        for each in waits:
            each.cancel()


async def refuse_in_an_incident(alerts: Alerts) -> None:
    """Raises: SignInRefused while keys die in numbers (whatever kills them would kill a new one); StoreUnavailable."""
    if (await alerts.open_counts()).get("key_incident"):
        raise SignInRefused("KEY_INCIDENT", INCIDENT)


# --- without a daemon ----------------------------------------------------------------------------------------------


async def sign_in(
    phone: str,
    *,
    settings: Settings,
    datacenter: Datacenter | None = None,
    loopback_only: bool = False,
    expected: AccountId | None = None,
    ask_code: Callable[[str | None], Awaitable[str]],
    ask_password: Callable[[str | None], Awaitable[str]],
) -> tuple[Profile, SessionKey]:
    """Sign in at a terminal; the asking functions get what was wrong with the entry before, or None.

    Another account than ``expected`` is refused and signed out again.

    The caller stores what it gets with ``save``. Raises: SignInRefused, SettingsIncomplete.
    """
    attempt = Attempt(settings.telegram, datacenter=datacenter, loopback_only=loopback_only)
    try:
        await attempt.send_code(phone)
        profile = await _entered(ask_code, attempt.enter_code)
        if profile is None:
            profile = await _entered(ask_password, attempt.enter_password)
        if expected not in (None, profile.account_id):
            await attempt.log_out()
            raise SignInRefused("ANOTHER_ACCOUNT", ANOTHER)
        return profile, attempt.key(profile.account_id)
    finally:
        await attempt.close()


async def _entered(ask: Callable[[str | None], Awaitable[str]], enter: Callable[[str], Awaitable[Any]]) -> Any:
    wrong: str | None = None
    for left in reversed(range(ENTRIES)):
        entry = await ask(wrong)
        try:
            return await enter(entry)
        except SignInRefused as fault:
            if not fault.enter_again or not left:
                raise
            wrong = str(fault)
    return None


async def import_session(
    source: str | bytes,
    *,
    settings: Settings,
    datacenter: Datacenter | None = None,
    loopback_only: bool = False,
) -> tuple[Profile, SessionKey]:
    """Whose Telethon session this is, and its key: verified by connecting with it once.

    The caller stores what it gets with ``save``. Raises: SignInRefused, SettingsIncomplete, LoopbackViolated.
    """
    attempt = Attempt(settings.telegram, datacenter=datacenter, loopback_only=loopback_only, key=read_session(source))
    try:
        profile = await attempt.who()
        return profile, attempt.key(profile.account_id)
    finally:
        await attempt.close()
