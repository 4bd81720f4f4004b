"""Deaths in the log: each once, with its traceback, and no more than the log can bear."""

import logging

from actors.runtime.clock import Clock
from actors.runtime.pace import Quota

# One name for all of supervision, whichever of its modules a line comes from.
logger = logging.getLogger("actors.runtime.supervision")


class Obituaries:
    """Logs deaths with their tracebacks; in a mass failure only the first ten in ten seconds."""

    def __init__(self, clock: Clock, *, burst: int = 10, period: float = 10.0) -> None:
        self._quota = Quota(clock, burst, period)

    def publish(self, key: str, error: BaseException) -> None:
        """Log it, or hold it back."""
        quota = self._quota
        if quota.take():
            unlogged, quota.held_back = quota.held_back, 0
            extra = {"actor": key, "unlogged_deaths": unlogged}
            text = "actor died: %s (%d deaths before it went unlogged)"
            logger.error(text, key, unlogged, exc_info=error, extra=extra)


def wants_parking(error: BaseException | None) -> bool:
    """Such an error is a decision, not a defect: it is told as a parking, without a traceback."""
    return getattr(error, "park", False) is True or getattr(error, "supervision", None) == "park"
