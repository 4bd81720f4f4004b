"""A supervisor's children: what is known of each, and what happens when one ends."""

import random
from collections.abc import Callable
from functools import partial

from actors.runtime.actor import TaskActor
from actors.runtime.children import Child, ChildSnapshot, ChildSpec, ParkedChild, stop_all
from actors.runtime.errors import ActorMissing, ChildParked, GaveUp, KeyTaken
from actors.runtime.introspection import describe
from actors.runtime.message import ChildDown
from actors.runtime.obituary import logger, wants_parking
from actors.runtime.pace import Pace
from actors.runtime.ref import Ref
from actors.runtime.restart import Backoff, Failure, GiveUp, Intensity, Park, Restart, decide_restart, memory
from actors.runtime.traces import sever

RESTARTS_PER_TURN = 32
"""Starts of children in one turn of the loop."""


class Nursery:
    """Runtime only: the machinery under one ``Supervisor``, apart so that subclasses' names can't clash with it."""

    def __init__(
        self,
        home: TaskActor,
        policy: Intensity | Backoff,
        on_parked: Callable[[str, ParkedChild], None] | None,
        rng: random.Random,
    ) -> None:
        self._home = home
        self._owner = home.owner
        self._policy = policy
        self._on_parked = on_parked
        self._rng = rng
        self._all_failures: tuple[Failure, ...] = ()
        self._starts = Pace(self._owner.loop, RESTARTS_PER_TURN)
        self.children: dict[str, Child] = {}
        self.leaving = False
        """The supervisor is ending: nobody comes back."""

    def start(self, spec: ChildSpec) -> Ref:
        """As ``StartChild``."""
        child = self.children.get(spec.key)
        if child is not None:
            return self._present(child)
        child = Child(spec=spec, parent=self._home.key)
        self._start_life(child)  # a factory that raises leaves no child behind
        self.children[spec.key] = child
        self._owner.records[spec.key] = child
        assert child.ref is not None
        return child.ref

    async def stop(self, key: str) -> bool:
        """As ``StopChild``."""
        child = self.children.get(key)
        if child is None or child.state == "stopping":
            return False
        await stop_all([child], self._owner.clock, self._starts)
        self._forget(child)
        return True

    async def restart(self, key: str) -> Ref:
        """As ``RestartChild``."""
        child = self.children.get(key)
        if child is None or child.state == "stopping":
            raise ActorMissing(key)
        await stop_all([child], self._owner.clock, self._starts)
        self._forget(child)
        return self.start(child.spec)

    def unpark(self, key: str) -> bool:
        """As ``Unpark``."""
        child = self.children.get(key)
        if child is None or child.parked is None:
            return False
        child.parked = None
        child.failures = ()
        self._wait(child, 0.0)
        return True

    def child_down(self, down: ChildDown) -> None:
        child = self.children.get(down.key)
        if child is None or child.ref is not down.ref or child.state == "stopping" or self.leaving:
            return
        child.ref = None
        kind = child.spec.restart
        if kind == "temporary" or (kind == "transient" and down.error is None and not down.killed):
            self._forget(child)
            return
        self._failed(child, down.error)

    def _failed(self, child: Child, error: BaseException | None) -> None:
        now = self._owner.clock.monotonic()
        if error is not None:
            child.last_failure = describe(error)
        if wants_parking(error):
            self._park(child, describe(error) or "it asked to be parked", error)
            return
        policy = child.spec.policy or self._policy
        failures = self._remember(child, policy, Failure(at=now, lived=now - child.begun))
        match decide_restart(policy, failures, now, self._rng):
            case Restart(delay=delay):
                self._wait(child, delay)
            case Park(reason=reason):
                self._park(child, reason, error)
            case GiveUp(failures=count, period=period):
                self._wait(child, None)
                gave_up = GaveUp(self._home.key, child.spec.key, count, period)
                gave_up.__cause__ = error
                self._home.fail(gave_up)

    def _remember(self, child: Child, policy: Intensity | Backoff, failure: Failure) -> tuple[Failure, ...]:
        # An intensity is the supervisor's own patience with all its children; a child's own policy counts that one.
        shared = child.spec.policy is None and isinstance(policy, Intensity)
        known = self._all_failures if shared else child.failures
        span = memory(policy)
        failures = (*(one for one in known if failure.at - one.at <= span), failure)
        if shared:
            self._all_failures = failures
        else:
            child.failures = failures
        return failures

    def _wait(self, child: Child, delay: float | None) -> None:
        child.state = child.absent = "waiting"
        child.since = self._owner.clock.monotonic()
        due = partial(self._starts.run, partial(self._again, child))
        if delay is None:
            return
        if delay > 0.0:
            child.timer = self._owner.clock.call_later(delay, due)
        else:
            due()

    def _again(self, child: Child) -> None:
        current = self.children.get(child.spec.key) is child
        if not current or child.state != "waiting" or self.leaving or self._home.is_ending:
            return
        child.restarts += 1
        self._owner.meter_of(child.class_name).restarts += 1
        try:
            self._start_life(child)
        except Exception as error:  # noqa: BLE001 - a factory that raises is one more failure of this child
            child.begun = self._owner.clock.monotonic()
            self._owner.obituaries.publish(child.spec.key, error)
            sever(error)
            self._failed(child, error)

    def _start_life(self, child: Child) -> None:
        with self._owner.parenthood(self._home.ref):
            ref = child.spec.factory()
        child.ref, child.state, child.timer = ref, "running", None
        child.begun = self._owner.clock.monotonic()
        child.absent = None
        child.class_name = ref.actor_class.__name__

    def _park(self, child: Child, reason: str, error: BaseException | None) -> None:
        clock = self._owner.clock
        key = child.spec.key
        child.state = child.absent = "parked"
        child.since = clock.monotonic()
        child.parked = ParkedChild(key=key, reason=reason, error=error, failures=len(child.failures), at=clock.now())
        logger.warning("actor parked: %s: %s", key, reason, extra={"actor": key})
        if self._on_parked is None:
            return
        try:
            self._on_parked(key, child.parked)
        except Exception:  # noqa: BLE001 - logged with its traceback; the parking stands
            logger.exception("on_parked failed for %s", key)

    async def stop_everyone(self, *, concurrent: bool) -> None:
        """Stop the children, in reverse order of their start or all at once; kill those that won't."""
        self.leaving = True
        children = list(reversed(self.children.values()))
        groups = [children] if concurrent else [[child] for child in children]
        try:
            for group in groups:
                await stop_all(group, self._owner.clock, self._starts)
        finally:
            for child in self.children.values():
                self._forget_record(child)
                if child.ref is not None:
                    child.ref.kill()  # only when this was cut short

    def _present(self, child: Child) -> Ref:
        key = child.spec.key
        match child.state:
            case "running" if child.ref is not None:
                return child.ref
            case "parked":
                raise ChildParked(key, child.parked.reason if child.parked else "unknown")
            case "stopping":
                raise KeyTaken(key)
        raise ActorMissing(key)

    def _forget(self, child: Child) -> None:
        if self.children.get(child.spec.key) is child:
            del self.children[child.spec.key]
        self._forget_record(child)

    def _forget_record(self, child: Child) -> None:
        if self._owner.records.get(child.spec.key) is child:
            del self._owner.records[child.spec.key]


def snapshot(child: Child) -> ChildSnapshot:
    return ChildSnapshot(
        key=child.spec.key,
        state=child.state,
        restarts=child.restarts,
        last_failure=child.last_failure,
        parked=child.parked,
    )
