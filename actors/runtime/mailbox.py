"""The mailbox: bounded, first in first out, and fair to those who wait for room in it."""

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from pykka._envelope import Envelope
from pykka.messages import ProxyCall, ProxyGetAttr, ProxySetAttr

from actors.runtime.clock import Clock
from actors.runtime.errors import ActorDeadError, MailboxFull, ProxyRefused
from actors.runtime.letter import Letter

if TYPE_CHECKING:
    from actors.runtime.loop import LoopOwner

PROXY_MESSAGES = frozenset({ProxyCall, ProxyGetAttr, ProxySetAttr})


class Signal:
    """Something that happens once, and can be waited for with a bound."""

    __slots__ = ("_waiters", "happened")

    def __init__(self) -> None:
        self.happened = False
        self._waiters: list[asyncio.Future[bool]] | None = None

    def fire(self) -> None:
        self.happened = True
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(True)

    async def wait(self, clock: Clock, timeout: float) -> bool:  # noqa: ASYNC109 - on the injected clock
        """Whether it happened within ``timeout`` seconds."""
        if self.happened:
            return True
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self._waiters is None:
            self._waiters = []
        self._waiters.append(waiter)
        timer = clock.call_later(timeout, lambda: None if waiter.done() else waiter.set_result(False))
        try:
            return await waiter
        finally:
            timer.cancel()
            if self._waiters is not None:
                self._waiters.remove(waiter)


class Stopped(threading.Event):
    """Pykka's flag of the same name, read from the mailbox: a real Event takes 1.2 KB and nobody waits for it."""

    __slots__ = ("_box",)

    def __init__(self, box: "Mailbox") -> None:
        self._box = box

    def is_set(self) -> bool:
        return self._box.closed

    def set(self) -> None:
        raise TypeError("the mailbox says when an actor has stopped")

    def wait(self, timeout: float | None = None) -> bool:
        raise TypeError(f"await ref.wait_stopped({timeout}) instead")


class Mailbox:
    """What a ref and its actor share; it outlives the actor as long as a ref does.

    Used on the owner loop alone; letters from threads come in through ``LoopOwner``.
    """

    __slots__ = (
        "_ended",
        "_line",
        "_mail",
        "_owner",
        "_started",
        "_stops",
        "arrived",
        "arriving",
        "closed",
        "ended",
        "failure",
        "key",
        "paused",
        "sent",
        "size",
        "started",
        "wake",
    )

    def __init__(self, size: int) -> None:
        self.key = "?"
        self._owner: LoopOwner | None = None
        self.size = size
        self.closed = False
        """No more mail: the actor is ending, or has ended."""
        self.paused = False
        self.failure: BaseException | None = None
        """What the actor died of; None while it lives, and after a stop or a kill."""
        self.started = False
        self.ended = False
        self._started: Signal | None = None
        self._ended: Signal | None = None
        self._stops: list[Letter] | None = None
        self.wake: asyncio.Future[None] | None = None
        """Set while the actor sleeps until mail comes."""
        self._mail: deque[Letter] | tuple[()] = ()  # a deque takes 0.7 KB, and most mailboxes lie unused
        self._line: deque[tuple[asyncio.Future[None], Letter]] | None = None
        # Letters from threads: sent by them, arriving before and arrived after each is put into the mail.
        self.sent = 0
        self.arriving = 0
        self.arrived = 0

    def move_in(self, owner: "LoopOwner", key: str) -> None:
        """Runtime only: there is an actor behind it. No reference to it, for the mailbox is its public side."""
        self._owner = owner
        self.key = key

    def __len__(self) -> int:
        return len(self._mail)

    def empty(self) -> bool:
        """Whether nothing can be taken: a place that is kept for its sender holds up what stands behind it."""
        return not self._mail or self._mail[0].reserved

    def has_room(self) -> bool:
        return len(self._mail) + self.sent - self.arrived < self.size

    def has_room_seen_from_a_thread(self) -> bool:
        """``has_room``, exact although the loop may be moving a letter from the way into the mail meanwhile."""
        while True:
            arrived = self.arrived
            room = self.has_room()
            if arrived == self.arrived == self.arriving:
                return room

    def put(self, envelope: Envelope[Any], /) -> None:
        """Queue ``envelope``.

        Raises:
            ActorDeadError: the mailbox is closed.
            MailboxFull: there is no room; ``enter`` waits for it.
            ProxyRefused: it asks for an attribute; refs refuse that too, this is for envelopes made by hand.
        """
        letter = envelope if isinstance(envelope, Letter) else self._readdress(envelope)
        if self.closed:
            raise ActorDeadError(f"{self.key} has ended")
        if not self.has_room():
            raise MailboxFull(self.key, self.size)
        self.force(letter)

    def _readdress(self, envelope: Envelope[Any]) -> Letter:
        if type(envelope.message) in PROXY_MESSAGES:
            raise ProxyRefused(f"{self.key} takes no {type(envelope.message).__name__}: send it messages")
        return Letter(envelope.message, envelope.reply_to, self)

    def force(self, letter: Letter) -> None:
        """Queue ``letter`` whatever the size: stops, an actor's mail to itself, letters already admitted."""
        if isinstance(self._mail, tuple):
            self._mail = deque()
        if self._owner is not None:
            letter.arrived = self._owner.clock.monotonic()
        self._mail.append(letter)
        if self.wake is not None:
            self.nudge()

    async def enter(self, letter: Letter, *, until: "asyncio.Future[Any] | None" = None) -> None:
        """Queue ``letter`` when there is room, in the order of asking.

        Gives up with the error of ``until`` if that is done first. A cancelled ``enter`` has queued nothing.

        Raises:
            ActorDeadError: the actor ended first.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._line is None:
            self._line = deque()
        self._line.append((waiter, letter))
        if until is not None:
            until.add_done_callback(lambda expired: _pass_on(expired, waiter))
        try:
            await waiter
        except asyncio.CancelledError:
            if letter.reserved:
                self._give_back(letter)
            raise
        letter.reserved = False
        if self.closed:
            raise ActorDeadError(f"{self.key} has ended")
        self.nudge()

    def get(self) -> Letter:
        """Take the oldest letter.

        Raises:
            IndexError: there is none; unlike a thread's inbox this one never blocks.
        """
        if isinstance(self._mail, tuple):
            raise IndexError(f"no mail for {self.key}")
        letter = self._mail.popleft()
        if self._line is not None:
            self._reserve()
        return letter

    def post_stop(self, letter: Letter) -> None:
        """Queue a stop behind the mail, or have it answered at the end of an actor that is ending already."""
        if self.ended:
            letter.answer(False)
        elif self.closed:
            self.add_stop(letter)
        else:
            self.force(letter)

    def add_stop(self, letter: Letter) -> None:
        """Have ``letter`` answered when the actor has ended."""
        self._stops = [*(self._stops or ()), letter]

    def note_started(self) -> None:
        self.started = True
        if self._started is not None:
            self._started.fire()

    def note_ended(self) -> None:
        """Nothing is behind this mailbox any more; who waited for that is told."""
        self.ended = True
        for signal in (self._started, self._ended):
            if signal is not None:
                signal.fire()
        stops, self._stops = self._stops, None
        for letter in stops or ():
            letter.answer(True)

    async def wait_started(self, clock: Clock, timeout: float) -> bool:  # noqa: ASYNC109 - on the injected clock
        """Whether the actor started within ``timeout`` seconds, and is not ending."""
        if not self.started and not self.ended:
            self._started = self._started or Signal()
            await self._started.wait(clock, timeout)
        return self.started and not self.closed

    async def wait_ended(self, clock: Clock, timeout: float) -> bool:  # noqa: ASYNC109 - on the injected clock
        """Whether the actor ended within ``timeout`` seconds."""
        if not self.ended:
            self._ended = self._ended or Signal()
            await self._ended.wait(clock, timeout)
        return self.ended

    def nudge(self) -> None:
        """Wake the actor, in this turn of the loop or when its turn comes: there is mail, or something has changed."""
        wake, owner = self.wake, self._owner
        if wake is not None and owner is not None:
            self.wake = None
            owner.wakes.wake(wake)

    def close(self) -> list[Letter]:
        """Take no more mail; returns what was left, and turns away who waited for room."""
        self.closed = True
        left = [letter for letter in self._mail if not letter.reserved]  # senders of those learn it themselves
        self._mail = ()
        line, self._line = self._line, None
        for waiter, _ in line or ():
            if not waiter.done():
                waiter.set_exception(ActorDeadError(f"{self.key} has ended"))
        return left

    def _reserve(self) -> None:
        """Give room to those who wait for it, in their order: places in the mail itself, so that nobody overtakes."""
        line = self._line
        while line and self.has_room():
            waiter, letter = line.popleft()
            if not waiter.done():
                letter.reserved = True
                self.force(letter)
                waiter.set_result(None)
        if not line:
            self._line = None

    def _give_back(self, letter: Letter) -> None:
        """The sender was cancelled between being given its place and using it."""
        letter.reserved = False
        if self.closed or isinstance(self._mail, tuple):
            return
        self._mail.remove(letter)
        self._reserve()
        self.nudge()


def _pass_on(expired: "asyncio.Future[Any]", waiter: "asyncio.Future[None]") -> None:
    if not waiter.done() and not expired.cancelled() and (error := expired.exception()) is not None:
        waiter.set_exception(error)
        waiter.exception()  # retrieved here: the one who waits may be gone
