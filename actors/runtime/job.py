"""A job: the task of one coroutine handler, and what happens when it won't be cancelled."""

import asyncio
import io
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from inspect import CORO_CREATED, getcoroutinestate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actors.runtime.clock import Timer
    from actors.runtime.loop import LoopOwner

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a cancelled job may take; cancelling is only a request (trap 4)."""

    grace: float = 1.0
    """Seconds until it is cancelled a second time."""
    deadline: float = 5.0
    """Seconds after the first cancellation until it is abandoned."""


class Job:
    """Runs ``coro`` in a task of its own; ``wait`` returns when it is done or was abandoned.

    ``begins``: a cancellation may not come before its first step, as asyncio would have it.
    """

    __slots__ = (
        "_owner",
        "_patience",
        "_timer",
        "_unbegun",
        "_waiter",
        "abandoned",
        "cancelled",
        "done",
        "name",
        "since",
        "task",
    )

    def __init__(
        self,
        owner: "LoopOwner",
        coro: Coroutine[Any, Any, Any],
        name: str,
        patience: Patience,
        *,
        begins: bool = False,
    ) -> None:
        self._owner = owner
        self._unbegun = coro if begins else None
        self._patience = patience
        self._timer: Timer | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.name = name
        self.since = owner.clock.monotonic()
        self.cancelled = False
        """Whether its cancellation was asked for."""
        self.abandoned = False
        self.done = False
        """Finished, or abandoned."""
        self.task: asyncio.Task[Any] = owner.loop.create_task(coro, name=name)
        self.task.add_done_callback(self._finished)

    async def wait(self) -> None:
        """Return when the job is done or abandoned; a cancelled ``wait`` may be repeated."""
        while not self.done:
            # A fresh future each time, cheaper than a shield around one.
            self._waiter = self._owner.loop.create_future()
            await self._waiter

    def cancel(self) -> None:
        """Ask the job to end: now, again after the grace, and after the deadline no more."""
        if self.done or self.cancelled:
            return
        self.cancelled = True
        if self._unbegun is not None and getcoroutinestate(self._unbegun) == CORO_CREATED:
            self._owner.loop.call_soon(self.task.cancel)  # behind its first step, which is queued
        else:
            self.task.cancel()
        self._timer = self._owner.clock.call_later(self._patience.grace, self._cancel_again)

    def cancel_after(self, seconds: float) -> None:
        """``cancel`` in ``seconds``, unless it is done by then."""
        if not self.done:
            self._timer = self._owner.clock.call_later(seconds, self.cancel)

    def _cancel_again(self) -> None:
        if self.done:
            return
        self.task.cancel()
        rest = max(0.0, self._patience.deadline - self._patience.grace)
        self._timer = self._owner.clock.call_later(rest, self._abandon)

    def _abandon(self) -> None:
        if self.done:
            return
        self.abandoned = True
        self._owner.keep_abandoned(self.task)
        logger.error("job abandoned: %s ignored two cancellations; it stands at\n%s", self.name, stack_of(self.task))
        self._end()

    def _finished(self, _task: "asyncio.Task[Any]") -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._end()

    def _end(self) -> None:
        self.done = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def stack_of(task: "asyncio.Task[Any]") -> str:
    text = io.StringIO()
    task.print_stack(file=text)
    return text.getvalue()
