"""Children fail, stop, are parked and taken back in any order and at any time; the supervisor keeps its word.

Beside the supervisor runs a model of what it promises; after every step they are compared.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors.runtime.clock import ManualClock
from actors.runtime.errors import ActorDeadError, ActorMissing, ChildParked, GaveUp
from actors.runtime.owner import LoopOwner
from actors.runtime.ref import Ref
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
from tests.actors.runtime.probes import Fault, Probe, Revoked, behind, outcome, turns
from tests.fuzz import fuzz

NAMES = st.sampled_from(["a", "b", "c"])
KINDS = st.sampled_from(["permanent", "permanent", "permanent", "transient", "temporary"])
ENDS = st.sampled_from(["fault", "fault", "fault", "kill", "stop", "revoked"])


class Dice(random.Random):
    """Remembers the bounds between which it was asked to draw, and what it drew."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.draws: list[tuple[float, float, float]] = []

    def uniform(self, a: float, b: float) -> float:
        drawn = super().uniform(a, b)
        self.draws.append((a, b, drawn))
        return drawn


@dataclass
class Model:
    """What must be true of one child."""

    kind: str
    begun: float
    state: str = "running"
    restarts: int = 0
    due: float = 0.0
    """When it comes back, while it waits."""
    failures: list[tuple[float, float]] = field(default_factory=list)
    """When each life ended, and how long it was; forgotten when forgiven."""

    def come_back(self, at: float) -> None:
        self.state, self.begun, self.restarts = "running", at, self.restarts + 1


class Supervision(RuleBasedStateMachine):
    """What both policies have in common."""

    def begin(self, policy: Intensity | Backoff, seed: int) -> None:
        self.runner = asyncio.Runner()
        self.clock = ManualClock()
        self.policy = policy
        self.dice = Dice(seed)
        self.models: dict[str, Model] = {}
        self.starts: Counter[str] = Counter()
        self.started_at: dict[str, float] = {}
        self.expected_starts: Counter[str] = Counter()
        self.parked: list[str] = []
        self.expected_parked: list[str] = []
        self.run(self.start())

    async def start(self) -> None:
        self.owner = LoopOwner(clock=self.clock)
        self.root = Supervisor.start(policy=self.policy, on_parked=self.on_parked, rng=self.dice, key="root")
        await turns(5)

    def on_parked(self, key: str, _child: ParkedChild) -> None:
        self.parked.append(key)

    def run(self, coro: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(coro)

    def ask(self, request: Any) -> Any:
        async def act() -> Any:
            answer = await outcome(self.root.call(request))
            await turns(5)
            return answer

        return self.run(act())

    def spec(self, name: str, kind: Any) -> ChildSpec:
        def factory() -> Ref:
            self.starts[name] += 1
            self.started_at[name] = self.clock.monotonic()
            return Probe.start(key=name)

        return ChildSpec(key=name, factory=factory, restart=kind)

    def count_start(self, name: str) -> None:
        self.expected_starts[name] += 1

    @rule(name=NAMES, kind=KINDS)
    def start_child(self, name: str, kind: str) -> None:
        answer = self.ask(StartChild(spec=self.spec(name, kind)))
        if self.gave_up:
            assert isinstance(answer, ActorDeadError)
            return
        model = self.models.get(name)
        match model.state if model else None:
            case None:
                self.models[name] = Model(kind=kind, begun=self.clock.monotonic())
                self.count_start(name)
                assert isinstance(answer, Ref)
            case "running":
                assert answer is self.owner.find(name)
            case "waiting":
                assert isinstance(answer, ActorMissing)
            case "parked":
                assert isinstance(answer, ChildParked)

    @rule(name=NAMES, how=ENDS)
    def end_child(self, name: str, how: str) -> None:
        ref = self.owner.get(name)
        if ref is None:
            return
        self.dice.draws.clear()

        async def act() -> None:
            match how:
                case "fault":
                    ref.tell(Fault())
                case "revoked":
                    ref.tell(Revoked())
                case "kill":
                    ref.kill()
                case "stop":
                    ref.stop(block=False)
            await turns(40)  # enough also for a supervisor that gives up to stop all three
            assert not ref.is_alive()

        self.run(act())
        self.child_ended(name, how)

    @rule(name=NAMES, times=st.integers(2, 8), seconds=st.sampled_from([0.0, 3.0, 61.0, 700.0]))
    def keeps_failing(self, name: str, times: int, seconds: float) -> None:
        self.start_child(name, "permanent")
        for _ in range(times):
            self.end_child(name, "fault")
            self.pass_time(seconds)

    def child_ended(self, name: str, how: str) -> None:
        model, now = self.models[name], self.clock.monotonic()
        if model.kind == "temporary" or (model.kind == "transient" and how == "stop"):
            del self.models[name]
        elif how == "revoked":
            self.park(name)
        else:
            model.failures.append((now, now - model.begun))
            self.child_failed(name)

    def park(self, name: str) -> None:
        self.models[name].state = "parked"
        self.expected_parked.append(name)

    def child_failed(self, name: str) -> None:
        raise NotImplementedError

    @property
    def gave_up(self) -> bool:
        return False

    @rule(name=NAMES)
    def stop_child(self, name: str) -> None:
        answer = self.ask(StopChild(key=name))
        if not self.gave_up:
            assert answer is (self.models.pop(name, None) is not None)

    @rule(name=NAMES)
    def restart_child(self, name: str) -> None:
        answer = self.ask(RestartChild(key=name))
        if self.gave_up:
            return
        model = self.models.get(name)
        if model is None:
            assert isinstance(answer, ActorMissing)
        else:
            assert answer is self.owner.find(name)
            self.models[name] = Model(kind=model.kind, begun=self.clock.monotonic())
            self.count_start(name)

    @rule(name=NAMES)
    def unpark(self, name: str) -> None:
        answer = self.ask(Unpark(key=name))
        if self.gave_up:
            return
        model = self.models.get(name)
        assert answer is (model is not None and model.state == "parked")
        if answer and model is not None:
            model.failures.clear()
            model.come_back(self.clock.monotonic())
            self.count_start(name)

    @rule(seconds=st.sampled_from([0.1, 1.0, 2.0, 10.0, 70.0, 700.0]))
    def pass_time(self, seconds: float) -> None:
        self.run(self.clock.run_for(seconds))
        for name, model in self.models.items():
            if model.state == "waiting" and model.due <= self.clock.monotonic():
                model.come_back(model.due)
                self.count_start(name)

    @invariant()
    def children_are_what_they_should_be(self) -> None:
        if self.gave_up:
            assert self.owner.keys() == ()
            assert self.owner.records == {}
            return
        children = behind(self.root)._nursery.children
        assert set(children) == set(self.models) == set(self.owner.records)
        for name, child in children.items():
            model, living = self.models[name], self.owner.get(name)
            assert (child.state, child.restarts) == (model.state, model.restarts), name
            assert (living is child.ref is not None) if model.state == "running" else (living is child.ref is None)
            if model.state == "running":
                assert self.started_at[name] == child.begun == model.begun

    @invariant()
    def nobody_starts_or_is_parked_unasked(self) -> None:
        assert self.starts == self.expected_starts
        assert self.parked == self.expected_parked

    def teardown(self) -> None:
        try:
            self.run(self.owner.close())
            assert self.owner.keys() == ()
            assert self.clock.pending == 0
        finally:
            self.runner.close()


class IntensityMachine(Supervision):
    """Restarts are immediate, and counted over all children; once used up, the supervisor ends with all of them."""

    @initialize(restarts=st.integers(0, 4), period=st.sampled_from([2.0, 20.0, 300.0]), seed=st.integers(0, 9))
    def choose(self, restarts: int, period: float, seed: int) -> None:
        self.failed_at: list[float] = []
        self.spent = False
        self.begin(Intensity(restarts=restarts, period=period), seed)

    @property
    def gave_up(self) -> bool:
        return self.spent

    def child_failed(self, name: str) -> None:
        assert isinstance(self.policy, Intensity)
        now = self.clock.monotonic()
        self.failed_at.append(now)
        recent = [at for at in self.failed_at if now - at <= self.policy.period]
        if len(recent) > self.policy.restarts:
            self.spent = True
            failure = self.root.failure
            assert isinstance(failure, GaveUp)
            assert (failure.child, failure.failures) == (name, len(recent))
        else:
            self.models[name].come_back(now)
            self.count_start(name)
        assert self.dice.draws == [], "a restart is immediate"

    @invariant()
    def the_supervisor_ends_exactly_when_its_intensity_is_used_up(self) -> None:
        assert self.root.is_alive() is not self.spent
        assert isinstance(self.root.failure, GaveUp) is self.spent


POLICIES = st.sampled_from(
    [
        Backoff(),
        Backoff(first=0.0),
        Backoff(first=4.0, healthy_after=50.0, park_after=((2, 30.0), (6, 1000.0))),
        Backoff(first=0.5, most=3.0, healthy_after=5.0, park_after=((8, 5000.0),)),
    ]
)


class BackoffMachine(Supervision):
    """Waits grow with each child's own failures; who fails too often is parked, and nobody else is touched."""

    @initialize(policy=POLICIES, seed=st.integers(0, 1000))
    def choose(self, policy: Backoff, seed: int) -> None:
        self.begin(policy, seed)

    def child_failed(self, name: str) -> None:
        assert isinstance(self.policy, Backoff)
        model, now = self.models[name], self.clock.monotonic()
        for restarts, seconds in self.policy.park_after:
            if sum(now - at <= seconds for at, _ in model.failures) > restarts:
                self.park(name)
                assert self.dice.draws == []
                return
        ((low, high, drawn),) = self.dice.draws
        streak = 1
        while streak < len(model.failures) and model.failures[-streak][1] < self.policy.healthy_after:
            streak += 1
        assert (low, high) == (0.0, min(self.policy.most, self.policy.first * 2.0 ** (streak - 1)))
        if drawn == 0.0:
            model.come_back(now)
            self.count_start(name)
        else:
            model.state, model.due = "waiting", now + drawn

    @invariant()
    def the_supervisor_lives_on(self) -> None:
        assert self.root.is_alive()


IntensityMachine.TestCase.settings = fuzz(50, stateful_step_count=30)
BackoffMachine.TestCase.settings = fuzz(50, stateful_step_count=30)
TestIntensity = IntensityMachine.TestCase
TestBackoff = BackoffMachine.TestCase


def test_who_is_unparked_is_forgiven() -> None:
    state = BackoffMachine()
    state.choose(Backoff(first=0.0), seed=1)
    state.start_child("a", "permanent")
    for _ in range(6):
        state.end_child("a", "fault")
    assert state.parked == ["a"]
    state.unpark("a")
    state.end_child("a", "fault")
    state.children_are_what_they_should_be()
    assert state.models["a"].state == "running"
    state.teardown()


def test_failures_of_one_child_count_for_no_other() -> None:
    state = BackoffMachine()
    state.choose(Backoff(first=0.0), seed=1)
    for name in "ab":
        state.start_child(name, "permanent")
    for _ in range(5):
        state.end_child("a", "fault")
    for _ in range(5):
        state.end_child("b", "fault")
        state.children_are_what_they_should_be()
    assert state.parked == []
    state.end_child("b", "fault")
    assert state.parked == ["b"]
    assert state.models["a"].state == "running"
    state.teardown()
