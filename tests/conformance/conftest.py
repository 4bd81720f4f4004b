from collections.abc import AsyncIterator

import pytest
from telethon import TelegramClient
from telethon.crypto import rsa

from sandbox.client import Sandbox
from tests.conformance.stage import Stage
from tests.conformance.target import Target


@pytest.fixture(autouse=True)
def fresh_telethon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Telethon keeps the server's config on the class and RSA keys in a module: neither may reach the next test."""
    monkeypatch.setattr(TelegramClient, "_config", None)
    monkeypatch.setattr(rsa, "_server_keys", dict(rsa._server_keys))


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """On a sandbox of this test's own, or on the server that the environment names."""
    named = Target.of_environment()
    if named is not None:
        async with Stage(named) as stage:
            yield stage
        return
    async with Sandbox(accounts=3, channels=6, seed=1) as dc, Stage(Target.of_sandbox(dc)) as stage:
        yield stage
