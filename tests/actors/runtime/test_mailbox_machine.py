"""Send, tell, ask, cancel, stop and kill in any order: no reply lost, none given twice, nothing hangs."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.runtime.actor import TaskActor
from actors.runtime.clock import ManualClock
from actors.runtime.errors import ActorDeadError, AskTimeout, JobAbandoned, JobCancelled, MailboxFull
from actors.runtime.message import Pause, Resume
from actors.runtime.owner import LoopOwner
from actors.runtime.reply import Later
from tests.actors.runtime.probes import Fault, turns

EXPECTED = (ActorDeadError, AskTimeout, JobAbandoned, JobCancelled, MailboxFull, Fault)
KINDS = st.sampled_from(["plain", "job", "deaf job", "later", "raise", "job raises"])


class Worker(TaskActor):
    mailbox_size = 4

    def __init__(self, machine: "MailboxMachine") -> None:
        super().__init__()
        self.machine = machine

    def on_receive(self, message: Any) -> Any:
        number, kind = message
        self.machine.begun.append(number)
        match kind:
            case "plain":
                return number
            case "raise":
                raise Fault
            case "later":
                self.machine.laters.append((number, later := Later[int]()))
                return later
        return self.job(number, kind)

    async def job(self, number: int, kind: str) -> int:
        machine = self.machine
        assert not machine.running, "two jobs at once"
        machine.running.append(number)
        gate = machine.gate = asyncio.Event()
        ears = 1 if kind == "deaf job" else 0
        try:
            while not gate.is_set():
                try:
                    await gate.wait()
                except asyncio.CancelledError:
                    ears -= 1
                    if ears < 0:
                        raise
            if kind == "job raises":
                raise Fault
            return number
        finally:
            machine.running.remove(number)


class MailboxMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.number = 0
        self.begun: list[int] = []
        self.running: list[int] = []
        self.gate: asyncio.Event | None = None
        self.laters: list[tuple[int, Later[int]]] = []
        self.asks: list[tuple[int, asyncio.Future[Any]]] = []
        self.sends: list[asyncio.Future[Any]] = []
        self.clock = ManualClock()
        self.run(self.start())

    async def start(self) -> None:
        self.owner = LoopOwner(clock=self.clock)
        self.ref = Worker.start(self)
        await turns(3)

    def run(self, coro: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(coro)

    def message(self, kind: str) -> Any:
        self.number += 1
        return (self.number, kind)

    @rule(kind=KINDS)
    def tell(self, kind: str) -> None:
        async def act() -> None:
            with contextlib.suppress(MailboxFull, ActorDeadError):
                self.ref.tell(self.message(kind))

        self.run(act())

    @rule(kind=KINDS, count=st.integers(1, 4))
    def ask(self, kind: str, count: int) -> None:
        async def act() -> None:
            for _ in range(count):
                message = self.message(kind)
                try:
                    reply = self.ref.ask(message, block=False)
                except MailboxFull:
                    continue
                self.asks.append((message[0], reply.future))  # type: ignore[attr-defined]

        self.run(act())

    @rule(kind=KINDS, timeout=st.sampled_from([0.5, 3.0, 60.0]), cancel=st.booleans())
    def call(self, kind: str, timeout: float, *, cancel: bool) -> None:
        async def act() -> None:
            message = self.message(kind)
            task = asyncio.ensure_future(self.ref.call(message, timeout=timeout))
            await turns(2)
            if cancel:
                task.cancel()
                await turns(1)
            self.asks.append((message[0], task))

        self.run(act())

    @rule(kind=KINDS, cancel=st.booleans())
    def send(self, kind: str, *, cancel: bool) -> None:
        async def act() -> None:
            task = asyncio.ensure_future(self.ref.send(self.message(kind)))
            await turns(1)
            if cancel:
                task.cancel()
            self.sends.append(task)

        self.run(act())

    @rule(count=st.integers(1, 30))
    def let_run(self, count: int) -> None:
        self.run(turns(count))

    @precondition(lambda self: self.running)
    @rule()
    def release(self) -> None:
        if self.gate is not None:
            self.gate.set()

    @rule()
    def cancel_job(self) -> None:
        async def act() -> None:
            self.ref.cancel_job()

        self.run(act())

    @rule(good=st.booleans())
    def answer_later(self, *, good: bool) -> None:
        async def act() -> None:
            if self.laters:
                number, later = self.laters.pop()
                if not later.done:
                    later.reply(number) if good else later.fail(Fault())

        self.run(act())

    @rule(seconds=st.sampled_from([0.5, 1.0, 5.0, 40.0]))
    def pass_time(self, seconds: float) -> None:
        async def act() -> None:
            self.clock.advance(seconds)

        self.run(act())

    @rule(message=st.sampled_from([Pause(), Resume()]))
    def hold(self, message: Any) -> None:
        async def act() -> None:
            if not self.ref.actor_inbox.ended:
                self.ref.control(message)

        self.run(act())

    @rule()
    def stop(self) -> None:
        async def act() -> None:
            self.asks.append((0, self.ref.stop(block=False).future))  # type: ignore[attr-defined]

        self.run(act())

    @rule()
    def kill(self) -> None:
        async def act() -> None:
            self.ref.kill()

        self.run(act())

    @invariant()
    def mail_is_handled_in_order(self) -> None:
        # Waiting senders come in when there is room; everything else keeps the order of its numbers, and
        # nothing is handled twice.
        assert len(set(self.begun)) == len(self.begun)

    @invariant()
    def the_mailbox_keeps_its_bound(self) -> None:
        stops = sum(number == 0 for number, _ in self.asks)
        assert len(self.ref.actor_inbox) <= Worker.mailbox_size + stops

    def teardown(self) -> None:
        try:
            self.run(self.end())
        finally:
            self.runner.close()

    async def end(self) -> None:
        self.ref.kill()
        for _ in range(4):
            await turns(20)
            self.clock.advance(6)
        await turns(20)
        assert self.ref.actor_inbox.ended, "the actor hangs"
        assert not self.running, "a job outlived its actor"
        assert self.owner.keys() == ()
        for number, reply in self.asks:
            assert reply.done(), f"no reply to {number}"
            if reply.cancelled():
                continue
            error = reply.exception()
            if error is None:
                assert reply.result() in (number, True, False), "the reply of another"
            else:
                assert isinstance(error, EXPECTED), repr(error)
        for send in self.sends:
            assert send.done(), "a sender hangs"
            assert send.cancelled() or send.exception() is None or isinstance(send.exception(), EXPECTED)
        assert self.clock.pending == 0, "a timer outlived its actor"
        await self.owner.close()


MailboxMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestMailbox = MailboxMachine.TestCase
