"""The whole tree with its sandbox, seen from outside: who is connected, what is stored, how time goes on."""

import asyncio
from contextlib import asynccontextmanager

from actors.runtime.clock import LoopClock
from actors.runtime.owner import LoopOwner
from actors.supervisor import Parts, Root
from config.model import Collection, Settings
from sandbox.client import Sandbox
from tests.actors.telegram.house import place_of
from tests.actors.test_collection import ALL, Tree


class Hurried:
    """A timer on the real clock whose time a test can make come now."""

    def __init__(self, delay, callback):
        self.delay = delay
        self._callback = callback
        self._timer = LoopClock().call_later(delay, callback)

    def cancel(self):
        self._timer.cancel()

    def come(self):
        self._timer.cancel()
        self._timer = LoopClock().call_later(0, self._callback)


class HurriedClock(LoopClock):
    """The real clock, of which single timers may be brought forward."""

    def call_later(self, delay, callback):
        return Hurried(delay, callback)


class Watched(Tree):
    """A tree whose connections and restarts are compared between two moments."""

    def start(self, start=ALL):
        self.owner = LoopOwner(clock=HurriedClock())
        parts = Parts(
            settings=Settings(collection=Collection(start=start)),
            store=self.store,
            metrics=self.metrics,
            datacenter=place_of(self.sandbox),
            loopback_only=True,
            bot_token=None,
        )
        self.root = Root.start(parts=parts, key="supervisor")

    @property
    def user_ids(self):
        return [user["id"] for user in self.users]

    @property
    def channel_ids(self):
        return [channel["id"] for channel in self.channels]

    def followed(self, user_id):
        return [channel["id"] for channel in self.channels if user_id in channel["members"]]

    def ref(self, user_id):
        return self.owner.get(f"account/{user_id}")

    def connections(self, user_id):
        """The MTProto sessions in which the data centre pushes to an account: each belongs to one socket's life."""
        return frozenset(self.sandbox.dc.hub._listening[user_id])

    def connected(self, user_id):
        """How often a client of this account has introduced itself."""
        return self.sandbox.requests()["by_account"].get(str(user_id), {}).get("help.getConfig", 0)

    def restarts(self):
        return {snapshot.key: snapshot.restarts for snapshot in self.owner.snapshot()}

    async def whole(self, channel_id):
        return await self.held(channel_id) == self.exists(channel_id)

    async def assert_equal_to_the_ledger(self, channel_ids):
        for channel_id in channel_ids:
            held, exists = await self.held(channel_id), self.exists(channel_id)
            assert held == exists, f"channel {channel_id}: {len(held)} stored, {len(exists)} exist"


@asynccontextmanager
async def running_tree(store, **shape):
    """A sandbox of this shape and a tree that has just been started."""
    async with Sandbox(**shape) as sandbox:
        tree = Watched(sandbox, store)
        await tree.sign_in()
        tree.start()
        try:
            yield tree
        finally:
            await tree.stop()


async def until(true, *, within=10):
    """Give the others the loop until it is true."""
    async with asyncio.timeout(within):
        while not true():
            await asyncio.sleep(0)
