import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from telethon import TelegramClient, events
from telethon.crypto import rsa
from telethon.network import ConnectionTcpFull
from telethon.sessions import StringSession

from sandbox.client import Sandbox

Connect = Callable[..., Awaitable[TelegramClient]]


@pytest.fixture(autouse=True)
def fresh_telethon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Telethon keeps the server's config on the class and RSA keys in a module: neither may reach the next test."""
    monkeypatch.setattr(TelegramClient, "_config", None)
    monkeypatch.setattr(rsa, "_server_keys", dict(rsa._server_keys))


@pytest.fixture
async def dc() -> AsyncIterator[Sandbox]:
    async with Sandbox(accounts=3, channels=6, seed=1) as sandbox:
        yield sandbox


@pytest.fixture
async def connect(dc: Sandbox) -> AsyncIterator[Connect]:
    """Connects stock Telethon clients, as an account's ready session or, for None, with a fresh key exchange."""
    clients = []

    async def make(account: str | None = "ann", *, session: str = "", connection=ConnectionTcpFull, **options):
        if session or account:
            stored = StringSession(session or dc.session(account))
        else:
            stored = StringSession()
            stored.set_dc(203, dc.address, dc.port)
            rsa.add_key(dc.public_key, old=False)
        client = TelegramClient(
            stored,
            1,
            "hash",
            connection=connection,
            flood_sleep_threshold=0,
            retry_delay=0,
            connection_retries=2,
            **options,
        )
        clients.append(client)
        await client.connect()
        return client

    yield make
    for client in clients:
        await client.disconnect()


@asynccontextmanager
async def signed_in(dc: Sandbox, account: int | str = "ann") -> AsyncIterator[TelegramClient]:
    """A stock client on a sandbox that the test opened itself."""
    client = TelegramClient(
        StringSession(dc.session(account)), 1, "hash", flood_sleep_threshold=0, connection_retries=1
    )
    await client.connect()
    try:
        yield client
    finally:
        await client.disconnect()


def hear(client: TelegramClient, *kinds: type) -> asyncio.Queue:
    """A queue of what the client's handlers are told."""
    heard: asyncio.Queue = asyncio.Queue()
    for kind in kinds or (events.NewMessage,):
        client.add_event_handler(heard.put, kind)
    return heard


async def soon(queue: asyncio.Queue):
    async with asyncio.timeout(5):
        return await queue.get()


POSTS = [
    {"id": 3, "date": "2024-05-01T10:00:00+00:00", "text": "First **post**", "media": False, "is_reply": False},
    {"id": 4, "date": "2024-05-01T10:00:01+00:00", "text": "", "media": False, "is_reply": False},
    {"id": 9, "date": "2024-05-02T00:00:00+00:00", "text": "", "media": True, "is_reply": False},
    {"id": 12, "date": "2024-05-03T12:30:00+00:00", "text": "Ответ 🌧", "media": False, "is_reply": True},
]


@pytest.fixture
def posts_dir(tmp_path: Path) -> Path:
    """Real posts if the environment names some, else a folder of four."""
    if named := os.environ.get("TELEWARDEN__SANDBOX__POSTS_DIR"):
        return Path(named)
    folder = tmp_path / "posts"
    folder.mkdir()
    channel = {"username": "small_press", "title": "Small Press", "posts": POSTS}
    (folder / "small_press.json").write_text(json.dumps(channel), encoding="utf-8")
    return folder
