"""Deaths in the log: each once, with its traceback, and no more than the log can bear."""

import logging

from actors.runtime.clock import Clock
from actors.runtime.pace import Quota


class Obituaries:
    """Logs each death once, with its traceback; in a mass failure only the first ten in ten seconds."""

    def __init__(self, logger: logging.Logger, clock: Clock, *, burst: int = 10, period: float = 10.0) -> None:
        self._logger = logger
        self._quota = Quota(clock, burst, period)

    def publish(self, key: str, error: BaseException) -> None:
        """Log it, or hold it back; either way the error loses its traceback."""
        quota = self._quota
        if quota.take():
            unlogged, quota.held_back = quota.held_back, 0
            extra = {"actor": key, "unlogged_deaths": unlogged}
            text = "actor died: %s (%d deaths before it went unlogged)"
            self._logger.error(text, key, unlogged, exc_info=error, extra=extra)
        _let_go(error)


def _let_go(error: BaseException) -> None:
    # Frames hold the dead actor, and it the error: collecting 10,000 such cycles stalled the loop 200 ms. Only the
    # links are cut: clearing the frames would, on 3.11, close coroutines of the living that the error passed through.
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        link.__traceback__ = None
        link = link.__cause__ or link.__context__


def trim(error: BaseException) -> None:
    """Drop the frames of ``life.py`` from the top of the traceback: the author's tell the story."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__") == "actors.runtime.life":
        trace = trace.tb_next
    if trace is not None:
        error.__traceback__ = trace
