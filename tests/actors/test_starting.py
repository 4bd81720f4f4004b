"""A tree that starts while the database restarts: it waits, and nothing is given up."""

import asyncio
import logging

from actors.errors import StoreUnavailable
from daemon.keys import MasterKeys
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.state_lock import StateLock
from daemon.store.store import open_store
from sandbox.client import Sandbox
from tests.actors.test_collection import Tree


async def test_a_tree_that_starts_while_the_database_is_away_waits_for_it_and_gives_nothing_up(tmp_path, caplog):
    caplog.set_level(logging.DEBUG, logger="actors.neighbours")
    server = EmbeddedPostgres(tmp_path / "postgres", fsync=False)
    dsn = await server.start()
    try:
        with StateLock(tmp_path) as lock:
            async with (
                await open_store(dsn, pool_size=4, keys=MasterKeys(bytes(32))) as opened,
                Sandbox(accounts=2, channels=3, posts=30, seed=3) as sandbox,
            ):
                await opened.owner.take(lock)
                tree = Tree(sandbox, opened.store)
                await tree.sign_in()
                await server.stop()
                tree.start()
                waiting = {"alerts", "roster", "scheduler", "errands", "accounts"}
                async with asyncio.timeout(20):
                    while not all(f"{key} starts once the database answers" in caplog.text for key in waiting):
                        await asyncio.sleep(0.02)
                await server.start()
                await tree.until(lambda: is_up(tree), within=40)
                assert (await tree.parse()).state == "success"
                assert "actor died" not in caplog.text
                await tree.stop()
    finally:
        await server.stop()


async def is_up(tree):
    try:
        return all(row.state == "active" for row in await tree.store.accounts.all())
    except StoreUnavailable:
        return False
