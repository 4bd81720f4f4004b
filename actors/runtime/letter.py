"""A message on its way: Pykka's envelope, with the chain of asks that led to it and their deadline."""

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from pykka import Future
from pykka._envelope import Envelope

from actors.runtime.errors import AskCycle
from actors.runtime.traces import sever

if TYPE_CHECKING:
    from actors.runtime.mailbox import Mailbox


class Letter(Envelope[Any]):
    __slots__ = ("arrived", "box", "chain", "deadline", "reserved")

    def __init__(
        self,
        message: Any,
        reply_to: Future[Any] | None,
        box: "Mailbox",
        chain: "tuple[Mailbox, ...]" = (),
        deadline: float | None = None,
    ) -> None:
        # Not super().__init__(): the call costs a fifth of a tell.
        self.message = message
        self.reply_to = reply_to
        self.box = box
        """The mailbox it is for."""
        self.chain = chain
        """Who waits for this answer, outermost first; empty after a tell."""
        self.deadline = deadline
        """When the outermost asker gives up, in the clock's monotonic seconds."""
        self.arrived = 0.0
        """When it came into the mailbox, in the clock's monotonic seconds."""
        self.reserved = False
        """Whether it only keeps a place in the mailbox, which its sender is about to use or to give back."""

    def answer(self, value: Any) -> None:
        """Give the asker its reply; nothing happens without an asker, or when it was answered before."""
        reply_to = self.reply_to
        if reply_to is not None:
            self.reply_to = None
            reply_to.set(value)

    def refuse(self, error: BaseException) -> None:
        """Give the asker ``error``, under the same terms as ``answer``."""
        reply_to = self.reply_to
        if reply_to is not None:
            self.reply_to = None
            sever(error, note=f"answered by {self.box.key}")
            reply_to.set_exception((type(error), error, None))


CURRENT: ContextVar[Letter | None] = ContextVar("current_letter", default=None)
"""The letter whose handler is running here; inherited by what the handler awaits and by threads it starts."""


def chain_to(box: "Mailbox") -> "tuple[tuple[Mailbox, ...], float | None]":
    """The chain and the deadline an ask of ``box`` made here must carry.

    Raises:
        AskCycle: ``box`` is waiting, further up, for the answer this ask would delay.
    """
    letter = CURRENT.get()
    if letter is None:
        return (), None
    chain = (*letter.chain, letter.box)
    if box in chain:
        raise AskCycle(tuple(link.key for link in (*chain, box)))
    return chain, letter.deadline
