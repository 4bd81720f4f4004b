"""The actor runtime: what an ask costs beside plain asyncio, and what crowds of actors do to the loop.

Every figure comes from fresh processes, on the real clock, under ``run_owner``. The garbage collector is left as that
and Python set it; ``gc_thresholds`` in the details says how.

- ``ask_us``: one round trip, asked one after the other. The limit is an ``asyncio.Queue`` served by one task that
  sets a future; ours is ``await ref.call(...)`` with its deadline. Both send the same message, made beforehand.
  Rounds of the two alternate in one process; the ratio is the median over the pairs.
- ``idle_10k``: 10,000 actors started one after the other, until all have started; the growth of the process by then;
  then one ask of each, in random order. Nearest-rank p99.
- ``mass_failure_stall_ms``: 10,000 children of one supervisor each get a message whose handler raises. A callback that
  puts itself back on the loop sees every turn; the figure is the longest time between two, until all children are
  back. It is measured in two ways, and the worse median counts: ``paced`` tells 500 children in a turn, and those tells
  are within the figure; ``at_once`` tells all in one ``for``, which is the teller's own stall and is left out
  (``telling_ms`` says how long it was). Deaths are logged with their tracebacks, to nowhere.
- ``shutdown_2k_s``: from the stop of a supervisor to its end, with 2,000 children that each clean up for 10 ms.

The last line of stdout is one JSON object. Exits 1 when a bar is missed.
"""

import argparse
import asyncio
import gc
import json
import logging
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, assert_never

HERE = Path(__file__).resolve().parent
# Python puts this folder first, and in it this file would pass for the package of the same name.
sys.path[:] = [str(HERE.parent), *(one for one in sys.path if Path(one).resolve() != HERE)]

from actors.runtime.actor import TaskActor  # noqa: E402 - the path had to be set right
from actors.runtime.message import Request  # noqa: E402
from actors.runtime.owner import LoopOwner, run_owner  # noqa: E402
from actors.runtime.supervision import Backoff, ChildSpec, StartChild, Supervisor  # noqa: E402

Sample = dict[str, Any]
"""What one process measured."""

ASK_PAIRS = 7
ASKS = 20_000
IDLE = 10_000
FAILING = 10_000
TOLD_PER_TURN = 500
STOPPED = 2_000
RUNS = 3
"""Fresh processes for each figure; their median counts."""
LATEST = 30.0
"""Seconds after which a crowd that isn't complete is a defect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo(Request[int]):
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """The handler raises."""


class Echoing(TaskActor):
    def on_receive(self, message: Echo) -> int:
        match message:
            case Echo(value=value):
                return value
            case _:
                assert_never(message)


class Failing(TaskActor):
    def __init__(self, starts: list[int]) -> None:
        super().__init__()
        self._starts = starts

    def on_start(self) -> None:
        self._starts[0] += 1

    def on_receive(self, message: Fail) -> None:
        match message:
            case Fail():
                raise RuntimeError("told to fail")
            case _:
                assert_never(message)


class Cleaning(TaskActor):
    async def stopping(self) -> None:
        await asyncio.sleep(0.01)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Time between two turns of the loop."""

    at_ms: float
    """Since the watching began."""
    ms: float
    cpu_ms: float
    """What of it this thread computed; the rest the machine gave to others."""


class Turns:
    """Sees every turn of the loop from now on, and every collection of garbage."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._gaps: list[Gap] = []
        self._begun = self._last = time.perf_counter()
        self._cpu = time.thread_time()
        self._collecting = 0.0
        self._collections: list[tuple[float, int]] = []
        gc.callbacks.append(self._collected)
        self._next = self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        now, cpu = time.perf_counter(), time.thread_time()
        at, gap, used = now - self._begun, now - self._last, cpu - self._cpu
        self._last, self._cpu = now, cpu
        if gap > 0.002 or not self._gaps:
            self._gaps.append(Gap(at_ms=round(at * 1e3, 1), ms=round(gap * 1e3, 2), cpu_ms=round(used * 1e3, 2)))
        self._next = self._loop.call_soon(self._turn)

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = time.perf_counter()
        else:
            self._collections.append((time.perf_counter() - self._collecting, info["generation"]))

    def end(self) -> Sample:
        """The longest gaps and collections, longest first."""
        self._next.cancel()
        gc.callbacks.remove(self._collected)
        gaps = sorted(self._gaps, key=lambda gap: gap.ms, reverse=True)
        pauses = sorted(self._collections, reverse=True)
        return {
            "stall_ms": gaps[0].ms,
            "gaps": [asdict(gap) for gap in gaps[:5]],
            "gc_thresholds": gc.get_threshold(),
            "collections": [{"ms": round(took * 1e3, 2), "generation": of} for took, of in pauses[:5]],
        }


async def until(claim: Callable[[], bool]) -> None:
    """Wait for ``claim`` to hold, looking every 5 ms.

    Raises:
        TimeoutError: it still didn't after ``LATEST`` seconds.
    """
    async with asyncio.timeout(LATEST):
        while not claim():
            await asyncio.sleep(0.005)


async def ask(_: LoopOwner) -> Sample:
    """Microseconds a round trip, of the limit and of ours, by pairs."""
    loop = asyncio.get_running_loop()
    message = Echo(value=1)
    queue: asyncio.Queue[tuple[Echo, asyncio.Future[Echo]]] = asyncio.Queue()

    async def serve() -> None:
        while True:
            asked, future = await queue.get()
            future.set_result(asked)

    async def limit(count: int) -> None:
        for _ in range(count):
            future: asyncio.Future[Echo] = loop.create_future()
            queue.put_nowait((message, future))
            await future

    ref = Echoing.start()

    async def ours(count: int) -> None:
        for _ in range(count):
            await ref.call(message)

    async def timed(way: Callable[[int], Awaitable[None]]) -> float:
        begun = time.perf_counter()
        await way(ASKS)
        return (time.perf_counter() - begun) / ASKS * 1e6

    server = asyncio.create_task(serve())
    await limit(2_000)
    await ours(2_000)
    pairs: list[dict[str, float]] = []
    for number in range(ASK_PAIRS):
        if number % 2:
            mine = await timed(ours)
            least = await timed(limit)
        else:
            least = await timed(limit)
            mine = await timed(ours)
        pairs.append({"limit": round(least, 3), "ours": round(mine, 3), "ratio": round(mine / least, 3)})
    server.cancel()
    return {"pairs": pairs}


async def idle(_: LoopOwner) -> Sample:
    before, begun = resident(), time.perf_counter()
    refs = [Echoing.start() for _ in range(IDLE)]
    await refs[-1].wait_started(LATEST)
    took, grown = time.perf_counter() - begun, resident() - before
    for ref in refs:
        if not await ref.wait_started(0.0):
            raise RuntimeError(f"{ref} had not started with the last")
    random.Random(7).shuffle(refs)
    message = Echo(value=1)
    asks: list[float] = []
    for ref in refs:
        asked = time.perf_counter()
        await ref.call(message)
        asks.append(time.perf_counter() - asked)
    asks.sort()
    return {
        "create_s": round(took, 3),
        "rss_mb": round(grown / 1e6, 1),
        "ask_p50_us": round(asks[IDLE // 2] * 1e6, 1),
        "ask_p99_us": round(asks[IDLE * 99 // 100 - 1] * 1e6, 1),
        "ask_max_us": round(asks[-1] * 1e6, 1),
    }


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def mass_failure(owner: LoopOwner, *, at_once: bool) -> Sample:
    starts = [0]
    keys = [f"child-{number}" for number in range(FAILING)]
    supervisor = Supervisor.start(policy=Backoff(), key="supervisor")
    for key in keys:
        await supervisor.call(StartChild(spec=ChildSpec(key=key, factory=partial(Failing.start, starts, key=key))))
    await until(lambda: starts[0] == FAILING)
    await asyncio.sleep(0.1)
    message = Fail()
    begun = time.perf_counter()
    if at_once:
        for key in keys:
            owner.find(key).tell(message)
        told = time.perf_counter()
        turns = Turns()
    else:
        turns = Turns()
        for first in range(0, FAILING, TOLD_PER_TURN):
            for key in keys[first : first + TOLD_PER_TURN]:
                owner.find(key).tell(message)
            await asyncio.sleep(0)
        told = time.perf_counter()
    await until(lambda: starts[0] == 2 * FAILING)
    back_s = time.perf_counter() - begun
    seen = turns.end()
    if len(owner.keys("child-")) != FAILING:
        raise RuntimeError(f"{len(owner.keys('child-'))} of {FAILING} children live")
    return {**seen, "telling_ms": round((told - begun) * 1e3, 2), "back_s": round(back_s, 3)}


async def shutdown(owner: LoopOwner) -> Sample:
    supervisor = Supervisor.start(policy=Backoff(), concurrent=True)
    for number in range(STOPPED):
        key = f"child-{number}"
        await supervisor.call(StartChild(spec=ChildSpec(key=key, factory=partial(Cleaning.start, key=key))))
    await asyncio.sleep(0.1)
    begun = time.perf_counter()
    await supervisor.stop(block=False)
    took = time.perf_counter() - begun
    if owner.keys():
        raise RuntimeError(f"{len(owner.keys())} actors outlived their supervisor")
    return {"shutdown_s": round(took, 3)}


WAYS: dict[str, Callable[[LoopOwner], Awaitable[Sample]]] = {
    "ask": ask,
    "idle": idle,
    "paced": partial(mass_failure, at_once=False),
    "at_once": partial(mass_failure, at_once=True),
    "shutdown": shutdown,
}


def run_alone(way: str) -> None:
    """Measure ``way`` in this process and print its sample."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        logging.basicConfig(stream=nowhere, level=logging.WARNING)  # formatted as ever, and dropped

        async def measured(owner: LoopOwner) -> int:
            sample = await WAYS[way](owner)
            print(json.dumps(sample), flush=True)
            return 0

        code = run_owner(measured)
        logging.shutdown()
    sys.exit(code)


def run(way: str) -> Sample:
    """Measure ``way`` in a fresh process."""
    command = [sys.executable, str(Path(__file__).resolve()), "--alone", way]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    sample: Sample = json.loads(answer.stdout.splitlines()[-1])
    print(f"{way}: {answer.stdout.splitlines()[-1]}", file=sys.stderr)
    return sample


def measure() -> tuple[Sample, dict[str, list[Sample]]]:
    """The result, and the samples it is the medians of."""
    # Round by round: a machine that is busy for a while moves one sample of each figure, not all of one.
    samples: dict[str, list[Sample]] = {"ask": run("ask")["pairs"]}
    for _ in range(RUNS):
        for way in ("idle", "paced", "at_once", "shutdown"):
            samples.setdefault(way, []).append(run(way))

    def median(way: str, field: str, digits: int) -> float:
        values: list[float] = [sample[field] for sample in samples[way]]
        return round(statistics.median(values), digits)

    result = {
        "bench": "actors",
        "ask_us": {field: median("ask", field, 2) for field in ("limit", "ours", "ratio")},
        "idle_10k": {
            "create_s": median("idle", "create_s", 3),
            "rss_mb": median("idle", "rss_mb", 1),
            "ask_p99_us": median("idle", "ask_p99_us", 1),
        },
        "mass_failure_stall_ms": max(median("paced", "stall_ms", 1), median("at_once", "stall_ms", 1)),
        "shutdown_2k_s": median("shutdown", "shutdown_s", 3),
    }
    return result, samples


def missed_bars(result: Sample) -> list[str]:
    """What of ``result`` isn't good enough."""
    ratio, crowd = result["ask_us"]["ratio"], result["idle_10k"]
    stall, stop = result["mass_failure_stall_ms"], result["shutdown_2k_s"]
    bars = [
        (ratio <= 4, f"ask_us.ratio is {ratio}, the bar is <= 4"),
        (crowd["create_s"] < 1, f"idle_10k.create_s is {crowd['create_s']}, the bar is < 1"),
        (crowd["rss_mb"] < 60, f"idle_10k.rss_mb is {crowd['rss_mb']}, the bar is < 60"),
        (crowd["ask_p99_us"] < 1000, f"idle_10k.ask_p99_us is {crowd['ask_p99_us']}, the bar is < 1000"),
        (stall < 100, f"mass_failure_stall_ms is {stall}, the bar is < 100"),
        (stop < 1, f"shutdown_2k_s is {stop}, the bar is < 1"),
    ]
    return [text for held, text in bars if not held]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-bars", action="store_true", help="exit 0 whatever the figures")
    parser.add_argument("--out", type=Path, help="also write the result here, with its samples and how it was made")
    parser.add_argument("--alone", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone is not None:
        run_alone(options.alone)
    result, samples = measure()
    if options.out is not None:
        kept = {
            **result,
            "command": "python bench/actors.py" + (" --no-bars" if options.no_bars else ""),
            "python": platform.python_version(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "details": samples,
        }
        options.out.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    missed = missed_bars(result)
    for text in missed:
        print(f"bar missed: {text}", file=sys.stderr)
    print(json.dumps(result))
    if missed and not options.no_bars:
        sys.exit(1)


if __name__ == "__main__":
    main()
