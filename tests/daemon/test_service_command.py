"""The unit that is printed or written names this installation, verifies, and refuses where it can't work."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from config.load import load_settings
from daemon import service_command
from daemon.service_command import unit_for, unit_text
from tests.daemon.test_cli import Telewarden, telewarden  # noqa: F401 -- a fixture


async def test_it_prints_a_unit_for_this_installation_that_verifies(telewarden, tmp_path):  # noqa: F811
    code, unit, err = await telewarden("install-service")
    # A checkout below /root or /home is hidden from the daemon, which is told beside the unit.
    assert code == 0
    assert err == "" or "which the unit hides" in err
    program = Path(sys.prefix) / "bin" / "telewarden"
    assert f"\nExecStart={program} run -c /etc/telewarden/telewarden.yaml\n" in unit
    assert "\nExecReload=/bin/kill -HUP $MAINPID\n" in unit
    assert "\nWatchdogSec=60\n" in unit
    if shutil.which("systemd-analyze"):
        path = tmp_path / "telewarden.service"
        path.write_text(unit)
        done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_it_is_written_with_settings_that_are_kept_where_there_are_some(tmp_path, monkeypatch):
    from click.testing import CliRunner

    monkeypatch.setattr(service_command, "program_path", lambda: Path("/opt/telewarden/bin/telewarden"))
    settings, units = tmp_path / "etc" / "telewarden.yaml", tmp_path / "units"
    units.mkdir()
    arguments = ["--write", "-c", str(settings), "--to", str(units)]
    done = CliRunner().invoke(service_command.install_service, arguments)
    assert (done.exit_code, "systemctl daemon-reload" in done.output) == (0, True)
    text = (units / "telewarden.service").read_text()
    assert f"ExecStart=/opt/telewarden/bin/telewarden run -c {settings}\n" in text
    # Commands find the folder that the unit gives the daemon; the settings lie where it couldn't see them.
    assert load_settings(settings, {}).state_dir == Path("/var/lib/telewarden")
    assert ("put 'state_dir:" in done.stderr, "which the unit hides" in done.stderr) == (False, True)
    settings.write_text("logging: {language: en}\n")
    done = CliRunner().invoke(service_command.install_service, arguments)
    assert (done.exit_code, "put 'state_dir: /var/lib/telewarden'" in done.stderr) == (0, True)
    assert settings.read_text() == "logging: {language: en}\n"
    settings.write_text("nonsense: 1\n")
    assert "telewarden check" in CliRunner().invoke(service_command.install_service, arguments).stderr
    monkeypatch.setattr(service_command, "program_path", lambda: Path("/root/venv/bin/telewarden"))
    done = CliRunner().invoke(service_command.install_service, arguments)
    assert (done.exit_code, "hides" in done.output) == (2, True)


@pytest.mark.parametrize("name", ["with blank", "with%percent", 'with"quote'])
def test_paths_that_a_unit_can_not_name_are_refused(name):
    from daemon.options import Failure

    with pytest.raises(Failure, match="plainly"):
        unit_for(unit_text(), Path("/opt/telewarden/bin/telewarden"), Path(f"/etc/{name}.yaml"))
