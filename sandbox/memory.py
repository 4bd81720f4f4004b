"""What the data centre remembers of calls, so that one that is sent again isn't carried out again.

It outlives connections, as with the service (https://core.telegram.org/mtproto/service_messages). Pushes aren't kept:
a session is told with each new connection that it is new, and asks for what it missed.
"""

from collections import OrderedDict

Place = tuple[bytes, int]
"""An auth key's id and a session's."""

MAX_ANSWER = 32 * 1024
"""Bytes; a longer answer, such as a page of history, is made again."""
MAX_ANSWERS = 32 * 1024 * 1024
"""Bytes of all answers together; the oldest go."""
OVERHEAD = 400
"""Bytes that an answer costs beside its own, rounded up."""


class Memory:
    """By session and message id; the oldest goes when they are too many."""

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[Place, int], bytes] = OrderedDict()
        self._bytes = 0

    def keep(self, place: Place, request_id: int, answer: bytes) -> None:
        if len(answer) > MAX_ANSWER:
            return
        if (before := self._answers.pop((place, request_id), None)) is not None:
            self._bytes -= len(before) + OVERHEAD
        self._answers[place, request_id] = answer
        self._bytes += len(answer) + OVERHEAD
        while self._bytes > MAX_ANSWERS:
            self._bytes -= len(self._answers.popitem(last=False)[1]) + OVERHEAD

    def answer(self, place: Place, request_id: int) -> bytes | None:
        return self._answers.get((place, request_id))
