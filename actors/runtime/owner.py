"""Where an owner loop runs: this thread, until ``main`` returns, or a thread of its own."""

import asyncio
import concurrent.futures
import gc
import logging
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from actors.runtime.clock import Clock
from actors.runtime.job import stack_of
from actors.runtime.loop import LoopOwner

__all__ = ["LoopOwner", "ThreadOwner", "run_owner"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

GC_THRESHOLDS = (50_000, 20, 100)
"""For the garbage collector while an owner loop runs: 10,000 actors are 230,000 objects, and each full collection
stalls the loop 110 ms over them; the default, 700, makes three of them while all fail at once, and one in the middle of
a parsed page. Ended actors leave no cycles, so there is little to collect."""
STUCK_AT_EXIT = 70
"""EX_SOFTWARE: a task would not end, and was left."""


def run_owner(
    main: Callable[[LoopOwner], Coroutine[Any, Any, int]],
    *,
    clock: Clock | None = None,
    development: bool = False,
    watchdog: float | None = None,
    exit_grace: float = 5.0,
) -> int:
    """Claim a new loop on this thread, run ``main(owner)``, and return its exit code.

    Unlike ``asyncio.run`` the exit is bounded: tasks still there are cancelled, again after half of ``exit_grace``
    seconds, then left with their stacks in the log; the code is then 70 unless ``main`` gave one that isn't zero.
    A ``KeyboardInterrupt`` cancels ``main``. Errors of ``main`` are raised. While it runs, the garbage collector has
    ``GC_THRESHOLDS``.
    """

    async def body() -> int:
        owner = LoopOwner(clock=clock, development=development, watchdog=watchdog)
        try:
            return await main(owner)
        finally:
            await owner.close()

    loop = asyncio.new_event_loop()
    left = True
    thresholds = gc.get_threshold()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        asyncio.set_event_loop(loop)
        code = _run_interruptible(loop, body())
    finally:
        try:
            left = loop.run_until_complete(_end_tasks(exit_grace))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            loop.close()
            gc.set_threshold(*thresholds)
    return code or (STUCK_AT_EXIT if left else 0)


def _run_interruptible(loop: asyncio.AbstractEventLoop, body: Coroutine[Any, Any, int]) -> int:
    task = loop.create_task(body, name="main")
    try:
        return loop.run_until_complete(task)
    except KeyboardInterrupt:
        task.cancel()
        loop.run_until_complete(asyncio.wait([task], timeout=60))
        raise


async def _end_tasks(grace: float) -> bool:
    """Cancel every other task, twice; whether some had to be left (trap 12)."""
    here = asyncio.current_task()
    for _ in range(2):
        tasks = [task for task in asyncio.all_tasks() if task is not here]
        if not tasks:
            return False
        for task in tasks:
            task.cancel()
        done, left = await asyncio.wait(tasks, timeout=grace / 2)
        for task in done:
            if not task.cancelled() and (error := task.exception()) is not None:
                logger.error("task %s failed at exit", task.get_name(), exc_info=error)
        if not left:
            return False
    for task in left:
        logger.error("task left at exit: %s; it stands at\n%s", task.get_name(), stack_of(task))
    return True


class ThreadOwner:
    """An owner loop on a thread of its own, for tests and embedding; a context manager.

    Raises:
        OwnerClaimed: this process has an owner loop already.
    """

    def __init__(self, *, clock: Clock | None = None, development: bool = False, watchdog: float | None = None) -> None:
        self.owner: LoopOwner
        self._options: dict[str, Any] = {"clock": clock, "development": development, "watchdog": watchdog}
        self._claimed: concurrent.futures.Future[LoopOwner] = concurrent.futures.Future()
        self._leave: asyncio.Event
        self._thread = threading.Thread(target=self._run, name="owner-loop", daemon=True)
        self._thread.start()
        try:
            self.owner = self._claimed.result()
        except BaseException:
            self._thread.join()
            raise

    def submit(self, coro: Coroutine[Any, Any, T]) -> "concurrent.futures.Future[T]":
        """Run ``coro`` on the owner loop."""
        return asyncio.run_coroutine_threadsafe(coro, self.owner.loop)

    def close(self, timeout: float = 30.0) -> None:
        """Close the owner, end its thread, and wait for that; not to be called on a running loop."""
        if self._thread.is_alive():
            self.owner.loop.call_soon_threadsafe(self._leave.set)
            self._thread.join(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            run_owner(self._until_closed, **self._options)
        except BaseException as error:
            if not self._claimed.done():
                self._claimed.set_exception(error)
            else:
                logger.exception("owner thread failed")

    async def _until_closed(self, owner: LoopOwner) -> int:
        self._leave = asyncio.Event()
        self._claimed.set_result(owner)
        await self._leave.wait()
        return 0
