"""Where the server's socket stands: below its own folder, or in a short one if that path is no good for a socket."""

import hashlib
import os
import sys
from contextlib import suppress
from pathlib import Path

from daemon.store.errors import EmbeddedRefused

SOCKET = ".s.PGSQL.5432"
_LONGEST = 107 if sys.platform == "linux" else 103
"""Bytes in ``sun_path`` before its NUL."""


def socket_folder(folder: Path) -> Path:
    """Where the server of ``folder`` has its socket: always the same for the same folder."""
    place = folder / "run"
    # PostgreSQL takes a list of folders, and so do clients: neither may meet a comma or a quote.
    if len(os.fsencode(place / SOCKET)) <= _LONGEST and not any(mark in str(place) for mark in ',"'):
        return place
    name = "telewarden-" + hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    # Root's server runs as another user, whom root's XDG_RUNTIME_DIR shuts out.
    if runtime and os.geteuid() != 0 and len(os.fsencode(runtime)) < 60 and os.access(runtime, os.W_OK | os.X_OK):
        return Path(runtime) / name
    return Path("/tmp") / name  # noqa: S108 - it is ours alone, which is checked


def has_socket(place: Path, data: Path) -> bool:
    """Whether there is a socket to trust with data: in a folder of the data's owner. Anybody may write to /tmp."""
    try:
        return place.lstat().st_uid == data.stat().st_uid and (place / SOCKET).exists()
    except OSError:
        return False


def make_socket_folder(place: Path, owner: tuple[int, int]) -> None:
    """Make ``place`` for ``owner`` and nobody else. Raises: EmbeddedRefused where it is a stranger's."""
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        file = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise EmbeddedRefused(f"{place} can't be used for the server's socket: {error.strerror}") from error
    try:
        uid = os.fstat(file).st_uid
        # As root the last run may have been another user's.
        if uid not in {owner[0], os.geteuid()}:
            raise EmbeddedRefused(f"{place} belongs to user {uid}: remove it, or choose a shorter state_dir")
        if os.geteuid() == 0:
            os.fchown(file, *owner)
        os.fchmod(file, 0o700)
    finally:
        os.close(file)


def remove_socket_folder(place: Path) -> None:
    """Leave nothing in a place that others share; what isn't empty stays."""
    with suppress(OSError):
        place.rmdir()
