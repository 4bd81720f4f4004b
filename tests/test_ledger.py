"""The database against the sandbox's ledger, through an orderly stop and a kill -9 in the middle of the collection."""

import asyncio
import signal

import pytest

from tests.processes import DaemonProcess, SandboxProcess, breathe

CHANNELS, ACCOUNTS, POSTS = 20, 3, 10_000


async def stored(daemon):
    return sum(channel["posts"] for channel in (await daemon.get("/channels"))["channels"])


async def until_stored(daemon, wanted, within=60):
    """Ask until that many posts are stored."""
    async with asyncio.timeout(within):
        while (held := await stored(daemon)) < wanted:
            await breathe()
        return held


async def posts_of(daemon, channel_id):
    posts, after = [], 0
    while after is not None:
        page = await daemon.get(f"/posts?channel={channel_id}&after_id={after}")
        posts += page["posts"]
        after = page["next_after_id"]
    return posts


async def assert_equal_to_the_ledger(daemon, sandbox):
    ledger = (await sandbox.get("/ledger"))["channels"]
    assert len(ledger) == CHANNELS
    for channel in ledger:
        held = [(post["id"], post["text"]) for post in await posts_of(daemon, channel["id"])]
        exists = [(post["id"], post["text"]) for post in channel["posts"] if not post["service"]]
        assert held == exists, f"channel {channel['id']}: {len(held)} stored, {len(exists)} exist"
    assert sum(len(channel["posts"]) for channel in ledger) >= POSTS
    for state in (await daemon.get("/channels"))["channels"]:
        assert state["complete"], state


@pytest.mark.timeout(240)
async def test_what_is_stored_equals_the_ledger_after_a_stop_and_a_kill_in_the_middle(tmp_path, dsn):
    shape = ("--accounts", ACCOUNTS, "--channels", CHANNELS, "--posts", POSTS, "--seed", 7, "--state", tmp_path / "dc")
    async with SandboxProcess(*shape) as sandbox:
        dc = sandbox.dc
        env = {
            "TELEWARDEN__DATABASE__DSN": dsn,
            "TELEWARDEN__TELEGRAM__DATACENTER__ID": str(dc["id"]),
            "TELEWARDEN__TELEGRAM__DATACENTER__ADDRESS": dc["address"],
            "TELEWARDEN__TELEGRAM__DATACENTER__PORT": str(dc["port"]),
            "TELEWARDEN__TELEGRAM__DATACENTER__PUBLIC_KEY": dc["public_key"],
            "TELEWARDEN__COLLECTION__START": "all",
        }
        world = await sandbox.get("/world")
        users = [account for account in world["accounts"] if not account["bot"]]
        assert len(users) == ACCOUNTS
        # A slow service keeps the collection in its middle long enough to be stopped there.
        await sandbox.post("/faults", {"method": "messages.getHistory", "delay": 0.05, "count": 1_000_000})

        async with DaemonProcess(tmp_path / "var", env=env) as daemon:
            for user in users:
                session = await sandbox.get(f"/sessions/{user['id']}")
                await daemon.post("/sessions", {"session": session["session"]})
            await until_stored(daemon, POSTS // 10)
            assert await daemon.stop(signal.SIGTERM, within=10) == 0
            assert "Traceback" not in daemon.log

        await sandbox.post("/posts", {"channel": world["channels"][0]["id"], "count": 7})
        async with DaemonProcess(tmp_path / "var", env=env) as daemon:
            held = await until_stored(daemon, POSTS // 4)
            assert held < POSTS, "the kill came too late to be in the middle"
            await daemon.kill()

        await sandbox.post("/posts", {"channel": world["channels"][1]["id"], "count": 11})
        async with DaemonProcess(tmp_path / "var", env=env) as daemon:
            await daemon.signed_in(ACCOUNTS)
            job = await daemon.parse_all(wait=120)
            assert (job["state"], job["channels_done"]) == ("success", CHANNELS), job
            await assert_equal_to_the_ledger(daemon, sandbox)
            assert (await daemon.parse_all())["posts_added"] == 0
            history = (await sandbox.get("/requests"))["history"]
            assert len(history) == CHANNELS
            for channel_id, accounts in history.items():
                assert len(accounts) == 1, f"channel {channel_id} was read by {accounts}"
