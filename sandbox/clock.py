"""The data centre's own time."""

import time


class Clock:
    """The machine's time plus a skew, so that tests let things expire without waiting."""

    def __init__(self) -> None:
        self.skew = 0.0
        """Seconds this data centre is ahead of its clients, on the wire too: message ids, salts, dates."""
        self.leap = 0.0
        """Seconds that have passed at once for whatever expires, waits or keeps a schedule; the wire knows nothing of
        them, as clients don't listen to a server whose time jumps."""

        self.latest = 0
        """The highest of all seconds that were told, though the clock may have been put back since."""

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time() + self.skew

    def moment(self) -> float:
        """The time by which codes and tokens expire, waits end and schedules run: what clients are told is no part."""
        return time.time() + self.leap

    def seconds(self) -> int:
        now = int(self.now())
        self.latest = max(self.latest, now)
        return now
