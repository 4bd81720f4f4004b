"""Send, tell, ask, cancel, stop and kill in any order: no reply lost, none given twice, nothing hangs."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any
from unittest import mock

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.runtime.actor import TaskActor
from actors.runtime.clock import ManualClock
from actors.runtime.errors import ActorDeadError, AskTimeout, JobAbandoned, JobCancelled, MailboxFull
from actors.runtime.letter import Letter
from actors.runtime.message import Pause, Resume
from actors.runtime.owner import LoopOwner
from actors.runtime.reply import Later
from tests.actors.runtime.probes import Fault, turns
from tests.fuzz import fuzz

EXPECTED = (ActorDeadError, AskTimeout, JobAbandoned, JobCancelled, Fault)
EARS = {"job": 0, "job raises": 0, "deaf job": 1, "stone-deaf job": 2}
"""Jobs, and how many cancellations each swallows."""
KINDS = st.sampled_from(["plain", "plain", "later", *EARS, *EARS, "raises", "stops itself", "fails itself"])
ENOUGH = 8
"""Messages before the actor is stopped or killed from outside: most of what can go wrong needs a living one."""


class Worker(TaskActor):
    mailbox_size = 4

    def __init__(self, machine: "MailboxMachine") -> None:
        super().__init__()
        self.machine = machine

    async def started(self) -> None:
        if self.machine.slow_start:
            await self.machine.hook.wait()

    async def stopping(self) -> None:
        self.machine.endings += 1
        if self.machine.slow_stop:
            await self.machine.hook.wait()

    def on_receive(self, message: Any) -> Any:
        number, kind = message
        self.machine.begun.append(number)
        match kind:
            case "raises":
                raise Fault
            case "later":
                self.machine.laters.append((number, later := Later[int]()))
                return later
            case "stops itself":
                self.machine.own_stops += 1
                self.stop()
            case "fails itself":
                self.fail(Fault())
            case "plain":
                pass
            case _:
                return self.job(number, kind)
        return number

    async def job(self, number: int, kind: str) -> int:
        machine = self.machine
        machine.kind = kind
        assert not machine.running, "two jobs at once"
        machine.running.append(number)
        gate = machine.gate = asyncio.Event()
        ears = EARS[kind]
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
    @initialize(slow_start=st.sampled_from([False, False, True]), slow_stop=st.booleans())
    def begin(self, *, slow_start: bool, slow_stop: bool) -> None:
        self.runner = asyncio.Runner()
        self.slow_start, self.slow_stop = slow_start, slow_stop
        self.endings = 0
        self.number = 0
        self.queued: set[int] = set()
        """Accepted by tell, ask or send: each must be handled, or counted as a dead letter."""
        self.refused: set[int] = set()
        self.begun: list[int] = []
        self.dead: list[int] = []
        self.running: list[int] = []
        self.gate: asyncio.Event | None = None
        self.kind = "none"
        """Of the job that began last."""
        self.laters: list[tuple[int, Later[int]]] = []
        self.asks: list[tuple[int, asyncio.Future[Any]]] = []
        self.calls: list[tuple[int, asyncio.Future[Any]]] = []
        self.sends: list[tuple[int, asyncio.Future[Any]]] = []
        self.stops: list[tuple[bool, asyncio.Future[bool]]] = []
        self.own_stops = 0
        self.answered: list[tuple[Letter, Any]] = []
        self.watches = [self.watch("answer"), self.watch("refuse")]
        self.clock = ManualClock()
        self.run(self.start())

    def watch(self, name: str) -> Any:
        """See every answer that reaches an asker."""
        original = getattr(Letter, name)

        def watched(letter: Letter, outcome: Any) -> None:
            if letter.reply_to is not None:
                self.answered.append((letter, outcome))
            original(letter, outcome)

        watching = mock.patch.object(Letter, name, watched)
        watching.start()
        return watching

    async def start(self) -> None:
        self.hook = asyncio.Event()
        self.owner = LoopOwner(clock=self.clock)
        note_dead_letter = self.owner.note_dead_letter

        def note(key: str, message: Any) -> None:
            if type(message) is tuple:
                self.dead.append(message[0])
            note_dead_letter(key, message)

        self.owner.note_dead_letter = note  # type: ignore[method-assign]
        self.ref = Worker.start(self)
        self.box = self.ref.actor_inbox
        await turns(3)

    def run(self, coro: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(coro)

    def message(self, kind: str) -> Any:
        self.number += 1
        return (self.number, kind)

    @rule(kind=KINDS)
    def tell(self, kind: str) -> None:
        async def act() -> None:
            number, _ = message = self.message(kind)
            try:
                self.ref.tell(message)
            except (MailboxFull, ActorDeadError):
                self.refused.add(number)
            else:
                self.queued.add(number)

        self.run(act())

    @rule(kind=KINDS, count=st.integers(1, 4))
    def ask(self, kind: str, count: int) -> None:
        async def act() -> None:
            for _ in range(count):
                number, _kind = message = self.message(kind)
                (self.refused if self.box.closed else self.queued).add(number)
                try:
                    reply = self.ref.ask(message, block=False)
                except MailboxFull:
                    self.queued.remove(number)
                    self.refused.add(number)
                else:
                    self.asks.append((number, reply.future))  # type: ignore[attr-defined]

        self.run(act())

    @rule(kind=KINDS, timeout=st.sampled_from([0.5, 3.0, 60.0]), cancel=st.booleans(), before=st.integers(0, 3))
    def call(self, kind: str, timeout: float, before: int, *, cancel: bool) -> None:
        async def act() -> None:
            message = self.message(kind)
            task = asyncio.ensure_future(self.ref.call(message, timeout=timeout))
            await turns(before)
            if cancel:
                task.cancel()
                await turns(1)
            self.calls.append((message[0], task))

        self.run(act())

    @rule(kind=KINDS, cancel=st.booleans(), before=st.integers(0, 3))
    def send(self, kind: str, before: int, *, cancel: bool) -> None:
        async def act() -> None:
            message = self.message(kind)
            task = asyncio.ensure_future(self.ref.send(message))
            await turns(before)
            if cancel:
                task.cancel()
            self.sends.append((message[0], task))

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
    def release_hooks(self) -> None:
        self.hook.set()

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
        self.run(self.clock.run_for(seconds, turns=3))

    @rule(message=st.sampled_from([Resume(), Resume(), Pause()]))
    def hold(self, message: Any) -> None:
        async def act() -> None:
            if not self.box.ended:
                self.ref.control(message)

        self.run(act())

    @precondition(lambda self: self.number >= ENOUGH)
    @rule()
    def stop(self) -> None:
        async def act() -> None:
            alive = not self.box.ended
            self.stops.append((alive, self.ref.stop(block=False).future))  # type: ignore[attr-defined]

        self.run(act())

    @precondition(lambda self: self.number >= ENOUGH)
    @rule()
    def kill(self) -> None:
        async def act() -> None:
            self.ref.kill()

        self.run(act())

    @rule()
    def settle(self) -> None:
        """Nothing holds the actor up: whoever waits for it is served, but for those it has promised a reply."""

        async def act() -> None:
            self.hook.set()
            if not self.box.ended:
                self.ref.control(Resume())
            for _ in range(self.number + 5):  # each message may be a job with a gate of its own
                await turns(6)
                if self.gate is not None:
                    self.gate.set()
            promised = {number for number, _ in self.laters}
            assert len(self.box) == 0, "mail lies unread"
            for number, waiting in (*self.asks, *self.calls, *self.sends):
                assert waiting.done() or number in promised, f"{number} waits on"
            assert self.box.ended or not any(not stop.done() for _, stop in self.stops), "a stop is not obeyed"

        self.run(act())

    @invariant()
    def mail_is_handled_in_order(self) -> None:
        assert self.begun == sorted(set(self.begun)), "overtaken, or handled twice"

    @invariant()
    def what_was_refused_is_not_handled(self) -> None:
        assert not self.refused & set(self.begun)
        cancelled = {number for number, send in self.sends if send.done() and send.cancelled()}
        assert not cancelled & {*self.begun, *self.dead}, "a cancelled send had queued its message"

    @invariant()
    def the_mailbox_keeps_its_bound(self) -> None:
        assert len(self.box) <= Worker.mailbox_size + len(self.stops) + self.own_stops

    @invariant()
    def an_asker_gets_one_reply_and_its_own(self) -> None:
        replies = Counter(id(letter) for letter, _ in self.answered)
        assert set(replies.values()) <= {1}, "a reply was given twice"
        for letter, outcome in self.answered:
            if type(letter.message) is tuple and not isinstance(outcome, BaseException):
                assert outcome == letter.message[0], "the reply of another"

    def teardown(self) -> None:
        try:
            self.run(self.end())
        finally:
            self.close()

    def close(self) -> None:
        for watching in self.watches:
            watching.stop()
        self.runner.close()

    async def end(self) -> None:
        self.ref.kill()
        for _ in range(4):
            await turns(20)
            await self.clock.run_for(6)
        await turns(20)
        assert self.box.ended, "the actor hangs"
        assert self.endings == 1, "stopping() runs once, whatever ends the actor"
        assert self.owner.keys() == ()
        assert self.ref.failure is None or isinstance(self.ref.failure, (Fault, JobAbandoned, JobCancelled))
        assert not self.running or self.owner.abandoned_jobs == 1, "a job outlived its actor"
        assert self.owner.abandoned_jobs == 0 or self.kind == "stone-deaf job", "a second cancellation is heard"
        if self.gate is not None:
            self.gate.set()
        await turns(5)
        assert not self.running
        self.everyone_was_answered()
        self.nothing_was_lost()
        assert self.clock.pending == 0, "a timer outlived its actor"
        await self.owner.close()

    def everyone_was_answered(self) -> None:
        for number, reply in (*self.asks, *self.calls):
            assert reply.done(), f"no reply to {number}"
            if reply.cancelled():
                continue
            error = reply.exception()
            assert error is not None or (type(reply.result()), reply.result()) == (int, number), "the reply of another"
            assert error is None or isinstance(error, EXPECTED), repr(error)
        for alive, stop in self.stops:
            assert stop.result() is alive, "a stop tells whether the actor had ended before"
        for number, send in self.sends:
            assert send.done(), f"sender {number} hangs"
            if not send.cancelled():
                assert send.exception() is None or isinstance(send.exception(), ActorDeadError)

    def nothing_was_lost(self) -> None:
        sent = {number for number, send in self.sends if not send.cancelled() and send.exception() is None}
        queued, handled, dead = self.queued | sent, set(self.begun), set(self.dead)
        assert len(dead) == len(self.dead) <= self.owner.dead_letters, "a dead letter was counted twice, or not"
        assert not handled & dead, "handled, and counted as a dead letter"
        assert queued <= handled | dead, f"lost: {queued - handled - dead}"
        unread = {number for number, _ in self.calls} - handled - dead
        assert self.owner.expired_requests <= len(unread), "only calls expire"
        for number, call in self.calls:
            if number in unread and not call.cancelled():
                assert isinstance(call.exception(), (AskTimeout, ActorDeadError)), f"lost: {number}"


MailboxMachine.TestCase.settings = fuzz(150, stateful_step_count=40)
TestMailbox = MailboxMachine.TestCase


def test_promised_room_is_nobody_elses() -> None:
    state = MailboxMachine()
    state.begin(slow_start=False, slow_stop=False)
    state.hold(Pause())
    state.let_run(3)
    for _ in range(Worker.mailbox_size):
        state.tell("plain")
    for _ in range(2):
        state.send("plain", 3, cancel=False)

    async def take_one() -> None:
        state.box.get()
        with pytest.raises(MailboxFull):
            state.ref.tell(state.message("plain"))

    state.run(take_one())
    state.let_run(3)
    state.the_mailbox_keeps_its_bound()
    assert [send.done() for _, send in state.sends] == [True, False]
    state.kill()
    state.run(state.owner.close())
    assert isinstance(state.sends[1][1].exception(), ActorDeadError)
    state.close()


def test_a_sender_that_waits_is_not_overtaken() -> None:
    state = MailboxMachine()
    state.begin(slow_start=False, slow_stop=False)
    state.hold(Pause())
    for _ in range(Worker.mailbox_size):
        state.tell("plain")
    state.send("plain", 3, cancel=False)
    state.hold(Resume())
    state.tell("plain")
    state.settle()
    state.teardown()
    assert state.begun == sorted(state.begun)


@pytest.mark.parametrize("disturb", ["kill", "cancel_job"])
def test_stopping_runs_whatever_follows_the_stop(disturb: str) -> None:
    state = MailboxMachine()
    state.begin(slow_start=False, slow_stop=False)

    async def stop_and_disturb() -> None:
        state.ref.stop(block=False)
        getattr(state.ref, disturb)()

    state.run(stop_and_disturb())
    state.settle()
    state.teardown()
    assert state.endings == 1
