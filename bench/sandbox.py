"""The sandbox itself: how big a world it holds, how fast it serves history, and how many posts it publishes.

One sandbox process holds 1,000 accounts, 10,000 channels and 1,000,000 posts. Clients are Telethon in other processes;
what counts is the sandbox's own CPU time, from the kernel, so that a busy machine changes little.

- ``ready_s`` and ``rss_mb``: from the start of the process to its first line, and its resident memory then and at the
  very end (``rss_end_mb``).
- ``serve``: pages of 100 posts, asked by four clients that don't parse them. ``cold`` is the first reading, in which
  messages are made; ``cached`` the second. Posts per second of the sandbox's CPU time. ``seal_only`` is the limit:
  what one core does that only encrypts pages of the same size; ``ratio`` is cached to it.
- ``publish``: 1,000 accounts listen while posts are published at a steady rate: posts per second over the window, the
  pushes they caused, how many of them the clients received, and the part of one core that the sandbox used.

The last line of stdout is one JSON object. Exits 1 when a bar is missed.
"""

import argparse
import asyncio
import json
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp

HERE = Path(__file__).resolve().parent
# Python puts this folder first, and in it this file would pass for the package of the same name.
sys.path[:] = [str(HERE.parent), *(one for one in sys.path if Path(one).resolve() != HERE)]

from bench.parts import keep  # noqa: E402 - the path had to be set right
from sandbox.crypto import seal  # noqa: E402

BARS = {"ready_s": 60.0, "rss_mb": 1024.0, "serve_cached": 50_000.0, "publish": 2_000.0}

READER = """
import asyncio, json, sys, time
from telethon import TelegramClient
from telethon.sessions import StringSession
from telethon.tl import functions, types

class Page(functions.messages.GetHistoryRequest):
    @staticmethod
    def read_result(reader):
        return len(reader.read())

async def read(client, work):
    total = 0
    for channel_id, access_hash, count in work:
        peer = types.InputPeerChannel(channel_id, access_hash)
        for start in range(0, count, 100):
            total += await client(Page(peer, 0, None, start, 100, 0, 0, 0))
    return total

async def main(sessions, work):
    clients = [TelegramClient(StringSession(one), 1, "0" * 32) for one in sessions]
    await asyncio.gather(*(client.connect() for client in clients))
    shares = [work[n::len(clients)] for n in range(len(clients))]
    sizes = await asyncio.gather(*map(read, clients, shares))
    print(json.dumps({"bytes": sum(sizes)}), flush=True)
    for client in clients:
        await client.disconnect()

asyncio.run(main(**json.load(sys.stdin)))
"""

LISTENER = """
import asyncio, json, sys, time
from telethon import TelegramClient
from telethon._updates import SessionState
from telethon.sessions import StringSession
from telethon.tl import functions

heard = 0

class Listener(TelegramClient):
    async def _update_loop(self):
        global heard
        while True:
            await self._updates_queue.get()
            heard += 1

async def main(sessions, seconds):
    global heard
    gate = asyncio.Semaphore(20)
    clients = []
    for one in sessions:
        client = Listener(StringSession(one), 1, "0" * 32)
        client._message_box.load(SessionState(0, 0, False, 1, 0, 1, 0, None), [])
        clients.append(client)
    async def connect(client):
        async with gate:
            await client.connect()
            await client(functions.help.GetNearestDcRequest())
    await asyncio.gather(*map(connect, clients))
    print("connected", flush=True)
    sys.stdin.readline()
    heard = 0
    await asyncio.sleep(seconds)
    print(json.dumps({"heard": heard}), flush=True)
    await asyncio.gather(*(client.disconnect() for client in clients))

with_ = json.loads(sys.stdin.readline())
asyncio.run(main(**with_))
"""


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, from the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Running:
    """One sandbox process and its control interface."""

    def __init__(self, process: asyncio.subprocess.Process, control: str, ready_s: float) -> None:
        self.process = process
        self.control = control
        self.ready_s = ready_s

    @classmethod
    async def start(cls, *arguments: str) -> "Running":
        begun = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sandbox", *arguments, cwd=HERE.parent, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        first = json.loads(await process.stdout.readline())
        return cls(process, first["control"], time.perf_counter() - begun)

    async def stop(self) -> None:
        self.process.terminate()
        await self.process.wait()

    async def get(self, path: str) -> Any:
        async with aiohttp.ClientSession() as http, http.get(self.control + path) as answer:
            return json.loads(await answer.text())


async def run(code: str, given: dict[str, Any]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate(json.dumps(given).encode())
    answer: dict[str, Any] = json.loads(out)
    return answer


async def measure_serving(dc: Running, world: Any, posts: int) -> dict[str, Any]:
    """Read `posts` posts twice."""
    # The access hash is a function of the seed; the bench asks for it as a client would.
    from sandbox.generate import Shape, build_world

    account = world["accounts"][0]["id"]
    hashes = build_world(Shape(accounts=1000, channels=1, posts=0))
    public = [channel for channel in world["channels"] if channel["username"]]
    work, planned = [], 0
    for channel in public:
        if planned >= posts:
            break
        work.append((channel["id"], hashes.access_hash(account, "channel", channel["id"]), 100))
        planned += 100
    sessions = [(await dc.get(f"/sessions/{account}"))["session"] for _ in range(4)]
    rates, size = {}, 0
    for name in ("cold", "cached"):
        before = cpu_seconds(dc.process.pid)
        read = await run(READER, {"sessions": sessions, "work": work})
        size = read["bytes"] // len(work)
        rates[name] = round(planned / (cpu_seconds(dc.process.pid) - before))
    limit = seal_only(size)
    return {**rates, "seal_only": round(limit), "ratio": round(rates["cached"] / limit, 3), "page_bytes": size}


def seal_only(size: int) -> float:
    """Posts per second that one core encrypts, in pages of 100 and of this many bytes."""
    key, page = secrets.token_bytes(256), secrets.token_bytes(size + 32)
    begun, used = 0, time.process_time()
    while time.process_time() - used < 1.0:
        seal(key, key[:8], page)
        begun += 100
    return begun / (time.process_time() - used)


async def measure_publishing(accounts: int, rate: int, seconds: float) -> dict[str, Any]:
    dc = await Running.start(
        "--accounts", str(accounts), "--channels", str(accounts * 10), "--posts", str(accounts * 1000),
        "--rate", str(rate), "--log-level", "WARNING",
    )  # fmt: skip
    try:
        world = await dc.get("/world")
        users = [account["id"] for account in world["accounts"] if not account["bot"]]
        sessions = [(await dc.get(f"/sessions/{user}"))["session"] for user in users]
        listener = await asyncio.create_subprocess_exec(
            sys.executable, "-c", LISTENER, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            limit=2**24,
        )  # fmt: skip
        assert listener.stdin is not None
        assert listener.stdout is not None
        listener.stdin.write(json.dumps({"sessions": sessions, "seconds": seconds}).encode() + b"\n")
        assert await listener.stdout.readline() == b"connected\n"
        listener.stdin.write(b"go\n")
        before, cpu, begun = await dc.get("/requests"), cpu_seconds(dc.process.pid), time.perf_counter()
        heard = json.loads(await listener.stdout.readline())["heard"]
        after, took = await dc.get("/requests"), time.perf_counter() - begun
        used = cpu_seconds(dc.process.pid) - cpu
        await listener.wait()
        sent = after["pushes"]["sent"] - before["pushes"]["sent"]
        return {
            "posts_per_s": round((after["published"] - before["published"]) / took),
            "pushes_per_s": round(sent / took),
            "heard_share": round(heard / max(1, sent), 3),
            "core_share": round(used / took, 3),
            "listeners": len(users),
            "seconds": round(took, 1),
        }
    finally:
        await dc.stop()


async def measure(posts: int, rate: int, seconds: float) -> dict[str, Any]:
    dc = await Running.start(
        "--accounts", "1000", "--channels", "10000", "--posts", "1000000", "--log-level", "WARNING"
    )
    try:
        ready, rss = dc.ready_s, rss_mb(dc.process.pid)
        serving = await measure_serving(dc, await dc.get("/world"), posts)
        end = rss_mb(dc.process.pid)
    finally:
        await dc.stop()
    publishing = await measure_publishing(1000, rate, seconds)
    return {
        "bench": "sandbox",
        "ready_s": round(ready, 2),
        "rss_mb": round(rss, 1),
        "rss_end_mb": round(end, 1),
        "serve": serving,
        "publish": publishing,
    }


def missed(result: dict[str, Any]) -> list[str]:
    checks = {
        "ready_s": result["ready_s"] <= BARS["ready_s"],
        "rss_mb": result["rss_end_mb"] <= BARS["rss_mb"],
        "serve_cached": result["serve"]["cached"] >= BARS["serve_cached"],
        # A clock's tick at both ends of the window.
        "publish": result["publish"]["posts_per_s"] >= 0.99 * BARS["publish"],
    }
    return [name for name, held in checks.items() if not held]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=600_000, help="posts that are read, twice")
    parser.add_argument("--rate", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long it is published")
    parser.add_argument("--out", type=Path, help="also write the result here, with the command that made it")
    options = parser.parse_args()
    result = asyncio.run(measure(options.posts, options.rate, options.seconds))
    if options.out is not None:
        command = f"python bench/sandbox.py --posts {options.posts} --rate {options.rate} --seconds {options.seconds}"
        keep(options.out, result, command)
    print(json.dumps(result))
    if failed := missed(result):
        raise SystemExit(f"missed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
