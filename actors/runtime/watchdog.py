"""The watchdog: a thread that says where the loop is stuck while it is stuck."""

import asyncio
import logging
import sys
import threading
import time
import traceback

logger = logging.getLogger(__name__)


class Watchdog:
    """Logs the owner thread's stack, once a stall, when the loop hasn't beaten for ``patience`` seconds.

    Made and stopped on the owner loop. It keeps real time: a stalled loop can't be asked for another.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, patience: float) -> None:
        self._loop = loop
        self._patience = patience
        self._owner_thread = threading.get_ident()
        self._stopping = threading.Event()
        self._beaten = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self.stalls = 0
        """How many were seen."""
        self._beat()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self) -> None:
        self._beaten = time.monotonic()
        self._timer = self._loop.call_later(self._patience / 4, self._beat)

    def _watch(self) -> None:
        reported = 0.0
        while not self._stopping.wait(self._patience / 4):
            beaten = self._beaten
            if time.monotonic() - beaten >= self._patience and beaten != reported:
                reported = beaten
                self.stalls += 1
                self._report(time.monotonic() - beaten)

    def _report(self, seconds: float) -> None:
        task = asyncio.current_task(self._loop)
        name = "no task" if task is None else task.get_name()
        frame = sys._current_frames().get(self._owner_thread)  # noqa: SLF001 - the only way to another thread's stack
        stack = "".join(traceback.format_stack(frame)) if frame is not None else "(gone)"
        logger.error("loop stalled for %.1f s in %s\n%s", seconds, name, stack, extra={"task": name})
