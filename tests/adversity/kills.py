"""Kill -9 while ingesting, again and again, and then the ledger.

A data centre that never rests, one PostgreSQL, and one daemon after the other that is killed by SIGKILL: at a random
moment, or by itself at a point inside a recording (``killed_daemon``). After every kill the books must balance; at the
end what is stored is what exists. ``make adversity`` kills 200 times, over a PostgreSQL that syncs its commits, and
writes ``bench/results/kills.json``; another number, and another plan:

    python -m tests.adversity.kills --kills 30 --seed 7

Exits 1 when something is lost or doubled, or when a wrong order of commits isn't found out.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from daemon.store.embedded import EmbeddedPostgres
from sandbox.switches import MAX_TOO_LONG_ABOVE
from tests.adversity.books import Ledger, clean
from tests.adversity.killed_daemon import ABSENT_MARKED, BETWEEN, KILL_AT, ORDER, POINTS, WRONG_ORDERS
from tests.adversity.outcome import commit, write
from tests.adversity.traffic import MISSED, TOO_MANY, Traffic
from tests.processes import PYTHON, ROOT, DaemonProcess, Process, SandboxProcess

ACCOUNTS, CHANNELS, POSTS = 2, 4, 200
ALIVE = 2.0
"""Longest life of a daemon that is killed at random, in seconds from when it says that it is ready."""
REACHED_WITHIN = 60.0
SETTLED_WITHIN = 120.0
UNKILLED = "before the first kill"


@dataclass(frozen=True)
class Kill:
    """One death: at a point of the recording, or (``point`` is empty) so long after the daemon was ready."""

    point: str = ""
    count: int = 1
    after: float = 0.0

    def __str__(self):
        return f"{self.point}:{self.count}" if self.point else f"{self.after:.2f} s"


def plan(seed, kills):
    """Half of the kills at random moments, half at points, each point as often as any other; mixed."""
    rng = random.Random(seed)
    points = [POINTS[n % len(POINTS)] for n in range(kills // 2)]
    at_points = [Kill(point, 1 if point == ABSENT_MARKED else rng.randrange(1, 9)) for point in points]
    at_random = [Kill(after=rng.uniform(0, ALIVE)) for _ in range(kills - len(at_points))]
    return rng.sample(at_points + at_random, kills)


class Nursery(Process):
    """Where daemons are forked, one at a time; what comes from there is the present one's."""

    def __init__(self):
        super().__init__([PYTHON, "-m", "tests.adversity.killed_daemon"], cwd=ROOT)
        self.child = None

    async def bear(self, daemon):
        self.child = daemon.process = Child()
        self.lines = daemon.lines
        self._news = daemon._news
        self.process.stdin.write(json.dumps(daemon.env).encode() + b"\n")
        await asyncio.wait_for(self.child.born, REACHED_WITHIN)

    def take(self, line):
        match json.loads(line) if line.startswith(b'{"') else {}:
            case {"born": pid}:
                self.child.born.set_result(pid)
            case {"ended": code}:
                self.child.ended.set_result(code)
                self._news.set()
            case _:
                super().take(line)

    async def __aenter__(self):
        return await self.start()

    async def __aexit__(self, *_):
        if self.child is not None and self.child.returncode is None:
            self.child.kill()
        self.process.stdin.close()
        await self.stop(0)


class Child:
    """One process of the nursery, as asyncio's own would be."""

    stdin = None

    def __init__(self):
        self.born, self.ended = asyncio.Future(), asyncio.Future()

    @property
    def returncode(self):
        return self.ended.result() if self.ended.done() else None

    def send_signal(self, sig):
        if self.born.done() and not self.ended.done():
            os.kill(self.born.result(), sig)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    async def wait(self):
        return await asyncio.shield(self.ended)


class KilledDaemon(DaemonProcess):
    def __init__(self, nursery, state_dir, *, env, kill=None, order=""):
        at = f"{kill.point}:{kill.count}" if kill is not None and kill.point else ""
        super().__init__(state_dir, env={**env, KILL_AT: at, ORDER: order})
        self._nursery = nursery

    async def spawn(self):
        await self._nursery.bear(self)
        self._readers = [self.process.ended]

    async def die(self, kill, traffic):
        """Live amid the traffic until that kill; the daemon hasn't ended in another way."""
        with contextlib.suppress(AssertionError):  # that it ended before it was ready: how, is looked at below
            await self.start()
        with traffic.flowing():
            if not kill.point:
                await self.post("/parse/all")
                asyncio.get_running_loop().call_later(kill.after, self.process.send_signal, signal.SIGKILL)
            try:
                code = await asyncio.wait_for(self.process.wait(), REACHED_WITHIN)
            except TimeoutError:
                await self.kill()
                raise AssertionError(f"{kill} was never reached:\n{self.log}") from None
        await self.stop(0)
        assert code == -signal.SIGKILL, f"ended with {code} instead of at {kill}:\n{self.log}"
        assert "Traceback" not in self.log, self.log


@dataclass
class Played:
    """What came of a run of kills."""

    kills: list = field(default_factory=list)
    done: Counter = field(default_factory=Counter)
    faults: Counter = field(default_factory=Counter)
    """Kind (``books``) -> how many; none at all is what is promised."""
    told: list = field(default_factory=list)
    """The faults in words, the first of each moment."""

    @property
    def unkilled(self):
        """Those that no kill can have brought about."""
        return [one for one in self.told if one.startswith(UNKILLED)]

    def blame(self, moment, faults):
        self.faults.update({kind: many for kind, (many, _) in faults.items() if many})
        self.told += [f"{moment}: {kind}: {many}, {first}" for kind, (many, first) in faults.items() if many]


@dataclass
class Scene:
    """A world, its database, and one daemon after the other."""

    folder: Path
    nursery: Nursery
    sandbox: SandboxProcess
    dsn: str
    order: str = ""

    def __post_init__(self):
        dc = self.sandbox.dc
        self.ledger = Ledger(self.sandbox, self.dsn)
        self.env = {
            "TELEWARDEN__DATABASE__DSN": self.dsn,
            "TELEWARDEN__TELEGRAM__DATACENTER__ID": str(dc["id"]),
            "TELEWARDEN__TELEGRAM__DATACENTER__ADDRESS": dc["address"],
            "TELEWARDEN__TELEGRAM__DATACENTER__PORT": str(dc["port"]),
            "TELEWARDEN__TELEGRAM__DATACENTER__PUBLIC_KEY": dc["public_key"],
            "TELEWARDEN__COLLECTION__START": "all",
        }

    def daemon(self, kill=None):
        return KilledDaemon(self.nursery, self.folder / "var", env=self.env, kill=kill, order=self.order)

    async def sign_in(self):
        """A first, short life in which all accounts sign in and all is read that there is."""
        async with self.daemon() as daemon:
            for account in (await self.sandbox.get("/world"))["accounts"]:
                if not account["bot"]:
                    session = await self.sandbox.get(f"/sessions/{account['id']}")
                    await daemon.post("/sessions", {"session": session["session"]})
            await daemon.signed_in(ACCOUNTS)
            return await self._settled(daemon)

    async def settle(self):
        """A last life, without a kill, in a world at rest."""
        async with self.daemon() as daemon:
            await daemon.signed_in(ACCOUNTS)
            return await self._settled(daemon)

    async def _settled(self, daemon):
        """Parse until all is as it should be, or nothing changes any more; what is wrong then."""
        async with asyncio.timeout(SETTLED_WITHIN):
            while True:
                job = await daemon.parse_all(wait=60)
                faults, heard = await self.ledger.truth()
                if job["state"] == "success" and (clean(faults) or (heard and job["posts_added"] == 0)):
                    return faults + await self.ledger.books()


async def play(dsn, folder, kills, *, seed, order="", told=lambda _: None):
    """Kill as planned, over that empty database; what was found after each kill, and at the end."""
    played = Played()
    shape = ("--accounts", ACCOUNTS, "--channels", CHANNELS, "--posts", POSTS, "--seed", seed, "--log-level", "ERROR")
    async with Nursery() as nursery, SandboxProcess(*shape) as sandbox:
        scene = Scene(folder, nursery, sandbox, dsn, order)
        await sandbox.post("/switches", {"too_long_above": MAX_TOO_LONG_ABOVE})
        for one in await scene.sign_in():
            played.blame(UNKILLED, one)
        traffic = Traffic(sandbox, seed)
        await traffic.begin()
        flowing = asyncio.create_task(traffic.flow())
        try:
            for kill in kills:
                # Only where too much happened to be told are posts found deleted by their absence.
                await traffic.pass_unheard(*(TOO_MANY if kill.point == ABSENT_MARKED else MISSED))
                await scene.daemon(kill).die(kill, traffic)
                played.kills.append(kill)
                for one in await scene.ledger.books():
                    played.blame(f"kill {len(played.kills)} ({kill})", one)
                told(f"{len(played.kills)}/{len(kills)} {kill}: {dict(traffic.done)} {dict(played.faults)}")
                if flowing.done():
                    await flowing
        finally:
            flowing.cancel()
            await asyncio.gather(flowing, return_exceptions=True)
        for one in await scene.settle():
            played.blame("at the end", one)
    played.done = traffic.done
    return played


def controls(seed, kills=2):
    """Runs that must go wrong: order -> its kills, each in the middle of what should have been one transaction."""
    rng = random.Random(seed)
    return {order: [Kill(BETWEEN, rng.randrange(2, 9)) for _ in range(kills)] for order in WRONG_ORDERS}


GOES_WRONG = {"coverage first": "lost", "posts first": "uncounted", "counters first": "doubled"}
"""What comes of each wrong order. Posts first lose no post and double none, for their key forbids it: nobody counts
those of the commit whose coverage was lost, since they are no news when they are fetched again."""


async def run(seed, kills):
    played = await play_alone(plan(seed, kills), seed=seed)
    wrong = {order: await play_alone(planned, seed=seed, order=order) for order, planned in controls(seed).items()}
    return played, wrong


async def play_alone(kills, **how):
    """Over a server of its own, one that syncs its commits."""
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        folder = Path(name)
        async with EmbeddedPostgres(folder / "postgres", fsync=True) as server:
            return await play(server.dsn, folder, kills, told=tell, **how)


def tell(text):
    print(text, file=sys.stderr, flush=True)


def summary(seed, played, wrong):
    points = Counter(kill.point for kill in played.kills if kill.point)
    unfound = [order for order, kind in GOES_WRONG.items() if not wrong[order].faults[kind]]
    return {
        "adversity": "kills",
        "kills": len(played.kills),
        "at_random": len(played.kills) - points.total(),
        "at_points": dict(points),
        **{kind: played.faults[kind] for kind in ("lost", "raised", "doubled", "uncounted", "uncovered")},
        "traffic": dict(played.done),
        "controls": {order: {"kills": len(one.kills), **one.faults} for order, one in wrong.items()},
        "controls_not_found_out": unfound,
        "seed": seed,
        "failures": played.told,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="also write the result here")
    options = parser.parse_args()
    ran_on, began = commit(), time.monotonic()
    played, wrong = asyncio.run(run(options.seed, options.kills))
    result = summary(options.seed, played, wrong) | {"seconds": round(time.monotonic() - began, 1)}
    if options.out is not None:
        command = " ".join(("python -m tests.adversity.kills", *sys.argv[1:]))
        plans = [asdict(kill) for kill in played.kills]
        write(options.out, {**result, "command": command, "commit": ran_on, "plan": plans})
    print(json.dumps(result))
    sys.exit(bool(played.faults or result["controls_not_found_out"]))


if __name__ == "__main__":
    main()
