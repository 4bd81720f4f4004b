"""From wire to committed row: the daemon beside stock `iter_messages`, in one run against the same sandbox.

Each round reads the same posts twice: once by a process that does nothing but Telethon's `iter_messages(wait_time=0)`,
once by a daemon with an empty database. Medians over the rounds; the CPU figure is the process's own user and system
time. The last line of stdout is one JSON object.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
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

CHANNELS = 20

STOCK = """
import asyncio, json, sys, time
from telethon import TelegramClient
from telethon.sessions import StringSession

async def main(session, channels):
    client = TelegramClient(StringSession(session), 1, "0" * 32)
    await client.connect()
    entities = [dialog.input_entity for dialog in await client.get_dialogs(limit=None) if dialog.entity.id in channels]
    cpu, wall, count = time.process_time(), time.perf_counter(), 0
    for entity in entities:
        async for _ in client.iter_messages(entity, limit=None, wait_time=0):
            count += 1
    print(json.dumps({"posts": count, "wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}))
    await client.disconnect()

asyncio.run(main(sys.argv[1], set(json.loads(sys.argv[2]))))
"""


def run_stock(session: str, channels: list[int]) -> dict[str, float]:
    answer = subprocess.run(
        [sys.executable, "-c", STOCK, session, json.dumps(channels)], check=True, capture_output=True, text=True
    )
    measured: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return measured


async def run_daemon(sandbox: RunningSandbox, session: str, dsn: str, expected: int, state: Path) -> dict[str, float]:
    async with running_daemon(sandbox.dc, dsn, state, COLLECTION__START="all") as daemon:
        database = await asyncpg.connect(dsn)
        try:
            cpu, wall = cpu_seconds(daemon.pid), time.perf_counter()
            await ask("POST", f"{daemon.url}/sessions", {"session": session})
            while await database.fetchval("SELECT coalesce(sum(added_total), 0) FROM coverage") < expected:
                await asyncio.sleep(0.01)
            took, used = time.perf_counter() - wall, cpu_seconds(daemon.pid) - cpu
            return {"posts": expected, "wall_s": took, "cpu_s": used}
        finally:
            await database.close()


async def measure(posts: int, rounds: int) -> dict[str, Any]:
    stock, daemon = [], []
    shape = ("--accounts", "1", "--channels", str(CHANNELS), "--posts", str(posts), "--seed", "11")
    with tempfile.TemporaryDirectory(prefix="collect-") as folder:
        state = Path(folder)
        state.chmod(0o755)
        async with running_sandbox(*shape) as sandbox, EmbeddedPostgres(state / "postgres") as postgres:
            world = await ask("GET", f"{sandbox.control}/world")
            account = next(one for one in world["accounts"] if not one["bot"])
            channels = [one["id"] for one in world["channels"] if account["id"] in one["members"]]
            ledger = await ask("GET", f"{sandbox.control}/ledger")
            expected = sum(
                not post["service"] for one in ledger["channels"] if one["id"] in channels for post in one["posts"]
            )
            # The sandbox encodes each page when it is first asked for it; no round is to pay for that.
            await asyncio.to_thread(run_stock, await sandbox.session(account["id"]), channels)
            for number in range(rounds):
                stock.append(await asyncio.to_thread(run_stock, await sandbox.session(account["id"]), channels))
                dsn = await fresh_database(postgres.dsn, number)
                session = await sandbox.session(account["id"])
                daemon.append(await run_daemon(sandbox, session, dsn, expected, state / f"state-{number}"))
                print(f"round {number}: stock {stock[-1]}, daemon {daemon[-1]}", file=sys.stderr)
    return summary(stock, daemon)


def summary(stock: list[dict[str, float]], daemon: list[dict[str, float]]) -> dict[str, Any]:
    """Medians, and the ratios as medians over the pairs: a noisy machine moves both halves of a pair."""

    def rate(run: dict[str, float]) -> float:
        return run["posts"] / run["wall_s"]

    def cpu(run: dict[str, float]) -> float:
        return run["cpu_s"] / run["posts"] * 1e6

    def figures(of: Any, digits: int) -> dict[str, float]:
        return {
            "stock": round(statistics.median(map(of, stock)), digits),
            "daemon": round(statistics.median(map(of, daemon)), digits),
            "ratio": round(statistics.median(of(d) / of(s) for s, d in zip(stock, daemon, strict=True)), 3),
        }

    return {"bench": "collect", "posts_per_s": figures(rate, 0), "cpu_us_per_post": figures(cpu, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="also write the result here, with the command that made it")
    options = parser.parse_args()
    result = asyncio.run(measure(options.posts, options.rounds))
    if options.out is not None:
        command = f"python bench/collect.py --posts {options.posts} --rounds {options.rounds}"
        keep(options.out, result, command)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
