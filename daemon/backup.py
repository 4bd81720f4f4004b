"""A backup in one file: the database as it is, the settings, and what is to be found in it. Not the master key.

The file is a tar of ``manifest.json``, ``database.dump`` (pg_dump's custom format) and, where there is one, the
settings file. Files of posts (``media.store``) aren't in it; what of them is known is.
"""

import asyncio
import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from config.model import Settings
from daemon.store.dump import Dumped, DumpFailed, dump, newest_schema, readable, restore, tables
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.errors import StoreRefused
from daemon.store.state_lock import StateLock

FORMAT = 1
MANIFEST, DATABASE, SETTINGS = "manifest.json", "database.dump", "settings.yaml"


class BackupRefused(Exception):
    """The file can't be written or isn't a backup, or there is no place for it; the text says what to do."""


REFUSALS = (BackupRefused, StoreRefused)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup holds, and the digests of its members."""

    format: int
    telewarden: str
    created_at: str
    postgres: str
    schema: int
    rows: dict[str, int]
    sha256: dict[str, str]


async def back_up(settings: Settings, config: Path | None, to: Path) -> Manifest:
    """Write the backup, readable by its owner alone; a file that is there already is left alone.

    Raises: ``REFUSALS``, StoreUnavailable.
    """
    parent = await asyncio.to_thread(_parent, to)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=parent, prefix=".backup-")))
        dsn = await stack.enter_async_context(_database(settings))
        dumped = await dump(dsn, folder / DATABASE)
        members = {DATABASE: folder / DATABASE}
        if config is not None:
            members[SETTINGS] = config
        manifest = await asyncio.to_thread(_manifest, dumped, members)
        await asyncio.to_thread(_write, to, folder / "whole", manifest, members)
    return manifest


async def verify(backup: Path) -> Manifest:
    """The manifest, once every member was read and is as it says. Raises: ``REFUSALS``."""
    with tempfile.TemporaryDirectory(prefix="telewarden-") as folder:
        manifest = await asyncio.to_thread(_unpack, backup, Path(folder))
        await readable(Path(folder) / DATABASE)
    return manifest


async def bring_back(settings: Settings, backup: Path) -> Manifest:
    """Restore the database, all of it or nothing, into an empty one, while no daemon runs.

    Raises: ``REFUSALS``, StoreUnavailable.
    """
    settings.world_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        stack.enter_context(StateLock(settings.state_dir))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="telewarden-")))
        manifest = await asyncio.to_thread(_unpack, backup, folder)
        if manifest.schema > newest_schema():
            raise BackupRefused(
                f"the backup has schema {manifest.schema}, this program knows up to {newest_schema()}: it was made by "
                f"Telewarden {manifest.telewarden}, restore it with that one or a newer one"
            )
        dsn = await stack.enter_async_context(_database(settings, make=True))
        held = await tables(dsn)
        if held:
            raise BackupRefused(f"the database holds {held} tables already: restore into an empty one")
        found = await restore(dsn, folder / DATABASE)
        if dict(found.rows) != manifest.rows:
            raise DumpFailed(f"the database holds {dict(found.rows)}, the backup {manifest.rows}")
    return manifest


@asynccontextmanager
async def _database(settings: Settings, *, make: bool = False) -> AsyncIterator[str]:
    """The settings' database, or the embedded one: that of a running daemon, else started for as long as this takes.

    Where there is none yet, only ``make`` makes it. Raises: BackupRefused.
    """
    if settings.database.dsn is not None:
        yield settings.database.dsn.get_secret_value()
        return
    postgres = EmbeddedPostgres(settings.world_dir / "postgres")
    if await postgres.runs():
        yield postgres.dsn
        return
    if not make and not await asyncio.to_thread(postgres.data.exists):
        raise BackupRefused(
            f"there is no database below {settings.state_dir.absolute()}: name the daemon's settings with -c, or where "
            "its database.dsn is a credential or a variable of its own, give that to this command too "
            "(TELEWARDEN__DATABASE__DSN_FILE)"
        )
    async with postgres:
        yield postgres.dsn


def _parent(to: Path) -> Path:
    if to.exists():
        raise BackupRefused(f"{to} exists: name another file, or move that one away")
    parent = to.absolute().parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise BackupRefused(f"{parent} isn't a folder that this user may write in")
    return parent


def _manifest(dumped: Dumped, members: dict[str, Path]) -> Manifest:
    return Manifest(
        format=FORMAT,
        telewarden=metadata.version("telewarden"),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        postgres=dumped.postgres,
        schema=dumped.schema,
        rows=dict(dumped.rows),
        sha256={name: _digest(path) for name, path in members.items()},
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(to: Path, partial: Path, manifest: Manifest, members: dict[str, Path]) -> None:
    """Whole or not at all: a disk that is full leaves no file that looks like a backup."""
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            with tarfile.open(fileobj=file, mode="w") as tar:
                text = json.dumps(asdict(manifest), indent=1).encode()
                told = tarfile.TarInfo(MANIFEST)
                told.size, told.mode = len(text), 0o600
                tar.addfile(told, io.BytesIO(text))
                for name, path in members.items():
                    tar.add(path, arcname=name, filter=_anonymous)
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, to)  # unlike a rename it replaces nobody's file
    except FileExistsError:
        raise BackupRefused(f"{to} exists: name another file, or move that one away") from None
    except OSError as fault:
        raise BackupRefused(f"{to} can't be written: {(fault.strerror or str(fault)).lower()}") from fault


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


def _unpack(backup: Path, folder: Path) -> Manifest:
    """Members by their known names alone, each as its digest says."""
    try:
        with tarfile.open(backup, mode="r:") as tar:
            manifest = _read_manifest(tar)
            for name in manifest.sha256:
                member = tar.extractfile(name)
                if member is None:
                    raise BackupRefused(f"{backup} holds no {name}")
                with (folder / name).open("wb") as file:
                    while chunk := member.read(1 << 20):
                        file.write(chunk)
    except (OSError, tarfile.TarError, KeyError) as fault:
        raise BackupRefused(f"{backup} isn't a backup of Telewarden, or is damaged: {fault}") from fault
    for name, digest in manifest.sha256.items():
        if _digest(folder / name) != digest:
            raise BackupRefused(f"{backup} is damaged: its {name} isn't what was written")
    return manifest


def _read_manifest(tar: tarfile.TarFile) -> Manifest:
    held = tar.extractfile(MANIFEST)
    try:
        told: dict[str, Any] = json.loads(held.read(1 << 20)) if held is not None else {}
        manifest = Manifest(**told)
    except (ValueError, TypeError) as fault:
        raise BackupRefused(f"the backup's {MANIFEST} can't be read: {fault}") from fault
    if manifest.format != FORMAT or not set(manifest.sha256) <= {DATABASE, SETTINGS} or DATABASE not in manifest.sha256:
        raise BackupRefused(f"the backup was made by Telewarden {manifest.telewarden}: use that one or a newer one")
    return manifest
