"""Measures in a process of its own (test_pushes.py): what other tests leave behind isn't in the daemon's process."""

import asyncio
import time
from statistics import quantiles

import asyncpg

from config.model import Start
from sandbox.client import Sandbox
from sandbox.faults import Rule
from tests.actors.test_collection import Tree

RATE = 100
SECONDS = 4
PARTS = 2
LOUD = """
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('stored', NEW.channel_id || '/' || NEW.message_id); RETURN NULL; END $$;
CREATE TRIGGER tell AFTER INSERT ON posts FOR EACH ROW EXECUTE FUNCTION tell();
"""


async def test_a_live_push_waits_for_no_call_of_its_own_account(store, dsn):
    """Every page of history is answered after half a second, while one is asked for after the other."""
    async with Sandbox(accounts=1, channels=10, posts=30_000, seed=5) as sandbox:
        tree = Tree(sandbox, store)
        await tree.sign_in()
        tree.start(Start(policy="all"))
        listener = await asyncpg.connect(dsn)
        try:
            await tree.signed_in()
            sandbox.dc.dispatcher.faults.rules.append(Rule(method="messages.getHistory", count=0, delay=0.5))
            published, took, parts = {}, {}, [[] for _ in range(PARTS)]
            await listener.execute(LOUD)

            def stored(_connection, _pid, _channel, named):
                at = published.pop(named, None)
                if at is not None:
                    took[named] = time.monotonic() - at

            await listener.add_listener("stored", stored)
            channels, loop = list(sandbox.dc.world.channels.values()), asyncio.get_running_loop()
            before, began = tree.calls("messages.getHistory"), time.monotonic()

            def publish(number):
                channel, due = channels[number % len(channels)], began + number / RATE
                (post_id,) = sandbox.dc.publish(channel, count=1)
                published[f"{channel.id}/{post_id}"] = due
                parts[number * PARTS // (RATE * SECONDS)].append(f"{channel.id}/{post_id}")

            for number in range(RATE * SECONDS):
                loop.call_at(loop.time() + number / RATE, publish, number)

            async def all_stored():
                return len(took) == RATE * SECONDS

            await tree.until(all_stored)
            assert tree.calls("messages.getHistory") - before >= SECONDS
            # Calls go on all the time: what waits for them is late in each part. The machine may stumble in some.
            late = [quantiles((took[post] for post in part), n=100)[98] for part in parts]
            assert min(late) <= 0.1, late
        finally:
            await listener.close()
            await tree.stop()
