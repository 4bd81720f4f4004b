"""One daemon for one state folder: a lock that the kernel lets go when its holder dies, however it dies."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from daemon.store.errors import StateLocked


class StateLock:
    """Held from ``acquire`` to ``release``; ``with`` does both."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir.resolve()
        self._file: int | None = None

    @property
    def held(self) -> bool:
        return self._file is not None

    @property
    def identity(self) -> str:
        """The state folder itself, by whatever path a container sees it."""
        if self._file is None:
            raise RuntimeError("the state lock isn't held")
        status = os.fstat(self._file)
        return f"{status.st_dev}:{status.st_ino}"

    def acquire(self) -> None:
        """Raises: StateLocked, at once, when another process holds it."""
        self.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self.state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError as error:
            text = os.pread(file, 32, 0).strip()
            os.close(file)
            pid = int(text) if text.isdigit() else None
            raise StateLocked(
                f"another Telewarden (process {pid or 'unknown'}) uses {self.state_dir}: stop it first, "
                "or give this one a state_dir and a database of its own",
                pid,
            ) from error
        except BaseException:
            os.close(file)
            raise
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()
