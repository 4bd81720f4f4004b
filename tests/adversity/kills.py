"""Kill -9 while ingesting, again and again, and then the ledger.

A data centre that never rests, one PostgreSQL that syncs its commits, and one daemon after the other that is killed by
SIGKILL: at a random moment, or by itself at a point inside a recording (``killed_daemon``). After every kill the books
must balance; at the end what is stored is what exists. ``make adversity`` kills 200 times and writes
``bench/results/kills.json``; another number, and another plan:

    python -m tests.adversity.kills --kills 30 --seed 7

Exits 1 when something is lost or doubled, or when a wrong order of commits isn't found out.
"""

import argparse
import asyncio
import contextlib
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import asyncpg

from daemon.store.embedded import EmbeddedPostgres
from sandbox.switches import MAX_TOO_LONG_ABOVE
from tests.adversity.killed_daemon import ABSENT_MARKED, BETWEEN, KILL_AT, ORDER, POINTS, WRONG_ORDERS
from tests.adversity.outcome import commit, write
from tests.processes import PYTHON, ROOT, DaemonProcess, Process, SandboxProcess

ACCOUNTS, CHANNELS, POSTS = 2, 4, 200
NEAR = 150
"""Edits and deletions fall within so many ids of the top: inside the horizon that is read again, 200."""
PACE = 0.01
"""Seconds between two strikes: with what they publish some hundred posts a second."""
MISSED, TOO_MANY = (1, 60), (MAX_TOO_LONG_ABOVE, 400)
"""How many posts a channel gets while no daemon lives: usually, and before some kills. Of too many the service tells
nothing, and the newest 200 are read again: that may bring back what a kill took, so it isn't the rule."""
ALIVE = 2.0
"""Longest life of a daemon that is killed at random, in seconds from when it says that it is ready."""
REACHED_WITHIN = 60.0
SETTLED_WITHIN = 120.0

# One statement, so that it sees one moment. "gone" rows were deleted before they were seen: nobody counts them.
BOOKS = """
SELECT c.channel_id, c.added_total + c.backfilled_total AS added, c.edited_total AS edited, c.deleted_total AS deleted,
    count(p) AS rows, count(p) FILTER (WHERE p.deleted_at IS NOT NULL) AS marked,
    (SELECT count(*) FROM post_versions v WHERE v.channel_id = c.channel_id) AS versions,
    (SELECT count(*) FROM (
        SELECT FROM (
            SELECT message_id, text FROM post_versions v WHERE v.channel_id = c.channel_id
            UNION ALL SELECT message_id, text FROM posts q WHERE q.channel_id = c.channel_id
        ) AS told GROUP BY message_id, text HAVING count(*) > 1
    ) AS again) AS told_twice
FROM coverage c LEFT JOIN posts p ON p.channel_id = c.channel_id AND p.kind = 'post'
GROUP BY c.channel_id
"""
SUMMED = "SELECT coalesce(sum(posts_added), 0)::bigint FROM jobs WHERE kind = 'all'"
STATE = """
SELECT pts, doubt_since, (CASE WHEN start_id <= top THEN int8range(start_id, top, '[]') <@ covered END) AS whole
FROM coverage WHERE channel_id = $1
"""
HELD = "SELECT message_id, kind, text, deleted_at IS NOT NULL AS deleted FROM posts WHERE channel_id = $1"


@dataclass(frozen=True)
class Kill:
    """One death: at a point of the recording, or (``point`` is empty) so long after the daemon was ready."""

    point: str = ""
    count: int = 1
    after: float = 0.0
    gently: bool = False
    """By SIGTERM instead: no kill at all, but the end of a life amid the same traffic."""

    def __str__(self):
        return f"{self.point}:{self.count}" if self.point else f"{self.after:.2f} s"

    @property
    def signal(self):
        return signal.SIGTERM if self.gently else signal.SIGKILL

    @property
    def code(self):
        """With which the process ends."""
        return 0 if self.gently else -signal.SIGKILL


def plan(seed, kills):
    """Half of the kills at random moments, half at points, each point as often as any other; mixed."""
    rng = random.Random(seed)
    points = [POINTS[n % len(POINTS)] for n in range(kills // 2)]
    at_points = [Kill(point, 1 if point == ABSENT_MARKED else rng.randrange(1, 9)) for point in points]
    at_random = [Kill(after=rng.uniform(0, ALIVE)) for _ in range(kills - len(at_points))]
    return rng.sample(at_points + at_random, kills)


class KilledDaemon(DaemonProcess):
    def __init__(self, state_dir, *, env, kill=None, order=""):
        at = f"{kill.point}:{kill.count}" if kill is not None and kill.point else ""
        super().__init__(state_dir, env={**env, KILL_AT: at, ORDER: order})
        Process.__init__(self, [PYTHON, "-m", "tests.adversity.killed_daemon", "run"], env=self.env, cwd=ROOT)

    async def die(self, kill, traffic):
        """Live amid the traffic until that kill; the daemon hasn't ended in another way."""
        with contextlib.suppress(AssertionError):  # that it ended before it was ready: how, is looked at below
            await self.start()
        with traffic.flowing():
            if not kill.point:
                await self.post("/parse/all")
                asyncio.get_running_loop().call_later(kill.after, self.process.send_signal, kill.signal)
            try:
                code = await asyncio.wait_for(self.process.wait(), REACHED_WITHIN)
            except TimeoutError:
                await self.kill()
                raise AssertionError(f"{kill} was never reached:\n{self.log}") from None
        await self.stop(0)
        assert code == kill.code, f"ended with {code} instead of at {kill}:\n{self.log}"
        assert "Traceback" not in self.log, self.log


class Traffic:
    """Publishes, edits and deletes while it is let flow."""

    def __init__(self, sandbox, seed):
        self._sandbox = sandbox
        self._open = asyncio.Event()
        self._rng = random.Random(seed)
        self._ids = {}
        self.done = Counter()

    async def begin(self):
        ledger = (await self._sandbox.get("/ledger"))["channels"]
        self._ids = {
            channel["id"]: [post["id"] for post in channel["posts"] if not post["service"]] for channel in ledger
        }

    async def flow(self):
        while True:
            await self._open.wait()
            await self._strike()
            await asyncio.sleep(PACE)

    @contextmanager
    def flowing(self):
        self._open.set()
        try:
            yield
        finally:
            self._open.clear()

    async def pass_unheard(self, low, high):
        """What happens while no daemon lives: something everywhere, and between so many posts."""
        for channel in self._ids:
            await self._publish(channel, self._rng.randint(low, high), silent=False)
            await self._edit(channel)
            await self._delete(channel)

    async def _strike(self):
        channel, rng = self._rng.choice(tuple(self._ids)), self._rng
        match rng.choices(("posts", "silent", "edits", "deletes", "figures"), (50, 3, 30, 10, 7))[0]:
            case "posts":
                await self._publish(channel, rng.randrange(1, 20), silent=False)
            case "silent":
                await self._publish(channel, rng.randrange(1, 6), silent=True)
            case "edits":
                await self._edit(channel)
            case "deletes":
                await self._delete(channel)
            case "figures":
                self.done["figures"] += 1
                await self._sandbox.post(
                    "/figures", {"channel": channel, "id": self._near(channel, 1)[0], "views": self.done["figures"]}
                )

    async def _publish(self, channel, count, *, silent):
        made = await self._sandbox.post("/posts", {"channel": channel, "count": count, "silent": silent})
        self._ids[channel] += made["ids"]
        self.done["posts"] += count

    async def _edit(self, channel):
        self.done["edits"] += 1
        text = f"edit {self.done['edits']}"
        await self._sandbox.post("/edits", {"channel": channel, "id": self._near(channel, 1)[0], "text": text})

    async def _delete(self, channel):
        ids = self._near(channel, self._rng.randrange(1, 4))
        self._ids[channel] = [one for one in self._ids[channel] if one not in ids]
        self.done["deletions"] += len(ids)
        await self._sandbox.post("/deletes", {"channel": channel, "ids": ids})

    def _near(self, channel, count):
        return self._rng.sample(self._ids[channel][-NEAR:], count)


@dataclass
class Played:
    """What came of a run of kills."""

    kills: list = field(default_factory=list)
    done: Counter = field(default_factory=Counter)
    faults: Counter = field(default_factory=Counter)
    """lost, raised, doubled, uncounted, uncovered -> how many; none at all is what is promised."""
    told: list = field(default_factory=list)
    """The faults in words, the first of each moment."""

    def blame(self, moment, faults):
        self.faults.update({kind: many for kind, (many, _) in faults.items() if many})
        self.told += [f"{moment}: {kind}: {many}, {first}" for kind, (many, first) in faults.items() if many]


def balance(row):
    """What is wrong in one channel's books, at whatever moment: kind -> (how many, what)."""
    what = f"channel {row['channel_id']}: {dict(row)}"
    uncounted = (row["rows"] - row["marked"]) - (row["added"] - row["deleted"])
    twice = (row["added"] - row["rows"], row["deleted"] - row["marked"], row["edited"] - row["versions"])
    return {
        "doubled": (sum(max(0, more) for more in twice) + row["told_twice"], what),
        "uncounted": (max(0, uncounted), what),
    }


def compare(channel, rows):
    """What the rows and the ledger of one channel don't agree on."""
    exists = {post["id"]: None if post["service"] else post["text"] for post in channel["posts"]}
    live = {row["message_id"]: row["text"] if row["kind"] == "post" else None for row in rows if not row["deleted"]}
    lost = [post_id for post_id, text in exists.items() if live.get(post_id, 0) != text]
    raised = sorted(live.keys() - exists.keys())
    return {
        "lost": (len(lost), f"channel {channel['id']}: {lost[:9]}"),
        "raised": (len(raised), f"channel {channel['id']}: {raised[:9]}"),
    }


@asynccontextmanager
async def connected(dsn):
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


class Ledger:
    """The database beside what the sandbox says that exists."""

    def __init__(self, sandbox, dsn):
        self._sandbox, self._dsn = sandbox, dsn

    async def books(self):
        """Whatever is wrong at this moment, a dead daemon's half-done work included."""
        async with connected(self._dsn) as connection:
            found = [balance(row) for row in await connection.fetch(BOOKS)]
            added = sum(row["added"] for row in await connection.fetch(BOOKS))
            summed = await connection.fetchval(SUMMED)
        return [*found, {"doubled": (max(0, summed - added), f"jobs told of {summed} posts, {added} were added")}]

    async def truth(self):
        """Whatever differs, now that nothing happens any more; and whether all that happened has been heard of."""
        faults, heard = [], True
        async with connected(self._dsn) as connection:
            for channel in (await self._sandbox.get("/ledger"))["channels"]:
                faults.append(compare(channel, await connection.fetch(HELD, channel["id"])))
                state = await connection.fetchrow(STATE, channel["id"])
                heard = heard and state["pts"] == channel["pts"]
                doubtful = not state["whole"] or state["doubt_since"] is not None
                faults.append({"uncovered": (int(doubtful), f"channel {channel['id']}: {dict(state)}")})
        return faults, heard


def clean(faults):
    return not any(many for one in faults for many, _ in one.values())


@dataclass
class Scene:
    """A world, its database, and one daemon after the other."""

    folder: Path
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
        return KilledDaemon(self.folder / "var", env=self.env, kill=kill, order=self.order)

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


async def play(folder, kills, *, seed, order="", told=lambda _: None):
    """Kill as planned; what was found after each kill, and at the end."""
    played = Played()
    shape = ("--accounts", ACCOUNTS, "--channels", CHANNELS, "--posts", POSTS, "--seed", seed, "--log-level", "ERROR")
    async with SandboxProcess(*shape) as sandbox, EmbeddedPostgres(folder / "postgres", fsync=True) as server:
        scene = Scene(folder, sandbox, server.dsn, order)
        await sandbox.post("/switches", {"too_long_above": MAX_TOO_LONG_ABOVE})
        for one in await scene.sign_in():
            played.blame("before the first kill", one)
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
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        played = await play(Path(name), plan(seed, kills), seed=seed, told=tell)
    wrong = {}
    for order, planned in controls(seed).items():
        with tempfile.TemporaryDirectory(prefix="kills-") as name:
            wrong[order] = await play(Path(name), planned, seed=seed, order=order, told=tell)
    return played, wrong


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
