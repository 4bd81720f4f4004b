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

import pytest

from tests.processes import PYTHON, ROOT, DaemonProcess, Process


@pytest.fixture
async def daemon(tmp_path, dsn):
    async with DaemonProcess(tmp_path / "var", env={"TELEWARDEN__DATABASE__DSN": dsn}) as process:
        yield process


async def ends(process, within=30):
    """Start one that is expected to refuse; its exit code."""
    await Process.start(process)
    return await process.stop(0, within=within)


async def test_without_any_account_it_runs_and_says_what_to_do(daemon):
    assert (await daemon.get("/users"))["users"] == []
    await daemon.line("my.telegram.org")
    assert (await daemon.parse_all())["state"] == "success"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_in_order_with_exit_0(tmp_path, number):
    async with DaemonProcess(tmp_path / "var", config=ROOT / "config" / "sandbox.yaml") as daemon:
        await daemon.signed_in(3)
        assert await daemon.stop(number, within=10) == 0
        assert "Traceback" not in daemon.log
        assert "ERROR" not in daemon.log


async def test_a_second_daemon_on_the_same_state_folder_is_refused_by_name_of_the_first(tmp_path, dsn, daemon):
    second = DaemonProcess(tmp_path / "var", env={"TELEWARDEN__DATABASE__DSN": dsn})
    assert await ends(second) == 1
    assert str(daemon.process.pid) in second.log
    assert "Traceback" not in second.log
    assert await daemon.get("/users")


async def test_a_second_daemon_on_the_same_database_is_refused(tmp_path, dsn, daemon):
    second = DaemonProcess(tmp_path / "other", env={"TELEWARDEN__DATABASE__DSN": dsn})
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


async def test_bad_settings_exit_78_with_every_fault(tmp_path):
    env = {"TELEWARDEN__ADMIN__PORT": "eighty", "TELEWARDEN__COLLECTION__STRAT": "all"}
    refused = DaemonProcess(tmp_path / "var", env=env)
    assert await ends(refused) == 78
    assert "TELEWARDEN__ADMIN__PORT" in refused.log
    assert "TELEWARDEN__COLLECTION__STRAT" in refused.log
    assert not (tmp_path / "var").exists()


async def test_what_is_secret_on_disk_is_for_its_owner_alone(tmp_path, daemon):
    for name in ("admin-token", "master.key"):
        assert stat.S_IMODE((tmp_path / "var" / name).stat().st_mode) == 0o600


async def test_after_kill_9_it_starts_again_and_its_sandbox_and_database_went_with_it(tmp_path):
    first = DaemonProcess(tmp_path / "var", config=ROOT / "config" / "sandbox.yaml")
    async with first:
        await first.signed_in(3)
        before = (await first.parse_all())["channels_done"]
        await first.kill()
    async with DaemonProcess(tmp_path / "var", config=ROOT / "config" / "sandbox.yaml") as second:
        await second.signed_in(3)
        job = await second.parse_all()
        assert (job["state"], job["channels_done"], job["posts_added"]) == ("success", before, 0)


async def test_as_json_every_line_is_an_object_with_a_stable_event_name(tmp_path, dsn):
    env = {"TELEWARDEN__DATABASE__DSN": dsn, "TELEWARDEN__LOGGING__FORMAT": "json", "LC_ALL": "C"}
    process = DaemonProcess(tmp_path / "var", env=env)
    await Process.start(process)
    await process.line("admin_listening")
    assert await process.stop() == 0
    events = [json.loads(line)["event"] for line in process.lines]
    assert {"database_ready", "service_ready", "admin_listening", "stopping", "stopped"} <= set(events)


async def test_in_english_the_contract_s_lines_are_english(tmp_path, dsn):
    env = {"TELEWARDEN__DATABASE__DSN": dsn, "TELEWARDEN__LOGGING__LANGUAGE": "en"}
    async with DaemonProcess(tmp_path / "var", env=env) as daemon:
        await daemon.line("INFO:parser_service:✅ ParserService initialised")


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
