"""The data centre's own time."""

import time


class Clock:
    """The machine's time plus a skew, so that tests let things expire without waiting."""

    def __init__(self) -> None:
        self.skew = 0.0
        """Seconds this data centre is ahead of its clients."""

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time() + self.skew

    def seconds(self) -> int:
        return int(self.now())
