"""What the data centre remembers of calls, so that one that is sent again isn't carried out again.

It outlives connections, as with the service: https://core.telegram.org/mtproto/service_messages.
"""

from collections import OrderedDict

Place = tuple[bytes, int]
"""An auth key's id and a session's."""

MAX_SESSIONS = 10_000
"""Sessions that are known to have begun; the oldest is forgotten, and begins anew."""
MAX_ANSWER = 32 * 1024
"""Bytes; a longer answer, such as a page of history, is made again."""
MAX_ANSWERS = 32 * 1024 * 1024
"""Bytes of all answers together; the oldest go."""


class Memory:
    def __init__(self) -> None:
        self._begun: OrderedDict[Place, None] = OrderedDict()
        self._answers: OrderedDict[tuple[Place, int], bytes] = OrderedDict()
        self._bytes = 0

    def begins(self, place: Place) -> bool:
        """Whether a session is new."""
        new = place not in self._begun
        self._begun[place] = None
        if len(self._begun) > MAX_SESSIONS:
            self._begun.popitem(last=False)
        return new

    def forget(self, place: Place) -> bool:
        """A session is destroyed; whether it was known."""
        return self._begun.pop(place, self) is None

    def keep(self, place: Place, request_id: int, answer: bytes) -> None:
        if len(answer) > MAX_ANSWER:
            return
        self._bytes += len(answer) - len(self._answers.pop((place, request_id), b""))
        self._answers[place, request_id] = answer
        while self._bytes > MAX_ANSWERS:
            self._bytes -= len(self._answers.popitem(last=False)[1])

    def answer(self, place: Place, request_id: int) -> bytes | None:
        return self._answers.get((place, request_id))
