"""Two daemons, one database, again and again: one takes over from the other, which is stopped and continued meanwhile.

The one that owns the accounts is made to call without pause; another, in a state folder of its own as if on another
host, takes the database over by force. At a moment that the seed chooses the owner is stopped (SIGSTOP) and continued
seconds later, and in every second race the database restarts. The data centre counts the calls with a key that another
open connection calls with too, or has called with since. ``make adversity`` has 200 races and writes
``bench/results/races.json``; another number:

    python -m tests.adversity.races --races 20 --seed 7

Exits 1 when there was one such call, when something is lost, or when a daemon without the fence isn't found out.
"""

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
import time
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import aiohttp

from daemon.store.embedded import EmbeddedPostgres
from tests.adversity.books import Ledger, clean
from tests.adversity.outcome import commit, write
from tests.adversity.traffic import Traffic
from tests.processes import PYTHON, ROOT, DaemonProcess, Process, SandboxProcess

ACCOUNTS, CHANNELS, POSTS = 3, 4, 8_000
SHORT, LONG = 2.0, 45.0
"""Seconds for which an owner is stopped."""
BEGINS = 7.0
"""Seconds that one who takes over needs until it connects, about: within them the short stops fall."""
ENDS_WITHIN = 20.0
"""Seconds in which an owner that lost the database has ended, once it runs again."""
SETTLED_WITHIN = 120.0
TAKEN = "another daemon has taken the database over"


@dataclass(frozen=True)
class Race:
    """When the owner is stopped, for how long, and when the database restarts, in seconds from the other's start."""

    stop_at: float
    stop: float
    restart_at: float | None


def plan(seed, races, long):
    """``long`` of them with a long stop that begins before the other does; mixed."""
    rng = random.Random(seed)
    drawn = []
    for n in range(races):
        restart_at = rng.uniform(0, BEGINS) if n % 2 else None
        stop_at, stop = (0.0, LONG) if n < long else (rng.uniform(0, BEGINS), SHORT)
        drawn.append(Race(round(stop_at, 2), stop, restart_at and round(restart_at, 2)))
    return rng.sample(drawn, races)


class RacingDaemon(DaemonProcess):
    def __init__(self, state_dir, *, env, fence=True):
        super().__init__(state_dir, env=env)
        module = "daemon" if fence else "tests.adversity.unfenced_daemon"
        Process.__init__(self, [PYTHON, "-m", module, "run", "--take-over"], env=self.env, cwd=ROOT)

    async def call_without_pause(self, channel):
        """Have it compare what it stores with what exists, one call after the other, until it ends."""
        patience = aiohttp.ClientTimeout(total=4)
        async with aiohttp.ClientSession(timeout=patience) as session:
            while self.process.returncode is None:
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with session.post(f"{self.url}/channels/{channel}/verify?wait=3") as answer:
                        await answer.read()
                await asyncio.sleep(0.02)

    def signal(self, number):
        with suppress(ProcessLookupError):
            self.process.send_signal(number)


@dataclass
class Played:
    races: list = field(default_factory=list)
    parallel: int = 0
    told: list = field(default_factory=list)
    """What went wrong, in words."""
    requests: int = 0


class Scene:
    """A world, its database, and the one who owns it."""

    def __init__(self, folder, sandbox, server, *, fence):
        dc = sandbox.dc
        self._folder, self._sandbox, self._server, self._fence = folder, sandbox, server, fence
        self._hosts = 0
        self.channels = []
        self.played = Played()
        self.env = {
            "TELEWARDEN__DATABASE__DSN": server.dsn,
            "TELEWARDEN__TELEGRAM__DATACENTER__ID": str(dc["id"]),
            "TELEWARDEN__TELEGRAM__DATACENTER__ADDRESS": dc["address"],
            "TELEWARDEN__TELEGRAM__DATACENTER__PORT": str(dc["port"]),
            "TELEWARDEN__TELEGRAM__DATACENTER__PUBLIC_KEY": dc["public_key"],
            "TELEWARDEN__COLLECTION__START": "all",
        }

    async def _begin(self):
        """Another daemon on another host; one that the restarting database kept from starting begins again."""
        self._hosts += 1
        while True:
            daemon = RacingDaemon(self._folder / f"host{self._hosts}", env=self.env, fence=self._fence)
            try:
                return await daemon.start()
            except AssertionError:
                code = await daemon.stop(0)
                if code != 1 or "Traceback" in daemon.log:
                    raise AssertionError(f"ended with {code}:\n{daemon.log}") from None

    @asynccontextmanager
    async def first_owner(self):
        """Signs all accounts in; hands over a list whose only item is whoever owns the database."""
        owner = await self._begin()
        owners = [owner]
        try:
            # The hosts have one master key, as an operator copies it.
            self.env["TELEWARDEN__KEYS__MASTER_KEY_FILE"] = str(self._folder / "host1" / "master.key")
            world = await self._sandbox.get("/world")
            self.channels = [channel["id"] for channel in world["channels"]]
            for account in world["accounts"]:
                if not account["bot"]:
                    session = await self._sandbox.get(f"/sessions/{account['id']}")
                    await owner.post("/sessions", {"session": session["session"]})
            await owner.signed_in(ACCOUNTS)
            await owner.parse_all()
            yield owners
        finally:
            for daemon in owners:
                daemon.signal(signal.SIGCONT)
                if daemon.process.returncode is None:
                    await daemon.stop()

    async def race(self, race, owners):
        """Another takes over; what is wrong then is noted."""
        (former,) = owners
        async with asyncio.TaskGroup() as group:
            before = [group.create_task(former.call_without_pause(channel)) for channel in self.channels]
            group.create_task(self._stop_and_continue(race, former))
            group.create_task(self._restart(race))
            owner = await self._begin()
            owners.append(owner)
            await owner.signed_in(ACCOUNTS)
            after = [group.create_task(owner.call_without_pause(channel)) for channel in self.channels]
            code = await former.stop(0, within=race.stop_at + race.stop + ENDS_WITHIN)
            await asyncio.gather(*before)
            job = await owner.parse_all(wait=60)
            for calling in after:
                calling.cancel()
        owners.remove(former)
        self.played.races.append(race)
        if code != 1 or TAKEN not in former.log or "Traceback" in former.log:
            self.played.told.append(f"{race}: the former owner ended with {code}:\n{former.log}")
        if job["state"] != "success":
            self.played.told.append(f"{race}: the new owner parsed with {job}")
        await self._count(race)

    async def _count(self, race):
        requests = await self._sandbox.get("/requests")
        parallel = sum(requests["parallel"].values()) - self.played.parallel
        self.played.parallel += parallel
        self.played.requests = requests["total"]
        if parallel:
            self.played.told.append(f"{race}: {parallel} calls with a key that another called with")

    async def _stop_and_continue(self, race, daemon):
        await asyncio.sleep(race.stop_at)
        daemon.signal(signal.SIGSTOP)
        await asyncio.sleep(race.stop)
        daemon.signal(signal.SIGCONT)

    async def _restart(self, race):
        if race.restart_at is not None:
            await asyncio.sleep(race.restart_at)
            await self._server.stop()
            await self._server.start()

    async def settle(self, owners):
        """Parse until nothing changes any more; whatever differs from what exists is noted."""
        (owner,) = owners
        ledger = Ledger(self._sandbox, self._server.dsn)
        async with asyncio.timeout(SETTLED_WITHIN):
            while True:
                job = await owner.parse_all(wait=60)
                faults, heard = await ledger.truth()
                if job["state"] == "success" and (clean(faults) or (heard and job["posts_added"] == 0)):
                    break
        for one in faults + await ledger.books():
            self.played.told += [f"{kind}: {many}, {first}" for kind, (many, first) in one.items() if many]


async def play(folder, races, *, seed, fence=True, told=lambda _: None):
    """Race as planned. Without the fence the first call that it would have kept back ends it."""
    shape = ("--accounts", ACCOUNTS, "--channels", CHANNELS, "--posts", POSTS, "--seed", seed, "--log-level", "ERROR")
    async with SandboxProcess(*shape) as sandbox, EmbeddedPostgres(folder / "postgres") as server:
        scene = Scene(folder, sandbox, server, fence=fence)
        async with scene.first_owner() as owners:
            traffic = Traffic(sandbox, seed)
            await traffic.begin()
            flowing = asyncio.create_task(traffic.flow())
            try:
                for race in races:
                    # An owner that is stopped while it writes keeps the other waiting: so in the control it only reads.
                    with traffic.flowing() if fence else nullcontext():
                        await scene.race(race, owners)
                    told(f"{len(scene.played.races)}/{len(races)} {race}: {scene.played.parallel} parallel")
                    if flowing.done():
                        await flowing
                    if scene.played.parallel and not fence:
                        return scene.played
            finally:
                flowing.cancel()
                await asyncio.gather(flowing, return_exceptions=True)
            await scene.settle(owners)
    return scene.played


# In `make adversity` alone: what the fence keeps back is shown by its own tests too.
CONTROL = (Race(stop_at=0.5, stop=8.0, restart_at=None),) * 5
"""The owner is continued while the other calls already."""


async def run(seed, races, long):
    with tempfile.TemporaryDirectory(prefix="races-") as name:
        played = await play(Path(name), plan(seed, races, long), seed=seed, told=tell)
    with tempfile.TemporaryDirectory(prefix="races-") as name:
        control = await play(Path(name), CONTROL, seed=seed, fence=False, told=tell)
    return played, control


def tell(text):
    print(text, file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--races", type=int, default=200)
    parser.add_argument("--long", type=int, default=10, help=f"how many of them stop the owner for {LONG:.0f} s")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="also write the result here")
    options = parser.parse_args()
    ran_on, began = commit(), time.monotonic()
    played, control = asyncio.run(run(options.seed, options.races, options.long))
    result = {
        "adversity": "races",
        "races": len(played.races),
        "long": sum(race.stop == LONG for race in played.races),
        "with_a_restart_of_the_database": sum(race.restart_at is not None for race in played.races),
        "parallel": played.parallel,
        "requests": played.requests,
        "parallel_without_the_fence": control.parallel,
        "seed": options.seed,
        "failures": played.told,
        "seconds": round(time.monotonic() - began, 1),
    }
    if options.out is not None:
        command = " ".join(("python -m tests.adversity.races", *sys.argv[1:]))
        plans = [asdict(race) for race in played.races]
        write(options.out, {**result, "command": command, "commit": ran_on, "plan": plans})
    print(json.dumps(result))
    sys.exit(bool(played.told or not control.parallel))


if __name__ == "__main__":
    main()
