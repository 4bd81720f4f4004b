"""A channel's life under a storm: pushes lost, doubled and late, floods, errors, cut lines, and then the ledger."""

import asyncio
import random
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from telethon import TelegramClient

from actors.runtime.clock import LoopClock
from actors.runtime.owner import LoopOwner
from actors.supervisor import Parts, Root
from config.model import Collection, Settings, Telegram
from sandbox.client import Sandbox
from sandbox.faults import Rule, Turbulence
from sandbox.posts import Post
from tests.actors.telegram.house import place_of
from tests.actors.test_collection import ALL, Tree
from tests.processes import breathe

FASTER = 40.0
"""Backoffs and waits of the daemon pass so much faster than the wall's clock: what is tested is what it does, not how
long it waits. Nothing that the data centre enforces runs by a clock here."""
NEAR = 150
"""Edits and deletions fall within so many ids of the top: inside the horizon that is read again, 200."""
UNDECODABLE = "(can't be read)"
METHODS = ("updates.getChannelDifference", "messages.getHistory", "messages.getPeerDialogs", "updates.getDifference")


class FastClock(LoopClock):
    def __init__(self, faster=FASTER):
        self._faster = faster
        self._began, self._at = datetime.now(UTC), time.monotonic()

    def now(self):
        return self._began + timedelta(seconds=self.monotonic() - self._at)

    def monotonic(self):
        return self._at + (time.monotonic() - self._at) * self._faster

    def call_later(self, delay, callback):
        return super().call_later(delay / self._faster, callback)


class FastTree(Tree):
    """A tree whose own waits pass faster."""

    faster = FASTER
    telegram = Telegram()

    def start(self, start=ALL, **collection):
        self.owner = LoopOwner(clock=FastClock(self.faster))
        parts = Parts(
            settings=Settings(collection=Collection(start=start, **collection), telegram=self.telegram),
            store=self.store,
            metrics=self.metrics,
            datacenter=place_of(self.sandbox),
            loopback_only=True,
            bot_token=None,
        )
        self.root = Root.start(parts=parts, key="supervisor")


@dataclass
class Storm:
    """One seed: what happens to one channel until it has had so many posts."""

    tree: FastTree
    seed: int
    posts: int
    channel: Any = None
    """The first one where none is named."""

    def __post_init__(self):
        self.rng = random.Random(self.seed)
        self.dc = self.tree.sandbox.dc
        self.channel = self.channel or self.dc.world.channel(self.tree.channels[0]["id"])
        self.published = 0
        self.riddles = set()
        """Ids that nobody can read."""

    async def rage(self):
        # The service says the same to all sessions, yet each loses other pushes.
        self.dc.hub.turbulence = Turbulence(loss=0.2, double=0.1, reorder=0.1, too_long=0.02, bare=0.1, seed=self.seed)
        while self.published < self.posts:
            await self.strike()
            # Most of it comes while something else is being made good; now and then the daemon gets to the end of it.
            if breaths := self.rng.choices((0, 1, 6), (84, 13, 3))[0]:
                await self._lull(breaths)

    async def _lull(self, breaths):
        for _ in range(breaths):
            row = await self.tree.store.channels.one(self.channel.id)
            if row.pts == self.channel.pts:
                return
            await breathe()

    async def strike(self):
        match self.rng.choices(
            ("publish", "silent", "hole", "edit", "delete", "error", "lose", "cut", "riddle"),
            (50, 4, 0.3, 30, 12, 3, 1, 0.5, 0.5),
        )[0]:
            case "publish":
                self._publish(self.rng.randrange(1, 20), silent=False)
            case "silent":
                self._publish(self.rng.randrange(1, 6), silent=True)
            case "hole":
                self._publish(self.rng.randrange(101, 150), silent=True)
            case "edit":
                self._edit(silent=self.rng.random() < 0.05)
            case "delete":
                ids = self._near(self.rng.randrange(1, 4))
                self.dc.delete(self.channel, ids, silent=self.rng.random() < 0.05)
            case "error":
                self._fail()
            case "lose":
                self._rule(lose=True)
            case "cut":
                self.dc.drop_connections()
            case "riddle":
                self._publish_riddle()

    def _publish(self, count, *, silent):
        self.dc.publish(self.channel, count=count, silent=silent)
        self.published += count

    def _publish_riddle(self):
        """A post of a kind that no client can read, nor whatever holds it."""
        at = self.dc.clock.seconds()
        riddle = lambda post_id: Post(id=post_id, date=at, text="riddle", media="unknown")  # noqa: E731
        self.riddles.update(self.dc.publish_drafts(self.channel, [riddle]))
        self.published += 1

    def _edit(self, *, silent):
        for post_id in self._near(1):
            if not self.channel.posts[post_id].service:
                self.dc.edit(self.channel, post_id, f"edited at {self.channel.pts}", silent=silent)

    def _near(self, count):
        ids = self.channel.ids[-NEAR:]
        return self.rng.sample(ids, min(count, len(ids)))

    def _fail(self):
        code, message = self.rng.choice(
            ((420, "FLOOD_WAIT_3"), (500, "RPC_CALL_FAIL"), (500, "HISTORY_GET_FAILED"), (-503, "TIMEOUT"),
             (500, "PERSISTENT_TIMESTAMP_OUTDATED"), (400, "PERSISTENT_TIMESTAMP_INVALID"), (420, "STRANGE_WAIT_2"))
        )  # fmt: skip
        self._rule(error=(code, message))

    def _rule(self, **what):
        method = self.rng.choice(METHODS[:3])
        self.dc.dispatcher.faults.rules.append(Rule(method=method, count=1, **what))

    def calm(self):
        self.dc.hub.turbulence = Turbulence()
        self.dc.dispatcher.faults.rules.clear()

    async def settle(self, within=60):
        """Parse until what is stored is what exists; what still differs at the end."""
        async with asyncio.timeout(within):
            await self.tree.signed_in()
            while True:
                job = await self.tree.parse()
                wrong = await self.differs()
                if job.state == "success" and not wrong:
                    return wrong
                if job.state == "success" and job.posts_added == 0 and not await self._moves():
                    return wrong

    async def _moves(self):
        row = await self.tree.store.channels.one(self.channel.id)
        return row.pts != self.channel.pts

    async def differs(self):
        """What the database and the ledger don't agree on: live posts and their texts, and marks of deletion."""
        (ledger,) = self.tree.sandbox.ledger(self.channel.id)["channels"]
        exists = {
            post["id"]: UNDECODABLE if post["id"] in self.riddles else None if post["service"] else post["text"]
            for post in ledger["posts"]
        }
        connection = await asyncpg.connect(self.tree.dsn)
        try:
            rows = await connection.fetch(
                "SELECT message_id, kind, text, deleted_at IS NOT NULL AS deleted FROM posts WHERE channel_id = $1",
                self.channel.id,
            )
        finally:
            await connection.close()
        live = {
            row["message_id"]: {"service": None, "undecodable": UNDECODABLE}.get(row["kind"], row["text"])
            for row in rows
            if not row["deleted"]
        }
        gone = {row["message_id"] for row in rows if row["deleted"]}
        return {
            **{
                post_id: f"missing or {live.get(post_id)!r}"
                for post_id, text in exists.items()
                if live.get(post_id, 0) != text
            },
            **dict.fromkeys(live.keys() - exists.keys(), "stored, yet it doesn't exist"),
            **dict.fromkeys(gone & exists.keys(), "marked as deleted, yet it exists"),
        }


@dataclass(frozen=True)
class Played:
    seed: int
    differs: dict
    calls: dict
    happened: dict


@asynccontextmanager
async def stormy(store, dsn, *, seed, posts=0, **collection):
    """A storm over a tree that has just come up."""
    TelegramClient._config = None
    async with Sandbox(accounts=3, channels=1, posts=20, seed=seed) as sandbox:
        tree = FastTree(sandbox, store)
        tree.dsn = dsn
        await tree.sign_in()
        tree.start(**collection)
        try:
            await tree.signed_in()
            yield Storm(tree, seed, posts)
        finally:
            await tree.stop()


async def play(store, dsn, seed, posts):
    """One storm from beginning to end."""
    async with stormy(store, dsn, seed=seed, posts=posts) as storm:
        await storm.rage()
        happened = dict(storm.dc.hub.turbulence.happened)
        storm.calm()
        return Played(seed, await storm.settle(), {method: storm.tree.calls(method) for method in METHODS}, happened)
