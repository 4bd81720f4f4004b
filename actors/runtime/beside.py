"""What an actor has running beside its mailbox: helper tasks, timers, and replies it has promised."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from actors.runtime.job import Patience
from actors.runtime.letter import Letter
from actors.runtime.mailbox import Signal
from actors.runtime.reply import Later, Reply

if TYPE_CHECKING:
    from actors.runtime.clock import Timer
    from actors.runtime.loop import LoopOwner


class _Kept:
    """A timer that is forgotten when it is cancelled: an actor that lives for months cancels many."""

    __slots__ = ("_timer", "_timers")

    def __init__(self, timer: "Timer", timers: "set[Timer]") -> None:
        self._timer = timer
        self._timers = timers

    def cancel(self) -> None:
        self._timers.discard(self)
        self._timer.cancel()


class Beside:
    """Made when first used: most of 10,000 idle actors never do."""

    __slots__ = ("_fail", "_gone", "_key", "_laters", "_owner", "_tasks", "_timers")

    def __init__(self, owner: "LoopOwner", key: str, fail: Callable[[BaseException], None]) -> None:
        self._owner = owner
        self._key = key
        self._fail = fail
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timers: set[Timer] = set()
        self._laters: set[Later[Any]] = set()
        self._gone: Signal | None = None

    def call_later(self, delay: float, callback: Callable[[], None]) -> "Timer":
        timers = self._timers

        def due() -> None:
            timers.discard(timer)
            callback()

        timer = _Kept(self._owner.clock.call_later(delay, due), timers)
        timers.add(timer)
        return timer

    def spawn_task(self, coro: Coroutine[Any, Any, Any], name: str) -> "asyncio.Task[Any]":
        task = self._owner.start_task(coro, name=f"{self._key}: {name}")
        self._tasks.add(task)  # a strong reference: the loop keeps only a weak one (trap 5)
        task.add_done_callback(self._task_ended)
        return task

    def promise(self, later: Later[Any], letter: Letter) -> None:
        """Let ``later`` answer ``letter``; at the actor's end it is failed, unless its asker has gone by then."""
        if not later.done:
            self._laters.add(later)
            if isinstance(letter.reply_to, Reply):
                letter.reply_to.future.add_done_callback(lambda _: self._laters.discard(later))
        later.bind(letter, self._owner, self._laters.discard)

    async def stop_tasks(self, patience: Patience) -> None:
        """Cancel the tasks, once more after the grace, and leave after the deadline those that stay."""
        for pause in (patience.grace, patience.deadline - patience.grace):
            if not self._tasks:
                return
            for task in self._tasks:
                task.cancel()
            self._gone = Signal()
            await self._gone.wait(self._owner.clock, max(0.0, pause))
        for task in self._tasks:
            self._owner.keep_abandoned(task)

    def farewell(self, error: BaseException) -> None:
        """The actor has ended: no timer fires any more, and who was promised a reply gets ``error``."""
        for timer in tuple(self._timers):
            timer.cancel()
        for later in tuple(self._laters):
            if not later.done:
                later.fail(error)

    def _task_ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not self._tasks and self._gone is not None:
            self._gone.fire()
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error)
