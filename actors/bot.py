"""The control bot: an account with a token, on the same loop as the others.

Commands only reach the mailbox; what takes time (a parse, Telegram, the store) happens in tasks beside it.
"""

import asyncio
import logging
import math
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_never

from actors import log
from actors.chat.alerts import ENDED, alerts_text
from actors.chat.answers import Answers
from actors.chat.signing import Work
from actors.chat.texts import menu_of, text_of
from actors.errors import (
    AccountUnusable,
    ActorsError,
    FloodWaited,
    LoopbackViolated,
    NotConnected,
    Refused,
    StoreUnavailable,
    TryAgain,
)
from actors.messages.chat import Note, Person, Pressed, Said
from actors.messages.ids import AccountId
from actors.messages.people import RANKS
from actors.messages.rows import SessionKey, UpdateState
from actors.messages.settings import SettingsApplied
from actors.neighbours import ASK_FAULTS
from actors.ports import Store
from actors.runtime.actor import TaskActor
from actors.runtime.clock import pause
from actors.telegram.caller import Caller, CallMetrics, NoMetrics
from actors.telegram.client import SettingsIncomplete, build_client
from actors.telegram.commands import NOT_MODIFIED, edit, heard_in, say, show_menu, take_press
from actors.telegram.faults import KEY_UNKNOWN
from actors.telegram.line import CatchUp, Check, Line, Save, Task
from actors.telegram.link import Watch, connected, retry_after
from actors.telegram.login import Attempt, SignInRefused, save
from actors.telegram.notes import Notes
from actors.telegram.proxy import proxy_of
from actors.telegram.requests import fetch_difference, fetch_self, fetch_state
from actors.telegram.session import AccountSession
from actors.telegram.updates import advance, sort_updates
from config.model import Datacenter, Settings

logger = logging.getLogger(__name__)

ANSWERS = 50
"""Answers on their way at the same time; what comes beyond is not answered."""
HEARD = 1000
"""Messages remembered, so that one that comes by a push and by a difference is answered once."""
ALERTS_EVERY = 60.0
"""Seconds between two messages of alerts."""
ALERTS_AFTER = 20.0
"""Seconds that an alert is left alone: many are over by then, and those that come together are told together."""
ALERTS_MOST = 100
SPEECH_FAULTS = (TryAgain, FloodWaited, Refused, AccountUnusable)
LOST_KEYS = frozenset({"revoked", "duplicated", "signed_out", "parked"})
"""States that a sign-in by the token cures: the session is gone, another's, or doesn't open any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TellAlerts:
    """The bot's own mail: look for alerts that administrators haven't been told of."""


BotMessage = Said | Pressed | TellAlerts | SettingsApplied | Save


class Bot(TaskActor):
    """Answers in private chats, to those who were invited alone, and tells administrators of alerts.

    It keeps its session like an account, under its own user id, and signs in by its token only where that opens
    nothing. Says ``BOT_STARTED`` once it has.
    """

    def __init__(
        self,
        *,
        token: str,
        store: Store,
        settings: Settings,
        datacenter: Datacenter | None = None,
        loopback_only: bool = False,
        metrics: CallMetrics | None = None,
    ) -> None:
        super().__init__()
        self._token = token
        number = token.partition(":")[0]
        self._id = AccountId(int(number) if number.isdecimal() else 0)
        self._store = store
        self._settings = settings
        self._datacenter = datacenter
        self._loopback_only = loopback_only
        self._metrics = metrics or NoMetrics()
        self._notes = Notes(self._id, store.accounts, self)
        self._line = Line(self.owner.clock, lambda _, now: now)
        self._caller: Caller | None = None
        self._state: UpdateState | None = None
        self._failures = 0
        self._announced = False
        self._renewed = False
        """Whether the stored session was given up for a new one since it last worked."""
        self._heard: dict[int, None] = {}
        self._answering = 0
        self._turns: dict[AccountId, asyncio.Lock] = {}
        self._waiting: Counter[AccountId] = Counter()
        """Answers to each person that are on their way, or wait for their turn."""
        self._answers = Answers(owner=self.owner, store=store, settings=settings, mouth=self)

    async def started(self) -> None:
        self.spawn_task(self._live(), name="client")
        self.tell_later(ALERTS_EVERY, TellAlerts())

    async def stopping(self) -> None:
        await self._notes.save()

    def on_receive(self, message: BotMessage) -> object:
        match message:
            case Said() | Pressed():
                if self._answering < ANSWERS:
                    self._spawn(message.person, lambda: self._answer_in_turn(message))
            case TellAlerts():
                self.spawn_task(self._tell_alerts(), name="tell alerts")
            case SettingsApplied(settings=settings):
                self._settings = self._answers.settings = settings
            case Save():
                return self._notes.save()
            case _:
                assert_never(message)
        return None

    # --- one life of the client after the other --------------------------------------------------------------------

    async def _live(self) -> None:
        while True:
            try:
                await self._connect_and_serve()
            except AccountUnusable as fault:
                await self._take_unusable(fault)
            except (LoopbackViolated, SettingsIncomplete):
                raise
            except (TryAgain, FloodWaited, Refused, StoreUnavailable) as fault:
                self._failures += 1
                if isinstance(fault, TryAgain) and fault.cause == KEY_UNKNOWN and not self._renewed:
                    # Unlike a user it needs nobody to sign in again, so it needn't wait and see.
                    await self._take_unusable(AccountUnusable(self._id, "revoked", KEY_UNKNOWN))
                    continue
                wait = fault.wait.total_seconds() if isinstance(fault, FloodWaited) else retry_after(self._failures)
                logger.info("the bot connects again in %.1f s: %s", wait, fault)
                await pause(self.owner.clock, wait)

    async def _take_unusable(self, fault: AccountUnusable) -> None:
        """A session that is no more is made anew once by the token; whatever else, and a second time, parks the bot."""
        if fault.state in LOST_KEYS and not self._renewed:
            self._renewed = True
            await self._store.accounts.wipe_session(self._id)
            return
        log.emit(log.ACCOUNT_PARKED, account_id=self._id, state=fault.state, cause=fault.cause)
        raise fault

    async def _connect_and_serve(self) -> None:
        client = build_client(
            AccountSession(await self._load_key()),
            self._settings.telegram,
            datacenter=self._datacenter,
            loopback_only=self._loopback_only,
            on_update=self._take_push,
            on_doubt=self._doubt_pushes,
            proxy=proxy_of(self._id, self._settings.telegram),
        )
        caller = Caller(
            client,
            self._id,
            clock=self.owner.clock,
            timeout=self._settings.telegram.request_timeout,
            waits=await self._notes.floods(),
            on_flood=self._notes.keep_flood,
            metrics=self._metrics,
        )
        try:
            async with connected(client, self._id, on_end=lambda: self._put(Check())) as watch:
                await self._go_up(caller)
                await self._serve(caller, watch)
        finally:
            self._caller = None
            self._line.turn_away(lambda name: NotConnected(self._id, name))

    async def _load_key(self) -> SessionKey:
        return await self._notes.load_key() or await self._sign_in()

    async def _sign_in(self) -> SessionKey:
        attempt = Attempt(self._settings.telegram, datacenter=self._datacenter, loopback_only=self._loopback_only)
        try:
            profile = await attempt.enter_token(self._token)
            key = attempt.key(profile.account_id)
        except SignInRefused as fault:
            raise self._decision(fault) from None
        finally:
            await attempt.close()
        await save(self._store.accounts, profile, key)
        return key

    def _decision(self, fault: SignInRefused) -> ActorsError:
        method = "auth.importBotAuthorization"
        if fault.wait is not None:
            return FloodWaited(self._id, method, fault.wait)
        if fault.name.startswith("ACCESS_TOKEN_"):
            self._renewed = True  # another attempt would end the same
            return AccountUnusable(self._id, "signed_out", str(fault))
        return TryAgain(self._id, method, fault.name)

    async def _go_up(self, caller: Caller) -> None:
        profile = await fetch_self(caller)
        if profile is None or profile.account_id != self._id or not profile.bot:
            raise AccountUnusable(self._id, "signed_out", "the session isn't the bot's")
        await self._store.accounts.save_profile(profile)
        self._answers.username = profile.username
        self._caller = caller  # what is heard by catching up is answered at once
        await self._catch_up(caller)
        await self._store.accounts.set_state(self._id, "active", None)
        self._failures, self._renewed = 0, False
        if not self._announced:
            self._announced = True
            log.emit(log.BOT_STARTED)
            await self._show_menus(caller)

    async def _show_menus(self, caller: Caller) -> None:
        try:
            await show_menu(caller, menu_of("en"), "")
            await show_menu(caller, menu_of("ru"), "ru")
        except (FloodWaited, Refused) as fault:
            logger.info("people's apps offer no commands of the bot: %s", fault)

    async def _serve(self, caller: Caller, watch: Watch) -> None:
        while True:
            await self._line.next()
            watch.check()
            await self._catch_up(caller)

    async def _catch_up(self, caller: Caller) -> None:
        """Hear what was said while nobody listened; at the very first start nothing was."""
        known = self._state or await self._store.accounts.update_state(self._id)
        if known is None:
            self._state = await fetch_state(caller)
        else:
            async for part, after in fetch_difference(caller, known):
                self._hear(part)
                self._state = after
        self._notes.keep_state(self._state)

    def _put(self, request: CatchUp | Check) -> None:
        self._line.put(Task(request=request, since=self.owner.clock.monotonic()), first=True)

    def _doubt_pushes(self) -> None:
        self._put(CatchUp(tell=False))

    def _take_push(self, raw: Any) -> None:
        self._hear(raw)
        if self._state is not None:
            self._state, missing = advance(self._state, sort_updates(raw, ()))
            self._notes.keep_state(self._state)
            if missing:
                self._doubt_pushes()

    def _hear(self, raw: Any) -> None:
        for heard in heard_in(raw):
            number = heard.message_id if isinstance(heard, Said) else -heard.query_id
            if number not in self._heard:
                self._heard[number] = None
                if len(self._heard) > HEARD:
                    del self._heard[next(iter(self._heard))]
                self.tell_self(heard)

    # --- answers: tasks of their own, so that the mailbox goes on ----------------------------------------------------

    async def _answer_in_turn(self, heard: Said | Pressed) -> None:
        """After what the same person said before."""
        user_id = heard.person.user_id
        turn = self._turns.setdefault(user_id, asyncio.Lock())
        self._waiting[user_id] += 1
        try:
            async with turn:
                await self._try(heard.person, lambda: self._answer(heard))
        finally:
            self._waiting[user_id] -= 1
            if not self._waiting[user_id]:
                del self._waiting[user_id], self._turns[user_id]

    async def _answer(self, heard: Said | Pressed) -> None:
        match heard:
            case Said():
                await self._answers.to_message(heard)
            case Pressed(query_id=query_id):
                await self._take_press(query_id)
                await self._answers.to_press(heard)
            case _:
                assert_never(heard)

    def beside(self, person: Person, work: Work) -> None:
        self._spawn(person, lambda: self._try(person, work))

    def _spawn(self, person: Person, work: Work) -> None:
        self._answering += 1

        async def answer() -> None:
            try:
                await work()
            finally:
                self._answering -= 1

        self.spawn_task(answer(), name=f"answer user {person.user_id}")

    async def _try(self, person: Person, work: Work) -> None:
        """Do it, or say that it can't be done."""
        try:
            await work()
        except FloodWaited as fault:
            await self._try_to_say(
                person, text_of("wait", person.language, seconds=math.ceil(fault.wait.total_seconds()))
            )
        except (*ASK_FAULTS, Refused) as fault:
            logger.warning("the bot couldn't do what user %s asked for: %s", person.user_id, fault)
            await self._try_to_say(person, text_of("later", person.language))

    async def _take_press(self, query_id: int) -> None:
        try:
            await take_press(self._speaking(), query_id)
        except Refused as fault:  # it was pressed too long ago; what it asks for is done all the same
            logger.debug("a button can't be let go: %s", fault)

    async def _try_to_say(self, person: Person, text: str) -> bool:
        """Whether it was said."""
        try:
            await self.say(person, Note(text=text))
        except SPEECH_FAULTS as fault:
            logger.warning("the bot couldn't answer user %s: %s", person.user_id, fault)
            return False
        return True

    def _speaking(self) -> Caller:
        if self._caller is None:
            raise TryAgain(self._id, "messages.sendMessage", "the bot isn't connected")
        return self._caller

    async def say(self, person: Person, note: Note) -> int:
        try:
            return await say(self._speaking(), person, note)
        except FloodWaited:
            await self._notes.save()
            raise

    async def edit(self, person: Person, message_id: int, note: Note) -> None:
        try:
            await edit(self._speaking(), person, message_id, note)
        except Refused as fault:
            if fault.cause != NOT_MODIFIED:
                raise

    # --- alerts ----------------------------------------------------------------------------------------------------

    async def _tell_alerts(self) -> None:
        """What is new for administrators, all of it in one message, and at most one message in ``ALERTS_EVERY``."""
        try:
            if self._caller is not None:
                await self._tell_new_alerts()
        except StoreUnavailable as fault:
            logger.info("alerts are told later: %s", fault)
        finally:
            self.tell_later(ALERTS_EVERY, TellAlerts())

    async def _tell_new_alerts(self) -> None:
        before = self.owner.clock.now() - timedelta(seconds=ALERTS_AFTER)
        alerts = await self._store.alerts.untold(before, limit=ALERTS_MOST)
        if not alerts:
            return
        people = [row for row in await self._store.accounts.all() if not row.bot]
        rows = {row.account_id: row for row in people}
        speaks = {row.account_id: row.language or self._settings.logging.language for row in people}
        texts = {language: alerts_text(alerts, rows, language) for language in set(speaks.values())}
        messages = [
            (row.account_id, texts[speaks[row.account_id]]) for row in people if RANKS[row.role] >= RANKS["admin"]
        ]
        messages += [
            (alert.account_id, text_of("account_ended", speaks[alert.account_id], cause=alert.cause))
            for alert in alerts
            if alert.kind in ENDED and alert.account_id in speaks
        ]
        heard = []
        for who, what in messages:
            heard.append(await self._try_to_say(Person(user_id=who, language=speaks[who]), what))
            self._metrics.alert_delivered(heard=heard[-1])
        if any(heard):  # where nobody was, they wait for the next time
            await self._store.alerts.mark_told(alert.alert_id for alert in alerts)
