"""An owner on the test's own loop, and the blockbuster that catches whatever would block it."""

from collections.abc import AsyncIterator, Iterator

import pytest
from blockbuster import blockbuster_ctx

from actors.runtime.clock import ManualClock
from actors.runtime.owner import LoopOwner


@pytest.fixture(autouse=True)
def nothing_blocks() -> Iterator[None]:
    with blockbuster_ctx():
        yield


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def owner(clock: ManualClock) -> AsyncIterator[LoopOwner]:
    owner = LoopOwner(clock=clock)
    yield owner
    await owner.close(grace=0.2, kill_grace=0.2)
