"""``telewarden install-service``: the systemd unit for this installation."""

import os
import re
import sys
from pathlib import Path

import click

from daemon.options import USAGE, fail

UNIT = "telewarden.service"
WHERE = Path("/etc/systemd/system")
STATE = Path("/var/lib/telewarden")
"""What the unit's ``StateDirectory`` is."""
CONFIG = Path("/etc/telewarden/telewarden.yaml")
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - compared with
"""What the unit hides from the daemon (ProtectHome, PrivateTmp)."""
SETTINGS = """\
# The settings of Telewarden; `telewarden check -c {path}` shows all that there are, with their defaults.
# The folder that the unit gives the daemon, so that commands find it too: telewarden doctor -c {path}
state_dir: {state}
# Secrets are better kept in files that root alone can read, which systemd hands over:
#   install -d -m 700 /etc/credstore && printf %s 0123… > /etc/credstore/telewarden.api_hash
# telegram: {{api_id: 12345}}
"""


@click.command("install-service")
@click.option("--write", is_flag=True, help="Write it instead, and a settings file where there is none.")
@click.option(
    "-c",
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    default=CONFIG,
    help=f"The settings file of the service. Default: {CONFIG}.",
)
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=WHERE,
    help=f"Where to. Default: {WHERE}.",
)
def install_service(config: Path, folder: Path, *, write: bool) -> None:
    """Print the systemd unit that runs this installation, or write it.

    It needs systemd 252 or newer, and nothing of the machine but the network and a folder of its own.
    """
    program = program_path()
    unit = unit_for(unit_text(), program, config.absolute())
    hidden = _hidden(program, "install Telewarden into /opt/telewarden")
    notes = [_hidden(config.absolute(), f"put the settings below {CONFIG.parent}")]
    if not write:
        click.echo(unit, nl=False)
        _tell([hidden, *notes])
        return
    if hidden is not None:
        fail(hidden, USAGE)
    path = folder / UNIT
    try:
        path.write_text(unit, encoding="utf-8")
        if not config.exists():
            config.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            config.write_text(SETTINGS.format(path=config, state=STATE), encoding="utf-8")
    except OSError as fault:
        fail(f"{fault.filename} can't be written: {(fault.strerror or str(fault)).lower()}; try it as root")
    click.echo(
        f"Written: {path}\nSettings: {config}\nNow: systemctl daemon-reload && systemctl enable --now telewarden"
    )
    click.echo(f"Then: {program} login --qr -c {config}")
    _tell([*notes, _elsewhere(config)])


def _tell(notes: list[str | None]) -> None:
    for note in filter(None, notes):
        click.echo(f"Note: {note}", err=True)


def _hidden(path: Path, advice: str) -> str | None:
    """Why the daemon couldn't see ``path``."""
    found = next((each for each in HIDDEN if path.is_relative_to(each)), None)
    return None if found is None else f"{path} lies below {found}, which the unit hides: {advice}"


def _elsewhere(config: Path) -> str | None:
    """What keeps commands from finding the service's folder, where settings were there before."""
    from config.load import SettingsInvalid, load_settings

    try:
        settings = load_settings(config, {})
    except SettingsInvalid:
        return f"the settings have faults: telewarden check -c {config}"
    if settings.state_dir == STATE:
        return None
    return f"put 'state_dir: {STATE}' into {config}, or commands on this machine look elsewhere than the service does"


def program_path() -> Path:
    """The command of this installation."""
    return Path(sys.prefix).absolute() / "bin" / "telewarden"


def unit_text() -> str:
    """The unit as it is shipped: in a wheel below share/, in a checkout below systemd/."""
    shipped = Path(sys.prefix) / "share" / "telewarden" / UNIT
    held = shipped if shipped.exists() else Path(__file__).parents[1] / "systemd" / UNIT
    return held.read_text(encoding="utf-8")


def unit_for(text: str, program: Path, config: Path) -> str:
    """The unit with this program and these settings."""
    for path in (program, config):
        if re.search(r"[\s%\"'\\]", os.fspath(path)):
            fail(
                f"{path} holds a blank, a quote, a backslash or a percent sign, which a unit can't name plainly", USAGE
            )
    return re.sub(r"(?m)^ExecStart=.*$", f"ExecStart={program} run -c {config}", text)
