"""The recorder fails in the middle of its work; nothing is lost and nobody else notices."""

from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg

from actors.messages.jobs import AwaitJob, ParseAll
from tests.adversity.tree import running_tree

FAULT = """
CREATE SEQUENCE fault;
CREATE FUNCTION fail_sometimes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('fault') = ANY ('{%s}') THEN
        RAISE EXCEPTION 'a defect of the test';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER fault AFTER INSERT ON posts FOR EACH STATEMENT EXECUTE FUNCTION fail_sometimes();
"""
MEND = "DROP TRIGGER fault ON posts; DROP FUNCTION fail_sometimes(); DROP SEQUENCE fault"
FAILING = (3, 4, 8)
"""Which inserts. The second hits what the dying recorder still commits at its end; where it has nothing left to commit,
its successor, which is one crash more."""
CRASHES = (2, 3)
"""At least, and at most."""


@asynccontextmanager
async def failing(dsn, statements):
    """The n-th inserts into posts fail, posts and all, with an error that nobody expects. Sequences don't roll back."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(FAULT % ",".join(map(str, statements)))
        yield lambda: connection.fetchval("SELECT last_value FROM fault")
    finally:
        await connection.execute(MEND)
        await connection.close()


async def test_a_recorder_that_crashes_and_restarts_loses_nothing_and_reconnects_no_account(store, dsn, caplog):
    async with failing(dsn, FAILING) as inserts, running_tree(store, accounts=4, channels=8, posts=800, seed=5) as tree:
        await tree.signed_in()
        refs = {user_id: tree.ref(user_id) for user_id in tree.user_ids}
        connections = {user_id: tree.connections(user_id) for user_id in tree.user_ids}
        scheduler = tree.owner.find("scheduler")
        job = await scheduler.call(ParseAll())

        async def crashed():
            """Push on while pages are fetched, until both crashes are behind."""
            for number, channel_id in enumerate(tree.channel_ids):
                ids = await tree.sandbox.publish(channel_id, count=2, silent=number % 4 == 3)
                await tree.sandbox.edit(channel_id, ids[0], f"mended {number}")
            await tree.sandbox.delete(tree.channel_ids[0], ids[:1])
            return await inserts() > max(FAILING) and tree.restarts()["recorder"] >= CRASHES[0]

        await tree.until(crashed)
        done = await scheduler.call(AwaitJob(job_id=job.job_id, wait=timedelta(seconds=15)))
        assert (done.state, done.channels_done) == ("success", len(tree.channel_ids))

        assert (await tree.parse()).state == "success"
        await tree.assert_equal_to_the_ledger(tree.channel_ids)

        for user_id in tree.user_ids:
            assert tree.ref(user_id) is refs[user_id]
            assert tree.connections(user_id) == connections[user_id]
            assert len(connections[user_id]) == tree.connected(user_id) == 1
        restarts = tree.restarts()
        crashes = restarts.pop("recorder")
        assert crashes in CRASHES
        assert set(restarts.values()) == {0}
        deaths = [record for record in caplog.records if record.getMessage().startswith("actor died: recorder")]
        assert [record.exc_info[0] for record in deaths] == [asyncpg.RaiseError] * crashes
