"""What the tests of accounts, sign-in and the bot stand on."""

import pytest

from actors.messages.ids import AccountId
from actors.runtime.loop import LoopOwner
from tests.actors.telegram.house import House, Skewed, account_ids, open_sandbox


@pytest.fixture
async def dc():
    async with open_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def owner():
    owner = LoopOwner(clock=Skewed(), development=True)
    yield owner
    await owner.close()


@pytest.fixture
async def house(dc, store, owner):
    house = House(dc, store, owner, AccountId(account_ids(dc)[0]))
    yield house
    house.signed_in.close()
