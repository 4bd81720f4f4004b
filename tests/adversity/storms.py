"""A thousand storms, each by its own seed, in worker processes that have a database each.

``make adversity`` plays all and writes ``bench/results/storms.json``. One seed alone, with what differs at its end:

    python -m tests.adversity.storms --seeds 17

A seed fixes what happens to the channel and to its pushes; when the daemon gets to do something is up to the machine,
so that a seed which failed once is played again some times. Exits 1 when a seed fails.
"""

import argparse
import asyncio
import json
import logging
import sys
import tempfile
import time
import traceback
from collections import Counter, deque
from pathlib import Path
from statistics import median

from daemon.keys import MasterKeys
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.state_lock import StateLock
from daemon.store.store import open_store
from tests.adversity.outcome import commit, write
from tests.adversity.storm import play
from tests.postgres import Databases, make_template
from tests.processes import PYTHON, ROOT

POSTS = 2000
SEED_WITHIN = 240.0
"""Seconds for one seed, ten times what it takes on two busy cores: a storm that doesn't end has failed."""
SHOWN = 20
"""Of the posts that differ in one seed, so many are told."""


async def played(databases, folder, seed, posts):
    """What became of one seed, in values that JSON can carry."""
    began = time.monotonic()
    try:
        with StateLock(folder / "state") as lock:
            async with (
                asyncio.timeout(SEED_WITHIN),
                databases.one() as dsn,
                await open_store(dsn, pool_size=4, keys=MasterKeys(bytes(range(32)))) as opened,
            ):
                await opened.owner.take(lock)
                storm = await play(opened.store, dsn, seed, posts)
    except Exception:  # noqa: BLE001 - whatever it is, it is this seed's failure, and the next seed's turn
        return {"seed": seed, "seconds": time.monotonic() - began, "error": traceback.format_exc()}
    differs = {str(post_id): said for post_id, said in sorted(storm.differs.items())[:SHOWN]}
    return {
        "seed": seed,
        "seconds": time.monotonic() - began,
        "differ": len(storm.differs),
        "differs": differs,
        "calls": storm.calls,
        "happened": storm.happened,
    }


async def work(posts):
    """A worker: a seed a line comes in, what became of it goes out."""
    logging.lastResort = None  # cut lines and floods are what a storm is made of: they aren't told one by one
    with tempfile.TemporaryDirectory(prefix="storms-") as name:
        folder = Path(name)
        async with EmbeddedPostgres(folder / "postgres", fsync=False) as server:
            await make_template(server.dsn)
            databases = Databases(server.dsn)
            while line := await asyncio.to_thread(sys.stdin.readline):
                told = await played(databases, folder, int(line), posts)
                print(json.dumps(told), flush=True)


class Worker:
    """A process that plays one seed after the other; one that dies has failed its seed and is replaced."""

    def __init__(self, posts):
        self._posts = posts
        self._process = None

    async def play(self, seed):
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *(PYTHON, "-m", "tests.adversity.storms", "--work", "--posts", str(self._posts)),
                cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 22,
            )  # fmt: skip
        self._process.stdin.write(b"%d\n" % seed)
        answer = await self._process.stdout.readline()
        if answer:
            return json.loads(answer)
        code = await self._process.wait()
        self._process = None
        return {"seed": seed, "seconds": 0.0, "error": f"the worker ended with {code}"}

    async def stop(self):
        if self._process is not None:
            self._process.stdin.close()
            await self._process.wait()


async def storms(seeds, posts, workers):
    """Play them all; what became of each, in the order in which they ended."""
    waiting, ended = deque(seeds), []

    async def employ():
        worker = Worker(posts)
        try:
            while waiting:
                ended.append(one := await worker.play(waiting.popleft()))
                tell(one, len(ended), len(seeds))
        finally:
            await worker.stop()

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(employ())
    return ended


def failed(one):
    return "error" in one or one["differ"] > 0


def tell(one, done, of):
    outcome = one.get("error") or (f"{one['differ']} differ: {one['differs']}" if one["differ"] else "equal")
    print(f"{done}/{of} seed {one['seed']}: {outcome} ({one['seconds']:.1f} s)", file=sys.stderr, flush=True)


def summed(ended, field):
    return dict(sorted(sum((Counter(one[field]) for one in ended if field in one), Counter()).items()))


def summary(ended, posts, workers, seconds):
    took = [one["seconds"] for one in ended]
    return {
        "adversity": "storms",
        "seeds": len(ended),
        "failed": sum(map(failed, ended)),
        "posts_per_seed": posts,
        "calls": summed(ended, "calls"),
        "pushes": summed(ended, "happened"),
        "seconds": round(seconds, 1),
        "seconds_per_seed": {"median": round(median(took), 2), "max": round(max(took), 2)},
        "workers": workers,
        "failures": [one for one in sorted(ended, key=lambda one: one["seed"]) if failed(one)],
    }


def seeds_of(text):
    """``17``, ``3,17`` or ``0-999``."""
    seeds = []
    for part in text.split(","):
        low, _, high = part.partition("-")
        seeds += range(int(low), int(high or low) + 1)
    return seeds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=seeds_of, default=seeds_of("0-999"), help="17 or 3,17 or 0-999 (the default)")
    parser.add_argument("--posts", type=int, default=POSTS, help="published in a storm (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, help="also write the result here")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        asyncio.run(work(options.posts))
        return
    ran_on, began = commit(), time.monotonic()
    ended = asyncio.run(storms(options.seeds, options.posts, min(options.workers, len(options.seeds))))
    result = summary(ended, options.posts, options.workers, time.monotonic() - began)
    if options.out is not None:
        command = " ".join(("python -m tests.adversity.storms", *sys.argv[1:]))
        write(options.out, {**result, "command": command, "commit": ran_on})
    print(json.dumps(result))
    sys.exit(bool(result["failed"]))


if __name__ == "__main__":
    main()
