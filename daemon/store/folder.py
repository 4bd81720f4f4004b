"""Small things done to the embedded server's folder, in a thread: they may block."""

import os
from pathlib import Path


def made_by(data: Path) -> str | None:
    """The major version that made a data folder; None where there is none."""
    try:
        return (data / "PG_VERSION").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None


def rename_durably(old: Path, new: Path) -> None:
    """Rename, so that even a loss of power won't undo it: what is committed later stands below the new name."""
    old.rename(new)
    parent = os.open(new.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def open_log(path: Path) -> int:
    """A new log, as a descriptor. Never through a link: the folder is the server's user's, and we may be root."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def last_words(log: Path) -> str:
    try:
        return " / ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]) or "it said nothing"
    except OSError as error:
        return str(error)
