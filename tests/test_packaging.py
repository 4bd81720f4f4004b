"""What we ship: the wheel, the unit, the image, compose, and the script that decides over a change.

hadolint and the compose schema are heavy checkers and are run by hand; what must not be
lost from what they found stands here as plain assertions.
"""

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import yaml

from config.load import load_settings

ROOT = Path(__file__).parents[1]
FOLDERS = ("actors", "config", "daemon", "sandbox")
UNIT = ROOT / "systemd" / "telewarden.service"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing: make tools"
)


def shipped():
    """Every file of ours that the running program may need."""
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(ROOT).as_posix()


def test_the_wheel_holds_every_file_of_ours_and_the_command(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for folder in (*FOLDERS, "systemd"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps",
         "--no-build-isolation", "--no-index", "--wheel-dir", tmp_path, source],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("telewarden-*.whl"))) as wheel:
        held = set(wheel.namelist())
        points = configparser.ConfigParser()
        points.read_string(wheel.read(next(name for name in held if name.endswith("entry_points.txt"))).decode())
    assert sorted(set(shipped()) - held) == []
    assert any(name.endswith("/share/telewarden/telewarden.service") for name in held)
    assert points["console_scripts"]["telewarden"] == "daemon.__main__:main"


def unit_lines():
    return [line for line in UNIT.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


@pytest.fixture
def unit(tmp_path):
    """The unit with a command that exists here: verify looks for it."""
    path = tmp_path / UNIT.name
    path.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", UNIT.read_text(encoding="utf-8")))
    return path


@needs_systemd
def test_the_unit_verifies_without_a_word(unit):
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_the_unit_is_as_closed_as_debians_best(unit):
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", unit],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    exposure = re.search(r"Overall exposure level for telewarden.service: ([\d.]+)", done.stdout)
    assert exposure, done.stdout + done.stderr
    assert float(exposure[1]) <= 1.2, done.stdout


def test_the_unit_never_restarts_on_bad_settings_and_names_every_credential():
    lines = unit_lines()
    assert "Type=notify" in lines
    assert "RestartPreventExitStatus=78" in lines
    names = {line.split("=")[1].split(":")[0] for line in lines if line.startswith("LoadCredential=")}
    assert names == {"api_id", "api_hash", "bot_token", "database_dsn", "master_key"}


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


def test_compose_publishes_on_loopback_only(compose):
    assert compose["services"]["telethon"]["ports"] == ["127.0.0.1:8010:8010"]
    assert "ports" not in compose["services"]["postgres"]
    assert compose["services"]["telethon"]["container_name"] == "telethon"


def test_compose_runs_both_with_as_little_as_they_need(compose):
    for service in compose["services"].values():
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
        assert "stop_grace_period" in service
    assert compose["services"]["telethon"]["read_only"] is True
    assert compose["services"]["telethon"]["init"] is True
    assert "cap_add" not in compose["services"]["telethon"]


def test_composes_environment_is_settings_that_serve_its_own_network(compose, tmp_path):
    service = compose["services"]["telethon"]
    environ = {}
    for name, value in service["environment"].items():
        found = re.fullmatch(r"/run/secrets/(\w+)", value)
        if found:
            assert found[1] in service["secrets"]
            assert found[1] in compose["secrets"]
            (tmp_path / found[1]).write_text(
                {"api_id": "12345\n", "database_dsn": "postgresql://u:p@postgres/d"}.get(found[1], "")
            )
        environ[name] = str(tmp_path / found[1]) if found else value.replace("${DEBUG_LOGS:-false}", "false")
    settings = load_settings(None, environ)
    assert settings.admin.host == "0.0.0.0"
    assert settings.admin.allowed_hosts == ("telethon",)
    subnet = ip_network(compose["networks"]["api"]["ipam"]["config"][0]["subnet"])
    gateway = subnet[1]
    assert subnet in settings.admin.trusted_peers
    assert any(gateway in network for network in settings.admin.trusted_peers)
    assert any(ip_address("127.0.0.1") in network for network in settings.admin.trusted_peers)
    assert settings.telegram.api_id == 12345
    assert settings.bot.token is None


def test_every_secret_of_compose_is_a_file_and_none_an_environment_variable(compose):
    assert all(set(secret) == {"file"} for secret in compose["secrets"].values())
    for service in compose["services"].values():
        for name in service.get("environment", {}):
            assert name.endswith("_FILE") or not re.search(r"PASSWORD|TOKEN|HASH|DSN|API_ID", name)
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    assert not any("secrets" in line or "var" in line for line in ignored if line.startswith("!"))


def test_the_image_is_locked_and_runs_as_nobody_special():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines()]
    assert text.count("--require-hashes") == len(re.findall(r"pip install[^&]*--requirement", text))
    assert "USER 10001:10001" in lines
    assert "EXPOSE 8010" in lines
    assert 'ENTRYPOINT ["telewarden"]' in lines
    assert lines.index("VOLUME /data") < lines.index("USER 10001:10001")
    copied = {
        source for line in lines if line.startswith("COPY ") and "--from" not in line for source in line.split()[1:-1]
    }
    assert set(FOLDERS) <= copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines(), source


def test_the_bill_of_materials_lists_what_is_locked():
    locked = dict(re.findall(r"^([a-z0-9-]+)==([^ \n]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    listed = {
        re.sub(r"[-_.]+", "-", each["name"]).lower(): each["version"]
        for each in json.loads((ROOT / "sbom.cdx.json").read_text())["components"]
    }
    # What is locked for other systems and Pythons isn't in this image.
    assert {name: locked.get(name) for name in listed} == listed
    assert {"telethon", "aiohttp", "asyncpg", "pykka", "pydantic"} <= set(listed)


def run_pytest(folder):
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", folder, "-p", "tests.no_skips", folder],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-p no:cacheprovider"},
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_where_it_decides_a_skipped_test_fails_the_run(tmp_path):
    (tmp_path / "test_some.py").write_text(
        "import pytest\n"
        "def test_skips(): pytest.skip('no tool')\n"
        "@pytest.mark.skipif(True, reason='no root')\ndef test_is_skipped(): ...\n"
        "@pytest.mark.xfail\ndef test_is_known_to_fail(): assert 0\n"
        "def test_passes(): ...\n"
    )
    done = run_pytest(tmp_path)
    assert done.returncode == 1
    assert "no skips here: Skipped: no tool" in done.stdout
    assert "1 failed, 1 passed, 1 xfailed, 1 error" in done.stdout


def test_where_it_decides_a_skipped_module_fails_the_run(tmp_path):
    (tmp_path / "test_all.py").write_text("import pytest\npytest.importorskip('nothing_of_this_name')\n")
    done = run_pytest(tmp_path)
    assert done.returncode != 0
    assert "no skips here" in done.stdout


def test_the_deciding_script_is_strict_and_says_the_last_word_with_pytest():
    script = ROOT / ".ci" / "run"
    subprocess.run(["bash", "-n", script], check=True, timeout=10)
    lines = [line for line in script.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert lines[0] == "set -euo pipefail"
    assert [line for line in lines if "make " in line][:2] == ["make tools", "make lint"]
    assert re.search(r"-p tests\.no_skips.* make test$", lines[-1])


def test_make_tools_says_plainly_what_only_root_can_do(tmp_path):
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "dpkg-query").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "apt-get").write_text("#!/bin/sh\necho apt-get ran; exit 1\n")
    (tmp_path / "sudo").write_text("#!/bin/sh\nexit 1\n")
    for tool in tmp_path.iterdir():
        tool.chmod(0o755)
    done = subprocess.run(
        ["make", "-s", "-C", ROOT, "tools"], env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "only root can install what is missing; as root: apt-get install iproute2" in done.stderr
    assert "apt-get ran" not in done.stdout
