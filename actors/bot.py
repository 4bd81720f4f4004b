"""The control bot: an account with a token, on the same loop as the others.

Commands only reach the mailbox; what takes time (a parse, Telegram, the store) happens in tasks beside it.
"""

import logging
import secrets
from datetime import timedelta
from typing import Any, assert_never

from actors import log
from actors.errors import (
    AccountUnusable,
    ActorsError,
    FloodWaited,
    LoopbackViolated,
    Refused,
    StoreUnavailable,
    TryAgain,
    UserNotSignedIn,
)
from actors.messages.ids import AccountId, JobId
from actors.messages.jobs import AwaitJob, DescribeJob, Job, ParseUser
from actors.messages.rows import SessionKey, UpdateState
from actors.neighbours import ASK_FAULTS
from actors.ports import Store
from actors.runtime.actor import TaskActor
from actors.telegram.caller import Caller, CallMetrics, NoMetrics
from actors.telegram.client import SettingsIncomplete, build_client
from actors.telegram.commands import Command, Language, commands_in, say, text_of
from actors.telegram.faults import KEY_UNKNOWN
from actors.telegram.line import CatchUp, Check, Line, Save, Task
from actors.telegram.link import Watch, connected, pause, retry_after
from actors.telegram.login import Attempt, SignInRefused, save
from actors.telegram.notes import Notes
from actors.telegram.requests import fetch_difference, fetch_self, fetch_state
from actors.telegram.session import AccountSession
from actors.telegram.updates import advance, sort_updates
from config.model import Datacenter, Settings

logger = logging.getLogger(__name__)

ANSWERS = 50
"""Answers on their way at the same time; what comes beyond is not answered."""
HEARD = 1000
"""Commands remembered, so that one that comes by a push and by a difference is answered once."""
WAIT = timedelta(seconds=25)
"""Each ask for the end of a job; asked again until it is done."""
UP = frozenset({"active", "flooded"})
LOST_KEYS = frozenset({"revoked", "duplicated", "signed_out", "parked"})
"""States that a sign-in by the token cures: the session is gone, another's, or doesn't open any more."""
RUNNING = frozenset({"queued", "running"})

BotMessage = Command | Save


class Bot(TaskActor):
    """Answers ``/start``, ``/status`` and ``/parse`` in private chats, to the users of its accounts alone.

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
        self._last_job: JobId | None = None

    async def started(self) -> None:
        self.spawn_task(self._live(), name="client")

    async def stopping(self) -> None:
        await self._notes.save()

    def on_receive(self, message: BotMessage) -> object:
        match message:
            case Command():
                if self._answering < ANSWERS:
                    self._answering += 1
                    self.spawn_task(self._answer(message), name=f"answer /{message.name}")
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
            self._line.turn_away(lambda name: TryAgain(self._id, name, "not connected"))

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
        self._caller = caller  # what is heard by catching up is answered at once
        await self._catch_up(caller)
        await self._store.accounts.set_state(self._id, "active", None)
        self._failures, self._renewed = 0, False
        if not self._announced:
            self._announced = True
            log.emit(log.BOT_STARTED)

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
        for command in commands_in(raw):
            if command.message_id not in self._heard:
                self._heard[command.message_id] = None
                if len(self._heard) > HEARD:
                    del self._heard[next(iter(self._heard))]
                self.tell_self(command)

    # --- answers: tasks of their own, so that the mailbox goes on ----------------------------------------------------

    async def _answer(self, command: Command) -> None:
        try:
            await self._answer_known(command)
        except UserNotSignedIn as fault:
            await self._say(command, text_of("signed_out", command.language, state=fault.state))
        except ASK_FAULTS as fault:
            logger.warning("the bot couldn't do /%s: %s", command.name, fault)
            await self._say(command, text_of("later", command.language))
        finally:
            self._answering -= 1

    async def _answer_known(self, command: Command) -> None:
        row = await self._store.accounts.one(command.sender_id)
        language = command.language
        if row is None or row.bot:
            await self._say(command, text_of("stranger", language))
            return
        match command.name:
            case "start":
                await self._say(command, text_of("hello", language))
            case "status":
                await self._say(command, await self._status(language))
            case "parse":
                await self._parse(command)
            case "other":
                await self._say(command, text_of("unknown", language))
            case _:
                assert_never(command.name)

    async def _status(self, language: Language) -> str:
        users = [row for row in await self._store.accounts.all() if not row.bot]
        channels = await self._store.channels.all()
        job = text_of("idle", language)
        if self._last_job is not None:
            last = await self.owner.find("scheduler").call(DescribeJob(job_id=self._last_job))
            if last.state in RUNNING:
                job = text_of("running", language, done=last.channels_done, total=last.channels_total)
        up = sum(row.state in UP for row in users)
        posts = sum(row.posts for row in channels)
        return text_of("status", language, up=up, users=len(users), channels=len(channels), posts=posts, job=job)

    async def _parse(self, command: Command) -> None:
        scheduler = self.owner.find("scheduler")
        job: Job = await scheduler.call(ParseUser(account_id=command.sender_id))
        self._last_job = job.job_id
        await self._say(command, text_of("started", command.language))
        while job.state in RUNNING:
            job = await self.owner.find("scheduler").call(
                AwaitJob(job_id=job.job_id, wait=WAIT), timeout=WAIT.total_seconds() + 15
            )
        outcome = "done" if job.state == "success" else "failed"
        await self._say(command, text_of(outcome, command.language, added=job.posts_added))

    async def _say(self, command: Command, text: str) -> None:
        if self._caller is None:
            logger.warning("the bot isn't connected: an answer to /%s is dropped", command.name)
            return
        try:
            await say(self._caller, command, text, secrets.randbits(63))
        except (TryAgain, FloodWaited, Refused, AccountUnusable) as fault:
            logger.warning("the bot couldn't answer /%s: %s", command.name, fault)
            await self._notes.save()
