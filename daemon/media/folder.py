"""Blobs in a folder: ``ab/cd/<sha256>``, each written beside its place and moved there whole."""

from collections.abc import AsyncGenerator
from pathlib import Path

from actors.messages.ids import Sha256
from daemon.media.partials import Partials, digest, in_thread, make_folder, sync

CHUNK = 256 * 1024
"""Bytes that are read at once."""


class FolderBlobs(Partials):
    """Implements ``actors.ports.Blobs``."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is made when the first file comes. Partials lie in it too, so that moving them is one step."""
        super().__init__(folder / "partial")
        self._blobs = folder

    async def finish(self, file_key: str) -> Sha256:
        return await in_thread(lambda: self._finish(self.path(file_key)))

    def _finish(self, partial: Path) -> Sha256:
        sha256 = Sha256(digest(partial))
        place = self.place(sha256)
        if place.exists() and place.stat().st_size == partial.stat().st_size:
            partial.unlink()  # the same content has come before, under another id
            return sha256
        make_folder(place.parent)
        partial.replace(place)
        for folder in (place.parent, place.parent.parent, self._blobs):
            sync(folder)
        return sha256

    async def read(self, sha256: Sha256) -> AsyncGenerator[bytes, None] | None:
        place = self.place(sha256)
        return _chunks(place) if await in_thread(place.exists) else None

    async def remove(self, sha256: Sha256) -> None:
        place = self.place(sha256)
        await in_thread(lambda: place.unlink(missing_ok=True))

    def place(self, sha256: Sha256) -> Path:
        return self._blobs / sha256[:2] / sha256[2:4] / sha256


async def _chunks(place: Path) -> AsyncGenerator[bytes, None]:
    file = await in_thread(lambda: place.open("rb"))
    try:
        while chunk := await in_thread(lambda: file.read(CHUNK)):
            yield chunk
    finally:
        file.close()  # waits for a read that a cancelled reader left behind
