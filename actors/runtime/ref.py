"""Refs: how anyone but the actor itself reaches an actor."""

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar, overload

import pykka
from pykka.messages import _ActorStop

from actors.runtime.errors import ActorDeadError, AskTimeout, BlockingAskError, ForeignLoopError, ProxyRefused
from actors.runtime.letter import Letter, chain_to
from actors.runtime.mailbox import PROXY_MESSAGES, Mailbox, Stopped
from actors.runtime.message import CancelJob, Kill, Request
from actors.runtime.reply import Reply

if TYPE_CHECKING:
    from actors.runtime.actor import TaskActor
    from actors.runtime.loop import LoopOwner

R = TypeVar("R")


class Ref(pykka.ActorRef[Any]):
    """A reference to one life of an actor. Keep keys across time, not refs: a restart is a new actor.

    Everything here raises ``ForeignLoopError``, before anything is queued, on a running loop that isn't the
    owner's. Plain threads (no loop running in them) may ``tell``, ``ask``, ``stop``, ``kill`` and ``control``.
    """

    actor_inbox: Mailbox

    def __init__(self, actor: "TaskActor", owner: "LoopOwner", key: str) -> None:
        # Not super().__init__(): it would keep a weak reference to the actor, the way in for proxies.
        self.actor_class = type(actor)
        self.actor_urn = actor.actor_urn
        self.actor_inbox = actor.actor_inbox
        self._owner = owner
        self.key = key

    @property
    def actor_stopped(self) -> threading.Event:  # type: ignore[override]  # Pykka never sets it on a ref
        return Stopped(self.actor_inbox)

    @property
    def _actor_weakref(self) -> NoReturn:  # type: ignore[override]  # as above; Pykka's proxies read it
        raise ProxyRefused(f"{self} has no proxy: send it messages")

    def __str__(self) -> str:
        return f"{self.actor_class.__name__} {self.key}"

    def is_alive(self) -> bool:
        return not self.actor_inbox.closed

    @property
    def failure(self) -> BaseException | None:
        """What the actor died of; None while it lives, and after a stop or a kill."""
        return self.actor_inbox.failure

    def tell(self, message: Any) -> None:
        """Queue ``message``; never blocks.

        Raises:
            ActorDeadError: the actor is ending or has ended.
            MailboxFull: the mailbox has no room.
        """
        here = self._owner.here()
        box = self.actor_inbox
        self._admit(message)
        if here:
            box.put(Letter(message, None, box))
        else:
            self._owner.door.post(Letter(message, None, box))

    async def send(self, message: Any) -> None:
        """Queue ``message``, waiting for room in the order of asking. Cancelled, it has queued nothing.

        Raises:
            ActorDeadError: the actor is ending or has ended.
            AskCycle: there is no room, and the actor that would make some waits for the sender.
        """
        self._on_the_loop()
        box = self.actor_inbox
        self._admit(message)
        letter = Letter(message, None, box)
        if box.has_room():
            box.force(letter)
        else:
            chain_to(box)  # for its refusal: only a tell_self has always room
            await box.enter(letter)

    async def call(self, message: Request[R], *, timeout: float = 30.0) -> R:  # noqa: ASYNC109 - it travels along
        """Ask, and wait for the typed reply; a full mailbox is waited for too.

        The deadline is ``timeout`` seconds from now or the current asker's own, whichever is sooner; a request
        still unread by then is dropped.

        Raises:
            ActorDeadError: the actor ended before it answered.
            AskCycle: the actor waits, up the chain of asks, for the one that asks here.
            AskTimeout: no reply by the deadline.
            JobCancelled: the handler was cancelled.
            Exception: whatever the handler raised.
        """
        self._on_the_loop()
        self._refuse_proxies(message)
        owner, box = self._owner, self.actor_inbox
        chain, inherited = chain_to(box)
        now = owner.clock.monotonic()
        deadline = now + timeout if inherited is None else min(now + timeout, inherited)
        if box.closed:
            raise ActorDeadError(f"{self} has ended")
        reply: Reply[R] = Reply(owner)
        future = reply.future
        letter = Letter(message, reply, box, chain, deadline)
        timer = owner.clock.call_later(deadline - now, partial(_expire, future, letter, deadline - now))
        try:
            if box.has_room():
                box.force(letter)
            else:
                await box.enter(letter, until=future)
            return await future
        finally:
            timer.cancel()
            del reply, future, letter  # an error raised here would keep them, and they it

    @overload
    def ask(self, message: Any, *, block: Literal[False], timeout: float | None = None) -> pykka.Future[Any]: ...

    @overload
    def ask(self, message: Any, *, block: Literal[True], timeout: float | None = None) -> Any: ...

    @overload
    def ask(self, message: Any, *, block: bool = True, timeout: float | None = None) -> Any | pykka.Future[Any]: ...

    def ask(self, message: Any, *, block: bool = True, timeout: float | None = None) -> Any | pykka.Future[Any]:
        """Pykka's ask: blocking from plain threads; on the loop only ``block=False``, for an awaitable reply.

        ``timeout`` bounds only a blocking ask, as in Pykka; prefer ``call`` on the loop. The error of a dead
        actor is in the reply.

        Raises:
            AskCycle: as ``call``.
            BlockingAskError: ``block=True`` on the loop.
            MailboxFull: the mailbox has no room.
        """
        here = self._owner.here()
        if here and block:
            raise BlockingAskError(f"asking {self} would block the loop: await ref.call(), or pass block=False")
        self._refuse_proxies(message)
        box = self.actor_inbox
        chain, deadline = chain_to(box)
        return self._ask(Letter(message, None, box, chain, deadline), here=here, block=block, timeout=timeout)

    def _ask(self, letter: Letter, *, here: bool, block: bool, timeout: float | None) -> Any:
        box = self.actor_inbox
        future: pykka.Future[Any] = Reply(self._owner) if here else pykka.ThreadingFuture()
        letter.reply_to = future
        if box.closed:
            letter.refuse(ActorDeadError(f"{self} has ended"))
        elif not here:
            try:
                self._owner.door.post(letter)
            except ActorDeadError as error:
                letter.refuse(error)
        else:
            box.put(letter)
        return future.get(timeout=timeout) if block else future

    @overload
    def stop(self, *, block: Literal[True], timeout: float | None = None) -> bool: ...

    @overload
    def stop(self, *, block: Literal[False], timeout: float | None = None) -> pykka.Future[bool]: ...

    @overload
    def stop(self, *, block: bool = True, timeout: float | None = None) -> bool | pykka.Future[bool]: ...

    def stop(self, *, block: bool = True, timeout: float | None = None) -> bool | pykka.Future[bool]:
        """Ask the actor to stop after the mail queued before; there is always room for it.

        The answer comes when the actor has ended: True, or False if it was dead before.

        Raises:
            BlockingAskError: ``block=True`` on the loop.
        """
        here = self._owner.here()
        if here and block:
            raise BlockingAskError(f"stopping {self} would block the loop: pass block=False and await the reply")
        box = self.actor_inbox
        future: pykka.Future[bool] = Reply(self._owner) if here else pykka.ThreadingFuture()
        letter = Letter(_ActorStop(), future, box)
        if here:
            box.post_stop(letter)
        else:
            try:
                self._owner.door.post(letter)
            except ActorDeadError:
                letter.answer(False)
        return future.get(timeout=timeout) if block else future

    def control(self, message: Any) -> None:
        """Hand ``message`` to ``on_control`` on the loop's next turn, ahead of all mail.

        Raises:
            ActorDeadError: the actor has ended.
        """
        here = self._owner.here()
        if self.actor_inbox.ended:
            self._owner.note_dead_letter(self.key, message)
            raise ActorDeadError(f"{self} has ended")
        self._owner.post_control(self.actor_inbox, message, here=here)

    def kill(self) -> None:
        """End the actor now: its job is cancelled, its mail dropped; ``stopping()`` still runs. Dead: no effect."""
        here = self._owner.here()
        if not self.actor_inbox.ended:
            self._owner.post_control(self.actor_inbox, Kill(), here=here)

    def cancel_job(self) -> None:
        """Cancel the running job, if any; the actor lives on. Dead: no effect."""
        here = self._owner.here()
        if not self.actor_inbox.ended:
            self._owner.post_control(self.actor_inbox, CancelJob(), here=here)

    async def wait_stopped(self, timeout: float) -> bool:  # noqa: ASYNC109 - on the injected clock
        """Whether the actor has ended, ``stopping()`` included, within ``timeout`` seconds."""
        self._on_the_loop()
        return await self.actor_inbox.wait_ended(self._owner.clock, timeout)

    async def wait_started(self, timeout: float) -> bool:  # noqa: ASYNC109 - on the injected clock
        """Whether ``started()`` has returned within ``timeout`` seconds; False also if the actor died instead."""
        self._on_the_loop()
        return await self.actor_inbox.wait_started(self._owner.clock, timeout)

    def proxy(self) -> NoReturn:
        raise ProxyRefused(f"{self} has no proxy: send it messages")

    def _on_the_loop(self) -> None:
        if not self._owner.here():
            raise ForeignLoopError(f"{self} is awaited on its owner loop alone")

    def _refuse_proxies(self, message: Any) -> None:
        if type(message) in PROXY_MESSAGES:
            raise ProxyRefused(f"{self} takes no {type(message).__name__}: send it messages")

    def _admit(self, message: Any) -> None:
        self._refuse_proxies(message)
        if self.actor_inbox.closed:
            self._owner.note_dead_letter(self.key, message)
            raise ActorDeadError(f"{self} has ended")


def _expire(future: "asyncio.Future[Any]", letter: Letter, seconds: float) -> None:
    if not future.done():
        future.set_exception(AskTimeout(letter.box.key, type(letter.message).__name__, seconds))
