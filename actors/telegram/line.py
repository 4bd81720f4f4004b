"""The line before an account's client: one call at a time, the oldest first, what is urgent before all."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from actors.messages import ChannelId
from actors.runtime.reply import Later


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """Ask what happened since the known state; with ``tell`` the roster is told that pushes flow anew."""

    tell: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Read the heads of channels whose pushes found no room, or that the server only says have moved."""

    channel_ids: frozenset[ChannelId]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """See whether the client is still there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """The account's own mail: put one of its own tasks in line, its time has come."""

    request: CatchUp | Look


@dataclass(frozen=True, slots=True, kw_only=True)
class Heal:
    """The account's own mail: look at the channels that are in doubt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Save:
    """The account's own mail: write down what isn't yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    request: Any
    since: float
    """When it was put in line, in the clock's monotonic seconds."""
    later: "Later[Any] | None" = field(default=None, repr=False)


class Line:
    """What waits for its turn. Used on one loop, by one taker."""

    def __init__(self) -> None:
        self._tasks: deque[Task] = deque()
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        return len(self._tasks)

    def put(self, task: Task, *, first: bool = False) -> None:
        if first:
            self._tasks.appendleft(task)
        else:
            self._tasks.append(task)
        self._arrived.set()

    async def next(self) -> Task:
        while not self._tasks:
            self._arrived.clear()
            await self._arrived.wait()
        return self._tasks.popleft()

    def turn_away(self, refusal: Callable[[str], Exception]) -> None:
        """Empty the line; who waits is answered with ``refusal`` of the request's name."""
        while self._tasks:
            task = self._tasks.popleft()
            if task.later is not None and not task.later.done:
                task.later.fail(refusal(type(task.request).__name__))
