"""A loop that isn't the owner's is turned away before anything is queued, and counted; plain threads are welcome."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pykka
import pytest

from actors.runtime.errors import ActorDeadError, ForeignLoopError, MailboxFull, OwnerMissing
from actors.runtime.letter import Letter
from actors.runtime.owner import LoopOwner, ThreadOwner
from actors.runtime.ref import Ref
from tests.actors.runtime.probes import Do, Echo, Gate, Note, Probe, behind


@pytest.fixture
def host() -> Iterator[ThreadOwner]:
    with ThreadOwner() as host:
        yield host


@pytest.fixture
def ref(host: ThreadOwner) -> Ref:
    async def start() -> Ref:
        return Probe.start(key="probe")

    return host.submit(start()).result(5)


async def as_call(made: Any) -> Any:
    return await made if isinstance(made, Awaitable) else made


TOUCHES: dict[str, Callable[[Ref], Any]] = {
    "tell": lambda ref: ref.tell(Note(value=1)),
    "send": lambda ref: ref.send(Note(value=1)),
    "ask": lambda ref: ref.ask(Note(value=1), block=False),
    "blocking ask": lambda ref: ref.ask(Note(value=1)),
    "call": lambda ref: ref.call(Do(action=lambda actor: actor.notes.append(1))),
    "control": lambda ref: ref.control("hello"),
    "cancel_job": lambda ref: ref.cancel_job(),
    "kill": lambda ref: ref.kill(),
    "stop": lambda ref: ref.stop(block=False),
    "blocking stop": lambda ref: ref.stop(),
    "wait_stopped": lambda ref: ref.wait_stopped(1),
    "wait_started": lambda ref: ref.wait_started(1),
    "start": lambda _ref: Probe.start(),
}


@pytest.mark.parametrize("touch", TOUCHES)
def test_a_foreign_loop_is_refused_and_counted(host: ThreadOwner, ref: Ref, touch: str) -> None:
    told: list[int] = []
    host.owner.on_foreign_loop = lambda: told.append(1)

    async def foreign() -> None:
        with pytest.raises(ForeignLoopError):
            await as_call(TOUCHES[touch](ref))

    asyncio.run(foreign())
    assert host.owner.foreign_loop_errors == 1
    assert told == [1]
    assert ref.ask(Do(action=lambda actor: (tuple(actor.notes), tuple(actor.controls))), timeout=5) == ((), ())
    assert host.owner.keys() == ("probe",)


def test_a_reply_is_not_awaited_on_a_foreign_loop(host: ThreadOwner, ref: Ref) -> None:
    async def ask() -> Any:
        return ref.ask(Echo(value=1), block=False)

    reply = host.submit(ask()).result(5)

    async def foreign() -> None:
        with pytest.raises(ForeignLoopError):
            await reply

    asyncio.run(foreign())
    assert host.owner.foreign_loop_errors == 1


def test_a_plain_thread_tells_and_asks(host: ThreadOwner, ref: Ref) -> None:
    for value in range(100):
        ref.tell(Note(value=value))
    assert ref.ask(Do(action=lambda actor: tuple(actor.notes)), timeout=5) == tuple(range(100))
    assert ref.ask(Echo(value=4), block=False).get(timeout=5) == 4
    ref.control("overtaken")
    assert ref.ask(Do(action=lambda actor: tuple(actor.controls)), timeout=5) == ("overtaken",)
    with pytest.raises(ZeroDivisionError):
        ref.ask(Do(action=lambda _: 1 / 0), timeout=5)
    assert ref.stop(timeout=5) is True
    assert ref.stop(timeout=5) is False
    with pytest.raises(ActorDeadError):
        ref.tell(Note(value=1))
    with pytest.raises(ActorDeadError):
        ref.ask(Echo(value=1), timeout=5)
    assert host.owner.foreign_loop_errors == 0


def test_a_plain_thread_starts_nothing(host: ThreadOwner) -> None:
    with pytest.raises(ForeignLoopError):
        Probe.start()
    assert host.owner.foreign_loop_errors == 1


def test_without_an_owner_nothing_starts() -> None:
    with pytest.raises(OwnerMissing):
        Probe.start()


def test_a_mailbox_is_bounded_for_threads_too(host: ThreadOwner) -> None:
    class Small(Probe):
        mailbox_size = 3

    gates: list[Gate] = []

    async def start() -> Ref:
        gates.append(Gate())
        ref = Small.start()
        ref.tell(Do(action=gates[0].wait))
        await gates[0].entered.wait()
        return ref

    async def open_gate() -> None:
        gates[0].leave.set()

    small = host.submit(start()).result(5)
    for value in range(3):
        small.tell(Note(value=value))
    with pytest.raises(MailboxFull):
        small.tell(Note(value=3))
    host.submit(open_gate()).result(5)
    assert host.submit(small.call(Do(action=lambda actor: tuple(actor.notes)))).result(5) == (0, 1, 2)


def test_no_blocking_ask_hangs_when_the_owner_closes() -> None:
    host = ThreadOwner()
    gates: list[Gate] = []

    async def start() -> Ref:
        gates.append(Gate())
        ref = Probe.start()
        ref.tell(Do(action=gates[0].wait))
        await gates[0].entered.wait()
        return ref

    ref = host.submit(start()).result(5)
    pending = [ref.ask(Echo(value=1), block=False) for _ in range(3)]
    ref.kill()
    host.close()
    for reply in pending:
        with pytest.raises(ActorDeadError):
            reply.get(timeout=5)
    with pytest.raises(ActorDeadError):
        ref.ask(Echo(value=1), timeout=5)
    assert ref.stop(timeout=5) is False


async def test_the_loop_next_door_is_foreign_even_in_the_same_thread(owner: LoopOwner) -> None:
    ref = Probe.start()
    assert behind(ref).owner is owner

    def elsewhere() -> int:
        async def foreign() -> None:
            ref.tell(Note(value=1))

        try:
            asyncio.run(foreign())
        except ForeignLoopError:
            return owner.foreign_loop_errors
        return -1

    assert await asyncio.to_thread(elsewhere) == 1


async def test_what_is_on_its_way_when_the_owner_closes_is_answered(owner: LoopOwner) -> None:
    ref = Probe.start()
    letters = [Letter(Echo(value=1), pykka.ThreadingFuture(), ref.actor_inbox) for _ in range(3)]
    replies = [letter.reply_to for letter in letters]
    posting = threading.Thread(target=lambda: [owner.door.post(letter) for letter in letters[:2]])
    posting.start()
    while posting.is_alive():  # the loop gets no turn: the letters stay on their way
        pass
    owner.door.close()
    for reply in replies[:2]:
        assert reply is not None
        with pytest.raises(ActorDeadError):
            reply.get(timeout=0)
    with pytest.raises(ActorDeadError):
        await asyncio.to_thread(owner.door.post, letters[2])
    assert await ref.call(Echo(value=1)) == 1
    assert len(ref.actor_inbox) == 0


def test_many_threads_never_overfill_a_mailbox(host: ThreadOwner) -> None:
    class Small(Probe):
        mailbox_size = 50

    gates: list[Gate] = []

    async def start() -> Ref:
        gates.append(Gate())
        ref = Small.start()
        ref.tell(Do(action=gates[0].wait))
        await gates[0].entered.wait()
        return ref

    async def depth() -> int:
        gates[0].leave.set()
        return len(small.actor_inbox)

    small = host.submit(start()).result(5)
    told: list[int] = []

    def tell() -> None:
        for value in range(40):
            try:
                small.tell(Note(value=value))
            except MailboxFull:
                continue
            told.append(value)

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 50
    assert host.submit(depth()).result(5) == 50
    assert len(host.submit(small.call(Do(action=lambda actor: tuple(actor.notes)))).result(5)) == 50
