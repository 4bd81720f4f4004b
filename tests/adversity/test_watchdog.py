"""systemd's watchdog is fed while the daemon is well, and not while it is stuck, in six ways."""

import asyncio
import socket
import time
from itertools import pairwise

import aiohttp
import pytest

from actors.runtime.introspection import ActorSnapshot
from daemon.progress import VITAL, why_stuck
from tests.adversity.stuck_daemon import KINDS, LASTS
from tests.processes import PYTHON, ROOT, DaemonProcess, Process

INTERVAL = 1.6
CONFIG = "sandbox: {enabled: true, accounts: 3, channels: 4, posts: 400, rate: 50}\n"


class Manager:
    """Stands where systemd stands: what it was told, and when."""

    def __init__(self, path):
        self.told = []
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._line.bind(str(path))

    async def listen(self):
        loop = asyncio.get_running_loop()
        while True:
            self.told.append(((await loop.sock_recv(self._line, 4096)).decode(), time.monotonic()))

    def close(self):
        self._line.close()

    @property
    def pings(self):
        return [at for told, at in self.told if told == "WATCHDOG=1"]

    def gap(self, since, until):
        """The longest time without a ping between the two moments."""
        marks = [since, *(at for at in self.pings if since < at < until), until]
        return max(late - early for early, late in pairwise(marks))

    async def ping_after(self, moment):
        async with asyncio.timeout(15):
            while not any(at > moment for at in self.pings):
                await asyncio.sleep(0.02)


class StuckDaemon(DaemonProcess):
    def __init__(self, state_dir, *, env, config):
        super().__init__(state_dir, env=env, config=config)
        Process.__init__(
            self, [PYTHON, "-m", "tests.adversity.stuck_daemon", "run", "-c", str(config)], env=self.env, cwd=ROOT
        )


@pytest.mark.timeout(120)
async def test_pings_come_while_there_is_progress_and_cease_in_each_kind_of_wedge(tmp_path):
    config = tmp_path / "telewarden.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    manager = Manager(tmp_path / "notify")
    listening = asyncio.create_task(manager.listen())
    env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": str(int(INTERVAL * 1e6))}
    async with StuckDaemon(tmp_path / "var", env=env, config=config) as daemon:
        await daemon.signed_in(3)
        await manager.ping_after(0)
        healthy = time.monotonic()
        for _ in range(3):
            assert (await daemon.parse_all())["state"] == "success"
        await manager.ping_after(healthy + INTERVAL)
        assert manager.gap(healthy, time.monotonic()) < INTERVAL
        async with aiohttp.ClientSession() as session:
            for kind in KINDS:
                began = time.monotonic()
                async with session.get(f"{daemon.url}/jobs/wedge-{kind}") as answer:
                    assert answer.status == 404
                await manager.ping_after(began + LASTS)
                # Silent before an interval was over, until it was stuck no more.
                assert not [at - began for at in manager.pings if began + INTERVAL < at < began + LASTS], kind
        assert daemon.log.count("no progress, the watchdog isn't fed") == len(KINDS), daemon.log
        assert any(told.startswith("STATUS=accounts 3/3 up") for told, _ in manager.told)
        assert await daemon.stop() == 0
    assert [told for told, _ in manager.told if told.startswith(("READY", "STOPPING"))] == ["READY=1", "STOPPING=1"]
    listening.cancel()
    manager.close()


def seen(**changes):
    told = {
        "key": "recorder", "parent": None, "class_name": "Recorder", "state": "busy", "mailbox_depth": 0, "age_s": 9.0,
        "restarts": 0, "last_failure": None, "job": "Record", "job_age_s": 0.1,
    }  # fmt: skip
    return ActorSnapshot(**told | changes)


@pytest.mark.parametrize(
    ("snapshot", "why"),
    [
        (seen(), None),
        (seen(state="idle", job=None, job_age_s=None), None),
        (seen(job_age_s=5.1), "recorder has been at Record for 5 s"),
        (None, "recorder isn't there"),
        (seen(state="waiting", job=None, job_age_s=None, age_s=4), None),
        (seen(state="waiting", job=None, job_age_s=None, age_s=6), "recorder has been waiting for 6 s"),
        (seen(state="parked", job=None, job_age_s=None, age_s=6), "recorder has been parked for 6 s"),
        (seen(state="starting", job=None, job_age_s=None, age_s=6), "recorder has been starting for 6 s"),
    ],
)
def test_who_is_stuck_is_named(snapshot, why):
    assert why_stuck([("recorder", snapshot)], 5.0) == why


def test_those_whom_everything_depends_on_are_looked_at():
    assert {"supervisor", "recorder", "roster", "accounts", "scheduler"} <= set(VITAL)
