"""One life of an actor: how it begins, works and ends. What an author of actors uses stands in ``actor.py``."""

import asyncio
import logging
from collections.abc import Coroutine
from contextvars import Token
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from pykka.messages import _ActorStop

from actors.runtime.beside import Beside
from actors.runtime.ending import end
from actors.runtime.errors import ActorDeadError, AskTimeout, JobAbandoned, JobCancelled
from actors.runtime.job import Job
from actors.runtime.letter import CURRENT, Letter
from actors.runtime.mailbox import Mailbox
from actors.runtime.ref import Ref
from actors.runtime.reply import Later, sendable

if TYPE_CHECKING:
    from actors.runtime.actor import TaskActor
    from actors.runtime.loop import LoopOwner

logger = logging.getLogger(__name__)

FAIRNESS = 64
"""Messages handled before an actor yields to the loop: 147 ms of stall without, 0.2 ms with."""


class Life:
    """Runtime only: the machinery under one ``TaskActor``, kept apart so that authors' names can't clash with it."""

    __slots__ = (
        "actor",
        "aside",
        "born",
        "box",
        "ending",
        "failure",
        "handling",
        "has_started",
        "has_stopping",
        "job",
        "key",
        "killed",
        "meter",
        "owner",
        "parent",
        "ref",
        "task",
    )

    actor: "TaskActor"
    box: Mailbox
    ref: Ref

    def __init__(self, owner: "LoopOwner", key: str, class_name: str, parent: Ref | None) -> None:
        self.owner = owner
        self.key = key
        self.parent = parent
        self.born = owner.clock.monotonic()
        self.has_started = self.has_stopping = True
        """Whether the author wrote these hooks: most of 10,000 idle actors need no job for them."""
        self.ending = False
        self.killed = False
        self.failure: BaseException | None = None
        self.task: asyncio.Task[None] | None = None
        self.job: Job | None = None
        self.handling: Letter | None = None
        self.aside: Beside | None = None
        self.meter = owner.meter_of(class_name)

    @property
    def beside(self) -> Beside:
        if self.aside is None:
            self.aside = Beside(self.owner, self.key, self.fail)
        return self.aside

    def embody(self, actor: "TaskActor", box: Mailbox) -> None:
        """The actor's constructor has made its mailbox."""
        self.actor, self.box = actor, box
        box.move_in(self.owner, self.key)
        self.ref = Ref(actor, self.owner, self.key)

    # Begin and work

    def begin(self) -> None:
        self.task = self.owner.start_task(self._live(), name=self.key)

    async def _live(self) -> None:
        interrupt: BaseException | None = None
        try:
            self.actor.on_start()
            if self.has_started:
                await self.run_hook(self.actor.started(), "started")
            self.box.note_started()
            await self._work()
        except asyncio.CancelledError:
            self.killed = True
        except (KeyboardInterrupt, SystemExit) as error:
            interrupt, self.killed = error, True
        except GeneratorExit:  # the loop was closed under us: nothing can be awaited any more
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is this actor's death and nobody else's
            self.note(error)
        await end(self)
        if interrupt is not None:
            raise interrupt

    async def _work(self) -> None:
        box, meter, clock = self.box, self.meter, self.owner.clock
        token: Token[Letter | None] | None = None
        handled = 0
        while not self.ending:
            if box.paused or box.empty():
                if token is not None:
                    CURRENT.reset(token)
                    self.handling = token = None
                handled = 0
                box.wake = self.owner.loop.create_future()
                await box.wake
                continue
            if handled >= FAIRNESS:
                handled = 0
                await asyncio.sleep(0)
                continue
            handled += 1
            letter = box.get()
            if type(letter.message) is _ActorStop:
                box.add_stop(letter)
                return
            began = clock.monotonic()
            meter.waiting.add(began - letter.arrived)
            if letter.deadline is not None and self._expired(letter, began):
                continue
            self.handling = letter
            set_here = CURRENT.set(letter)
            token = token or set_here
            coro = self._receive(letter)
            if coro is not None:
                await self._run_job(letter, coro)
            meter.handling.add(clock.monotonic() - began)

    def _receive(self, letter: Letter) -> Coroutine[Any, Any, Any] | None:
        """Handle ``letter``, or return the coroutine that does."""
        try:
            result = self.actor.on_receive(letter.message)
            if type(result) is CoroutineType:
                return result
            if letter.reply_to is not None:
                self._answer(letter, result)
        except (KeyboardInterrupt, SystemExit):
            letter.refuse(ActorDeadError(f"{self.ref} was interrupted"))
            raise
        except BaseException as error:  # noqa: BLE001 - see _handler_raised
            self._handler_raised(letter, error)
        return None

    async def _run_job(self, letter: Letter, coro: Coroutine[Any, Any, Any]) -> None:
        if self.ending:  # the handler itself has failed its actor, and left us this
            coro.close()
            self._handler_raised(letter, JobCancelled(self.key, type(letter.message).__name__, requested=True))
            return
        try:
            result = await self._run(coro, type(letter.message).__name__)
            if letter.reply_to is not None:
                self._answer(letter, result)
        except (KeyboardInterrupt, SystemExit):
            letter.refuse(ActorDeadError(f"{self.ref} was interrupted"))
            raise
        except BaseException as error:  # noqa: BLE001 - see _handler_raised
            self._handler_raised(letter, error)

    async def run_hook(self, coro: Coroutine[Any, Any, Any], name: str, *, limit: float | None = None) -> None:
        token = CURRENT.set(Letter(None, None, self.box))  # so that asking itself is seen as a cycle
        try:
            await self._run(coro, name, limit=limit, hook=True)
        finally:
            CURRENT.reset(token)

    def _expired(self, letter: Letter, now: float) -> bool:
        # Its asker has given up: handling it would only keep the others waiting.
        deadline = letter.deadline
        if letter.reply_to is None or deadline is None or now < deadline:
            return False
        self.owner.expired_requests += 1
        letter.refuse(AskTimeout(self.key, type(letter.message).__name__, 0.0))
        return True

    async def _run(
        self, coro: Coroutine[Any, Any, Any], name: str, *, limit: float | None = None, hook: bool = False
    ) -> Any:
        job = self.job = Job(self.owner, coro, f"{self.key}: {name}", self.actor.patience, begins=hook)
        if limit is not None:
            job.cancel_after(limit)
        while not job.done:
            try:
                await job.wait()
            except asyncio.CancelledError:
                self.kill_soon()
        self.job = None
        if job.abandoned:
            raise JobAbandoned(self.key, name)
        if job.task.cancelled():
            raise JobCancelled(self.key, name, requested=job.cancelled)
        return job.task.result()

    def _answer(self, letter: Letter, result: Any) -> None:
        if isinstance(result, Later):
            self.beside.promise(result, letter)
        else:
            self.owner.answer(letter, result)

    def _handler_raised(self, letter: Letter, error: BaseException) -> None:
        asked = letter.reply_to is not None
        if asked and self.ending:
            letter.refuse(ActorDeadError(f"{self.ref} ended while it handled {type(letter.message).__name__}"))
        elif asked:
            logger.debug("%s answers with %r", self.key, error)
            letter.refuse(error)
        if isinstance(error, JobAbandoned) and error.key == self.key:
            self.fail(error)  # the job may still touch our state: serial handling can't be promised any more
        elif not asked and not (isinstance(error, JobCancelled) and error.key == self.key and error.requested):
            self.fail(sendable(error))

    # End

    def kill_soon(self) -> None:
        """Runtime only: end, cancelling what runs."""
        self.killed = True
        self._end_soon()

    def fail(self, error: BaseException) -> None:
        """Die of ``error``, also when an ask is being handled (whose asker would otherwise get the error)."""
        if self.failure is None:
            self.failure = error
        self._end_soon()

    def _end_soon(self) -> None:
        self.ending = True
        job = self.job
        if job is not None and asyncio.current_task() is not job.task:
            job.cancel()
        self.box.nudge()

    def note(self, error: BaseException) -> None:
        """Remember what the actor dies of, unless it is only the echo of its end."""
        # The first failure is the reason; a later one, in the clean-up, is only logged.
        if isinstance(error, JobCancelled) and (self.killed or self.failure is not None):
            return
        if self.failure is None:
            self.failure = sendable(error)
        else:
            logger.warning("%s failed while ending: %r", self.key, error)
