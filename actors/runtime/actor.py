"""Actors as tasks on the owner loop: what their authors use."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, ClassVar

import pykka
from pykka.messages import _ActorStop

from actors.runtime.errors import KeyTaken, UnknownMessage
from actors.runtime.job import Patience
from actors.runtime.letter import Letter
from actors.runtime.life import Life
from actors.runtime.loop import LoopOwner
from actors.runtime.mailbox import Mailbox, Stopped
from actors.runtime.ref import Ref
from actors.runtime.reply import Reply

if TYPE_CHECKING:
    from actors.runtime.clock import Timer


class TaskActor(pykka.Actor):
    """An actor whose messages are handled one after the other by a task on the owner loop.

    ``on_receive`` may be a plain def or return a coroutine, which runs as a job; the next message waits for it.
    A handler that raises after an ask answers with the error; after a tell the actor dies of it. A handler that
    returns a ``Later`` answers when that is replied to, and the mailbox goes on.
    """

    actor_inbox: Mailbox

    mailbox_size: ClassVar[int] = 1024
    """Messages a mailbox holds before ``tell`` raises and ``send`` waits."""
    patience: ClassVar[Patience] = Patience()
    """What cancelled jobs and helper tasks of this actor are granted."""
    stopping_deadline: ClassVar[float | None] = 5.0
    """Seconds ``stopping()`` may take before it is cancelled; None: it bounds itself."""

    _life: Life

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not hasattr(self, "_life"):
            raise TypeError(f"{type(self).__name__} is made by its start()")
        super().__init__(*args, **kwargs)
        self._life.embody(self, self.actor_inbox)
        self._actor_ref = self._life.ref

    @classmethod
    def start(cls, *args: Any, key: str | None = None, **kwargs: Any) -> Ref:
        """Make the actor and its task on the owner loop; returns at once, ``started()`` runs later.

        Without ``key`` it gets one of its own. Errors of the constructor are raised here.

        Raises:
            ForeignLoopError: not called on the owner loop.
            KeyTaken: an actor lives under ``key``.
            OwnerMissing: no loop is claimed, or its owner is closing.
        """
        owner = LoopOwner.claimed_here()
        name = owner.fresh_key(cls.__name__) if key is None else key
        if owner.get(name) is not None:
            raise KeyTaken(name)
        life = Life(owner, name, cls.__name__, owner.take_parent())
        life.has_started = cls.started is not TaskActor.started
        life.has_stopping = cls.stopping is not TaskActor.stopping
        actor = cls.__new__(cls)
        actor._life = life  # noqa: SLF001 - its own
        actor.__init__(*args, **kwargs)  # type: ignore[misc]  # owner and key are there for every constructor
        owner.adopt(life)
        actor._start_actor_loop()  # noqa: SLF001 - its own
        return life.ref

    @classmethod
    def _create_actor_inbox(cls) -> Mailbox:
        return Mailbox(cls.mailbox_size)

    @staticmethod
    def _create_future() -> pykka.Future[Any]:
        # On the caller's side: where no loop runs, Pykka's own future keeps Pykka's semantics.
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return pykka.ThreadingFuture()
        return Reply()

    def _start_actor_loop(self) -> None:
        self._life.begin()

    @property
    def owner(self) -> LoopOwner:
        return self._life.owner

    @property
    def key(self) -> str:
        return self._life.key

    @property
    def ref(self) -> Ref:
        return self._life.ref

    @property
    def is_ending(self) -> bool:
        """Whether this life is at its end: no more mail is handled."""
        return self._life.ending

    @property
    def actor_stopped(self) -> threading.Event:
        return Stopped(self.actor_inbox)

    @actor_stopped.setter
    def actor_stopped(self, event: threading.Event) -> None:
        """Pykka's constructor sets one; it takes 1.2 KB, and our mailbox knows."""

    def __str__(self) -> str:
        return f"{type(self).__name__} {self.key}"

    # What authors override, beside Pykka's on_start, on_stop, on_failure and on_receive

    async def started(self) -> None:
        """The async twin of ``on_start``: build what is bound to the loop. An error here is a death."""

    async def stopping(self) -> None:
        """Clean up. Runs at every end, also after failures and a failed ``started()``; bounded."""

    def on_receive(self, message: Any) -> Any:
        """Handle one message: ``match`` over a closed union that ends in ``assert_never``.

        Raises:
            UnknownMessage: this actor takes no mail. (Pykka's own would log the message and answer None.)
        """
        raise UnknownMessage(self.key, type(message).__name__)

    def on_control(self, message: Any) -> None:
        """Handle a control message, total like ``on_receive``; it may run while a job of this actor awaits.

        An error here is a death.
        """
        raise UnknownMessage(self.key, type(message).__name__)

    # What authors call

    def stop(self) -> None:
        """Stop after the mail that is queued now."""
        box = self._life.box
        box.post_stop(Letter(_ActorStop(), None, box))

    def fail(self, error: BaseException) -> None:
        """Die of ``error``, also while an ask is handled (which would otherwise only answer with it)."""
        self._life.fail(error)

    def tell_self(self, message: Any) -> None:
        """Queue ``message`` behind the mail; there is always room for an actor's own. Ending: a dead letter."""
        box = self._life.box
        letter = Letter(message, None, box)
        if box.closed:
            self.owner.turn_away(letter)
        else:
            box.force(letter)

    def tell_later(self, delay: float, message: Any) -> "Timer":
        """``tell_self`` in ``delay`` seconds; cancelled when the actor ends."""
        return self._life.beside.call_later(delay, lambda: self.tell_self(message))

    def spawn_task(self, coro: Coroutine[Any, Any, Any], *, name: str) -> "asyncio.Task[Any]":
        """Run ``coro`` beside the mailbox, owned by this actor: cancelled at its end, and its death if it raises.

        It starts in an empty context: asks made in it belong to no chain.
        """
        return self._life.beside.spawn_task(coro, name)
