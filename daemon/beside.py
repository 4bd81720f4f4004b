"""What runs beside the tree: heartbeats, measures and watches, each kept until the daemon ends, and how they end."""

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from actors.errors import StoreUnavailable
from actors.messages.ids import UP, AccountState
from actors.metrics import Metrics
from actors.runtime.owner import LoopOwner
from actors.runtime.ref import Ref
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.pool import Database
from daemon.store.store import OpenStore
from daemon.systemd import Notifier

logger = logging.getLogger("telewarden")

EX_FAILED = 1
STOP_WITHIN = 8.0
"""Seconds for the tree's orderly stop; with the server's and the database's the whole stays within 10."""
DATABASE_WITHIN = 6.0
"""Seconds of a stop after which the database is waited for no longer: one that is silent would hold each part up."""
CANCELLED_FOR, CANCELLED_MOST = 0.5, 3
"""Seconds until a task that doesn't end is cancelled again, and how often."""
HEARTBEAT = 10.0
LEDGER_EVERY = 15.0
"""Seconds between two looks at the totals of the ledger: one statement of some milliseconds, and as old as a scrape."""
FORGET_EVERY = 6 * 3600.0
LAG_EVERY = 0.1
"""Seconds: a stall shorter than this may pass unseen between two looks."""
LOST: frozenset[AccountState] = frozenset({"frozen", "revoked", "banned", "duplicated", "parked"})


@dataclass(slots=True)
class Ending:
    """Why the daemon ends, and with which code; the first reason stays."""

    event: asyncio.Event
    reason: str = ""
    code: int = 0

    def begin(self, reason: str, code: int = 0) -> None:
        if not self.event.is_set():
            self.reason, self.code = reason, code
            self.event.set()


def keep(stack: AsyncExitStack, work: Coroutine[Any, Any, None], name: str) -> None:
    """Run ``work`` until the stack unwinds."""
    task = asyncio.get_running_loop().create_task(work, name=name)

    async def end() -> None:
        for _ in range(CANCELLED_MOST):
            task.cancel()
            if (await asyncio.wait([task], timeout=CANCELLED_FOR))[0]:
                return
        logger.error("%s doesn't end, and is left", name)

    stack.push_async_callback(end)


async def release(opened: OpenStore) -> None:
    try:
        await opened.owner.release()
    except StoreUnavailable as error:
        logger.warning("the database doesn't know that this daemon ended: %s", error)


async def cut_off(opened: OpenStore, ending: Ending) -> None:
    await ending.event.wait()
    await asyncio.sleep(DATABASE_WITHIN)
    logger.warning("what the database hasn't answered by now isn't waited for: the stop is to end in time")
    opened.database.cut_off()


async def heartbeat(opened: OpenStore) -> None:
    """For an operator who looks at the owner row; that it was lost is noticed by the fence."""
    while True:
        await asyncio.sleep(HEARTBEAT)
        with suppress(StoreUnavailable):
            await opened.owner.heartbeat()


class PoolCollector(Collector):
    """The database's connections, read at scrape time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "telewarden_database_connections", "Connections to PostgreSQL: busy, idle, and at most.", labels=["state"]
        )
        for state, number in zip(("busy", "idle", "most"), self._database.connections, strict=True):
            family.add_metric([state], number)
        yield family


async def measure_lag(owner: LoopOwner, metrics: Metrics) -> None:
    while True:
        due = owner.clock.monotonic() + LAG_EVERY
        await asyncio.sleep(LAG_EVERY)
        metrics.loop_lag.observe(max(0.0, owner.clock.monotonic() - due))


async def measure_totals(opened: OpenStore, metrics: Metrics, notify: Notifier) -> None:
    told = ""
    while True:
        try:
            metrics.ledger_told(await opened.store.channels.ledger_totals())
            metrics.channels_told(await opened.store.channels.conditions())
            states = [row.state for row in await opened.store.accounts.all() if not row.bot]
            metrics.accounts_told(states)
            status = _status(states)
            if status != told:
                notify.status(status)
                told = status
        except StoreUnavailable as error:
            metrics.ledger_told(None)
            metrics.accounts_told(None)
            metrics.channels_told(None)
            logger.debug("no totals of the ledger: %s", error)
        await asyncio.sleep(LEDGER_EVERY)


async def forget_old(owner: LoopOwner, opened: OpenStore) -> None:
    """What the audit keeps no longer, and requests that nobody repeats any more."""
    while True:
        try:
            await opened.store.access.forget(owner.clock.now())
            await opened.store.repeats.forget(owner.clock.now())
        except StoreUnavailable as error:
            logger.debug("old requests are forgotten later: %s", error)
        await asyncio.sleep(FORGET_EVERY)


def _status(states: list[AccountState]) -> str:
    """What ``systemctl status`` shows."""
    up, parked = sum(state in UP for state in states), sum(state in LOST for state in states)
    return f"accounts {up}/{len(states)} up" + (f", {parked} parked" if parked else "")


async def watch_postgres(postgres: EmbeddedPostgres, ending: Ending) -> None:
    await postgres.gone()
    ending.begin(f"the embedded PostgreSQL ended; its log is {postgres.log}", EX_FAILED)


async def watch_root(root: Ref, ending: Ending) -> None:
    """The root ends only by our stop or because it gave up: then systemd starts us afresh."""
    while not await root.wait_stopped(3600.0):
        pass
    ending.begin("the supervisor gave up; see the log above", EX_FAILED)


async def stop_tree(root: Ref) -> None:
    root.stop(block=False)
    if not await root.wait_stopped(STOP_WITHIN):
        logger.error("the tree didn't stop within %s s and is killed", STOP_WITHIN)
        root.kill()
        await root.wait_stopped(1.0)
