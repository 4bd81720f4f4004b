"""A backup of a running daemon is restored elsewhere, and another goes on with it; a damaged one is refused."""

import asyncio
import json
import os
import stat
import tarfile

import pytest

from daemon.store.dump import without_password
from tests.postgres import fresh_database
from tests.processes import PYTHON, ROOT, DaemonProcess

CONFIG = "sandbox: {enabled: true, accounts: 2, channels: 3, posts: 60, seed: 9}\n"


async def telewarden(*arguments, **environ):
    process = await asyncio.create_subprocess_exec(
        PYTHON, "-m", "daemon", *map(str, arguments), cwd=ROOT, env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.timeout(120)
async def test_a_running_daemon_is_backed_up_and_another_goes_on_where_it_was(tmp_path, postgres):
    config = tmp_path / "telewarden.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    file = tmp_path / "backup.tar"
    async with fresh_database(postgres) as first, fresh_database(postgres, template="template0") as second:
        env = {"TELEWARDEN__DATABASE__DSN": first}
        async with DaemonProcess(tmp_path / "var", env=env, config=config) as daemon:
            await daemon.signed_in(2)
            await daemon.parse_all()
            posts = (await daemon.get("/ledger"))["totals"]["stored"]
            code, out, err = await telewarden("backup", file, "-c", config, **daemon.env)
            assert (code, err) == (0, "")
            assert "posts=" in out
            assert "master.key" in out
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        with tarfile.open(file) as tar:
            assert tar.getnames() == ["manifest.json", "database.dump", "settings.yaml"]
            assert tar.extractfile("settings.yaml").read().decode() == CONFIG
        assert (await telewarden("backup", file, "-c", config, **daemon.env))[0] == 1, "it replaces no file"
        code, out, err = await telewarden("backup", "--verify", file, "--json")
        assert (code, json.loads(out)["rows"]["posts"] >= posts > 50) == (0, True)

        elsewhere = {**daemon.env, "TELEWARDEN__DATABASE__DSN": second}
        code, out, err = await telewarden("restore", file, "-c", config, **elsewhere)
        assert (code, err) == (0, ""), err
        code, out, err = await telewarden("restore", file, "-c", config, **elsewhere)
        assert (code, "tables already: restore into an empty one" in err) == (1, True)
        env["TELEWARDEN__DATABASE__DSN"] = second
        async with DaemonProcess(tmp_path / "var", env=env, config=config) as daemon:
            await daemon.signed_in(2)
            job = await daemon.parse_all()
            assert (job["state"], job["posts_added"]) == ("success", 0), "nothing is fetched twice"
            assert (await daemon.get("/ledger"))["totals"]["stored"] == posts


async def test_a_damaged_or_foreign_file_is_refused(tmp_path, postgres):
    async with fresh_database(postgres, template="template0") as dsn:
        environ = {"TELEWARDEN__DATABASE__DSN": dsn, "TELEWARDEN__STATE_DIR": str(tmp_path / "var")}
        foreign = tmp_path / "foreign.tar"
        with tarfile.open(foreign, "w") as tar:
            tar.add(ROOT / "README.md", "README.md")
        for file in (foreign, ROOT / "README.md", tmp_path / "absent"):
            code, _, err = await telewarden("restore", file, **environ)
            assert (code, "isn't a backup of Telewarden, or is damaged" in err) == (1, True), err
        code, _, err = await telewarden("backup", tmp_path / "a.tar", **environ)
        assert (code, (tmp_path / "a.tar").exists()) == (1, False)
        assert (err.startswith("telewarden: the database holds nothing of Telewarden"), "Traceback" in err) == (
            True,
            False,
        )


def test_a_password_stands_on_no_command_line():
    dsn = "postgresql://me:p%40ss@host:5433/name?sslmode=require"
    address, environ = without_password(dsn)
    assert (address, environ) == ("postgresql://me@host:5433/name?sslmode=require", {"PGPASSWORD": "p@ss"})
    assert without_password("postgresql://me@/name?host=/run") == ("postgresql://me@/name?host=/run", {})


async def test_where_there_is_no_database_none_is_made_for_a_backup(tmp_path):
    state = tmp_path / "elsewhere"
    code, out, err = await telewarden("backup", tmp_path / "b.tar", TELEWARDEN__STATE_DIR=str(state))
    assert (code, out) == (1, "")
    assert f"no database below {state}" in err
    assert "with -c" in err
    assert list(tmp_path.iterdir()) == []
