"""Supervision, one for one: nothing that is well restarts because something else fell."""

import random
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, ClassVar, assert_never

from actors.runtime.actor import TaskActor
from actors.runtime.children import (
    Children,
    ChildSnapshot,
    ChildSpec,
    ParkedChild,
    RestartChild,
    StartChild,
    StopChild,
    Unpark,
)
from actors.runtime.message import ChildDown
from actors.runtime.nursery import Nursery, snapshot
from actors.runtime.ref import Ref
from actors.runtime.reply import Later
from actors.runtime.restart import Backoff, Failure, GiveUp, Intensity, Park, Restart, decide_restart

__all__ = [
    "Backoff",
    "ChildDown",
    "ChildSnapshot",
    "ChildSpec",
    "Children",
    "Failure",
    "GiveUp",
    "Intensity",
    "Park",
    "ParkedChild",
    "Restart",
    "RestartChild",
    "StartChild",
    "StopChild",
    "Supervisor",
    "SupervisorMessage",
    "Unpark",
    "decide_restart",
]


SupervisorMessage = StartChild | StopChild | RestartChild | Unpark | Children
"""A subclass takes these too: its union holds them, and its ``match`` ends by handing them to ``super()``."""


class Supervisor(TaskActor):
    """Starts children, restarts those that fail by its policy, and ends with none of them left.

    ``concurrent``: at the end stop all children at once, instead of one by one in reverse order of their start.
    A child's own ``ChildSpec.policy`` stands before the supervisor's.

    An exception with the class attribute ``park = True`` (or ``supervision = "park"``) parks the child at once.
    With ``Intensity`` the supervisor dies of ``GaveUp`` when its children fail too often.
    """

    stopping_deadline: ClassVar[float | None] = None  # each child's shutdown bounds it

    def __init__(
        self,
        *,
        policy: Intensity | Backoff,
        on_parked: Callable[[str, ParkedChild], None] | None = None,
        rng: random.Random | None = None,
        concurrent: bool = False,
    ) -> None:
        super().__init__()
        chance = random.Random() if rng is None else rng  # noqa: S311 - jitter is no secret
        self._nursery = Nursery(self, policy, on_parked, chance)
        self._concurrently = concurrent

    def on_receive(self, message: SupervisorMessage) -> Any:
        match message:
            case StartChild(spec=spec):
                return self._nursery.start(spec)
            case StopChild(key=key):
                return self._answer_later(partial(self.stop_child, key), f"stop {key}")
            case RestartChild(key=key):
                return self._answer_later(partial(self.restart_child, key), f"restart {key}")
            case Unpark(key=key):
                return self._nursery.unpark(key)
            case Children():
                return tuple(snapshot(child) for child in self._nursery.children.values())
            case _:
                assert_never(message)

    def on_control(self, message: ChildDown) -> None:
        match message:
            case ChildDown():
                self._nursery.child_down(message)
            case _:
                assert_never(message)

    async def start_child(self, spec: ChildSpec) -> Ref:
        """As ``StartChild``."""
        return self._nursery.start(spec)

    async def stop_child(self, key: str) -> bool:
        """As ``StopChild``."""
        return await self._nursery.stop(key)

    async def restart_child(self, key: str) -> Ref:
        """As ``RestartChild``."""
        return await self._nursery.restart(key)

    async def stopping(self) -> None:
        """Stop the children, in reverse order of their start or all at once; a subclass calls this last."""
        await self._nursery.stop_everyone(concurrent=self._concurrently)

    def _answer_later(self, work: Callable[[], Coroutine[Any, Any, Any]], name: str) -> Later[Any]:
        """Do ``work`` beside the mailbox: stopping one child must not keep the others waiting."""
        later: Later[Any] = Later()

        async def run() -> None:
            try:
                value = await work()
            except Exception as error:  # noqa: BLE001 - it belongs to the asker
                later.fail(error)
            else:
                later.reply(value)

        self.spawn_task(run(), name=name)
        return later
