"""Live posts: from being published to the committed row, and what a post costs among few channels and among many.

Ten accounts follow 10 channels, then 5,000; each time a daemon with an empty database signs them in, and once all
channels are read posts are published evenly over all channels at a fixed rate. A post's time begins when it was due to
be published, so that a slow moment counts against every post it delays, and ends when PostgreSQL tells a listener of
the commit. CPU is the daemon's own user and system time while posts are published; what it uses in as long a time
without posts is told beside it, and not subtracted. The last line of stdout is one JSON object.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
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

ACCOUNTS = 10
SIZES = (10, 5_000)
POSTS_A_CHANNEL = 2
"""There from the beginning."""
LATE_MS, FLAT = 50.0, 1.15
"""What is promised: p99 in milliseconds at 200 posts/s, and the dearest cost a post as a part of the cheapest."""

LOUD = """
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('stored', NEW.channel_id || '/' || NEW.message_id); RETURN NULL; END $$;
CREATE TRIGGER tell AFTER INSERT ON posts FOR EACH ROW EXECUTE FUNCTION tell();
"""


class Stopwatch:
    """When each post was due and when its row was committed."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._stored: dict[str, float] = {}

    def published(self, post: str, due: float) -> None:
        self._due[post] = due

    def stored(self, _connection: Any, _pid: int, _channel: str, post: Any) -> None:
        self._stored[str(post)] = time.perf_counter()

    @property
    def missing(self) -> int:
        return sum(post not in self._stored for post in self._due)

    def times(self) -> list[float]:
        return [self._stored[post] - due for post, due in self._due.items()]


async def publish(control: str, channels: list[int], rate: int, seconds: int, watch: Stopwatch) -> None:
    """One post each ``1/rate`` seconds, the channels in turn."""
    async with aiohttp.ClientSession() as http:
        began = time.perf_counter()

        async def one(number: int) -> None:
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            channel = channels[number % len(channels)]
            async with http.post(f"{control}/posts", json={"channel": channel, "count": 1}) as answer:
                (post_id,) = (await answer.json())["ids"]
            watch.published(f"{channel}/{post_id}", due)

        async with asyncio.TaskGroup() as group:
            for number in range(rate * seconds):
                group.create_task(one(number))


async def run(sandbox: RunningSandbox, dsn: str, state: Path, rate: int, seconds: int) -> dict[str, float]:
    world = await ask("GET", f"{sandbox.control}/world")
    channels = [channel["id"] for channel in world["channels"]]
    accounts = [account["id"] for account in world["accounts"] if not account["bot"]]
    async with running_daemon(sandbox.dc, dsn, state, COLLECTION__START="all") as daemon:
        database, watch = await asyncpg.connect(dsn), Stopwatch()
        try:
            for account in accounts:
                await ask("POST", f"{daemon.url}/sessions", {"session": await sandbox.session(account)})
            whole = "SELECT count(*) FROM coverage WHERE top > 0 AND int8range(start_id, top, '[]') <@ covered"
            while await database.fetchval(whole) < len(channels):
                await asyncio.sleep(0.1)
            await database.execute(LOUD)
            await database.add_listener("stored", watch.stored)
            cpu = cpu_seconds(daemon.pid)
            await asyncio.sleep(seconds)
            idle, cpu = cpu_seconds(daemon.pid) - cpu, cpu_seconds(daemon.pid)
            await publish(sandbox.control, channels, rate, seconds, watch)
            async with asyncio.timeout(30):
                while watch.missing:
                    await asyncio.sleep(0.05)
            used = cpu_seconds(daemon.pid) - cpu
        finally:
            await database.close()
    times = sorted(watch.times())
    return {
        "posts": len(times),
        "cpu_us_per_post": round(used / len(times) * 1e6, 1),
        "idle_cpu_s": round(idle, 2),
        "p50_ms": round(statistics.median(times) * 1e3, 1),
        "p99_ms": round(times[int(len(times) * 0.99)] * 1e3, 1),
        "max_ms": round(times[-1] * 1e3, 1),
    }


async def measure(rate: int, seconds: int, rounds: int) -> dict[str, Any]:
    runs: dict[int, list[dict[str, float]]] = {size: [] for size in SIZES}
    with tempfile.TemporaryDirectory(prefix="live-") as folder:
        state = Path(folder)
        state.chmod(0o755)
        async with EmbeddedPostgres(state / "postgres") as postgres:
            for number in range(rounds):
                for size in SIZES:
                    shape = ("--accounts", str(ACCOUNTS), "--channels", str(size), "--seed", "7")
                    posts = ("--posts", str(size * POSTS_A_CHANNEL), "--log-level", "WARNING")
                    async with running_sandbox(*shape, *posts) as sandbox:
                        dsn = await fresh_database(postgres.dsn, number * 10_000 + size)
                        place = state / f"state-{number}-{size}"
                        runs[size].append(await run(sandbox, dsn, place, rate, seconds))
                        print(f"round {number}, {size} channels: {runs[size][-1]}", file=sys.stderr)
    return summary(runs, rate)


def summary(runs: dict[int, list[dict[str, float]]], rate: int) -> dict[str, Any]:
    """Medians over the rounds; the ratio is the median over the pairs."""
    few, many = SIZES
    figures = {
        str(size): {name: statistics.median(one[name] for one in runs[size]) for name in runs[size][0]}
        for size in SIZES
    }
    ratio = statistics.median(
        dear["cpu_us_per_post"] / cheap["cpu_us_per_post"] for cheap, dear in zip(runs[few], runs[many], strict=True)
    )
    return {"bench": "live", "posts_per_s": rate, "by_channels": figures, "cost_ratio": round(ratio, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="also write the result here, with the command that made it")
    options = parser.parse_args()
    result = asyncio.run(measure(options.rate, options.seconds, options.rounds))
    if options.out is not None:
        command = f"python bench/live.py --rate {options.rate} --seconds {options.seconds} --rounds {options.rounds}"
        keep(options.out, result, command)
    print(json.dumps(result))
    late = max(one["p99_ms"] for one in result["by_channels"].values()) > LATE_MS
    if late or result["cost_ratio"] > FLAT:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
