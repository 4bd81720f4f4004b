"""From wire to committed row: the daemon beside stock `iter_messages`, in one run against the same sandbox.

Each round reads the same posts twice: once by a process that does nothing but Telethon's `iter_messages(wait_time=0)`,
once by a daemon with an empty database. Medians over the rounds; the CPU figure is the process's own user and system
time. The last line of stdout is one JSON object.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from daemon.store.embedded import EmbeddedPostgres

ROOT = Path(__file__).resolve().parent.parent
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


def run_stock(session: str, channels: list[int]) -> dict[str, float]:
    answer = subprocess.run(
        [sys.executable, "-c", STOCK, session, json.dumps(channels)], check=True, capture_output=True, text=True
    )
    measured: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return measured


async def run_daemon(session: str, dc: dict[str, Any], dsn: str, expected: int, state: Path) -> dict[str, float]:
    env = {
        **os.environ,
        "TELEWARDEN__STATE_DIR": str(state),
        "TELEWARDEN__DATABASE__DSN": dsn,
        "TELEWARDEN__ADMIN__PORT": "0",
        "TELEWARDEN__COLLECTION__START": "all",
        "TELEWARDEN__TELEGRAM__DATACENTER__ID": str(dc["id"]),
        "TELEWARDEN__TELEGRAM__DATACENTER__ADDRESS": dc["address"],
        "TELEWARDEN__TELEGRAM__DATACENTER__PORT": str(dc["port"]),
        "TELEWARDEN__TELEGRAM__DATACENTER__PUBLIC_KEY": dc["public_key"],
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "daemon", "run", env=env, cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    drain: asyncio.Task[bytes] | None = None
    database = await asyncpg.connect(dsn)
    try:
        url = ""
        while not url:
            line = (await process.stderr.readline()).decode()
            if not line:
                raise SystemExit("the daemon ended before it listened")
            if "🌐" in line:
                url = line[line.index("http://") :].split()[0].rstrip("/")
        drain = asyncio.create_task(process.stderr.read())
        cpu, wall = cpu_seconds(process.pid), time.perf_counter()
        await ask("POST", f"{url}/sessions", {"session": session})
        while await database.fetchval("SELECT coalesce(sum(added_total), 0) FROM coverage") < expected:
            await asyncio.sleep(0.01)
        took, used = time.perf_counter() - wall, cpu_seconds(process.pid) - cpu
        return {"posts": expected, "wall_s": took, "cpu_s": used}
    finally:
        await database.close()
        process.terminate()
        await process.wait()
        if drain is not None:
            await drain


async def fresh_database(base_dsn: str, number: int) -> str:
    connection = await asyncpg.connect(base_dsn)
    try:
        await connection.execute(f"CREATE DATABASE round_{number}")
    finally:
        await connection.close()
    head, _, tail = base_dsn.partition("?")
    return f"{head.rpartition('/')[0]}/round_{number}?{tail}" if tail else f"{head.rpartition('/')[0]}/round_{number}"


async def measure(posts: int, rounds: int) -> dict[str, Any]:
    stock, daemon = [], []
    with tempfile.TemporaryDirectory(prefix="collect-") as folder:
        state = Path(folder)
        state.chmod(0o755)
        sandbox = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sandbox", "--accounts", "1", "--channels", str(CHANNELS), "--posts", str(posts),
            "--seed", "11", cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert sandbox.stdout is not None
        first = json.loads(await sandbox.stdout.readline())
        control = first["control"]
        try:
            async with EmbeddedPostgres(state / "postgres") as postgres:
                world = await ask("GET", f"{control}/world")
                account = next(one for one in world["accounts"] if not one["bot"])
                channels = [one["id"] for one in world["channels"] if account["id"] in one["members"]]
                ledger = await ask("GET", f"{control}/ledger")
                expected = sum(
                    not post["service"] for one in ledger["channels"] if one["id"] in channels for post in one["posts"]
                )
                for number in range(rounds):
                    session = (await ask("GET", f"{control}/sessions/{account['id']}"))["session"]
                    stock.append(await asyncio.to_thread(run_stock, session, channels))
                    session = (await ask("GET", f"{control}/sessions/{account['id']}"))["session"]
                    dsn = await fresh_database(postgres.dsn, number)
                    daemon.append(await run_daemon(session, first["dc"], dsn, expected, state / f"state-{number}"))
                    print(f"round {number}: stock {stock[-1]}, daemon {daemon[-1]}", file=sys.stderr)
        finally:
            sandbox.terminate()
            await sandbox.wait()
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
    parser.add_argument("--posts", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="also write the result here, with the command that made it")
    options = parser.parse_args()
    result = asyncio.run(measure(options.posts, options.rounds))
    if options.out is not None:
        command = f"python bench/collect.py --posts {options.posts} --rounds {options.rounds}"
        kept = {**result, "command": command, "posts": options.posts, "rounds": options.rounds}
        options.out.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
