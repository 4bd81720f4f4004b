"""Blobs in an S3-compatible bucket: ``prefix/ab/cd/<sha256>``. What is on its way lies in a local folder."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store

from actors.errors import BlobsUnavailable
from actors.messages.ids import Sha256
from config.model import S3
from daemon.media.partials import Partials, digest, in_thread

CHUNK = 256 * 1024
TIMEOUT = timedelta(seconds=60)
"""For one request; a large file is sent in many."""
RETRIES = 3
RETRY_WITHIN = timedelta(seconds=30)
"""The library's own retries; beyond them the downloader waits a minute."""
LONGEST_CAUSE = 200

MISSING = (FileNotFoundError, NotFoundError)


class S3Blobs(Partials):
    """Implements ``actors.ports.Blobs``."""

    def __init__(self, address: str, partials: Path, settings: S3) -> None:
        """``address``: ``s3://bucket/prefix``. No request is made. Raises: BlobsUnavailable for bad settings."""
        super().__init__(partials)
        parts = urlsplit(address)
        with _translated():
            self._store = S3Store(
                parts.netloc,
                prefix=parts.path.strip("/") or None,
                config=_config(settings),
                client_options={"timeout": TIMEOUT, "allow_http": True},
                retry_config={"max_retries": RETRIES, "retry_timeout": RETRY_WITHIN},
            )

    async def finish(self, file_key: str) -> Sha256:
        partial = self.path(file_key)
        sha256 = Sha256(await in_thread(lambda: digest(partial)))
        size = await self.held(file_key)
        with _translated():
            if await self._size(sha256) != size:
                # Appears when all of it is there, and not before.
                await obstore.put_async(self._store, _key(sha256), partial)
        await self.discard(file_key)
        return sha256

    async def _size(self, sha256: Sha256) -> int | None:
        try:
            return (await obstore.head_async(self._store, _key(sha256)))["size"]
        except MISSING:
            return None

    async def read(self, sha256: Sha256) -> AsyncGenerator[bytes, None] | None:
        with _translated():
            try:
                found = await obstore.get_async(self._store, _key(sha256))
            except MISSING:
                return None
        return _chunks(found)

    async def remove(self, sha256: Sha256) -> None:
        with _translated():
            try:
                await obstore.delete_async(self._store, _key(sha256))
            except MISSING:
                return


def _config(settings: S3) -> Any:
    """What is said; the library takes the rest from the environment."""
    secret = settings.secret_access_key
    said = {
        "endpoint": settings.endpoint,
        "region": settings.region,
        "access_key_id": settings.access_key_id,
        "secret_access_key": None if secret is None else secret.get_secret_value(),
    }
    return {name: value for name, value in said.items() if value is not None}


def _key(sha256: Sha256) -> str:
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"


async def _chunks(found: Any) -> AsyncGenerator[bytes, None]:
    with _translated():
        async for chunk in found.stream(min_chunk_size=CHUNK):
            yield bytes(chunk)


@contextmanager
def _translated() -> Iterator[None]:
    """Not "from error": the library's texts go on with its whole configuration."""
    try:
        yield
    except (BaseError, OSError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise BlobsUnavailable(f"S3: {lines[0][:LONGEST_CAUSE]}") from None
