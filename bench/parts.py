"""What benchmarks of the whole program share: sandbox and daemon in processes of their own, and the file of figures."""

import asyncio
import json
import os
import platform
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

ROOT = Path(__file__).resolve().parent.parent


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, from the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def ask(method: str, url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    async with aiohttp.ClientSession() as http, http.request(method, url, json=body) as answer:
        text = await answer.text()
        if answer.status >= 400:
            raise SystemExit(f"{method} {url} answered {answer.status}: {text}")
        parsed: dict[str, Any] = json.loads(text)
        return parsed


@dataclass(frozen=True)
class RunningSandbox:
    pid: int
    control: str
    dc: dict[str, Any]

    async def session(self, account_id: int) -> str:
        return str((await ask("GET", f"{self.control}/sessions/{account_id}"))["session"])


@asynccontextmanager
async def running_sandbox(*arguments: str) -> AsyncIterator[RunningSandbox]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sandbox", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        line = await process.stdout.readline()
        if not line:
            raise SystemExit("the sandbox ended before it listened")
        first = json.loads(line)
        yield RunningSandbox(process.pid, first["control"], first["dc"])
    finally:
        process.terminate()
        await process.wait()


@dataclass(frozen=True)
class RunningDaemon:
    pid: int
    url: str


@asynccontextmanager
async def running_daemon(dc: dict[str, Any], dsn: str, state: Path, **settings: str) -> AsyncIterator[RunningDaemon]:
    """A daemon with an empty state; ``settings`` are environment variables without ``TELEWARDEN__``."""
    told = {
        "STATE_DIR": str(state),
        "DATABASE__DSN": dsn,
        "ADMIN__PORT": "0",
        "TELEGRAM__DATACENTER__ID": str(dc["id"]),
        "TELEGRAM__DATACENTER__ADDRESS": dc["address"],
        "TELEGRAM__DATACENTER__PORT": str(dc["port"]),
        "TELEGRAM__DATACENTER__PUBLIC_KEY": dc["public_key"],
        **settings,
    }
    env = {**os.environ, **{f"TELEWARDEN__{name}": value for name, value in told.items()}}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "daemon", "run", env=env, cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    drain: asyncio.Task[None] | None = None
    try:
        url = ""
        while not url:
            line = (await process.stderr.readline()).decode()
            if not line:
                raise SystemExit("the daemon ended before it listened")
            if "🌐" in line:
                url = line[line.index("http://") :].split()[0].rstrip("/")
        drain = asyncio.create_task(_let_go(process.stderr))
        yield RunningDaemon(process.pid, url)
    finally:
        process.terminate()
        await process.wait()
        if drain is not None:
            await drain


async def _let_go(stream: asyncio.StreamReader) -> None:
    while await stream.read(65_536):
        pass


async def fresh_database(base_dsn: str, number: int) -> str:
    connection = await asyncpg.connect(base_dsn)
    try:
        await connection.execute(f"CREATE DATABASE round_{number}")
    finally:
        await connection.close()
    head, _, tail = base_dsn.partition("?")
    return f"{head.rpartition('/')[0]}/round_{number}?{tail}" if tail else f"{head.rpartition('/')[0]}/round_{number}"


def keep(path: Path, result: dict[str, Any], command: str) -> None:
    """Write the result down, with what made it: the command, the commit (``+`` where files differ from it), Python."""
    made_by = {
        "command": command,
        "commit": _git("rev-parse", "HEAD") + "+" * bool(_git("status", "--porcelain", "--", ":/", ":!/bench/results")),
        "python": platform.python_version(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path.write_text(json.dumps({**result, **made_by}, indent=2) + "\n", encoding="utf-8")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
