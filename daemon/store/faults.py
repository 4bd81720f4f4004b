"""asyncpg's errors, translated where they leave the store."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import asyncpg

from actors.errors import StoreUnavailable

_TRY_AGAIN: tuple[type[BaseException], ...] = (
    OSError,  # refused, reset, no such socket; TimeoutError is one
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,  # 08
    asyncpg.TransactionRollbackError,  # 40: deadlock, serialization
    asyncpg.InsufficientResourcesError,  # 53: disk full, too many connections
    asyncpg.OperatorInterventionError,  # 57: shutting down, starting up, statement timeout
    asyncpg.PostgresSystemError,  # 58: I/O errors of the server
    asyncpg.ReadOnlySQLTransactionError,  # a standby, or a disk that went read-only
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)


@contextmanager
def translated() -> Iterator[None]:
    """What passes by itself becomes StoreUnavailable; everything else is a defect and goes through.

    A task that is being cancelled stays so: asyncpg, while it gives back the connection of one, may fail on its own.
    """
    try:
        yield
    except asyncpg.DataError:  # an InterfaceError by descent: a value that can't be sent
        raise
    except _TRY_AGAIN as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from error
        raise StoreUnavailable(f"{type(error).__name__}: {error}") from error


def is_leftover(context: Mapping[str, Any]) -> bool:
    """Whether what a loop's exception handler is told of is asyncpg's own.

    It cancels queries and gives connections back in tasks and futures of which nobody hears how they end, once whoever
    had the connection was cancelled.
    """
    error, future = context.get("exception"), context.get("future")
    if isinstance(future, asyncio.Task):
        owner = getattr(future.get_coro(), "__qualname__", "").partition(".")[0]
        return owner in {"Pool", "PoolConnectionHolder", "Connection"} and isinstance(error, _TRY_AGAIN)
    return isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError | asyncpg.InternalClientError)
