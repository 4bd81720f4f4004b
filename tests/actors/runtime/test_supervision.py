"""Supervisors: who comes back, when, who is set aside, and in which order they go."""

import asyncio
import logging
import random
import time
from typing import Any

import pytest

from actors.runtime.clock import ManualClock
from actors.runtime.errors import ActorDeadError, ActorMissing, ChildParked, GaveUp, KeyTaken
from actors.runtime.owner import LoopOwner
from actors.runtime.ref import Ref
from actors.runtime.supervision import (
    Backoff,
    Children,
    ChildSpec,
    Intensity,
    ParkedChild,
    RestartChild,
    StartChild,
    StopChild,
    Supervisor,
    Unpark,
)
from tests.actors.runtime.probes import Do, Echo, Fault, Gate, Note, Probe, Revoked, behind, outcome, turns, until


def spec(key: str, cls: type[Probe] = Probe, **more: Any) -> ChildSpec:
    return ChildSpec(key=key, factory=lambda: cls.start(key=key), **more)


async def fail(ref: Ref, error: BaseException | None = None) -> None:
    ref.tell(error or Fault("again"))
    assert await ref.wait_stopped(1)
    await turns()


async def test_a_permanent_child_comes_back_as_a_new_actor(owner: LoopOwner) -> None:
    root = Supervisor.start(policy=Intensity(), key="root")
    first = await root.call(StartChild(spec=spec("a")))
    sibling = await root.call(StartChild(spec=spec("b")))
    assert await root.call(StartChild(spec=spec("a"))) is first
    await fail(first)
    second = owner.find("a")
    assert second is not first
    assert await second.call(Echo(value=1)) == 1
    with pytest.raises(ActorDeadError):
        first.tell(Note(value=1))
    assert owner.find("b") is sibling
    await second.stop(block=False)
    await turns()
    assert owner.find("a") is not second
    states = {one.key: (one.state, one.restarts, one.last_failure) for one in await root.call(Children())}
    assert states == {"a": ("running", 2, "Fault: again"), "b": ("running", 0, None)}
    assert {one.key: one.restarts for one in owner.snapshot()} == {"root": 0, "a": 2, "b": 0}


@pytest.mark.parametrize(
    ("restart", "end", "comes_back"),
    [
        ("permanent", "stop", True), ("permanent", "fail", True), ("permanent", "kill", True),
        ("transient", "stop", False), ("transient", "fail", True), ("transient", "kill", True),
        ("temporary", "stop", False), ("temporary", "fail", False), ("temporary", "kill", False),
    ],
)  # fmt: skip
async def test_who_comes_back(owner: LoopOwner, restart: Any, end: str, *, comes_back: bool) -> None:
    root = Supervisor.start(policy=Intensity())
    child = await root.call(StartChild(spec=spec("a", restart=restart)))
    match end:
        case "stop":
            child.stop(block=False)
        case "fail":
            child.tell(Fault())
        case "kill":
            child.kill()
    assert await child.wait_stopped(1)
    await turns()
    assert (owner.get("a") is not None) is comes_back
    assert len(await root.call(Children())) == comes_back


async def test_a_death_in_started_is_heard_of(owner: LoopOwner) -> None:
    """Pykka calls no hook when on_start raises; ChildDown comes from the task's own end."""
    lives: list[int] = []

    class Weak(Probe):
        async def started(self) -> None:
            lives.append(1)
            if len(lives) < 3:
                raise Fault("no network")

    root = Supervisor.start(policy=Intensity())
    await root.call(StartChild(spec=spec("weak", Weak)))
    await until(lambda: len(lives) == 3)
    assert await owner.find("weak").call(Echo(value=1)) == 1


async def test_intensity_used_up_ends_the_supervisor_and_all_its_children(owner: LoopOwner) -> None:
    root = Supervisor.start(policy=Intensity(restarts=2, period=60), key="root")
    await root.call(StartChild(spec=spec("well")))
    await root.call(StartChild(spec=spec("ill")))
    for _ in range(3):
        await fail(owner.find("ill"))
    assert await root.wait_stopped(1)
    assert isinstance(root.failure, GaveUp)
    assert (root.failure.child, root.failure.failures) == ("ill", 3)
    assert owner.keys() == ()
    assert owner.snapshot() == ()


async def test_intensity_forgets_after_its_period(owner: LoopOwner, clock: ManualClock) -> None:
    root = Supervisor.start(policy=Intensity(restarts=2, period=60))
    await root.call(StartChild(spec=spec("ill")))
    for _ in range(6):
        await fail(owner.find("ill"))
        await clock.run_for(31)
    assert root.is_alive()


async def test_a_supervisor_that_gave_up_is_started_afresh_by_its_own(owner: LoopOwner) -> None:
    class Layer(Supervisor):
        def __init__(self) -> None:
            super().__init__(policy=Intensity(restarts=0))

        async def started(self) -> None:
            await self.start_child(spec("leaf"))

    root = Supervisor.start(policy=Intensity(), key="root")
    await root.call(StartChild(spec=ChildSpec(key="layer", factory=lambda: Layer.start(key="layer"))))
    await until(lambda: owner.get("leaf") is not None)
    leaf, layer = owner.find("leaf"), owner.find("layer")
    await fail(leaf)
    await until(lambda: owner.get("leaf") not in (None, leaf))
    assert owner.find("layer") is not layer


async def test_backoff_waits_then_parks_the_one_child_alone(owner: LoopOwner, clock: ManualClock) -> None:
    parked: list[tuple[str, ParkedChild]] = []
    root = Supervisor.start(
        policy=Backoff(), on_parked=lambda key, child: parked.append((key, child)), rng=random.Random(3)
    )
    sibling = await root.call(StartChild(spec=spec("well")))
    await root.call(StartChild(spec=spec("ill")))
    for _ in range(5):
        await fail(owner.find("ill"))
        with pytest.raises(ActorMissing):
            await root.call(StartChild(spec=spec("ill")))
        assert [one.state for one in owner.snapshot() if one.key == "ill"] == ["waiting"]
        while owner.get("ill") is None:
            await clock.run_for(0.5)
        if clock.monotonic() > 50:
            break
    await fail(owner.find("ill"))
    assert [key for key, _ in parked] == ["ill"]
    assert isinstance(parked[0][1].error, Fault)
    await clock.run_for(1000)
    assert owner.get("ill") is None
    assert [one.state for one in owner.snapshot() if one.key == "ill"] == ["parked"]
    with pytest.raises(ChildParked):
        await root.call(StartChild(spec=spec("ill")))
    assert owner.find("well") is sibling
    assert await root.call(Unpark(key="well")) is False
    assert await root.call(Unpark(key="ill")) is True
    await turns()
    assert await owner.find("ill").call(Echo(value=1)) == 1
    assert root.is_alive()


@pytest.mark.parametrize("policy", [Intensity(restarts=0), Backoff()])
async def test_a_revoked_child_is_parked_at_once(owner: LoopOwner, policy: Any) -> None:
    def broken(_key: str, _child: ParkedChild) -> None:
        raise ValueError("the callback is broken")

    root = Supervisor.start(policy=policy, on_parked=broken)
    child = await root.call(StartChild(spec=spec("revoked")))
    await fail(child, Revoked("session revoked"))
    (snapshot,) = await root.call(Children())
    assert snapshot.state == "parked"
    assert snapshot.parked is not None
    assert snapshot.parked.reason == "Revoked: session revoked"
    fresh = await root.call(RestartChild(key="revoked"))
    assert owner.find("revoked") is fresh


async def test_stop_child_is_bounded_and_does_not_hold_up_the_others(owner: LoopOwner, clock: ManualClock) -> None:
    gate = Gate()
    root = Supervisor.start(policy=Intensity())
    stuck = await root.call(StartChild(spec=spec("stuck", shutdown=2.0)))
    stuck.tell(Do(action=gate.wait))
    await gate.entered.wait()
    stopping = asyncio.ensure_future(root.call(StopChild(key="stuck")))
    await turns()
    await root.call(StartChild(spec=spec("other")))
    with pytest.raises(KeyTaken):
        await root.call(StartChild(spec=spec("stuck")))
    assert not stopping.done()
    await clock.run_for(2.0)
    assert await stopping is True
    assert gate.cancelled == 1
    assert await root.call(StopChild(key="stuck")) is False
    assert await root.call(StartChild(spec=spec("stuck"))) is owner.find("stuck")


async def test_a_child_that_waits_for_its_restart_can_be_stopped(owner: LoopOwner, clock: ManualClock) -> None:
    root = Supervisor.start(policy=Backoff())
    await fail(await root.call(StartChild(spec=spec("a"))))
    assert await root.call(StopChild(key="a")) is True
    await clock.run_for(100)
    assert owner.get("a") is None
    assert await root.call(Children()) == ()


async def test_a_factory_that_raises(owner: LoopOwner) -> None:
    works = True

    def factory() -> Ref:
        if not works:
            raise Fault("factory")
        return Probe.start(key="a")

    root = Supervisor.start(policy=Intensity(restarts=2))
    works = False
    with pytest.raises(Fault):
        await root.call(StartChild(spec=ChildSpec(key="a", factory=factory)))
    assert await root.call(Children()) == ()
    works = True
    child = await root.call(StartChild(spec=ChildSpec(key="a", factory=factory)))
    works = False
    await fail(child)
    assert await root.wait_stopped(1)
    assert isinstance(root.failure, GaveUp)


@pytest.mark.parametrize("concurrent", [False, True])
async def test_children_go_in_reverse_order_or_all_at_once(
    owner: LoopOwner, clock: ManualClock, *, concurrent: bool
) -> None:
    ends: list[str] = []

    class Slow(Probe):
        async def stopping(self) -> None:
            ends.append(f"{self.key} begins")
            done = asyncio.Event()
            self.owner.clock.call_later(1.0, done.set)
            await done.wait()
            ends.append(f"{self.key} ends")

    root = Supervisor.start(policy=Intensity(), concurrent=concurrent)
    for key in "abc":
        await root.call(StartChild(spec=spec(key, Slow)))
    begun = clock.monotonic()
    stopped = root.stop(block=False)
    while owner.keys("c") or owner.keys("a"):
        await clock.run_for(0.5)
    assert await stopped is True
    if concurrent:
        assert ends == ["c begins", "b begins", "a begins", "c ends", "b ends", "a ends"]
        assert clock.monotonic() - begun <= 1.5
    else:
        assert ends == ["c begins", "c ends", "b begins", "b ends", "a begins", "a ends"]


async def test_no_child_comes_back_while_the_supervisor_leaves(owner: LoopOwner, clock: ManualClock) -> None:
    gate = Gate()

    class Slow(Probe):
        async def stopping(self) -> None:
            await gate.wait()

    root = Supervisor.start(policy=Backoff(first=0.0))
    a = await root.call(StartChild(spec=spec("a")))
    await root.call(StartChild(spec=spec("slow", Slow)))
    stopped = root.stop(block=False)
    await gate.entered.wait()
    await fail(a)
    assert owner.get("a") is None
    gate.leave.set()
    assert await stopped is True


async def test_a_killed_supervisor_leaves_no_orphans(owner: LoopOwner, clock: ManualClock) -> None:
    gate = Gate()

    class Slow(Probe):
        async def stopping(self) -> None:
            await gate.wait()

    root = Supervisor.start(policy=Intensity())
    for key in "abc":
        await root.call(StartChild(spec=spec(key, Slow, shutdown=1000.0)))
    root.stop(block=False)
    await gate.entered.wait()
    root.kill()
    await clock.run_for(30)
    assert owner.keys() == ()


async def test_a_death_is_logged_once_with_its_traceback_and_a_crowd_sparingly(
    owner: LoopOwner, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    root = Supervisor.start(policy=Backoff())
    await fail(await root.call(StartChild(spec=spec("a"))), Fault("only once"))
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.name == "actors.runtime.supervision"
    assert caplog.text.count("Fault: only once") == 1
    assert "in on_receive" in caplog.text
    assert "life.py" not in caplog.text
    await clock.run_for(20)
    caplog.clear()
    crowd = [await root.call(StartChild(spec=spec(f"crowd/{number}"))) for number in range(200)]
    for ref in crowd:
        ref.tell(Fault("crowd"))
    await until(lambda: not any(ref.is_alive() for ref in crowd))
    await turns()
    assert caplog.text.count("Traceback") == 10
    await clock.run_for(20)
    caplog.clear()
    await fail(owner.find("a"))
    assert "(190 deaths before it went unlogged)" in caplog.text


async def test_a_mass_failure_does_not_stall_the_loop(owner: LoopOwner, clock: ManualClock) -> None:
    """1,000 here, to be quick; the loop's longest turn must stay far below what they would take together."""
    root = Supervisor.start(policy=Backoff(), concurrent=True)
    actor = behind(root)
    refs = [await actor.start_child(spec(f"c/{number}")) for number in range(1000)]
    await turns()
    for ref in refs:
        ref.tell(Fault("all"))
    longest = total = 0.0
    while any(ref.is_alive() for ref in refs):
        before = time.thread_time()
        await asyncio.sleep(0)
        took = time.thread_time() - before
        longest, total = max(longest, took), total + took
    assert longest < total / 4
    await clock.run_for(1.0, turns=200)
    await until(lambda: len(owner.keys("c/")) == 1000)


async def test_stopping_twice_answers_both(owner: LoopOwner) -> None:
    root = Supervisor.start(policy=Intensity())
    await root.call(StartChild(spec=spec("a")))
    first, second = root.stop(block=False), root.stop(block=False)
    assert (await first, await second) == (True, True)
    assert isinstance(await outcome(root.call(Children())), ActorDeadError)


async def test_what_a_child_died_of_holds_no_frame_of_it(owner: LoopOwner) -> None:
    root = Supervisor.start(policy=Backoff())
    for key, error in (("parked", Revoked("a decision")), ("fallen", Fault("a defect"))):
        child = await root.call(StartChild(spec=spec(key)))
        await fail(child, error)
        assert child.failure is error
        assert error.__traceback__ is None
    parked = [one.parked for one in await root.call(Children()) if one.parked is not None]
    assert [one.error.__traceback__ for one in parked if one.error is not None] == [None]


async def test_a_childs_own_policy_counts_it_alone(owner: LoopOwner, clock: ManualClock) -> None:
    """A fragile child under infrastructure's supervisor is parked by its own rule, and uses up nobody's intensity."""
    root = Supervisor.start(policy=Intensity(restarts=1))
    own = Backoff(first=0.0, park_after=((2, 60.0),))
    await root.call(StartChild(spec=spec("fragile", policy=own)))
    await root.call(StartChild(spec=spec("sound")))
    for _ in range(3):
        await fail(owner.find("fragile"))
        await clock.run_for(0.1)
    states = {one.key: (one.state, one.restarts) for one in await root.call(Children())}
    assert states == {"fragile": ("parked", 2), "sound": ("running", 0)}
    await fail(owner.find("sound"))
    assert root.is_alive()
    await fail(owner.find("sound"))
    assert isinstance(root.failure, GaveUp)
