"""PostgreSQL for every test that asks for it: real, one server a run, one database a test."""

import gc
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from actors.ports import Store
from daemon.keys import MasterKeys
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.state_lock import StateLock
from daemon.store.store import OpenStore, open_store
from tests.postgres import Databases, make_template

# Tests start hundreds of short processes: where Python is told to keep no compiled files, each compiles all of it anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those of whole processes first: one that takes half a minute leaves a worker idle when it comes last."""
    here = Path(__file__).parent
    items.sort(key=lambda item: item.path.parent not in (here, here / "adversity"))


def pytest_collection_finish() -> None:
    """What was collected lives as long as the run: the collector needn't walk through it during each test."""
    gc.collect()
    gc.freeze()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """DSN of the run's server (its own database; tests use ``dsn``)."""
    async with EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), fsync=False) as server:
        await make_template(server.dsn)
        yield server.dsn


@pytest.fixture(scope="session")
def databases(postgres: str) -> Databases:
    return Databases(postgres)


@pytest.fixture
async def dsn(databases: Databases) -> AsyncIterator[str]:
    """An empty, migrated database; fit for ``TELEWARDEN__DATABASE__DSN`` of a daemon process too."""
    async with databases.one() as dsn:
        yield dsn


@pytest.fixture
async def opened(dsn: str, tmp_path: Path) -> AsyncIterator[OpenStore]:
    """A store over ``dsn`` that this test owns."""
    with StateLock(tmp_path / "state") as lock:
        async with await open_store(dsn, pool_size=4, keys=MasterKeys(bytes(range(32)))) as opened:
            await opened.owner.take(lock)
            yield opened


@pytest.fixture
def store(opened: OpenStore) -> Store:
    return opened.store
