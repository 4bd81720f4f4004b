from collections.abc import AsyncIterator

import pytest

from sandbox.client import Sandbox
from tests.actors.telegram.house import open_sandbox


@pytest.fixture
async def dc() -> AsyncIterator[Sandbox]:
    async with open_sandbox() as sandbox:
        yield sandbox
