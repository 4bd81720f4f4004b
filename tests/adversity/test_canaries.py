"""What accounts' owners write in private leaves no trace, whatever goes wrong beside it."""

import logging

import asyncpg
from prometheus_client import generate_latest

from actors import log
from sandbox.faults import Rule
from tests.adversity.storm import stormy

MARK = "canary-7f3a9c"
POSTS = 400


class Everything(logging.Handler):
    """All that any logger says, at any level, with what it was said about."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.said = []

    def emit(self, record):
        extra = {name: value for name, value in vars(record).items() if name not in ("msg", "args")}
        self.said.append(f"{record.getMessage()} {record.args!r} {extra!r} {record.exc_text}")

    def __enter__(self):
        root = logging.getLogger()
        self.former = root.level, {name: each.level for name, each in _loggers().items()}
        root.addHandler(self)
        root.setLevel(logging.DEBUG)
        for each in _loggers().values():
            each.setLevel(logging.DEBUG)
        return self

    def __exit__(self, *_):
        root = logging.getLogger()
        root.removeHandler(self)
        root.setLevel(self.former[0])
        for name, each in _loggers().items():
            each.setLevel(self.former[1].get(name, logging.NOTSET))


def _loggers():
    known = logging.root.manager.loggerDict
    return {name: each for name, each in known.items() if isinstance(each, logging.Logger)}


async def kept(dsn, words):
    """Rows of any table that hold one of the words, in any column."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        found = []
        for (table,) in tables:
            query = f'SELECT count(*) FROM "{table}" AS r WHERE r::text ILIKE ANY($1::text[])'
            if await connection.fetchval(query, [f"%{word}%" for word in words]):
                found.append(table)
        assert len(tables) >= 15
        return found
    finally:
        await connection.close()


async def test_private_messages_leave_no_trace_through_a_storm(store, dsn):
    with Everything() as everything:
        async with stormy(store, dsn, seed=41, posts=POSTS, raw=True) as storm:
            world = storm.dc.world
            people = [account for account in world.accounts.values() if not account.is_bot]
            strikes = 0

            async def strike(strike=storm.strike):
                nonlocal strikes
                strikes += 1
                for sender, receiver in zip(people, people[1:] + people[:1], strict=True):
                    storm.dc.write(sender, receiver, f"{MARK} {strikes}")
                if strikes % 7 == 0:
                    # What is missed meanwhile comes by the accounts' differences.
                    storm.dc.drop_connections()
                if strikes % 11 == 0:
                    rule = Rule(method="updates.getDifference", error=(500, "RPC_CALL_FAIL"))
                    storm.dc.dispatcher.faults.rules.append(rule)
                await strike()

            storm.strike = strike
            await storm.rage()
            storm.calm()
            assert not await storm.settle()
            letters = sum(len(box.letters) for box in world.boxes.values())
            assert letters >= 2 * strikes
            requests = storm.tree.calls("updates.getDifference")
            assert requests >= strikes // 7
            text = generate_latest(storm.tree.metrics.registry).decode()
            alerts = await store.alerts.page(ended=True, limit=1000)
        phones = [account.phone for account in people]
        assert await kept(dsn, [MARK, MARK.encode().hex(), *phones]) == []
        assert await kept(dsn, ["edited at"]), "the search itself finds something"
    said = "\n".join(everything.said)
    assert log.SIGNED_IN.name in said
    for place in (said, text, repr(alerts)):
        assert MARK not in place
        assert not [phone for phone in phones if phone in place]
