"""Opens the store of files that the settings name."""

from actors.ports import Blobs
from config.model import Settings
from daemon.media.folder import FolderBlobs


def open_blobs(settings: Settings) -> Blobs:
    """Nothing is touched before the first file comes."""
    return FolderBlobs(settings.media_dir)
