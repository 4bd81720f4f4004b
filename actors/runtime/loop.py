"""The owner of the one loop: every actor's home, its address book, and the way in from threads."""

import asyncio
import itertools
import logging
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import pykka
from pykka.messages import _ActorStop

from actors.runtime.checks import check_reply
from actors.runtime.clock import Clock, LoopClock
from actors.runtime.control import receive_control
from actors.runtime.ending import leave_behind
from actors.runtime.errors import (
    ActorDeadError,
    ActorMissing,
    ForeignLoopError,
    OwnerClaimed,
    OwnerMissing,
    ReplyRefused,
)
from actors.runtime.introspection import ActorSnapshot, Headcount, LifeRecord, absent_snapshot, census, snapshot_of
from actors.runtime.mailbox import Mailbox, Signal
from actors.runtime.meter import Meter
from actors.runtime.obituary import Obituaries, wants_parking
from actors.runtime.pace import Pace, Quota
from actors.runtime.ref import Ref
from actors.runtime.threads import ThreadDoor
from actors.runtime.traces import sever
from actors.runtime.watchdog import Watchdog

if TYPE_CHECKING:
    from actors.runtime.letter import Letter
    from actors.runtime.life import Life
    from actors.runtime.message import ChildDown

logger = logging.getLogger(__name__)

WAKES_PER_TURN = 64
"""Sleeping actors that mail wakes in one turn of the loop: a message to 10,000 must not run them all in one."""
DEATHS_PER_TURN = 64
"""Ends of actors in one turn of the loop; 10,000 at once stalled a naive loop 1.85 s."""

SURVEYED_PER_TURN = 256


class LoopOwner:
    """Claims the running loop, the only one of this process on which actors live, until ``close()``.

    Raises:
        OwnerClaimed: another owner holds a loop.
        RuntimeError: no loop runs here.
    """

    _claimed: ClassVar["LoopOwner | None"] = None
    _claiming: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, *, clock: Clock | None = None, development: bool = False, watchdog: float | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop_id = id(self.loop)
        self.clock: Clock = LoopClock() if clock is None else clock
        self.development = development
        """Check what replies carry."""
        self.on_foreign_loop: Callable[[], None] | None = None
        """Called at each refused touch from a foreign loop, on that loop's thread."""
        self.foreign_loop_errors = 0
        self.dead_letters = 0
        """Messages nobody will read."""
        self.expired_requests = 0
        """Requests dropped unread because their asker had given up."""
        self.abandoned_jobs = 0
        """Tasks that ignored two cancellations."""
        self.meters: dict[str, Meter] = {}
        """What is measured, by the name of an actor class."""
        self.records: dict[str, LifeRecord] = {}
        """Supervisors' memory of their children, by key."""
        self.wakes = Pace(self.loop, WAKES_PER_TURN)
        self.deaths = Pace(self.loop, DEATHS_PER_TURN)
        self._lives: dict[str, Life] = {}
        self._abandoned: set[asyncio.Task[Any]] = set()
        self._numbers = itertools.count(1)
        self._parent: Ref | None = None
        self.closing = False
        """No actor starts any more."""
        self._closed = False
        self._empty: Signal | None = None
        self.door = ThreadDoor(self.loop, self.turn_away)
        self.obituaries = Obituaries(self.clock)
        self._dead_letter_quota = Quota(self.clock, 5, 10.0)
        self._claim()
        self._watchdog = None if watchdog is None else Watchdog(self.loop, patience=watchdog)

    def _claim(self) -> None:
        with LoopOwner._claiming:
            holder = LoopOwner._claimed
            if holder is not None and not holder.loop.is_closed():
                raise OwnerClaimed("this process has an owner loop already; close() it first")
            LoopOwner._claimed = self

    @classmethod
    def claimed_here(cls) -> "LoopOwner":
        """The owner of the loop that runs here.

        Raises:
            ForeignLoopError: another loop, or none, runs here.
            OwnerMissing: no loop is claimed, or its owner is closing.
        """
        owner = cls._claimed
        if owner is None or owner.closing:
            raise OwnerMissing("actors start on a claimed loop: make a LoopOwner first")
        if not owner.here():
            owner.refuse_foreign("actors start on the owner loop, not in a plain thread")
        return owner

    # Which loop is this?

    def here(self) -> bool:
        """True on the owner loop, False in a plain thread.

        Raises:
            ForeignLoopError: another loop runs here; counted.
        """
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            return False
        if running is not self.loop:
            self.refuse_foreign("an actor was touched from a loop that isn't its owner's")
        return True

    def refuse_foreign(self, reason: str) -> NoReturn:
        """Count a foreign touch and raise ``ForeignLoopError``."""
        self.foreign_loop_errors += 1
        if self.on_foreign_loop is not None:
            self.on_foreign_loop()
        raise ForeignLoopError(reason)

    # The address book

    def find(self, key: str) -> Ref:
        """The actor that lives under ``key`` now. Look it up afresh each time: a restart is a new actor.

        Raises:
            ActorMissing: none does.
        """
        life = self._lives.get(key)
        if life is None:
            raise ActorMissing(key)
        return life.ref

    def get(self, key: str) -> Ref | None:
        life = self._lives.get(key)
        return None if life is None else life.ref

    def keys(self, prefix: str = "") -> tuple[str, ...]:
        """The keys of living actors, oldest first."""
        return tuple(key for key in self._lives if key.startswith(prefix))

    def snapshot(self) -> tuple[ActorSnapshot, ...]:
        """Every living actor, oldest first, then the keys that wait for a restart or are parked.

        It takes 5 us an actor: where there may be thousands, ``survey`` lets the loop go on meanwhile.
        """
        living = tuple(snapshot_of(life) for life in self._lives.values())
        return (*living, *self._absent())

    def look(self, key: str) -> ActorSnapshot | None:
        """One actor, or what stands for it while it waits for a restart or is parked; None for a key nobody has."""
        life = self._lives.get(key)
        if life is not None:
            return snapshot_of(life)
        record = self.records.get(key)
        return None if record is None else absent_snapshot(key, record, self.clock.monotonic())

    async def survey(self) -> tuple[ActorSnapshot, ...]:
        """As ``snapshot``, a few hundred in each turn of the loop; who ends meanwhile may be missing."""
        seen: list[ActorSnapshot] = []
        for number, life in enumerate(tuple(self._lives.values()), 1):
            if not life.box.ended:
                seen.append(snapshot_of(life))
            if number % SURVEYED_PER_TURN == 0:
                await asyncio.sleep(0)
        keys = {one.key for one in seen}
        return (*seen, *(one for one in self._absent() if one.key not in keys))

    def census(self) -> dict[str, Headcount]:
        """How many actors of each class there are, and how much mail they have."""
        return census(self._lives.values(), self.records.values())

    def _absent(self) -> tuple[ActorSnapshot, ...]:
        now = self.clock.monotonic()
        absent = [absent_snapshot(key, record, now) for key, record in self.records.items() if key not in self._lives]
        return tuple(one for one in absent if one is not None)

    def meter_of(self, class_name: str) -> Meter:
        """The meter of an actor class, made when first asked for."""
        meter = self.meters.get(class_name)
        if meter is None:
            meter = self.meters[class_name] = Meter()
        return meter

    def fresh_key(self, class_name: str) -> str:
        """Runtime only: a key for an actor that was started without one."""
        return f"{class_name}-{next(self._numbers)}"

    @contextmanager
    def parenthood(self, parent: Ref) -> Iterator[None]:
        """Runtime only: the next actor started inside is a child of ``parent``."""
        self._parent = parent
        try:
            yield
        finally:
            self._parent = None

    def take_parent(self) -> Ref | None:
        """Runtime only: the parent of the actor being started; what that one starts itself has none."""
        parent, self._parent = self._parent, None
        return parent

    def adopt(self, life: "Life") -> None:
        """Runtime only: keep ``life`` (and with it its task) until ``forget``; a root goes to Pykka's registry."""
        self._lives[life.key] = life
        if life.parent is None:
            # Roots alone: lookups in the registry's list take 0.35 ms at 10,000 (trap 6), and its stop_all()
            # must not stop children under a supervisor that restarts them (trap 7).
            pykka.ActorRegistry.register(life.ref)

    def forget(self, life: "Life") -> None:
        """Runtime only: ``life`` has ended."""
        if self._lives.get(life.key) is life:
            del self._lives[life.key]
        if life.parent is None:
            pykka.ActorRegistry.unregister(life.ref)
        if not self._lives and self._empty is not None:
            self._empty.fire()

    def report_death(self, parent: Ref | None, down: "ChildDown") -> None:
        """Runtime only: log a failure, and tell the supervisor."""
        supervised = parent is not None and not parent.actor_inbox.ended
        if down.error is not None and not (supervised and wants_parking(down.error)):
            self.obituaries.publish(down.key, down.error)
        if down.error is not None:
            sever(down.error)  # only now: the log has read it, and nobody else has it yet
        if parent is not None and supervised:
            self.post_control(parent.actor_inbox, down, here=True)

    # Mail

    def answer(self, letter: "Letter", value: Any) -> None:
        """Runtime only: give ``value`` to the asker; in development mode only what may leave an actor."""
        if self.development and letter.reply_to is not None:
            try:
                check_reply(value)
            except ReplyRefused as error:
                letter.refuse(error)
                return
        letter.answer(value)

    def turn_away(self, letter: "Letter") -> None:
        """Runtime only: ``letter`` will not be read."""
        if type(letter.message) is _ActorStop:
            letter.box.post_stop(letter)
            return
        self.note_dead_letter(letter.box.key, letter.message)
        letter.refuse(ActorDeadError(f"{letter.box.key} ended before it read {type(letter.message).__name__}"))

    def note_dead_letter(self, key: str, message: Any) -> None:
        """Runtime only: count a message nobody will read; the log gets five in ten seconds."""
        self.dead_letters += 1
        if self._dead_letter_quota.take():
            logger.warning("dead letter: %s for %s", type(message).__name__, key, extra={"actor": key})

    def post_control(self, box: Mailbox, message: Any, *, here: bool) -> None:
        """Runtime only: hand ``message`` to the actor's control lane on the loop's next turn."""
        if here:
            self.loop.call_soon(self._give_control, box, message, context=Context())
        else:
            self.door.call(lambda: self._give_control(box, message))

    def _give_control(self, box: Mailbox, message: Any) -> None:
        life = self._lives.get(box.key)
        if life is None or life.box is not box:
            self.note_dead_letter(box.key, message)
        else:
            receive_control(life, message)

    # Tasks and the end

    def start_task(self, coro: Coroutine[Any, Any, Any], *, name: str) -> "asyncio.Task[Any]":
        """Runtime only: an actor's task, in an empty context: no chain of asks leaks into it (trap 8)."""
        return self.loop.create_task(coro, name=name, context=Context())

    def keep_abandoned(self, task: "asyncio.Task[Any]") -> None:
        """Runtime only: a task that won't end; it is kept, cancelled once more by ``close()``, and counted."""
        self.abandoned_jobs += 1
        self._abandoned.add(task)
        task.add_done_callback(self._abandoned_ended)

    def _abandoned_ended(self, task: "asyncio.Task[Any]") -> None:
        self._abandoned.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.warning("abandoned task %s ended with %r", task.get_name(), error)

    async def close(self, *, grace: float = 5.0, kill_grace: float = 7.0) -> None:
        """Stop the roots (they stop their children), kill what is left, leave the rest, release the claim.

        ``grace`` and ``kill_grace`` are seconds of real time, whatever the clock. Closing twice does nothing.
        """
        if self._closed:
            return
        self.closing = True
        for life in reversed([life for life in self._lives.values() if life.parent is None]):
            life.ref.stop(block=False)
        if not await self._emptied(grace):
            for life in tuple(self._lives.values()):
                life.kill_soon()
            await self._emptied(kill_grace)
        for life in tuple(self._lives.values()):
            logger.error("actor left behind: %s", life.key, extra={"actor": life.key})
            leave_behind(life)
        for task in tuple(self._abandoned):
            task.cancel()
        self._release()

    async def _emptied(self, seconds: float) -> bool:
        if not self._lives:
            return True
        self._empty = Signal()
        return await self._empty.wait(LoopClock(), seconds)

    def _release(self) -> None:
        self._closed = True
        self.door.close()
        if self._watchdog is not None:
            self._watchdog.stop()
        with LoopOwner._claiming:
            if LoopOwner._claimed is self:
                LoopOwner._claimed = None
