"""What we use of Pykka 4.5 beyond its public API; a new version of it must pass here first."""

import importlib.metadata
import inspect
import threading
from typing import Any

import pykka
from pykka import _envelope, _types, messages

from actors.runtime.actor import TaskActor
from actors.runtime.letter import Letter
from actors.runtime.mailbox import Mailbox
from actors.runtime.owner import LoopOwner
from actors.runtime.ref import Ref
from actors.runtime.reply import Reply
from tests.actors.runtime.probes import Echo, Probe


def test_the_pykka_this_was_written_for_is_installed() -> None:
    assert importlib.metadata.version("pykka").startswith("4.5.")


def test_private_names_exist_and_behave() -> None:
    # _envelope.Envelope: slotted message and reply_to, nothing else.
    assert _envelope.Envelope.__slots__ == ["message", "reply_to"]
    assert list(inspect.signature(_envelope.Envelope.__init__).parameters) == ["self", "message", "reply_to"]
    assert issubclass(Letter, _envelope.Envelope)
    # _types.OptExcInfo: what Future.set_exception takes.
    assert len(_types.OptExcInfo.__args__) == 3
    assert inspect.signature(pykka.Future.set_exception).parameters["exc_info"].default is None
    # messages._ActorStop: what Pykka's own stop() sends.
    assert messages._ActorStop() == ()
    # Actor: the three makers, and the ref they end in.
    assert isinstance(inspect.getattr_static(pykka.Actor, "_create_actor_inbox"), staticmethod)
    assert isinstance(inspect.getattr_static(pykka.Actor, "_create_future"), staticmethod)
    assert inspect.isfunction(pykka.Actor._start_actor_loop)
    assert "return self._actor_ref" in inspect.getsource(pykka.Actor.actor_ref.fget)  # type: ignore[attr-defined]


def test_a_stock_actor_makes_itself_of_the_names_we_override() -> None:
    made: list[str] = []

    class Stock(pykka.Actor):
        @staticmethod
        def _create_actor_inbox() -> Any:
            made.append("inbox")
            return Mailbox(1)

        @staticmethod
        def _create_future() -> Any:
            made.append("future")
            return pykka.ThreadingFuture()

        def _start_actor_loop(self) -> None:
            made.append("loop")

    ref = Stock.start()
    try:
        assert made == ["inbox", "loop"]
        ref.ask("hello", block=False)
        assert made == ["inbox", "loop", "future"]
    finally:
        pykka.ActorRegistry.unregister(ref)


def test_pykkas_ref_reads_these_from_its_actor() -> None:
    source = inspect.getsource(pykka.ActorRef.__init__)
    for name in ("_actor_weakref", "actor_urn", "actor_inbox", "actor_stopped"):
        assert f"self.{name} = " in source
    assert isinstance(inspect.signature(pykka.ActorRef.stop).parameters["block"].default, bool)


async def test_ours_are_pykkas(owner: LoopOwner) -> None:
    ref = Probe.start()
    assert isinstance(ref, Ref)
    assert isinstance(ref, pykka.ActorRef)
    assert ref.actor_class is Probe
    assert ref.actor_urn.startswith("urn:uuid:")
    assert isinstance(ref.actor_stopped, threading.Event)
    assert not ref.actor_stopped.is_set()
    reply = ref.ask(Echo(value=1), block=False)
    assert isinstance(reply, Reply)
    assert isinstance(reply, pykka.Future)
    assert await reply == 1
    assert issubclass(TaskActor, pykka.Actor)
    assert await ref.stop(block=False)
    assert ref.actor_stopped.is_set()
    assert not ref.is_alive()


async def test_pykkas_own_senders_work_on_our_refs(owner: LoopOwner) -> None:
    """``pykka.ActorRef.tell`` and an envelope put in by hand reach the handler too."""
    ref = Probe.start()
    ref.actor_inbox.put(_envelope.Envelope(Echo(value=2), reply_to=(reply := Reply[int]())))
    assert await reply == 2
    pykka.ActorRef.tell(ref, Echo(value=3))
    assert await ref.call(Echo(value=4)) == 4
