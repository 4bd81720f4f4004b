"""What the tests of accounts, sign-in and the bot stand on."""

import pytest

from actors.runtime.loop import LoopOwner
from tests.actors.telegram.house import Skewed, open_sandbox


@pytest.fixture
async def dc():
    async with open_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def owner():
    owner = LoopOwner(clock=Skewed(), development=True)
    yield owner
    await owner.close()
