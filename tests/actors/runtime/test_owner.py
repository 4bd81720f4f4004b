"""The owner: one claim, an address book, an exit that is bounded, a thread of its own; and its watchdog."""

import asyncio
import gc
import logging
import threading
import time

import pytest

from actors.runtime.clock import LoopClock, ManualClock
from actors.runtime.errors import ActorMissing, OwnerClaimed, OwnerMissing
from actors.runtime.owner import GC_THRESHOLDS, LoopOwner, ThreadOwner, run_owner
from actors.runtime.supervision import Backoff, ChildSpec, Intensity, StartChild, Supervisor
from tests.actors.runtime.probes import Do, Echo, Fault, Gate, Note, Probe, behind, turns


async def test_a_second_claim_raises_until_the_first_is_closed(owner: LoopOwner) -> None:
    with pytest.raises(OwnerClaimed):
        LoopOwner()
    with pytest.raises(OwnerClaimed):
        await asyncio.to_thread(ThreadOwner)
    await owner.close()
    await owner.close()
    again = LoopOwner()
    await again.close()


def test_a_claim_needs_a_running_loop() -> None:
    with pytest.raises(RuntimeError):
        LoopOwner()


async def test_the_address_book(owner: LoopOwner) -> None:
    for key in ("account/2", "account/1", "recorder"):
        Probe.start(key=key)
    assert owner.keys() == ("account/2", "account/1", "recorder")
    assert owner.keys("account/") == ("account/2", "account/1")
    assert owner.find("recorder").key == "recorder"
    assert owner.get("nobody") is None
    with pytest.raises(ActorMissing) as missing:
        owner.find("nobody")
    assert missing.value.key == "nobody"


async def test_a_snapshot_tells_what_each_actor_does(owner: LoopOwner, clock: ManualClock) -> None:
    ref, gate = Probe.start(key="busy"), Gate()
    clock.advance(10)
    reply = ref.ask(Do(action=gate.wait), block=False)
    ref.ask(Echo(value=1), block=False)
    await gate.entered.wait()
    clock.advance(3)
    (one,) = owner.snapshot()
    assert (one.key, one.class_name, one.state, one.mailbox_depth) == ("busy", "Probe", "busy", 1)
    assert (one.job, one.job_age_s, one.age_s, one.restarts, one.last_failure) == ("Do", 3.0, 13.0, 0, None)
    gate.leave.set()
    await reply
    await turns()
    (one,) = owner.snapshot()
    assert (one.state, one.job, one.job_age_s) == ("idle", None, None)


async def test_closing_stops_the_roots_gracefully_and_lets_nothing_start(owner: LoopOwner) -> None:
    ends: list[str] = []

    class Ending(Probe):
        async def stopping(self) -> None:
            ends.append(self.key)
            with pytest.raises(OwnerMissing):
                Probe.start()

    for key in "ab":
        Ending.start(key=key)
    await owner.close()
    assert sorted(ends) == ["a", "b"]
    with pytest.raises(OwnerMissing):
        Probe.start()


async def test_dead_letters_are_counted_and_sampled(owner: LoopOwner, caplog: pytest.LogCaptureFixture) -> None:
    ref, gate = Probe.start(key="dead"), Gate()
    ref.tell(Do(action=gate.wait))
    await gate.entered.wait()
    for value in range(20):
        ref.tell(Echo(value=value))
    ref.kill()
    await ref.wait_stopped(1)
    assert owner.dead_letters == 20
    assert caplog.text.count("dead letter: Echo for dead") == 5


def test_run_owner_returns_mains_code_and_raises_its_errors() -> None:
    async def good(owner: LoopOwner) -> int:
        return await Probe.start().call(Echo(value=4))

    async def bad(owner: LoopOwner) -> int:
        Probe.start()
        raise Fault("main")

    assert run_owner(good) == 4
    with pytest.raises(Fault):
        run_owner(bad)
    assert run_owner(good) == 4  # the claim was released


def test_run_owner_ends_on_control_c() -> None:
    ends: list[str] = []

    async def interrupted(owner: LoopOwner) -> int:
        try:
            asyncio.get_running_loop().call_soon(interrupt)
            await asyncio.Event().wait()
        finally:
            ends.append("main cleaned up")
        return 0

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_owner(interrupted)
    assert ends == ["main cleaned up"]


def test_a_thread_owner_runs_beside_the_test() -> None:
    with ThreadOwner(development=True) as host:

        async def start() -> int:
            assert host.owner.development
            return await Probe.start(key="p").call(Echo(value=2))

        assert host.submit(start()).result(5) == 2
        assert host.owner.find("p").ask(Echo(value=3), timeout=5) == 3
    assert not [thread for thread in threading.enumerate() if thread.name == "owner-loop"]
    host.close()


def test_the_watchdog_says_where_the_loop_is_stuck() -> None:
    seen = threading.Event()
    said: list[str] = []

    class Tell(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())
            seen.set()

    watched = logging.getLogger("actors.runtime.watchdog")
    handler = Tell()
    watched.addHandler(handler)

    def spin(_actor: Probe) -> None:
        until = time.monotonic() + 10
        while not seen.is_set() and time.monotonic() < until:
            pass

    async def main(owner: LoopOwner) -> int:
        ref = Probe.start(key="culprit")
        await ref.call(Do(action=spin))
        return 0

    try:
        assert run_owner(main, watchdog=0.1) == 0
    finally:
        watched.removeHandler(handler)
    (message,) = said
    assert "in culprit" in message
    assert "in spin" in message


async def test_the_manual_clock_fires_in_order_and_at_each_timers_own_time() -> None:
    clock = ManualClock()
    fired: list[tuple[str, float]] = []
    clock.call_later(2, lambda: fired.append(("two", clock.monotonic())))
    clock.call_later(1, lambda: fired.append(("one", clock.monotonic())))
    clock.call_later(1, lambda: clock.call_later(0.5, lambda: fired.append(("inner", clock.monotonic()))))
    clock.call_later(1.2, lambda: fired.append(("never", 0.0))).cancel()
    assert clock.pending == 3
    begun = clock.now()
    clock.advance(3)
    assert fired == [("one", 1.0), ("inner", 1.5), ("two", 2.0)]
    assert (clock.now() - begun).total_seconds() == 3.0
    assert begun.tzinfo is not None


async def test_the_loop_clock_is_real() -> None:
    clock, fired = LoopClock(), asyncio.Event()
    clock.call_later(0.0, fired.set)
    await fired.wait()
    clock.call_later(10.0, fired.set).cancel()
    assert abs(clock.monotonic() - time.monotonic()) < 1
    assert clock.now().tzinfo is not None


async def test_an_actor_without_hooks_takes_no_job(owner: LoopOwner) -> None:
    ref = Probe.start()
    await turns()
    assert behind(ref)._life.has_started is False
    assert await ref.wait_started(1)


def test_run_owner_keeps_full_collections_rare() -> None:
    before = gc.get_threshold()
    within: list[tuple[int, int, int]] = []

    async def main(_owner: LoopOwner) -> int:
        within.append(gc.get_threshold())
        return 0

    run_owner(main)
    assert within == [GC_THRESHOLDS]
    assert gc.get_threshold() == before


async def test_the_tree_is_told_by_parents(owner: LoopOwner, clock: ManualClock) -> None:
    root = Supervisor.start(policy=Intensity(), key="root")
    spec = ChildSpec(key="branch", factory=lambda: Supervisor.start(policy=Backoff(), key="branch"))
    branch = await root.call(StartChild(spec=spec))
    await branch.call(StartChild(spec=ChildSpec(key="leaf", factory=lambda: Probe.start(key="leaf"))))
    Probe.start(key="alone")
    parents = {"root": None, "branch": "root", "leaf": "branch", "alone": None}
    assert {one.key: one.parent for one in owner.snapshot()} == parents
    owner.find("leaf").tell(Fault("away"))
    await turns()
    assert [one.state for one in owner.snapshot() if one.key == "leaf"] == ["waiting"]
    assert {one.key: one.parent for one in owner.snapshot()} == parents


async def test_every_message_is_measured_by_actor_class(owner: LoopOwner, clock: ManualClock) -> None:
    gate = Gate()
    ref = Probe.start()
    ref.tell(Do(action=gate.wait))
    ref.tell(Note(value=1))
    await gate.entered.wait()
    clock.advance(3.0)
    gate.leave.set()
    assert await ref.call(Echo(value=1)) == 1
    await turns()
    meter = owner.meters["Probe"]
    assert sum(meter.handling.counts) == sum(meter.waiting.counts) == 3
    assert (meter.handling.total, meter.waiting.total) == (3.0, 3.0)
    assert dict(meter.handling.cumulated())[2.5] == 2
    assert dict(meter.handling.cumulated())[10.0] == 3
    ref.tell(Fault("counted"))
    assert await ref.wait_stopped(1)
    assert meter.failures == 1
