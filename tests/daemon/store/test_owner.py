import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from actors.errors import OwnershipLost
from daemon.keys import MasterKeys
from daemon.store.errors import OwnedElsewhere, StateLocked
from daemon.store.owner import Claim, Holder, Ownership, refusal
from daemon.store.state_lock import StateLock
from daemon.store.store import open_store
from tests.daemon.store.rows import DAY, NEWS, USER, ask, follow, membership, post, record
from tests.processes import breathe

HERE = Claim(host="here", boot_id="boot-1", pid=10, state="1:1")


@pytest.fixture
async def second(dsn):
    """Another daemon over the same database."""
    async with await open_store(dsn, pool_size=2, keys=MasterKeys(bytes(32))) as second:
        yield second


def allowed(other: Claim, *, pid_lives: bool, released: bool = False) -> bool:
    return refusal(Holder(claim=other, heartbeat_at=DAY, released=released), HERE, pid_lives=pid_lives) is None


def test_who_may_follow_whom():
    assert refusal(None, HERE, pid_lives=True) is None
    assert allowed(replace(HERE, pid=11), pid_lives=True), "its lock is ours now"
    assert allowed(replace(HERE, host="container"), pid_lives=True), "the same folder from another container"
    assert allowed(replace(HERE, state="2:2"), pid_lives=False)
    assert allowed(replace(HERE, state="2:2", boot_id="boot-0"), pid_lives=True), "that boot is over"
    assert not allowed(replace(HERE, state="2:2"), pid_lives=True)
    assert not allowed(replace(HERE, host="there", state="2:2"), pid_lives=False)
    assert not allowed(replace(HERE, host="there", boot_id="boot-2"), pid_lives=False)
    assert allowed(replace(HERE, host="there", boot_id="boot-2"), pid_lives=False, released=True)


def test_a_refusal_names_the_host_since_when_and_the_way_out():
    holder = Holder(claim=replace(HERE, host="there", boot_id="boot-2"), heartbeat_at=DAY, released=False)
    text = refusal(holder, HERE, pid_lives=False)
    assert "there" in text
    assert "2026-11-01 00:00:00" in text
    assert "--take-over" in text


async def test_nothing_is_written_before_ownership_is_taken_or_after_its_release(opened, second, tmp_path):
    with pytest.raises(OwnershipLost):
        await follow(second.store, membership(NEWS))
    await opened.owner.release()
    with pytest.raises(OwnershipLost):
        await follow(opened.store, membership(NEWS))
    with StateLock(tmp_path / "other") as lock:
        assert await second.owner.take(lock) == Ownership(2, by_force=False)
    await follow(second.store, membership(NEWS))


async def test_a_live_owner_with_another_state_folder_is_refused(opened, second, tmp_path):
    with StateLock(tmp_path / "other") as lock, pytest.raises(OwnedElsewhere, match=f"process {os.getpid()} "):
        await second.owner.take(lock)
    await opened.owner.heartbeat()


async def test_an_owner_on_another_host_is_refused_until_it_is_taken_over(dsn, opened, second, tmp_path):
    await ask(dsn, "UPDATE owner SET host = 'elsewhere', boot_id = 'x'")
    with StateLock(tmp_path / "other") as lock:
        with pytest.raises(OwnedElsewhere, match=r"host elsewhere.*--take-over"):
            await second.owner.take(lock)
        await second.owner.take(lock, take_over=True)


async def test_after_a_take_over_the_former_owner_writes_nothing(dsn, opened, second, tmp_path):
    await follow(opened.store, membership(NEWS))
    with StateLock(tmp_path / "other") as lock:
        await second.owner.take(lock, take_over=True)
    for write in (
        opened.store.posts.record([record(post(1), covered=(1, 1))]),
        opened.store.channels.set_reader(NEWS, USER),
        opened.store.accounts.wipe_session(USER),
        opened.store.jobs.summarize(None, NEWS),
        opened.owner.heartbeat(),
        opened.owner.confirm(),
    ):
        with pytest.raises(OwnershipLost):
            await write
    assert await ask(dsn, "SELECT 1 FROM posts") == []
    await opened.owner.release()
    assert await ask(dsn, "SELECT released_at FROM owner") == [(None,)]


async def test_a_take_over_waits_for_the_write_at_hand_but_a_heartbeat_doesnt(dsn, opened, second, tmp_path):
    await follow(opened.store, membership(NEWS))
    with StateLock(tmp_path / "other") as lock:
        async with opened.database.writing():
            await opened.owner.heartbeat()
            taking = asyncio.create_task(second.owner.take(lock, take_over=True))
            while not await ask(dsn, "SELECT 1 FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()"):
                assert not taking.done()
                await breathe()
        assert await taking == Ownership(2, by_force=True)


async def test_of_two_daemons_that_start_at_once_one_owns_the_database(dsn, tmp_path):
    async with (
        await open_store(dsn, pool_size=2, keys=MasterKeys(bytes(32))) as one,
        await open_store(dsn, pool_size=2, keys=MasterKeys(bytes(32))) as two,
    ):
        with StateLock(tmp_path / "one") as first, StateLock(tmp_path / "two") as other:
            told = await asyncio.gather(one.owner.take(first), two.owner.take(other), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in told) == ["OwnedElsewhere", "Ownership"]


def test_a_state_folder_has_one_daemon_and_the_second_is_told_who(tmp_path):
    with StateLock(tmp_path / "state"):
        with pytest.raises(StateLocked, match=str(os.getpid())) as refused:
            StateLock(tmp_path / "state").acquire()
        assert refused.value.pid == os.getpid()
    with StateLock(tmp_path / "state") as again:
        assert again.held


def test_a_killed_daemon_lets_its_state_folder_go(tmp_path):
    script = (
        "import sys; from pathlib import Path; from daemon.store.state_lock import StateLock\n"
        "StateLock(Path(sys.argv[1])).acquire(); print('held', flush=True); sys.stdin.read()"
    )
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(StateLocked, match=str(process.pid)):
            StateLock(tmp_path).acquire()
        process.kill()
    with StateLock(tmp_path):
        pass
