"""As whom PostgreSQL runs: it refuses root, and as another user it may not reach what lies below a 0700 folder.

Which way works depends on parents of the venv and of the state folder, on capabilities and on the container's seccomp
filter. So the ways are tried, not worked out.
"""

import asyncio
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

NOBODY = 65534
_LAUNCH = Path(__file__).with_name("launch.py")

Way = Literal["self", "demoted", "capable", "namespace"]
WAYS: tuple[Way, ...] = ("demoted", "capable", "namespace")
"""When root, in order. ``capable`` before ``namespace``: its files belong to the same user as those of ``demoted``,
and Docker's default seccomp filter forbids user namespaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    way: Way
    uid: int
    gid: int
    """Who the program is in its own eyes."""
    owner: tuple[int, int]
    """To whom its files belong."""

    def command(self, folder: Path, *program: str) -> tuple[str, ...]:
        """What to execute so that ``program`` runs as this user, if that user can write to ``folder``."""
        us = str(os.getpid())
        return (
            *(sys.executable, "-I", "-S", str(_LAUNCH)),
            *(self.way, str(self.uid), str(self.gid), us, str(folder)),
            *program,
        )

    async def run(self, folder: Path, *program: str, stdin: str = "") -> tuple[int, str]:
        """Run to the end; exit code and output."""
        process = await asyncio.create_subprocess_exec(
            *self.command(folder, *program),
            cwd="/",
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            output, _ = await process.communicate(stdin.encode())
        except asyncio.CancelledError:
            process.kill()
            await process.communicate()
            raise
        return process.returncode or 0, output.decode(errors="replace")


def environment() -> dict[str, str]:
    """No PG* variable, locale or time zone of the daemon's may change what PostgreSQL does."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return {"LC_ALL": "C", "TZ": "UTC"} | kept


def identities(ways: tuple[Way, ...] = WAYS) -> Iterator[Identity]:
    """Those worth trying here, best first."""
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0:
        yield Identity(way="self", uid=uid, gid=gid, owner=(uid, gid))
        return
    for way in ways if sys.platform == "linux" else ways[:1]:
        if way == "namespace":
            yield Identity(way=way, uid=NOBODY, gid=NOBODY, owner=(uid, gid))
        else:
            uid_gid = _ordinary_user()
            yield Identity(way=way, uid=uid_gid[0], gid=uid_gid[1], owner=uid_gid)


def _ordinary_user() -> tuple[int, int]:
    try:
        postgres = pwd.getpwnam("postgres")
    except KeyError:
        return NOBODY, NOBODY
    return postgres.pw_uid, postgres.pw_gid


def give(folder: Path, owner: tuple[int, int]) -> None:
    """Make ``owner`` own ``folder`` and all below it. The folder itself comes last: its owner says that all is done."""
    status = folder.stat()
    if os.geteuid() != 0 or (status.st_uid, status.st_gid) == owner:
        return
    for parent, folders, files in os.walk(folder, topdown=False):
        for name in (*folders, *files):
            os.chown(Path(parent) / name, *owner, follow_symlinks=False)
    os.chown(folder, *owner)
