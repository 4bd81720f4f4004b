"""One life of one client: connected, watched, closed."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from actors.errors import TryAgain
from actors.messages.ids import AccountId
from actors.runtime.clock import Clock, pause
from actors.telegram.client import AccountClient
from actors.telegram.faults import FAULTS, Call, translate

logger = logging.getLogger(__name__)

CONNECT_LIMIT = 60.0
"""Seconds for three attempts at connecting, the making of a key included."""
CLOSE_LIMIT = 3.0
RETRY_MOST = 60.0


def retry_after(failures: int) -> float:
    """Backoff 1, 2, 4 … 60 s with full jitter, yet never under a tenth: ``failures`` counts from 1."""
    most = min(RETRY_MOST, 2.0 ** min(failures - 1, 10))
    return max(0.1, random.uniform(0, most))  # noqa: S311 - no secret


CONNECTS_A_SECOND = 25.0
"""Connections that the process begins in a second: a thousand accounts come up within a minute, and neither the
machine nor the service sees them all at once."""


class Gate:
    """Lets connections begin one after the other. One for the process, so that a restart of accounts keeps its pace."""

    def __init__(self, clock: Clock, *, rate: float = CONNECTS_A_SECOND) -> None:
        self._clock = clock
        self._between = 1.0 / rate
        self._next = float("-inf")

    async def turn(self) -> None:
        """Wait for one's turn, in the order of asking."""
        now = self._clock.monotonic()
        at = max(now, self._next)
        self._next = at + self._between
        if at > now:
            await pause(self._clock, at - now)


class Watch:
    """Tells whether a connected client is still there."""

    def __init__(self, client: AccountClient, account_id: AccountId, on_end: Callable[[], None]) -> None:
        self._call = Call(account_id, "connect")
        self._task = asyncio.create_task(client.ended())
        self._task.add_done_callback(lambda task: None if task.cancelled() else on_end())

    def check(self) -> None:
        """Return while the client lives; else raise what its end asks for, or the defect that ended it."""
        if not self._task.done():
            return
        try:
            self._task.result()
        except FAULTS as fault:
            raise translate(fault, self._call) from None
        raise TryAgain(self._call.account_id, self._call.method, "disconnected")

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.wait((self._task,))
        if not self._task.cancelled():
            self._task.exception()  # read, or the loop would report it as never retrieved


@asynccontextmanager
async def connected(
    client: AccountClient, account_id: AccountId, *, on_end: Callable[[], None], gate: Gate | None = None
) -> AsyncIterator[Watch]:
    """Connect ``client`` for the length of the block; ``on_end`` is called when it is gone for good before that.

    ``gate``: waited at before anything is sent.

    Raises:
        TryAgain, AccountUnusable: as ``faults`` says of what connecting ended with.
    """
    try:
        if gate is not None:
            await gate.turn()
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                await client.connect()
        except FAULTS as fault:
            raise translate(fault, Call(account_id, "connect")) from None
        watch = Watch(client, account_id, on_end)
        try:
            yield watch
        finally:
            await watch.end()
    finally:
        await close(client)


async def close(client: AccountClient) -> None:
    """Disconnect, within ``CLOSE_LIMIT`` seconds; harmless where nothing is connected."""
    try:
        async with asyncio.timeout(CLOSE_LIMIT):
            await client.disconnect()
    except TimeoutError:
        logger.warning("a client didn't disconnect within %s s", CLOSE_LIMIT)
