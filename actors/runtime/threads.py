"""The way in for plain threads: nothing they post is lost, and no blocking ask of theirs hangs."""

import asyncio
import threading
from collections.abc import Callable
from contextvars import Context
from functools import partial

from pykka.messages import _ActorStop

from actors.runtime.errors import ActorDeadError, MailboxFull
from actors.runtime.letter import Letter


class ThreadDoor:
    """Letters on their way from threads to the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, turn_away: Callable[[Letter], None]) -> None:
        self._loop = loop
        self._turn_away = turn_away
        self._on_the_way: set[Letter] = set()
        self._gate = threading.Lock()  # between threads; the loop never takes it
        self._closed = False

    def post(self, letter: Letter) -> None:
        """Queue ``letter`` in its mailbox.

        Raises:
            ActorDeadError: the owner has closed.
            MailboxFull: no room, counting what other threads have on the way.
        """
        box = letter.box
        with self._gate:
            if type(letter.message) is not _ActorStop and not box.has_room_seen_from_a_thread():
                raise MailboxFull(box.key, box.size)
            box.sent += 1
            self._on_the_way.add(letter)
        # Only now: either we see that close() has begun, or close() sees the letter. None is lost between.
        if self._closed:
            self._on_the_way.discard(letter)
            raise ActorDeadError("the owner loop is closed")
        self.call(partial(self._arrive, letter))

    def call(self, callback: Callable[[], None]) -> None:
        """Run ``callback`` on the loop.

        Raises:
            ActorDeadError: the loop has closed.
        """
        try:
            self._loop.call_soon_threadsafe(callback, context=Context())
        except RuntimeError as error:
            raise ActorDeadError("the owner loop is closed") from error

    def close(self) -> None:
        """On the loop: turn away what is still on the way, and whatever comes."""
        self._closed = True
        while self._on_the_way:
            self._turn_away(self._on_the_way.pop())

    def _arrive(self, letter: Letter) -> None:
        if letter not in self._on_the_way:
            return  # close() has answered for it
        self._on_the_way.discard(letter)
        box = letter.box
        box.arriving += 1
        if box.closed:
            self._turn_away(letter)
        else:
            box.force(letter)
        box.arrived += 1
