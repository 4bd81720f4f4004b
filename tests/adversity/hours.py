"""Trees and data centres whose hours pass in seconds, both by the same measure."""

import asyncio
import time
from contextlib import asynccontextmanager
from datetime import timedelta

from telethon import TelegramClient

from config.model import Telegram
from sandbox.client import Sandbox
from tests.adversity.storm import FastTree

MOST_HURRIED = timedelta(seconds=1)
"""A call may take so long on a busy machine."""


class Haste:
    """Lets the data centre's limits, waits and expiries pass faster; its clients' clocks don't notice."""

    def __init__(self, clock, faster):
        self._clock, self._faster = clock, faster
        self._began = time.monotonic()
        self._skipped = 0.0
        self._timer = None

    def start(self):
        self._clock.leap = self._skipped + (time.monotonic() - self._began) * (self._faster - 1)
        self._timer = asyncio.get_running_loop().call_later(0.002, self.start)

    def skip(self, seconds):
        self._skipped += seconds

    def stop(self):
        self._timer.cancel()


@asynccontextmanager
async def hurried_tree(store, dsn, *, faster, start=None, prepare=None, collection=None, **shape):
    """A sandbox and a tree over it, both of whose time passes ``faster``; ``prepare`` gets the sandbox first."""
    TelegramClient._config = None
    async with Sandbox(**shape) as sandbox:
        haste = Haste(sandbox.dc.clock, faster)
        haste.start()
        tree = FastTree(sandbox, store)
        # Telethon's waits are the wall clock's, ours for its answers too.
        tree.telegram = Telegram(request_timeout=max(Telegram().request_timeout / faster, MOST_HURRIED))
        tree.dsn, tree.faster, tree.haste = dsn, faster, haste
        if prepare is not None:
            prepare(sandbox)
        await tree.sign_in()
        tree.start(**({"start": start} if start is not None else {}), **(collection or {}))
        try:
            yield tree
        finally:
            await tree.stop()
            haste.stop()


def follow_all(*accounts):
    """Have these accounts, by index, belong to every channel."""

    def prepare(sandbox):
        world = sandbox.dc.world
        people = [account for account in world.accounts.values() if not account.is_bot]
        for index in accounts:
            for channel in world.channels.values():
                if people[index].id not in channel.members:
                    sandbox.dc.move(channel, people[index], "member", silent=True)

    return prepare


def total_calls(tree, *but):
    """All calls of all accounts, without those of connecting and of methods named in ``but``."""
    return sum(
        count
        for methods in tree.sandbox.requests()["by_account"].values()
        for method, count in methods.items()
        if method not in but
    )
