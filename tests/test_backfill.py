"""A backfill of 5,000 posts, killed in the middle and started anew, while new posts go on coming."""

import asyncio
import signal

import pytest

from tests.processes import DaemonProcess, SandboxProcess, breathe
from tests.test_ledger import posts_of

POSTS = 5_000


async def until_between(daemon, job_id, low, within=60):
    """The job once it has brought that many posts."""
    async with asyncio.timeout(within):
        while (job := await daemon.get(f"/jobs/{job_id}"))["posts_added"] < low:
            assert job["state"] in {"queued", "running"}, job
            await breathe()
        return job


async def until_done(daemon, job_id, within=120):
    async with asyncio.timeout(within):
        while (job := await daemon.get(f"/jobs/{job_id}"))["state"] in {"queued", "running"}:
            await breathe()
        return job


@pytest.mark.timeout(240)
async def test_a_backfill_that_is_killed_goes_on_and_ends_with_every_post_while_new_ones_come(tmp_path, dsn):
    shape = ("--accounts", 2, "--channels", 1, "--posts", POSTS, "--seed", 11, "--state", tmp_path / "dc")
    async with SandboxProcess(*shape) as sandbox:
        dc = sandbox.dc
        env = {
            "TELEWARDEN__DATABASE__DSN": dsn,
            "TELEWARDEN__TELEGRAM__DATACENTER__ID": str(dc["id"]),
            "TELEWARDEN__TELEGRAM__DATACENTER__ADDRESS": dc["address"],
            "TELEWARDEN__TELEGRAM__DATACENTER__PORT": str(dc["port"]),
            "TELEWARDEN__TELEGRAM__DATACENTER__PUBLIC_KEY": dc["public_key"],
            "TELEWARDEN__COLLECTION__START": "last 100",
            "TELEWARDEN__LOGGING__LANGUAGE": "en",
        }
        (channel,) = (await sandbox.get("/world"))["channels"]
        path = f"/channels/{channel['id']}"
        async with DaemonProcess(tmp_path / "var", env=env) as daemon:
            for user in (await sandbox.get("/world"))["accounts"]:
                if not user["bot"]:
                    session = await sandbox.get(f"/sessions/{user['id']}")
                    await daemon.post("/sessions", {"session": session["session"]})
            await daemon.signed_in(2)
            await daemon.parse_all()
            (begun,) = (await daemon.get("/channels"))["channels"]
            assert 90 <= begun["posts"] <= 100
            # a call takes 100 ms, so that there is a middle to be killed in
            await sandbox.post("/faults", {"method": "messages.getHistory", "delay": 0.1, "count": 0})
            job = await daemon.post(f"{path}/backfill", {"all": True})
            await sandbox.post("/posts", {"channel": channel["id"], "count": 3})
            half = await until_between(daemon, job["job_id"], 1000)
            assert half["posts_added"] < POSTS * 0.9, "the kill came too late to be in the middle"
            assert 0 < half["percent"] < 100
            await daemon.kill()
        await sandbox.post("/posts", {"channel": channel["id"], "count": 4})
        async with DaemonProcess(tmp_path / "var", env=env) as daemon:
            await daemon.line("backfill goes on")
            await sandbox.post("/posts", {"channel": channel["id"], "count": 5})
            done = await until_done(daemon, job["job_id"])
            assert (done["state"], done["percent"]) == ("success", 100.0)
            await daemon.parse_all()
            (ledger,) = (await sandbox.get("/ledger"))["channels"]
            exists = [(post["id"], post["text"]) for post in ledger["posts"] if not post["service"]]
            assert [(post["id"], post["text"]) for post in await posts_of(daemon, channel["id"])] == exists
            assert done["posts_added"] == len(exists) - begun["posts"] - 3 - 4 - 5, "new posts are counted apart"
            told = await daemon.get(f"{path}/ledger")
            assert (told["unknown"], told["stored"], told["doubt_since"]) == (0, len(exists), None)
            await daemon.stop(signal.SIGTERM)
