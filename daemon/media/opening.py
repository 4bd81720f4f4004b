"""Opens the store of files that the settings name."""

from actors.errors import BlobsUnavailable
from actors.ports import Blobs
from config.model import Settings
from daemon.media.folder import FolderBlobs


class BlobsRefused(Exception):
    """The store that ``media.store`` names can't be used; the text says why and what to do."""


def open_blobs(settings: Settings) -> Blobs:
    """Nothing is touched before the first file comes. Raises: BlobsRefused."""
    store = settings.media.store
    if store is None or not store.startswith("s3://"):
        return FolderBlobs(settings.media_dir)
    try:
        from daemon.media.s3 import S3Blobs
    except ModuleNotFoundError as error:
        raise BlobsRefused(
            "media.store names an S3 bucket, and what speaks to it isn't installed: pip install 'telewarden[s3]'"
        ) from error
    try:
        return S3Blobs(store, settings.media_dir / "partial", settings.media.s3)
    except BlobsUnavailable as error:
        raise BlobsRefused(f"media.store {store} can't be used: {error}") from error
