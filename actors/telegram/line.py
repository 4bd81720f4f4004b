"""The line before an account's client: one call at a time, what is urgent first, backfill and files last.

Each method has its own pace; the oldest task whose method may be called now is next. Pushes never stand in this line.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from actors.messages.account import (
    FetchDifference,
    FetchHistory,
    FetchIds,
    FetchPart,
    FindStart,
    LocateFiles,
    LookAgain,
    PeekChannels,
)
from actors.messages.following import ImportChannels, ListFolders
from actors.runtime.clock import Clock
from actors.runtime.reply import Later

BACKFILL_TURN = 5
"""Of so many calls in a row one is a backfill's or a file's, however much else waits: slow then, yet it goes on."""

BACKFILL = "takeout/messages.getHistory"
"""What a page of older posts calls first where the account may use a takeout session."""
POSTS = frozenset({"messages.getHistory", BACKFILL, "updates.getChannelDifference", "channels.getMessages"})
"""Bring posts, so that they wait while there is no room for more."""
METHODS: dict[type, str] = {
    FetchHistory: "messages.getHistory",
    FindStart: "messages.getHistory",
    FetchDifference: "updates.getChannelDifference",
    FetchIds: "channels.getMessages",
    PeekChannels: "messages.getPeerDialogs",
    LookAgain: "messages.getPeerDialogs",
    LocateFiles: "channels.getMessages",
    FetchPart: "upload.getFile",
    ImportChannels: "messages.getDialogs",
    ListFolders: "messages.getDialogFilters",
}
"""What a task calls first; others have no pace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """Ask what happened since the known state; with ``tell`` the roster is told that pushes flow anew."""

    tell: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FindNames:
    """Look for the names in the settings that no channel bears."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDialogs:
    """Read all dialogs again: other ones than before may be wanted."""


Own = CatchUp | FindNames | ReadDialogs
"""What the account asks for itself, until it is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndTakeout:
    """Finish the takeout session, which nobody has used for long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """See whether the client is still there, and of the right kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """The account's own mail: put one of its own tasks in line, its time has come."""

    request: Own


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """The account's own mail: ask, where nothing has come for long, whether anything still can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Save:
    """The account's own mail: write down what isn't yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    request: Any
    since: float
    """When it was put in line, in the clock's monotonic seconds."""
    later: "Later[Any] | None" = field(default=None, repr=False)

    def lane(self, *, in_takeout: bool) -> tuple[str, bool]:
        """The method that it calls, and whether it can wait."""
        request = self.request
        backfills = isinstance(request, FetchHistory) and request.road == "backfill"
        if backfills and in_takeout:
            return BACKFILL, True
        return METHODS.get(type(request), ""), backfills or isinstance(request, FetchIds | LocateFiles | FetchPart)


class Line:
    """What waits for its turn. Used on one loop, by one taker."""

    def __init__(self, clock: Clock, ready_at: Callable[[str, float], float], *, in_takeout: bool = False) -> None:
        """``ready_at``: when a method may be called next, given the time now, both in the clock's monotonic seconds.

        ``in_takeout``: whether pages of older posts are read through a takeout session.
        """
        self._clock = clock
        self._in_takeout = in_takeout
        self.ready_at = ready_at
        self._urgent: deque[Task] = deque()
        self._lanes: dict[tuple[str, bool], deque[Task]] = {}
        self._since_backfill = 0
        self._arrived = asyncio.Event()
        self._posts_admitted = True

    def __len__(self) -> int:
        return len(self._urgent) + sum(len(lane) for lane in self._lanes.values())

    def put(self, task: Task, *, first: bool = False) -> None:
        """Put it at the end of its lane, or before all; one of the account's own that waits already isn't put again."""
        if first and task.later is None and any(task.request == waiting.request for waiting in self._urgent):
            return
        if first:
            self._urgent.appendleft(task)
        else:
            self._lanes.setdefault(task.lane(in_takeout=self._in_takeout), deque()).append(task)
        self._arrived.set()

    def admit(self, *, posts: bool) -> None:
        """Whether calls that bring posts may be made now."""
        self._posts_admitted = posts
        self._arrived.set()

    async def next(self) -> Task:
        """The next task, once its method may be called."""
        while True:
            if self._urgent:
                return self._urgent.popleft()
            now = self._clock.monotonic()
            lane, at = self._choose(now)
            if lane is not None and at <= now:
                return lane.popleft()
            await self._wait(at - now if lane is not None else None)

    def _choose(self, now: float) -> tuple[deque[Task] | None, float]:
        """The lane whose turn it is, and when that is; the one that is ready first where none is now."""
        waiting = {
            key: max(now, self.ready_at(key[0], now))
            for key, lane in self._lanes.items()
            if lane and (self._posts_admitted or key[0] not in POSTS)
        }
        if not waiting:
            return None, now
        ready = [key for key, at in waiting.items() if at <= now]
        if not ready:
            key = min(waiting, key=lambda each: waiting[each])
            return self._lanes[key], waiting[key]
        backfill_due = self._since_backfill >= BACKFILL_TURN - 1
        key = min(ready, key=lambda each: (each[1] != backfill_due, self._lanes[each][0].since))
        self._since_backfill = 0 if key[1] else self._since_backfill + 1
        return self._lanes[key], now

    async def _wait(self, seconds: float | None) -> None:
        self._arrived.clear()
        timer = None if seconds is None else self._clock.call_later(seconds, self._arrived.set)
        try:
            await self._arrived.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def _all(self) -> Iterator[deque[Task]]:
        yield self._urgent
        yield from self._lanes.values()

    def turn_away(self, refusal: Callable[[str], Exception]) -> None:
        """Empty the line; who waits is answered with ``refusal`` of the request's name."""
        for lane in self._all():
            while lane:
                task = lane.popleft()
                if task.later is not None and not task.later.done:
                    task.later.fail(refusal(type(task.request).__name__))
