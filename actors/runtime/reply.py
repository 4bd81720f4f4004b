"""Replies: the awaitable Pykka future, and the reply given later than its handler's return."""

import asyncio
import sys
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pykka
from pykka._types import OptExcInfo

from actors.runtime.errors import AlreadyReplied, BlockingAskError, JobCancelled

if TYPE_CHECKING:
    from actors.runtime.letter import Letter
    from actors.runtime.loop import LoopOwner

R = TypeVar("R")


def sendable(error: BaseException) -> BaseException:
    """``error``, or what stands for it where it would harm the one who gets it.

    A ``CancelledError`` would cancel the asker (trap 2); a ``StopIteration`` can't be put in a future (trap 9).
    """
    substitute: BaseException
    if isinstance(error, asyncio.CancelledError):
        substitute = JobCancelled("?", "the handler")
    elif isinstance(error, StopIteration):
        substitute = RuntimeError("the handler raised StopIteration")
    else:
        return error
    substitute.__cause__ = error
    return substitute


class Reply(pykka.Future[R]):
    """A reply on the loop: ``await`` it. Several may await it, and it may be awaited again."""

    _get_hook = None

    def __init__(self, owner: "LoopOwner | None" = None) -> None:
        # Not super().__init__(): hooks are refused below, and an ask is made of little else.
        self._owner = owner
        self.future: asyncio.Future[R] = asyncio.get_running_loop().create_future()

    def __repr__(self) -> str:
        return f"<Reply {'given' if self.future.done() else 'pending'}>"

    @property
    def done(self) -> bool:
        return self.future.done()

    def __await__(self) -> Generator[Any, None, R]:
        future = self.future
        if self._owner is not None:
            self._owner.here()
        if future.done():
            return future.result()
        # Shielded: an awaiting task that is cancelled must not cancel the reply under another one.
        return (yield from asyncio.shield(future).__await__())

    __iter__ = __await__

    def get(self, *, timeout: float | None = None) -> R:  # noqa: ARG002 - Pykka's signature
        """The reply, if it is there.

        Raises:
            BlockingAskError: it isn't; waiting would block the loop.
        """
        if not self.future.done():
            raise BlockingAskError("await the reply instead of get()")
        return self.future.result()

    def set(self, value: R | None = None) -> None:
        future = self.future
        if not future.done():
            future.set_result(value)  # type: ignore[arg-type]  # Pykka's signature: no value means None
        elif not future.cancelled() and not isinstance(future.exception(), TimeoutError):
            raise AlreadyReplied("set() after a reply")
        # Otherwise the asker has gone (trap 3): the reply has nobody to go to.

    def set_exception(self, exc_info: OptExcInfo | None = None) -> None:
        future = self.future
        if future.done():
            if future.cancelled() or isinstance(future.exception(), TimeoutError):
                return
            raise AlreadyReplied("set_exception() after a reply")
        error = (sys.exc_info() if exc_info is None else exc_info)[1]
        if error is None:
            raise TypeError("no exception to reply with")
        future.set_exception(sendable(error))
        future.exception()  # marks it retrieved: a fire-and-forget ask must not warn (trap 10)

    def set_get_hook(self, func: Callable[[float | None], R]) -> None:  # noqa: ARG002 - Pykka's signature
        raise TypeError("a Reply has no get hooks (nor map, filter, join, reduce): await it, then work on the value")


class Later(Generic[R]):
    """A reply a handler promises: return it, and the mailbox goes on; the asker waits for ``reply`` or ``fail``.

    If the actor ends first, the asker gets ``ActorDeadError``. After a tell nobody asked, and the reply is dropped.
    """

    __slots__ = ("_forget", "_letter", "_outcome", "_owner", "done")

    def __init__(self) -> None:
        self.done = False
        """Whether ``reply`` or ``fail`` was called."""
        self._letter: Letter | None = None
        self._owner: LoopOwner | None = None
        self._forget: Callable[[Later[R]], None] | None = None
        self._outcome: tuple[R | None, BaseException | None] = (None, None)

    def reply(self, value: R) -> None:
        """Answer the asker.

        Raises:
            AlreadyReplied: a reply is given once.
            ForeignLoopError: called on a loop that isn't the owner's.
        """
        self._finish(value, None)

    def fail(self, error: BaseException) -> None:
        """Answer the asker with ``error``; raises as ``reply`` does."""
        self._finish(None, error)

    def bind(self, letter: "Letter", owner: "LoopOwner", forget: "Callable[[Later[R]], None]") -> None:
        """Runtime only: the handler has returned; whoever wrote ``letter`` gets the reply."""
        if self._letter is not None:
            raise AlreadyReplied("one Later answers one request")
        self._letter, self._owner, self._forget = letter, owner, forget
        if self.done:
            self._give()

    def _finish(self, value: R | None, error: BaseException | None) -> None:
        owner = self._owner
        here = owner is None or owner.here()
        if self.done:
            raise AlreadyReplied("a Later is answered once")
        self.done = True
        self._outcome = (value, error)
        if owner is None:
            return
        if here:
            self._give()
        else:
            owner.door.call(self._give)

    def _give(self) -> None:
        letter, owner = self._letter, self._owner
        value, error = self._outcome
        if self._forget is not None:
            self._forget(self)
        if letter is None or owner is None:
            return
        if error is None:
            owner.answer(letter, value)
        else:
            letter.refuse(error)
