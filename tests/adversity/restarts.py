"""How soon a daemon is back after kill -9, and how soon it has ended after SIGTERM, while posts come at full load.

    python -m tests.adversity.restarts --out bench/results/restarts.json

The bars: READY within 5 s of a start after a kill, ended within 10 s of a SIGTERM. That nothing is lost or doubled by
either is shown by tests/adversity/kills.py. The last line of stdout is one JSON object.
"""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from pathlib import Path

from daemon.store.embedded import EmbeddedPostgres
from tests.adversity.outcome import commit, write
from tests.adversity.test_watchdog import Manager
from tests.processes import DaemonProcess, SandboxProcess

ACCOUNTS, CHANNELS, POSTS, RATE = 50, 300, 3000, 200
ROUNDS = 5
READY_MOST, ENDED_MOST = 5.0, 10.0


async def told(manager, word, since, within=60):
    async with asyncio.timeout(within):
        while not (found := [at for what, at in manager.told if what.startswith(word) and at > since]):
            await asyncio.sleep(0.01)
    return found[0]


async def measure(folder):
    manager = Manager(folder / "notify")
    listening = asyncio.create_task(manager.listen())
    shape = ("--accounts", ACCOUNTS, "--channels", CHANNELS, "--posts", POSTS, "--rate", RATE, "--seed", 5)
    ready, ended = [], []
    async with EmbeddedPostgres(folder / "postgres") as server, SandboxProcess(*shape) as sandbox:
        dc = sandbox.dc
        env = {
            "TELEWARDEN__DATABASE__DSN": server.dsn,
            "TELEWARDEN__TELEGRAM__DATACENTER__ID": str(dc["id"]),
            "TELEWARDEN__TELEGRAM__DATACENTER__ADDRESS": dc["address"],
            "TELEWARDEN__TELEGRAM__DATACENTER__PORT": str(dc["port"]),
            "TELEWARDEN__TELEGRAM__DATACENTER__PUBLIC_KEY": dc["public_key"],
            "TELEWARDEN__COLLECTION__START": "all",
            "NOTIFY_SOCKET": str(folder / "notify"),
        }
        daemon = await DaemonProcess(folder / "var", env=env).start()
        for account in (await sandbox.get("/world"))["accounts"]:
            if not account["bot"]:
                session = await sandbox.get(f"/sessions/{account['id']}")
                await daemon.post("/sessions", {"session": session["session"]})
        await daemon.parse_all(wait=120)
        for nth in range(2 * ROUNDS):
            if nth % 2:
                began = time.monotonic()
                assert await daemon.stop(signal.SIGTERM, within=30) == 0, daemon.log
                ended.append(time.monotonic() - began)
            else:
                await daemon.kill()
            began = time.monotonic()
            daemon = await DaemonProcess(folder / "var", env=env).start()
            moment = await told(manager, "READY=1", began)
            if not nth % 2:
                ready.append(moment - began)
            await daemon.signed_in(ACCOUNTS, within=120)
            await daemon.parse_all(wait=120)
        await daemon.stop()
    listening.cancel()
    manager.close()
    return ready, ended


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory(prefix="restart-") as folder:
        ready, ended = asyncio.run(measure(Path(folder)))
    result = {
        "adversity": "restarts",
        "accounts": ACCOUNTS,
        "channels": CHANNELS,
        "posts_a_second": RATE,
        "ready_s": [round(each, 2) for each in ready],
        "ended_s": [round(each, 2) for each in ended],
        "commit": commit(),
    }
    sys.stdout.write(json.dumps(result) + "\n")
    if out is not None:
        write(out, result)
    return 0 if max(ready) <= READY_MOST and max(ended) <= ENDED_MOST else 1


if __name__ == "__main__":
    sys.exit(main())
