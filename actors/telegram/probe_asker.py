"""One call of a probe after the other: at its pace, each written down as a shape, and none after a wait."""

import asyncio
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from telethon import errors

from actors.runtime.clock import Clock, pause
from actors.telegram.caller import method_of
from actors.telegram.client import AccountClient
from actors.telegram.faults import FAULTS, name_of
from actors.telegram.probe_shape import Facts, Seen, constructor, fields_of, latency, note_seen
from actors.telegram.probe_trace import MAX_NUMBER, Record

STOPPING = frozenset({303, 401, 406, 420})
"""Codes after which a guest asks nothing more."""
MOST_FAILURES = 3
"""Codes of 500 and above that are put up with in one probe."""

Look = Callable[[Any], Facts]
Within = Callable[[Any], list[Any]]


class Stopped(Exception):
    """The service wants to be left alone, or the line broke: ask nothing more. It stands in the last record."""


def _everything(result: Any) -> list[Any]:
    return [result]


def nothing(_: Any) -> list[Any]:
    """For answers about private matters: not even constructors are written."""
    return []


class Pace:
    """At most so many calls a second, evenly."""

    def __init__(self, per_second: float, clock: Clock) -> None:
        self.per_second = per_second
        self._clock = clock
        self._next = clock.monotonic()

    async def __call__(self) -> None:
        """Return when the next call may be made."""
        wait = self._next - self._clock.monotonic()
        if wait > 0:
            await pause(self._clock, wait)
        self._next = max(self._next, self._clock.monotonic()) + 1 / self.per_second


class Asker:
    """Asks, and keeps the records. ``waits`` are flood waits of before: methods that mustn't be asked."""

    def __init__(
        self,
        client: AccountClient,
        pace: Pace,
        clock: Clock,
        *,
        timeout: float,
        waits: Mapping[str, datetime],
        tell: Callable[[str], None],
    ) -> None:
        self.records: list[Record] = []
        self.skipped: dict[str, str] = {}
        self.seen: Seen = {}
        self.flood: tuple[str, int] | None = None
        """The method and the seconds of the wait that ended it."""
        self._client = client
        self._pace = pace
        self._clock = clock
        self._timeout = timeout
        self._waits = waits
        self._tell = tell
        self._failures = 0

    def skip(self, step: str, reason: str) -> None:
        self.skipped[step] = reason

    async def __call__(
        self, step: str, request: Any, ask: Mapping[str, Any], look: Look | None = None, *, within: Within = _everything
    ) -> Any:
        """The answer, or None where it was refused or can't be read. Raises: Stopped.

        ``ask`` tells the arguments without their content, ``look`` the facts, ``within`` chooses of what ``seen``
        speaks.
        """
        method = method_of(request)
        if (until := self._waits.get(method)) is not None and until > self._clock.now():
            self.skip(step, "a flood wait of before isn't over")
            return None
        await self._pace()
        self._tell(f"{step}: {method}")
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                result = await self._client.ask(request)
        except FAULTS as fault:
            took = latency(self._clock.monotonic() - began)
            error = _described(fault)
            told = {**error, "wait": error["wait"] and min(error["wait"], MAX_NUMBER)}
            self.records.append(Record(step=step, method=method, ask=ask, error=told, latency=took))
            self._judge(method, error)
            return None
        record = Record(
            step=step,
            method=method,
            ask=ask,
            answer=constructor(result),
            fields=fields_of(result),
            facts=look(result) if look else {},
            latency=latency(self._clock.monotonic() - began),
        )
        self.records.append(record)
        note_seen(within(result), self.seen)
        return result

    def _judge(self, method: str, error: Mapping[str, Any]) -> None:
        """Raise Stopped where no guest would go on."""
        if error["wait"] is not None:
            self.flood = (method, error["wait"])
        code = error["code"]
        self._failures += code is not None and code >= 500
        unreadable = code is None and error["name"].startswith("constructor")
        if (code is None and not unreadable) or code in STOPPING or self._failures >= MOST_FAILURES:
            raise Stopped


def _described(fault: BaseException) -> dict[str, Any]:
    """Code, name and wait of what went wrong; never its text, which may quote what couldn't be read."""
    if isinstance(fault, errors.TypeNotFoundError):
        return {"code": None, "name": "constructor unknown to Telethon".replace(" ", "_"), "wait": None}
    if not isinstance(fault, errors.RPCError):
        return {"code": None, "name": type(fault).__name__, "wait": None}
    code = abs(fault.code or 500)
    wait = getattr(fault, "seconds", None)
    if wait is None and code == 420:
        digits = re.search(r"_(\d+)(?:_|$)", str(fault.message or ""))
        wait = int(digits[1]) if digits else None
    return {"code": code, "name": re.sub(r"\d+", "X", name_of(fault)), "wait": wait}
