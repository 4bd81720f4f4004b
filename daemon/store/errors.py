"""What keeps the store from starting: each text tells the operator what to do."""


class StoreRefused(Exception):
    """The store can't be opened as things are; trying again changes nothing."""


class EmbeddedRefused(StoreRefused):
    """The embedded PostgreSQL can't be found, made or started."""


class DatabaseRefused(StoreRefused):
    """PostgreSQL answers, and lets us in neither with this role nor into this database."""


class SchemaTooNew(StoreRefused):
    """A newer Telewarden has migrated this database."""


class OwnedElsewhere(StoreRefused):
    """Another daemon owns the database and hasn't released it."""


class StateLocked(StoreRefused):
    """Another daemon uses the same state folder on this host."""

    def __init__(self, text: str, pid: int | None) -> None:
        super().__init__(text)
        self.pid = pid


class ChannelMissing(LookupError):
    """Posts were recorded for a channel that has no row: a defect of the caller."""
