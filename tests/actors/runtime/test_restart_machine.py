"""Children fail, stop, are parked and taken back in any order and at any time; the supervisor keeps its word."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors.runtime.clock import ManualClock
from actors.runtime.errors import ActorDeadError, ChildParked, GaveUp, KeyTaken
from actors.runtime.owner import LoopOwner
from actors.runtime.supervision import (
    Backoff,
    ChildSpec,
    Intensity,
    ParkedChild,
    RestartChild,
    StartChild,
    StopChild,
    Supervisor,
    Unpark,
)
from tests.actors.runtime.probes import Fault, Probe, Revoked, behind, turns

NAMES = st.sampled_from(["a", "b", "c"])
POLICIES = st.sampled_from(
    [Intensity(restarts=2, period=20.0), Backoff(), Backoff(first=4.0, park_after=((2, 30.0),), healthy_after=50.0)]
)


class RestartMachine(RuleBasedStateMachine):
    @initialize(policy=POLICIES, seed=st.integers())
    def begin(self, policy: Intensity | Backoff, seed: int) -> None:
        self.runner = asyncio.Runner()
        self.clock = ManualClock()
        self.policy = policy
        self.failures: list[float] = []
        self.parked: list[str] = []
        self.run(self.start(seed))

    async def start(self, seed: int) -> None:
        self.owner = LoopOwner(clock=self.clock)
        self.root = Supervisor.start(policy=self.policy, on_parked=self.on_parked, rng=random.Random(seed), key="root")
        await turns(5)

    def on_parked(self, key: str, _child: ParkedChild) -> None:
        self.parked.append(key)

    def run(self, coro: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(coro)

    async def ask(self, request: Any) -> Any:
        try:
            return await self.root.call(request)
        except (ActorDeadError, ChildParked, KeyTaken):
            return None

    @rule(name=NAMES)
    def start_child(self, name: str) -> None:
        self.run(self.ask(StartChild(spec=ChildSpec(key=name, factory=lambda: Probe.start(key=name)))))

    @rule(name=NAMES, error=st.sampled_from([Fault, Fault, Fault, Revoked]))
    def fail(self, name: str, error: type[Exception]) -> None:
        async def act() -> None:
            ref = self.owner.get(name)
            if ref is not None:
                ref.tell(error())
                await turns(40)  # enough also for a supervisor that gives up to stop all three
                assert not ref.is_alive()
                if error is Fault:
                    self.failures.append(self.clock.monotonic())

        self.run(act())

    @rule(name=NAMES)
    def stop_child(self, name: str) -> None:
        self.run(self.ask(StopChild(key=name)))

    @rule(name=NAMES)
    def restart_child(self, name: str) -> None:
        self.run(self.ask(RestartChild(key=name)))

    @rule(name=NAMES)
    def unpark(self, name: str) -> None:
        self.run(self.ask(Unpark(key=name)))

    @rule(seconds=st.sampled_from([0.1, 1.0, 10.0, 70.0, 700.0]))
    def pass_time(self, seconds: float) -> None:
        self.run(self.clock.run_for(seconds))

    @invariant()
    def the_supervisor_ends_exactly_when_its_intensity_is_used_up(self) -> None:
        if not isinstance(self.policy, Intensity):
            assert self.root.is_alive()
            return
        spent = False
        for index, at in enumerate(self.failures):
            spent |= sum(at - one <= self.policy.period for one in self.failures[: index + 1]) > self.policy.restarts
        assert self.root.is_alive() is not spent
        assert isinstance(self.root.failure, GaveUp) is spent

    @invariant()
    def records_and_lives_agree(self) -> None:
        if not self.root.is_alive():
            assert self.owner.keys() == ()
            assert self.owner.records == {}
            return
        children = behind(self.root)._nursery.children
        assert set(self.owner.records) == set(children)
        for name, child in children.items():
            living = self.owner.get(name)
            match child.state:
                case "running":
                    assert living is child.ref
                    assert living is not None
                case "waiting":
                    assert living is None
                    assert child.timer is not None
                case "parked":
                    assert living is None
                    assert name in self.parked
                case state:
                    raise AssertionError(state)

    def teardown(self) -> None:
        try:
            self.run(self.owner.close())
            assert self.clock.pending == 0
        finally:
            self.runner.close()


RestartMachine.TestCase.settings = settings(
    max_examples=50, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestRestarts = RestartMachine.TestCase
