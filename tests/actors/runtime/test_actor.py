"""What an actor may rely on: order, two lanes, deadlines, replies, room, and a bounded end."""

import asyncio
import collections
from dataclasses import dataclass
from typing import Any

import pykka
import pytest
from pykka import messages

from actors.runtime.actor import TaskActor
from actors.runtime.clock import ManualClock
from actors.runtime.errors import (
    ActorDeadError,
    ActorMissing,
    AlreadyReplied,
    AskCycle,
    AskTimeout,
    JobCancelled,
    KeyTaken,
    MailboxFull,
    ProxyRefused,
    ReplyRefused,
    UnknownMessage,
)
from actors.runtime.life import FAIRNESS
from actors.runtime.message import Pause, Resume
from actors.runtime.owner import LoopOwner
from tests.actors.runtime.probes import Do, Echo, Fault, Gate, Later, Note, Probe, behind, outcome, turns, until


class Small(Probe):
    mailbox_size = 2


async def test_messages_are_handled_one_after_the_other_in_order(owner: LoopOwner) -> None:
    ref, gate = Probe.start(), Gate()
    ref.tell(Note(value=1))
    first = ref.ask(Do(action=gate.wait), block=False)
    ref.tell(Note(value=2))
    await gate.entered.wait()
    await turns()
    assert behind(ref).notes == [1]
    gate.leave.set()
    assert await first == "let go"
    assert await ref.call(Do(action=lambda actor: tuple(actor.notes))) == (1, 2)


async def test_a_handler_that_raises_kills_after_a_tell_and_answers_after_an_ask(owner: LoopOwner) -> None:
    ref = Probe.start(key="a")
    with pytest.raises(Fault):
        await ref.call(Do(action=lambda _: (_ for _ in ()).throw(Fault("asked"))))
    assert ref.is_alive()
    ref.tell(Fault("told"))
    assert await ref.wait_stopped(1)
    assert str(ref.failure) == "told"
    with pytest.raises(ActorMissing):
        owner.find("a")


async def test_failing_on_purpose_kills_while_an_ask_is_handled(owner: LoopOwner) -> None:
    ref = Probe.start()
    assert await outcome(ref.call(Do(action=lambda actor: actor.fail(Fault("revoked"))))) is None
    assert await ref.wait_stopped(1)
    assert str(ref.failure) == "revoked"


async def test_control_overtakes_mail_and_jobs(owner: LoopOwner) -> None:
    ref, gate = Probe.start(), Gate()
    reply = ref.ask(Do(action=gate.wait), block=False)
    await gate.entered.wait()
    ref.tell(Note(value="mail"))
    ref.control("first")
    await turns(2)
    assert (behind(ref).controls, behind(ref).notes) == (["first"], [])
    ref.cancel_job()
    assert isinstance(await outcome(reply), JobCancelled)
    assert await ref.call(Echo(value=1)) == 1


async def test_a_cancelled_tell_is_no_death(owner: LoopOwner) -> None:
    ref, gate = Probe.start(), Gate()
    ref.tell(Do(action=gate.wait))
    await gate.entered.wait()
    ref.cancel_job()
    assert await ref.call(Echo(value=1)) == 1


async def test_an_error_in_the_control_lane_is_a_death(owner: LoopOwner) -> None:
    ref = Probe.start()
    ref.control(Fault("control"))
    assert await ref.wait_stopped(1)
    assert str(ref.failure) == "control"
    with pytest.raises(ActorDeadError):
        ref.control("late")


async def test_pause_holds_mail_until_resume(owner: LoopOwner) -> None:
    ref = Probe.start()
    ref.control(Pause())
    await turns()
    reply = ref.ask(Echo(value=1), block=False)
    await turns()
    assert not reply.done  # type: ignore[attr-defined]
    assert owner.snapshot()[0].state == "paused"
    ref.control(Resume())
    assert await reply == 1


async def test_stop_is_first_in_first_out_and_kill_overtakes(owner: LoopOwner) -> None:
    ref = Probe.start()
    actor = behind(ref)
    ref.tell(Note(value=1))
    stopped = ref.stop(block=False)
    late = ref.ask(Note(value=2), block=False)
    assert await stopped is True
    assert actor.notes == [1]
    assert isinstance(await outcome(late), ActorDeadError)
    assert await ref.stop(block=False) is False

    ref, gate = Probe.start(), Gate()
    actor = behind(ref)
    running = ref.ask(Do(action=gate.wait), block=False)
    await gate.entered.wait()
    ref.tell(Note(value=1))
    stopped = ref.stop(block=False)
    ref.kill()
    assert isinstance(await outcome(running), ActorDeadError)
    assert await stopped is True
    assert actor.notes == []
    assert owner.dead_letters == 2
    assert ref.failure is None
    ref.kill()


async def test_hooks_run_at_every_end(owner: LoopOwner) -> None:
    ends: list[str] = []

    class Ending(Probe):
        async def stopping(self) -> None:
            await asyncio.sleep(0)
            ends.append("stopping")

        def on_stop(self) -> None:
            ends.append("on_stop")

        def on_failure(self, *_args: Any) -> None:
            ends.append("on_failure")

    class Stillborn(Ending):
        async def started(self) -> None:
            raise Fault("started")

    class Clumsy(Ending):
        def on_stop(self) -> None:
            raise Fault("on_stop")

    await Ending.start().stop(block=False)
    (ref := Ending.start()).tell(Fault("x"))
    await ref.wait_stopped(1)
    (ref := Ending.start()).kill()
    await ref.wait_stopped(1)
    stillborn = Stillborn.start()
    asked = stillborn.ask(Echo(value=1), block=False)
    assert not await stillborn.wait_started(1)
    await stillborn.wait_stopped(1)
    assert isinstance(await outcome(asked), ActorDeadError)
    assert str(stillborn.failure) == "started"
    clumsy = Clumsy.start()
    await clumsy.stop(block=False)
    assert str(clumsy.failure) == "on_stop"
    assert ends == [
        "on_stop", "stopping", "on_failure", "stopping", "on_stop", "stopping", "on_failure", "stopping", "stopping",
    ]  # fmt: skip


async def test_stopping_is_bounded(owner: LoopOwner, clock: ManualClock) -> None:
    gate = Gate()

    class Slow(Probe):
        async def stopping(self) -> None:
            await gate.wait()

    ref = Slow.start()
    stopped = ref.stop(block=False)
    await gate.entered.wait()
    assert owner.snapshot()[0].state == "stopping"
    await clock.run_for(5.0)
    assert await stopped is True
    assert gate.cancelled == 1


async def test_a_kill_during_started_is_no_failure(owner: LoopOwner) -> None:
    gate = Gate()

    class Slow(Probe):
        async def started(self) -> None:
            await gate.wait()

    ref = Slow.start()
    await gate.entered.wait()
    assert owner.snapshot()[0].state == "starting"
    ref.kill()
    assert await ref.wait_stopped(1)
    assert ref.failure is None


# Calls


async def test_a_call_is_answered_by_its_deadline_or_not_at_all(owner: LoopOwner, clock: ManualClock) -> None:
    ref, gate = Probe.start(), Gate()
    held = asyncio.ensure_future(outcome(ref.call(Do(action=gate.wait))))
    unread = asyncio.ensure_future(outcome(ref.call(Do(action=lambda actor: actor.notes.append("late")), timeout=10)))
    await gate.entered.wait()
    clock.advance(10)
    assert isinstance(await unread, AskTimeout)
    clock.advance(20)
    assert isinstance(await held, AskTimeout)
    gate.leave.set()
    assert await ref.call(Do(action=lambda actor: tuple(actor.notes))) == ()
    assert owner.expired_requests == 1


async def test_a_deadline_travels_down_the_chain(owner: LoopOwner, clock: ManualClock) -> None:
    top, middle, bottom, gate = Probe.start(), Probe.start(), Probe.start(), Gate()
    inner: list[Any] = []

    async def pass_on(_actor: Probe) -> None:
        inner.append(await outcome(bottom.call(Do(action=gate.wait), timeout=1000)))

    async def begin(_actor: Probe) -> None:
        await middle.call(Do(action=pass_on), timeout=1000)

    asked = asyncio.ensure_future(outcome(top.call(Do(action=begin), timeout=7)))
    await gate.entered.wait()
    clock.advance(6.9)
    await turns()
    assert not asked.done()
    clock.advance(0.2)
    assert isinstance(await asked, AskTimeout)
    await until(lambda: bool(inner))
    assert isinstance(inner[0], AskTimeout)
    gate.leave.set()


async def test_an_ask_inherits_the_deadline_and_is_answered_when_it_is_dropped(
    owner: LoopOwner, clock: ManualClock
) -> None:
    top, busy, gate = Probe.start(), Probe.start(), Gate()
    replies: list[Any] = []
    busy.tell(Do(action=gate.wait))
    await gate.entered.wait()
    await top.call(Do(action=lambda _: replies.append(busy.ask(Echo(value=1), block=False))), timeout=5)
    clock.advance(5)
    gate.leave.set()
    assert isinstance(await outcome(replies[0]), AskTimeout)
    assert owner.expired_requests == 1


async def test_a_cycle_of_asks_raises_at_once(owner: LoopOwner) -> None:
    a, b, c = (Probe.start(key=key) for key in "abc")

    async def ask_a(_actor: Probe) -> Any:
        return await a.call(Echo(value=1))

    async def ask_c(_actor: Probe) -> Any:
        return await c.call(Do(action=ask_a))

    async def ask_b(_actor: Probe) -> Any:
        return await b.call(Do(action=ask_c))

    with pytest.raises(AskCycle) as caught:
        await a.call(Do(action=ask_b))
    assert caught.value.chain == ("a", "b", "c", "a")
    with pytest.raises(AskCycle):
        await a.call(Do(action=ask_a))

    async def tell_up(actor: Probe) -> Any:
        a.tell(Note(value="up"))
        return actor.key

    async def ask_b_to_tell(_actor: Probe) -> Any:
        return await b.call(Do(action=tell_up))

    assert await a.call(Do(action=ask_b_to_tell)) == "b"
    assert await a.call(Do(action=lambda actor: tuple(actor.notes))) == ("up",)


async def test_asking_oneself_in_started_is_a_cycle(owner: LoopOwner) -> None:
    class Narcissus(Probe):
        async def started(self) -> None:
            await self.ref.call(Echo(value=1))

    ref = Narcissus.start()
    assert await ref.wait_stopped(1)
    assert isinstance(ref.failure, AskCycle)


async def test_a_later_reply_lets_the_mailbox_go_on(owner: LoopOwner, clock: ManualClock) -> None:
    laters: list[Later[int]] = []

    def promise(_actor: Probe) -> Later[int]:
        laters.append(Later())
        return laters[-1]

    ref = Probe.start()
    replies = [ref.ask(Do(action=promise), block=False) for _ in range(4)]
    assert await ref.call(Echo(value=9)) == 9
    laters[1].reply(1)
    laters[0].fail(Fault("zero"))
    assert await replies[1] == 1
    assert isinstance(await outcome(replies[0]), Fault)
    with pytest.raises(AlreadyReplied):
        laters[1].reply(2)
    assert laters[1].done
    timed_out = asyncio.ensure_future(outcome(ref.call(Do(action=promise), timeout=1)))
    await until(lambda: len(laters) == 5)
    clock.advance(1)
    assert isinstance(await timed_out, AskTimeout)
    await turns()
    assert len(behind(ref)._life.beside._laters) == 2  # those whose askers still wait
    laters[4].reply(4)
    await ref.stop(block=False)
    assert isinstance(await outcome(replies[2]), ActorDeadError)
    assert isinstance(await outcome(replies[3]), ActorDeadError)


async def test_a_later_answered_before_it_is_returned(owner: LoopOwner) -> None:
    def promise(_actor: Probe) -> Later[int]:
        later = Later[int]()
        later.reply(5)
        return later

    ref = Probe.start()
    assert await ref.call(Do(action=promise)) == 5
    ref.tell(Do(action=promise))
    assert await ref.call(Echo(value=1)) == 1


# Room


async def test_a_full_mailbox_refuses_tells_and_queues_senders_fairly(owner: LoopOwner) -> None:
    ref, gate = Small.start(), Gate()
    ref.tell(Do(action=gate.wait))
    await gate.entered.wait()
    ref.tell(Note(value=0))
    ref.tell(Note(value=1))
    with pytest.raises(MailboxFull):
        ref.tell(Note(value="refused"))
    with pytest.raises(MailboxFull):
        ref.ask(Note(value="refused"), block=False)
    senders = [asyncio.create_task(ref.send(Note(value=value))) for value in range(2, 7)]
    call = asyncio.create_task(ref.call(Do(action=lambda actor: tuple(actor.notes))))
    await turns()
    senders[1].cancel()
    await turns()
    behind(ref).tell_self(Note(value="own"))
    gate.leave.set()
    assert await call == (0, 1, "own", 2, 4, 5, 6)


async def test_a_sender_cancelled_when_room_was_promised_gives_it_back(owner: LoopOwner) -> None:
    ref, gate = Small.start(), Gate()
    ref.tell(Do(action=gate.wait))
    await gate.entered.wait()
    ref.tell(Note(value=0))
    ref.tell(Note(value=1))
    senders = [asyncio.create_task(ref.send(Note(value=value))) for value in (2, 3)]
    await turns()
    ref.actor_inbox.get()  # room, promised to the first
    senders[0].cancel()
    await turns()
    assert senders[0].cancelled()
    assert senders[1].done()
    gate.leave.set()
    assert await ref.call(Do(action=lambda actor: tuple(actor.notes))) == (1, 3)


async def test_who_waits_for_room_learns_of_the_end_and_of_the_deadline(owner: LoopOwner, clock: ManualClock) -> None:
    ref, gate = Small.start(), Gate()
    ref.tell(Do(action=gate.wait))
    await gate.entered.wait()
    ref.tell(Note(value=0))
    ref.tell(Note(value=1))
    call = asyncio.ensure_future(outcome(ref.call(Echo(value=1), timeout=3)))
    send = asyncio.ensure_future(outcome(ref.send(Note(value=2))))
    await turns()
    clock.advance(3)
    assert isinstance(await call, AskTimeout)
    ref.kill()
    assert isinstance(await send, ActorDeadError)


async def test_an_actor_yields_after_its_fair_share(owner: LoopOwner) -> None:
    ref = Probe.start()
    await turns()
    handled_per_turn: list[int] = []

    async def watch() -> None:
        actor, seen = behind(ref), 0
        while seen < 1000:
            await asyncio.sleep(0)
            handled_per_turn.append(len(actor.notes) - seen)
            seen = len(actor.notes)

    for value in range(1000):
        ref.tell(Note(value=value))
    await watch()
    assert max(handled_per_turn) <= FAIRNESS


async def test_a_message_to_ten_thousand_does_not_run_them_all_in_one_turn(owner: LoopOwner) -> None:
    refs = [Probe.start() for _ in range(1000)]
    await turns()
    for ref in refs:
        ref.tell(Note(value=1))
    await turns(2)
    served = sum(bool(behind(ref).notes) for ref in refs)
    assert 0 < served <= 3 * 64
    await until(lambda: all(behind(ref).notes for ref in refs))


# Beside the mailbox


async def test_timers_fire_into_the_mailbox_and_die_with_the_actor(owner: LoopOwner, clock: ManualClock) -> None:
    ref = Probe.start()
    await ref.call(Do(action=lambda actor: actor.tell_later(5, Note(value="later")) and None))
    await ref.call(Do(action=lambda actor: actor.tell_later(6, Note(value="never")).cancel()))
    await ref.call(Do(action=lambda actor: actor.tell_later(9, Note(value="dead")) and None))
    await clock.run_for(7)
    assert behind(ref).notes == ["later"]
    assert clock.pending == 1
    await ref.stop(block=False)
    assert clock.pending == 0


async def test_helper_tasks_end_with_their_actor_and_their_errors_are_its_death(owner: LoopOwner) -> None:
    gate = Gate(stubborn=0)
    ref = Probe.start()
    await ref.call(Do(action=lambda actor: actor.spawn_task(gate.wait(), name="helper") and None))
    await gate.entered.wait()
    await ref.stop(block=False)
    assert gate.cancelled == 1

    async def fail() -> None:
        raise Fault("helper")

    job = Gate()
    ref = Probe.start()
    await ref.call(Do(action=lambda actor: actor.spawn_task(fail(), name="helper") and None))
    asked = ref.ask(Do(action=job.wait), block=False)
    assert await ref.wait_stopped(1)
    assert str(ref.failure) == "helper"
    assert isinstance(await outcome(asked), ActorDeadError)


# Privacy


async def test_nobody_reaches_into_an_actor(owner: LoopOwner) -> None:
    ref = Probe.start()
    with pytest.raises(ProxyRefused):
        ref.proxy()
    for message in (
        messages.ProxyGetAttr(attr_path=("notes",)),
        messages.ProxySetAttr(attr_path=("notes",), value=1),
        messages.ProxyCall(attr_path=("_life", "fail"), args=(), kwargs={}),
    ):
        with pytest.raises(ProxyRefused):
            ref.tell(message)
        with pytest.raises(ProxyRefused):
            ref.ask(message, block=False)
        with pytest.raises(ProxyRefused):
            await ref.call(message)  # type: ignore[arg-type]
        with pytest.raises(ProxyRefused):
            pykka.ActorRef.tell(ref, message)
    assert await ref.call(Echo(value=1)) == 1


class FromTelethon:
    """Stands in for one of Telethon's objects."""


FromTelethon.__module__ = "telethon.tl.types"


@dataclass(frozen=True)
class Wrapped:
    inner: Any


async def an_awaitable() -> None: ...


@pytest.mark.parametrize("made", [list, dict, set, bytearray, collections.deque, FromTelethon, asyncio.Event().wait])
@pytest.mark.parametrize("wrapped", [lambda made: made, lambda made: (1, made), lambda made: Wrapped(inner=made)])
async def test_development_mode_refuses_what_may_not_leave(made: Any, wrapped: Any) -> None:
    owner = LoopOwner(development=True)
    try:
        ref = Probe.start()
        value = wrapped(made())
        later = Later[Any]()
        if not asyncio.iscoroutine(value):
            assert isinstance(await outcome(ref.call(Do(action=lambda _: value))), ReplyRefused)
        replies = ref.ask(Do(action=lambda _: later), block=False)
        await turns()
        later.reply(value)
        assert isinstance(await outcome(replies), ReplyRefused)
        assert await ref.call(Do(action=lambda _: Wrapped(inner=(1, "a", frozenset({2}))))) is not None
        if asyncio.iscoroutine(made_one := wrapped(1)):
            made_one.close()
        _close_coroutines(value)
    finally:
        await owner.close()


def _close_coroutines(value: Any) -> None:
    for one in (value, *(value if isinstance(value, tuple) else ()), getattr(value, "inner", None)):
        if asyncio.iscoroutine(one):
            one.close()


async def test_a_key_names_one_actor(owner: LoopOwner) -> None:
    ref = Probe.start(key="one")
    with pytest.raises(KeyTaken):
        Probe.start(key="one")
    await ref.stop(block=False)
    assert Probe.start(key="one") is not ref
    with pytest.raises(TypeError):
        Probe()


async def test_ten_thousand_deaths_leave_no_cycles(owner: LoopOwner) -> None:
    import gc

    refs = [Probe.start() for _ in range(100)]
    await turns()
    gc.collect()
    gc.disable()
    try:
        for ref in refs:
            ref.tell(Fault("all"))
        await until(lambda: not owner.keys())
        del ref
        refs.clear()
        await turns()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = [one for one in gc.garbage if isinstance(one, Probe | Fault)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert left == []


class Hooked(Probe):
    def __init__(self, gate: Gate, where: str) -> None:
        super().__init__()
        self.gate, self.where = gate, where

    async def started(self) -> None:
        if self.where == "started":
            await self.gate.wait()

    async def stopping(self) -> None:
        if self.where == "stopping":
            await self.gate.wait()


@pytest.mark.parametrize("where", ["started", "stopping"])
async def test_cancel_job_spares_the_hooks(owner: LoopOwner, where: str) -> None:
    gate = Gate()
    ref = Hooked.start(gate, where)
    stopped = ref.stop(block=False)
    await gate.entered.wait()
    ref.cancel_job()
    await turns()
    assert gate.cancelled == 0
    gate.leave.set()
    assert await stopped is True
    assert ref.failure is None


async def test_what_an_actor_does_not_handle_is_no_reply(owner: LoopOwner) -> None:
    for touch in ("ask", "tell", "control"):
        ref = Bare.start()
        if touch == "ask":
            with pytest.raises(UnknownMessage, match="handles no Echo"):
                await ref.call(Echo(value=1))
            assert ref.is_alive()
        else:
            getattr(ref, touch)(Echo(value=1))
            assert await ref.wait_stopped(1)
            assert isinstance(ref.failure, UnknownMessage)


class Bare(TaskActor):
    """Handles nothing."""


def frames(error: BaseException) -> list[str]:
    trace, found = error.__traceback__, []
    while trace is not None:
        found.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    return found


@pytest.mark.parametrize("kind", ["plain", "job", "group", "later"])
async def test_an_error_leaves_its_actor_without_a_frame(owner: LoopOwner, kind: str) -> None:
    def deep(_actor: Probe) -> None:
        try:
            {}["at the bottom"]
        except KeyError:
            raise Fault("on top") from ValueError("its cause")

    async def job(actor: Probe) -> None:
        deep(actor)

    def group(actor: Probe) -> None:
        errors = []
        for one in (deep, deep):
            try:
                one(actor)
            except Fault as error:
                errors.append(error)
        raise ExceptionGroup("both", errors)

    def later(actor: Probe) -> Later[None]:
        promise: Later[None] = Later()
        try:
            deep(actor)
        except Fault as error:
            promise.fail(error)
        return promise

    ref = Probe.start(key="deep one")
    error = await outcome(ref.call(Do(action={"plain": deep, "job": job, "group": group, "later": later}[kind])))
    links = list(error.exceptions) if kind == "group" else [error]
    assert all(isinstance(link, Fault) for link in links)
    for link in links:
        assert not {"deep", "job", "group"} & set(frames(link))
        assert link.__context__ is not None
        assert frames(link.__context__) == []
        (note,) = link.__notes__
        assert note.startswith("answered by deep one: ")
        assert "deep (test_actor.py:" in note


async def test_sending_into_a_full_mailbox_that_waits_for_the_sender_is_a_cycle(owner: LoopOwner) -> None:
    async def fill(actor: Small) -> Any:
        actor.ref.tell(Note(value=1))
        actor.ref.tell(Note(value=2))
        return await outcome(actor.ref.send(Note(value=3)))

    ref = Small.start()
    assert isinstance(await ref.call(Do(action=fill)), AskCycle)
    assert await ref.call(Echo(value=1)) == 1
    assert behind(ref).notes == [1, 2]
