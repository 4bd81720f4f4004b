"""What commands share: options, settings, the daemon to ask, and how failures are told."""

import functools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import click

from daemon.http_client import Daemon, DaemonRefused, DaemonUnreachable

if TYPE_CHECKING:
    from config.model import Settings

FAILED = 1
USAGE = 2
UNREACHABLE = 69
"""EX_UNAVAILABLE of sysexits.h."""
BAD_SETTINGS = 78
"""EX_CONFIG of sysexits.h; the systemd unit doesn't restart on it."""

Command = TypeVar("Command", bound=Callable[..., Any])


class Failure(click.ClickException):
    """One plain line on stderr, and an exit code."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance as well

    def show(self, file: Any = None) -> None:
        click.echo(f"telewarden: {self.message}", file=file or sys.stderr)


class Commands(click.Group):
    """Says what the daemon's refusals and its absence mean, in one place for all commands."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DaemonUnreachable as gone:
            raise Failure(f"{gone}; start it with 'telewarden run'", UNREACHABLE) from gone
        except DaemonRefused as refused:
            raise Failure(str(refused)) from refused


def config_option(command: Command) -> Command:
    return click.option(
        "-c",
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Settings file. Default: $TELEWARDEN_CONFIG, else ./telewarden.yaml, else the built-in defaults.",
    )(command)


def json_option(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")(command)


def daemon_options(command: Command) -> Command:
    """``-c``, ``--url``, ``--token-file`` and ``--json``; the command takes them as ``target`` and ``as_json``."""

    @functools.wraps(command)
    def build(*, config: Path | None, url: str | None, token_file: Path | None, **others: Any) -> Any:
        return command(target=Target(config, url, token_file), **others)

    options = click.option(
        "--token-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="File with the admin token. Default: the settings' own, if the daemon asks for one.",
    )(json_option(build))
    options = click.option("--url", help="The daemon's address. Default: the settings' admin.host and admin.port.")(
        options
    )
    return config_option(options)  # type: ignore[return-value]  # a click command is made of it at once


class Target:
    """Which daemon a command speaks to, and which settings it goes by."""

    def __init__(self, config: Path | None, url: str | None, token_file: Path | None) -> None:
        self._config = config
        self._url = url
        self._token_file = token_file

    @property
    def named(self) -> bool:
        """Whether ``--url`` names a daemon: then no other, and nothing instead of it, will do."""
        return self._url is not None

    @property
    def has_file(self) -> bool:
        """Whether settings stand in a file, so that they may differ from the daemon's."""
        return config_path(self._config) is not None

    def settings(self) -> "Settings":
        return load(self._config)[0]

    def daemon(self) -> Daemon:
        """The daemon of ``--url``, else of the settings. Nothing is asked yet."""
        token = self._token()
        if self._url is not None:
            return Daemon(_checked(self._url), token=token)
        settings = self.settings()
        at = settings.admin.socket
        if at is not None and at.is_socket():
            return Daemon("http://localhost", token=token, at=at)
        if settings.admin.port == 0:
            raise Failure("admin.port is 0, so the daemon chose a port of its own: name it with --url", USAGE)
        spare = settings.admin.token_file or settings.state_dir / "admin-token"
        return Daemon(_url_of(settings.admin.host, settings.admin.port), token=token, spare_token_file=spare)

    def _token(self) -> str | None:
        if self._token_file is None:
            return None
        try:
            token = self._token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as fault:
            raise Failure(f"{self._token_file} can't be read as a token: {fault}", USAGE) from fault
        if not token or not token.isprintable():
            raise Failure(f"{self._token_file} holds no token", USAGE)
        return token


def load(config: Path | None) -> tuple["Settings", Path | None]:
    """The settings and the file they come from. With faults the command ends: all of them on stderr, exit 78."""
    from config.load import SettingsInvalid, load_settings

    path = config_path(config)
    try:
        return load_settings(path, os.environ), path
    except SettingsInvalid as invalid:
        for fault in invalid.faults:
            click.echo(str(fault), err=True)
        sys.exit(BAD_SETTINGS)


def config_path(given: Path | None) -> Path | None:
    if given is not None:
        return given
    if named := os.environ.get("TELEWARDEN_CONFIG"):
        return Path(named)
    here = Path("telewarden.yaml")
    return here if here.exists() else None


def show(document: Any) -> None:
    """Print for machines: one line of JSON, text as it is."""
    click.echo(json.dumps(document, ensure_ascii=False))


def fail(message: str, exit_code: int = FAILED) -> NoReturn:
    raise Failure(message, exit_code)


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise Failure(f"--url {url!r} isn't an address such as http://127.0.0.1:8010", USAGE)
    return url


def _url_of(host: str, port: int) -> str:
    if host in {"0.0.0.0", ""}:  # noqa: S104 -- compared with, not listened on
        host = "127.0.0.1"
    elif host == "::":
        host = "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
