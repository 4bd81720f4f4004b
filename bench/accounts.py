"""A thousand accounts come up: how long until all are connected, and what an idle one costs in memory.

A daemon is started over sessions that are stored already, and over one account for comparison; a client of its own for
each account, no connection shared. Time runs from the start of the process until the last account is active. Memory is
the daemon's resident set once all have been idle for a while, against that of the daemon with one account: the
difference, by the accounts that it has more. The last line of stdout is one JSON object.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg

HERE = Path(__file__).resolve().parent
# Python puts this folder first, where actors.py would pass for the package of the same name.
sys.path[:] = [str(HERE.parent), *(one for one in sys.path if Path(one).resolve() != HERE)]

from bench.parts import (  # noqa: E402 - the path had to be set right
    RunningSandbox,
    ask,
    cpu_seconds,
    fresh_database,
    keep,
    running_daemon,
    running_sandbox,
)
from daemon.store.embedded import EmbeddedPostgres  # noqa: E402

WITHIN, COST = 60.0, 120.0
"""What is promised: seconds until a thousand are connected, KB of memory for each that is idle."""
SETTLE = 20.0
"""Seconds of idling before memory is read."""


def resident(pid: int) -> int:
    """Bytes."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"process {pid} has no resident set")


async def sign_in(sandbox: RunningSandbox, dsn: str, state: Path, accounts: list[int]) -> None:
    """Store a session for each, through a daemon of a life of its own, which ends once all have been up."""
    async with running_daemon(sandbox.dc, dsn, state) as daemon:
        for account in accounts:
            await ask("POST", f"{daemon.url}/sessions", {"session": await sandbox.session(account)})
        while sum(user["is_active"] for user in (await ask("GET", f"{daemon.url}/users"))["users"]) < len(accounts):
            await asyncio.sleep(1.0)
        await asyncio.sleep(SETTLE)  # those that nobody needs connect once more, without updates


async def come_up(sandbox: RunningSandbox, dsn: str, state: Path, accounts: int) -> dict[str, float]:
    database = await asyncpg.connect(dsn)
    try:
        await database.execute("UPDATE users SET state = 'connecting' WHERE NOT bot")
        began = time.perf_counter()
        async with running_daemon(sandbox.dc, dsn, state) as daemon:
            listening = time.perf_counter() - began
            active = "SELECT count(*) FROM users WHERE state = 'active' AND NOT bot"
            while await database.fetchval(active) < accounts:
                await asyncio.sleep(0.1)
            took, cpu = time.perf_counter() - began, cpu_seconds(daemon.pid)
            await asyncio.sleep(SETTLE)
            return {
                "accounts": accounts,
                "listening_s": round(listening, 2),
                "connected_s": round(took, 2),
                "cpu_s": round(cpu, 2),
                "resident_mb": round(resident(daemon.pid) / 1e6, 1),
            }
    finally:
        await database.close()


async def measure(accounts: int, channels: int) -> dict[str, Any]:
    runs = []
    with tempfile.TemporaryDirectory(prefix="accounts-") as folder:
        state = Path(folder)
        state.chmod(0o755)
        async with EmbeddedPostgres(state / "postgres") as postgres:
            for number, many in enumerate((1, accounts)):
                shape = ("--accounts", str(many), "--channels", str(channels), "--posts", str(channels), "--seed", "7")
                async with running_sandbox(*shape, "--log-level", "WARNING") as sandbox:
                    world = await ask("GET", f"{sandbox.control}/world")
                    people = [each["id"] for each in world["accounts"] if not each["bot"]]
                    dsn, place = await fresh_database(postgres.dsn, number), state / f"state-{number}"
                    await sign_in(sandbox, dsn, place, people)
                    runs.append(await come_up(sandbox, dsn, place, many))
                    print(runs[-1], file=sys.stderr)
    one, all_ = runs
    each = (all_["resident_mb"] - one["resident_mb"]) * 1e3 / (accounts - 1)
    return {"bench": "accounts", "one": one, "all": all_, "kb_per_idle_account": round(each, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--channels", type=int, default=20)
    parser.add_argument("--out", type=Path, help="also write the result here, with the command that made it")
    options = parser.parse_args()
    result = asyncio.run(measure(options.accounts, options.channels))
    if options.out is not None:
        keep(
            options.out, result, f"python bench/accounts.py --accounts {options.accounts} --channels {options.channels}"
        )
    print(json.dumps(result))
    if result["all"]["connected_s"] > WITHIN or result["kb_per_idle_account"] > COST:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
