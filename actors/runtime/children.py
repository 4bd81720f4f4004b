"""Children as their supervisor is told of them, asked about them, and keeps them."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from actors.runtime.clock import Clock, Timer
from actors.runtime.introspection import LifeRecord
from actors.runtime.message import Request
from actors.runtime.pace import Pace
from actors.runtime.ref import Ref
from actors.runtime.restart import Backoff, Failure, Intensity

logger = logging.getLogger(__name__)

KILL_WAIT = 12.0
"""Seconds a killed child may take; longer than the patience with its job and its ``stopping()`` together."""

ChildState = Literal["running", "waiting", "parked", "stopping"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """How to make one child, and when to make it again."""

    key: str
    """Its name in the owner's address book, over all its lives."""
    factory: Callable[[], Ref]
    """Calls ``SomeActor.start(..., key=key)``."""
    restart: Literal["permanent", "transient", "temporary"] = "permanent"
    """permanent: always; transient: unless it stopped of itself; temporary: never."""
    shutdown: float = 5.0
    """Seconds granted to a graceful stop before a kill."""
    policy: Intensity | Backoff | None = None
    """Counts this child's failures alone, by rules of its own; None: by the supervisor's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedChild:
    key: str
    reason: str
    error: BaseException | None
    """What it died of last."""
    failures: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSnapshot:
    key: str
    state: ChildState
    restarts: int
    last_failure: str | None
    parked: ParkedChild | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartChild(Request[Ref]):
    """Start a child; its ref comes at once, before ``started()``. One that runs already is returned as it is.

    Raises: ``ActorMissing`` (it waits for its restart), ``ChildParked``, ``KeyTaken``, or the factory's error.
    """

    spec: ChildSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class StopChild(Request[bool]):
    """Stop a child, gracefully within its ``shutdown``, and forget it. Reply: whether there was one."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartChild(Request[Ref]):
    """Stop a child and start it afresh, its failures forgiven; parked ones too. Raises: ``ActorMissing``."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpark(Request[bool]):
    """Start a parked child again, its failures forgiven. Reply: whether it was parked."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Children(Request[tuple[ChildSnapshot, ...]]):
    """Reply: all children, in the order of their first start."""


@dataclass(slots=True, kw_only=True)
class Child(LifeRecord):
    """The supervisor's own record of one child."""

    spec: ChildSpec
    ref: Ref | None = None
    state: ChildState = "running"
    begun: float = 0.0
    failures: tuple[Failure, ...] = ()
    timer: Timer | None = None
    parked: ParkedChild | None = None


async def stop_all(children: Sequence[Child], clock: Clock, pace: Pace) -> None:
    """Stop ``children`` at once, in their order, each within its ``shutdown``; kill those that won't."""
    begun = clock.monotonic()
    living: list[tuple[Child, Ref]] = []
    for child in children:
        child.state = "stopping"
        if child.timer is not None:
            child.timer.cancel()
        if child.ref is not None:
            living.append((child, child.ref))
    for _, ref in living:
        turn = pace.queue()
        if turn is not None:
            await turn
        ref.stop(block=False)
    for child, ref in living:
        if not await ref.wait_stopped(max(0.0, begun + child.spec.shutdown - clock.monotonic())):
            ref.kill()
    begun = clock.monotonic()
    for child, ref in living:
        if not await ref.wait_stopped(max(0.0, begun + KILL_WAIT - clock.monotonic())):
            logger.error("actor left behind: %s", child.spec.key, extra={"actor": child.spec.key})
        child.ref = None
