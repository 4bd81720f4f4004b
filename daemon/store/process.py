"""Is the process that a ``postmaster.pid`` names really the server of that data folder?"""

import os
from pathlib import Path


def recorded_pid(data: Path) -> int | None:
    """The first line of ``postmaster.pid``; None where there is no such file, or nothing in it yet."""
    try:
        first, *_ = (data / "postmaster.pid").read_text().splitlines() or [""]
    except FileNotFoundError:
        return None
    return int(first) if first.strip().isdigit() else None


def server_of(data: Path) -> int | None:
    """Process id of the live server of ``data``."""
    pid = recorded_pid(data)
    return pid if pid is not None and serving(pid, data) else None


def serving(pid: int, data: Path) -> bool:
    """Whether ``pid`` lives and serves ``data``: no zombie, no other program that was given the same number."""
    entry = Path("/proc") / str(pid)
    try:
        if not Path("/proc/self").exists():  # macOS: that it exists must do
            os.kill(pid, 0)
            return True
        # The name stands in brackets and may itself hold brackets and spaces.
        state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        return state not in "ZX" and os.fsencode(data) in (entry / "cmdline").read_bytes().split(b"\0")
    except (ProcessLookupError, FileNotFoundError):
        return False
    except PermissionError:
        return True
