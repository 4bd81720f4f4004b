"""What is on its way: one file each, in a folder of its own, longer with each part. Survives any end of the process."""

import asyncio
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from actors.errors import BlobsUnavailable

T = TypeVar("T")

_KEY = re.compile(r"[a-z]+-\d{1,20}", re.ASCII)


class Partials:
    """Implements what ``actors.ports.Blobs`` says of parts; all of its file I/O runs in threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def held(self, file_key: str) -> int:
        return await in_thread(lambda: _size(self.path(file_key)))

    async def append(self, file_key: str, offset: int, data: bytes) -> None:
        path = self.path(file_key)
        await in_thread(lambda: _write(path, offset, data))

    async def discard(self, file_key: str) -> None:
        path = self.path(file_key)
        await in_thread(lambda: path.unlink(missing_ok=True))

    def path(self, file_key: str) -> Path:
        """Raises: ValueError for what could name anything else."""
        if not _KEY.fullmatch(file_key):
            raise ValueError(f"{file_key!r} is no key of a file")
        return self._folder / file_key


async def in_thread(work: Callable[[], T]) -> T:
    """Do blocking file I/O beside the loop. Raises: BlobsUnavailable where the system refuses it."""
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        raise BlobsUnavailable((error.strerror or str(error)).lower()) from error


def make_folder(folder: Path) -> None:
    """Only for this user: it holds what private channels posted."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def sync(folder: Path) -> None:
    """Make the folder's names last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def digest(path: Path) -> str:
    """SHA-256 of what the disk holds, not of what was meant to be written to it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _write(path: Path, offset: int, data: bytes) -> None:
    make_folder(path.parent)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        written = 0
        while written < len(data):
            written += os.pwrite(descriptor, data[written:], offset + written)
        # What stood behind this part belonged to an attempt that is over.
        os.ftruncate(descriptor, offset + len(data))
        # A length without its bytes is what a power cut would leave of a file that wasn't flushed.
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
