"""Who may write: one daemon at a time, by an epoch that every write checks in its own transaction."""

import os
import socket
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from actors.errors import OwnershipLost
from daemon.store.errors import OwnedElsewhere
from daemon.store.pool import Connection, Database, RawConnection
from daemon.store.state_lock import StateLock

_LOCK = "LOCK TABLE owner IN SHARE ROW EXCLUSIVE MODE"
_FIND = "SELECT epoch, host, boot_id, pid, state, heartbeat_at, released_at FROM owner"
_TAKE = """
INSERT INTO owner AS o (epoch, host, boot_id, pid, state, taken_at, heartbeat_at)
VALUES (1, $1, $2, $3, $4, now(), now())
ON CONFLICT (singleton) DO UPDATE SET epoch = o.epoch + 1, host = excluded.host, boot_id = excluded.boot_id,
    pid = excluded.pid, state = excluded.state, taken_at = now(), heartbeat_at = now(), released_at = NULL
RETURNING epoch
"""
_BEAT = "UPDATE owner SET heartbeat_at = now() WHERE epoch = $1 RETURNING epoch"
_CONFIRM = "SELECT epoch FROM owner"
_RELEASE = "UPDATE owner SET released_at = now() WHERE epoch = $1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A process, by what tells whether it may still run."""

    host: str
    boot_id: str
    pid: int
    state: str
    """``StateLock.identity``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The process that the owner row names."""

    claim: Claim
    heartbeat_at: datetime
    released: bool


@dataclass(frozen=True, slots=True)
class Ownership:
    epoch: int
    by_force: bool
    """Taken from one who may be living: nothing is to be sent until that one has noticed."""


def refusal(holder: Holder | None, claim: Claim, *, pid_lives: bool) -> str | None:
    """Why ``claim``, which holds its state folder's lock, may not follow ``holder``; None if it may.

    ``pid_lives`` is only asked for where both see the same processes.
    """
    if holder is None or holder.released:
        return None
    other, since = holder.claim, f"last seen {holder.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC"
    same_kernel = other.boot_id == claim.boot_id
    if same_kernel and other.state == claim.state:
        return None  # the lock that we hold was its own: it is dead
    if other.host == claim.host and (not same_kernel or not pid_lives):
        return None  # it died with an earlier boot, or by itself
    if other.host == claim.host:
        return f"process {other.pid} on this host owns the database ({since}) with another state_dir: stop it first"
    return (
        f"a Telewarden on host {other.host} owns the database ({since}) and hasn't released it. If that one is off for "
        "good, start with --take-over; two at once would cost the accounts their sessions"
    )


async def find_holder(connection: Connection | RawConnection) -> Holder | None:
    row = await connection.fetchrow(_FIND)
    if row is None:
        return None
    claim = Claim(host=row["host"], boot_id=row["boot_id"], pid=row["pid"], state=row["state"])
    return Holder(claim=claim, heartbeat_at=row["heartbeat_at"], released=row["released_at"] is not None)


class Owner:
    """This process's claim to the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, lock: StateLock, *, take_over: bool = False) -> Ownership:
        """Become the owner, with a new epoch. Whoever wrote under an older one is refused from now on.

        ``lock`` is held: it proves that no other process of this state folder lives.

        Raises: OwnedElsewhere, StoreUnavailable.
        """
        claim = Claim(host=_host(), boot_id=_boot_id(), pid=os.getpid(), state=lock.identity)
        async with self._database.reading() as connection, connection.transaction():
            await connection.execute(_LOCK)
            holder, text = await find_holder(connection), None
            if holder is not None:
                text = refusal(holder, claim, pid_lives=_lives(holder.claim.pid))
            if text is not None and not take_over:
                raise OwnedElsewhere(text)
            epoch: int = await connection.fetchval(_TAKE, claim.host, claim.boot_id, claim.pid, claim.state)
        self._database.epoch = epoch
        return Ownership(epoch, by_force=text is not None)

    async def heartbeat(self) -> None:
        """Say that this process lives. Raises: OwnershipLost, StoreUnavailable."""
        async with self._database.reading() as connection:
            self._check(await connection.fetchval(_BEAT, self._database.epoch))

    async def confirm(self) -> None:
        """Return while this process is the owner; nothing is written. Raises: OwnershipLost, StoreUnavailable."""
        async with self._database.reading() as connection:
            self._check(await connection.fetchval(_CONFIRM))

    def _check(self, epoch: int | None) -> None:
        if epoch is None or epoch != self._database.epoch:
            raise OwnershipLost("another daemon has taken the database over: this one ends, and sends nothing more")

    async def release(self) -> None:
        """Let another daemon follow without being told to. Nothing is written after this."""
        epoch, self._database.epoch = self._database.epoch, None
        if epoch is not None:
            async with self._database.reading() as connection:
                await connection.execute(_RELEASE, epoch)


def _host() -> str:
    """The host's name, and its machine id: cloned machines share the name, containers have only that."""
    try:
        machine = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except OSError:
        machine = ""
    return f"{socket.gethostname()} ({machine[:12]})" if machine else socket.gethostname()


def _boot_id() -> str:
    """Which run of which kernel this is; the machine where the kernel doesn't say (macOS)."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return f"node-{uuid.getnode():x}"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
