"""Telling systemd how we are: sd_notify in the standard library. Without NOTIFY_SOCKET everything here does nothing."""

import logging
import os
import socket
import time
from collections.abc import Mapping
from datetime import timedelta

logger = logging.getLogger(__name__)


class Notifier:
    """One process's line to the service manager that started it.

    Nothing here blocks or raises: a datagram that can't be sent at once is given up. The service manager notices a
    lost watchdog ping by itself, and the next status replaces a lost one.
    """

    def __init__(self, address: str | None, watchdog: timedelta | None = None) -> None:
        self._address = address or None
        self.watchdog_interval = watchdog if self._address else None
        """How long the service manager waits for a ping before it ends us; None when it doesn't. Ping at half of it."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Notifier":
        """As NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID say."""
        usec = environ.get("WATCHDOG_USEC", "")
        ours = environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        watchdog = timedelta(microseconds=int(usec)) if ours and usec.isascii() and usec.isdigit() else None
        return cls(environ.get("NOTIFY_SOCKET"), watchdog or None)

    def ready(self, status: str | None = None) -> bool:
        """Start-up, or a reload, is done."""
        return self._send("READY=1", *self._status(status))

    def status(self, text: str) -> bool:
        """What ``systemctl status`` shows; one line."""
        return self._send(*self._status(text))

    def starting(self, text: str, seconds: int) -> bool:
        """The start isn't over, and takes so long again before it may be given up."""
        return self._send(*self._status(text), f"EXTEND_TIMEOUT_USEC={seconds * 1_000_000}")

    def reloading(self) -> bool:
        """A reload began; ``ready`` ends it. The clock's reading tells systemd which reload this is."""
        return self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self, status: str | None = None) -> bool:
        """Shutdown began."""
        return self._send("STOPPING=1", *self._status(status))

    def watchdog(self) -> bool:
        """We live. Call it from the loop and only while work goes on: a thread would ping for a dead loop, too."""
        return self._send("WATCHDOG=1")

    @staticmethod
    def _status(text: str | None) -> tuple[str, ...]:
        return () if text is None else (f"STATUS={' '.join(text.split())}",)

    def _send(self, *lines: str) -> bool:
        """Send all lines as one datagram.

        Returns:
            Whether it was taken; False without NOTIFY_SOCKET.
        """
        if self._address is None:
            return False
        # A leading @ stands for the zero byte of Linux's abstract namespace.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as line:
                line.connect(os.fsencode(address))
                line.send("\n".join(lines).encode(errors="replace"))
        except OSError as error:
            logger.debug("systemd can't be told %s: %s", lines[0], error)
            return False
        return True
