"""The daemon as a process: who may run beside it, how it ends, and what it says when it can't start."""

import json
import os
import signal
import socket
import stat
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
import pytest_asyncio

from tests.postgres import Wire, fresh_database
from tests.processes import PYTHON, ROOT, DaemonProcess, Process


class Shared(NamedTuple):
    """One daemon with nothing to do, for all the tests that only look at it."""

    process: DaemonProcess
    state: Path
    env: dict[str, str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory, postgres):
    state = tmp_path_factory.mktemp("shared") / "var"
    async with fresh_database(postgres) as dsn:
        env = {"TELEWARDEN__DATABASE__DSN": dsn}
        async with DaemonProcess(state, env=env) as process:
            yield Shared(process, state, env)


async def ends(process, within=30):
    """Start one that is expected to refuse; its exit code."""
    await Process.start(process)
    return await process.stop(0, within=within)


@pytest.mark.asyncio(loop_scope="module")
async def test_without_any_account_it_runs_and_says_what_to_do(shared):
    assert (await shared.process.get("/users"))["users"] == []
    await shared.process.line("my.telegram.org")
    assert (await shared.process.parse_all())["state"] == "success"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_second_daemon_on_the_same_state_folder_is_refused_by_name_of_the_first(shared):
    second = DaemonProcess(shared.state, env=shared.env)
    assert await ends(second) == 1
    assert str(shared.process.process.pid) in second.log
    assert "Traceback" not in second.log
    assert await shared.process.get("/users")


@pytest.mark.asyncio(loop_scope="module")
async def test_a_second_daemon_on_the_same_database_is_refused(tmp_path, shared):
    second = DaemonProcess(tmp_path / "other", env=shared.env)
    assert await ends(second) == 1
    assert "owns the database" in second.log
    assert "Traceback" not in second.log


async def test_a_port_that_is_taken_is_named_with_the_setting(tmp_path, dsn):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        env = {"TELEWARDEN__DATABASE__DSN": dsn, "TELEWARDEN__ADMIN__PORT": port}
        refused = DaemonProcess(tmp_path / "var", env=env)
        assert await ends(refused) == 1
        assert port in refused.log
        assert "TELEWARDEN__ADMIN__PORT" in refused.log


async def test_it_ends_in_time_though_the_database_has_gone_silent(tmp_path, dsn):
    """Connections stay open, and no answer comes: as when a host vanishes, or PostgreSQL is stopped by a signal."""
    async with Wire(dsn) as wire:
        env = {"TELEWARDEN__DATABASE__DSN": wire.dsn, "TELEWARDEN__SANDBOX__ENABLED": "true"}
        daemon = await DaemonProcess(tmp_path / "var", env=env).start()
        await daemon.signed_in(3)
        wire.silence()
        async with aiohttp.ClientSession() as session:
            # Whatever looks at the database each second hangs by then.
            for path, status in (("/readyz", 503), ("/livez", 200)):
                async with session.get(daemon.url + path) as answer:
                    assert answer.status == status, await answer.text()
        assert await daemon.stop(within=10) == 0
        assert "Traceback" not in daemon.log


async def test_a_database_that_comes_up_after_it_is_waited_for(tmp_path, dsn):
    async with Wire(dsn) as wire:
        there, port = wire.dsn, wire.port
    daemon = DaemonProcess(tmp_path / "var", env={"TELEWARDEN__DATABASE__DSN": there})
    await Process.start(daemon)
    _, line = await daemon.line("Жду базу данных")
    assert f"127.0.0.1:{port}" in line
    async with Wire(dsn, port):
        await daemon.line("Админка слушает")
        assert await daemon.stop() == 0
    assert daemon.log.count("Жду базу данных") == 1


async def test_bad_settings_exit_78_with_every_fault(tmp_path):
    env = {"TELEWARDEN__ADMIN__PORT": "eighty", "TELEWARDEN__COLLECTION__STRAT": "all"}
    refused = DaemonProcess(tmp_path / "var", env=env)
    assert await ends(refused) == 78
    assert "TELEWARDEN__ADMIN__PORT" in refused.log
    assert "TELEWARDEN__COLLECTION__STRAT" in refused.log
    assert not (tmp_path / "var").exists()


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_secret_on_disk_is_for_its_owner_alone(shared):
    for name in ("admin-token", "master.key"):
        assert stat.S_IMODE((shared.state / name).stat().st_mode) == 0o600


async def test_after_kill_9_it_starts_again_at_once_and_after_sigterm_it_has_ended_in_order(tmp_path):
    first = DaemonProcess(tmp_path / "var", config=ROOT / "config" / "sandbox.yaml")
    async with first:
        await first.signed_in(3)
        before = (await first.parse_all())["channels_done"]
        await first.kill()
    async with DaemonProcess(tmp_path / "var", config=ROOT / "config" / "sandbox.yaml") as second:
        await second.signed_in(3)
        job = await second.parse_all()
        assert (job["state"], job["channels_done"], job["posts_added"]) == ("success", before, 0)
        assert await second.stop(signal.SIGTERM, within=10) == 0
        assert "Traceback" not in second.log
        assert "ERROR" not in second.log


async def test_as_json_in_english_every_line_is_an_object_with_a_stable_event_name_and_sigint_ends_it(tmp_path, dsn):
    env = {
        "TELEWARDEN__DATABASE__DSN": dsn,
        "TELEWARDEN__LOGGING__FORMAT": "json",
        "TELEWARDEN__LOGGING__LANGUAGE": "en",
        "LC_ALL": "C",
    }
    process = DaemonProcess(tmp_path / "var", env=env)
    await Process.start(process)
    await process.line("admin_listening")
    await process.line("service_ready")
    assert await process.stop(signal.SIGINT) == 0
    told = {line["event"]: line["message"] for line in map(json.loads, process.lines)}
    assert {"database_ready", "service_ready", "admin_listening", "stopping", "stopped"} <= set(told)
    assert told["service_ready"] == "✅ ParserService initialised"


NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--ambient-caps=-all")


async def interpreter_of_an_ordinary_user():
    """This Python, or the system's of the same version with our packages; (path, environment) or None."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    packages = os.pathsep.join([str(ROOT), sysconfig.get_paths()["purelib"]])
    for path, env in ((PYTHON, {}), (f"/usr/bin/python{version}", {"PYTHONPATH": packages})):
        try:
            # A process of its own: the first one still has root's way into folders while it is started.
            again = f"import subprocess; subprocess.run([{path!r}, '-c', 'import daemon.cli, telethon'], check=True)"
            probe = await Process([*NOBODY, path, "-c", again], env=env, cwd="/").start()
        except FileNotFoundError:
            continue
        if await probe.stop(0) == 0:
            return path, env
    return None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_an_ordinary_user_runs_it_too():
    found = await interpreter_of_an_ordinary_user()
    if found is None:
        pytest.skip(reason="this checkout, or every Python of its version, lies where only root may enter")
    path, env = found
    with tempfile.TemporaryDirectory() as home:
        os.chown(home, 65534, 65534)
        config = ROOT / "config" / "sandbox.yaml"
        daemon = DaemonProcess(Path(home) / "var", env={"HOME": home, **env}, config=config, python=path)
        daemon.run_as(*NOBODY)
        async with daemon:
            await daemon.signed_in(3)
            assert await daemon.stop() == 0


async def test_a_state_folder_that_can_t_be_made_is_told_plainly(tmp_path, dsn):
    (tmp_path / "file").touch()
    refused = DaemonProcess(tmp_path / "file" / "var", env={"TELEWARDEN__DATABASE__DSN": dsn})
    assert await ends(refused) == 1
    assert "state_dir" in refused.log
    assert "unexpectedly" not in refused.log


async def test_told_to_stop_while_it_starts_it_stops_at_once_and_leaves_nothing_running(tmp_path):
    config = ROOT / "config" / "sandbox.yaml"
    env = {"TELEWARDEN__SANDBOX__POSTS": "300000", "TELEWARDEN__LOGGING__LANGUAGE": "en"}
    process = DaemonProcess(tmp_path / "var", config=config, env=env)
    await Process.start(process)
    await process.line("PostgreSQL")
    assert await process.stop(signal.SIGTERM, within=10) == 0
    assert "Traceback" not in process.log
    assert not list((tmp_path / "var").rglob("postmaster.pid"))
