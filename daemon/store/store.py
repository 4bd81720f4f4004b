"""Opens the store."""

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from actors.errors import StoreUnavailable
from actors.ports import Keys, Store
from daemon.store.access import StoredAccess
from daemon.store.accounts import StoredAccounts
from daemon.store.alerts import StoredAlerts
from daemon.store.channels import StoredChannels
from daemon.store.jobs import StoredJobs
from daemon.store.media import StoredMedia
from daemon.store.migrate import migrate
from daemon.store.owner import Owner
from daemon.store.people import StoredPeople
from daemon.store.pool import Database
from daemon.store.posts import StoredPosts
from daemon.store.repeats import StoredRepeats
from daemon.store.rereads import StoredRereads
from daemon.store.retention import StoredRetention
from daemon.store.schedules import StoredSchedules


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStore:
    """A store with its pool. Nothing can be written before ``owner.take``."""

    store: Store
    owner: Owner
    database: Database

    async def check(self) -> str | None:
        """None while the database answers, else why it doesn't."""
        try:
            async with self.database.reading() as connection:
                await connection.execute("SELECT 1")
        except StoreUnavailable as error:
            return str(error)
        return None

    async def close(self) -> None:
        """Give the connections back. ``owner.release`` comes before this."""
        await self.database.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()


async def open_store(dsn: str, *, pool_size: int, keys: Keys) -> OpenStore:
    """Migrate the database and connect to it.

    Raises: StoreUnavailable; SchemaTooNew and other StoreRefused.
    """
    await migrate(dsn)
    database = Database(dsn, pool_size=pool_size)
    await database.open()
    store = Store(
        posts=StoredPosts(database),
        accounts=StoredAccounts(database, keys),
        channels=StoredChannels(database),
        jobs=StoredJobs(database),
        media=StoredMedia(database),
        alerts=StoredAlerts(database),
        rereads=StoredRereads(database),
        people=StoredPeople(database),
        schedules=StoredSchedules(database),
        access=StoredAccess(database),
        retention=StoredRetention(database),
        repeats=StoredRepeats(database, keys),
    )
    return OpenStore(store=store, owner=Owner(database), database=database)
