"""The commands. None imports what it doesn't need: telethon alone takes 1.2 s."""

import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from daemon.alert_commands import alerts
from daemon.backup_commands import backup, restore
from daemon.doctor_command import doctor
from daemon.follow_commands import follow, import_, unfollow
from daemon.job_commands import cancel, jobs, parse
from daemon.key_commands import keys
from daemon.ledger_commands import backfill, ledger, verify
from daemon.limits_commands import floods, retention
from daemon.options import (
    BAD_SETTINGS,
    Commands,
    Target,
    config_option,
    config_path,
    daemon_options,
    json_option,
    load,
    show,
)
from daemon.people_commands import invite, user
from daemon.plan_command import plan
from daemon.probe_command import probe
from daemon.reload_commands import diff, reload
from daemon.schedule_command import schedule
from daemon.service_command import install_service
from daemon.signin_commands import login, session
from daemon.stats_command import stats
from daemon.token_commands import audit, token

HEALTH_TIMEOUT = 3.0
"""Seconds; a container's health check is given up after 5 or more."""


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli() -> None:
    """Keep Telegram accounts signed in on one event loop, and their channels' posts in PostgreSQL.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 69 the daemon can't be reached, 78 the settings are wrong.
    """


@cli.command()
@config_option
@click.option(
    "--take-over",
    is_flag=True,
    help="Take the database from a daemon on another host. Only when you know that it is off.",
)
@click.option("--json", "as_json", is_flag=True, help="Log as JSON, one object a line, whatever the settings say.")
def run(config: Path | None, *, take_over: bool, as_json: bool) -> None:
    """Run the daemon until SIGTERM or SIGINT.

    With --json the log is JSON, whatever the settings say.
    """
    gc.disable()
    settings, _ = load(config)
    from config.load import load_settings
    from config.model import Settings
    from daemon import app

    # Imports make no garbage to speak of, and looking for it is a tenth of the start.
    gc.freeze()
    gc.enable()

    logs = {"format": "json"} if as_json else {}

    def ours(read: Settings) -> Settings:
        return read.model_copy(update={"logging": read.logging.model_copy(update=logs)})

    def read_again() -> Settings:
        # A file that has come since is the one to be read.
        return ours(load_settings(config_path(config), os.environ))

    sys.exit(app.run(ours(settings), read_again, take_over=take_over))


@cli.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sandbox(arguments: tuple[str, ...]) -> None:
    """Run a Telegram data centre on loopback.

    All arguments are the sandbox's own: see telewarden sandbox --help.
    """
    # -P: a folder named sandbox where the command is run must not be taken for ours.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "sandbox", *arguments])  # noqa: S606 -- no shell is wanted


@cli.command()
@daemon_options
def users(target: Target, *, as_json: bool) -> None:
    """List the users and whether they are signed in."""
    document = target.daemon().get("/users").document
    if as_json:
        show(document)
        return
    for each in document["users"]:
        click.echo(f"User {each['id']}: authenticated={each['is_authenticated']}, channels={each['channels']}")


@cli.command()
@daemon_options
def channels(target: Target, *, as_json: bool) -> None:
    """List the channels and how many users follow each."""
    document = target.daemon().get("/channels").document
    if as_json:
        show(document)
        return
    for channel in document["channels"]:
        name = f"@{channel['username']}" if channel["username"] else channel["id"]
        click.echo(f"Channel {name}: subscriptions={channel['subscriptions']}")


@cli.command()
@daemon_options
def clients(target: Target, *, as_json: bool) -> None:
    """List the Telegram clients in the daemon's memory and the event loop of each."""
    document = target.daemon().get("/clients").document
    if as_json:
        show(document)
        return
    for client in document["clients"]:
        click.echo(f"Client {client['id']}: loop={client['loop']}, same={client['same']}")


@cli.command()
@click.argument("channel")
@click.option("--after-id", type=click.IntRange(0, 2**63 - 1), help="Only posts above this id.")
@click.option("--limit", type=click.IntRange(1, 5000), help="At most so many posts. Default: 1000.")
@daemon_options
def posts(target: Target, channel: str, after_id: int | None, limit: int | None, *, as_json: bool) -> None:
    """Print a channel's posts, oldest first: id, time and the text's first line.

    CHANNEL is a name, @name, t.me/name or an id.
    """
    query = {"channel": channel, "after_id": after_id, "limit": limit}
    document = target.daemon().get("/posts", query).document
    if as_json:
        show(document)
        return
    for post in document["posts"]:
        first = next(iter(post["text"].splitlines()), "")
        click.echo(f"{post['id']}\t{post['date']}\t{first}")
    if document["next_after_id"] is not None:
        click.echo(f"There are more: --after-id {document['next_after_id']}", err=True)


@cli.command()
@daemon_options
def health(target: Target, *, as_json: bool) -> None:
    """Ask whether the daemon's loop beats: exit 0, or 69 when nothing answers within 3 s."""
    document = target.daemon().get("/livez", timeout=HEALTH_TIMEOUT).document
    show(document) if as_json else click.echo(document["status"])


@cli.command()
@json_option
def version(*, as_json: bool) -> None:
    """Say which version this is."""
    from importlib import metadata

    number = metadata.version("telewarden")
    show({"telewarden": number, "python": sys.version.split()[0]}) if as_json else click.echo(f"telewarden {number}")


@cli.command()
@config_option
@json_option
def check(config: Path | None, *, as_json: bool) -> None:
    """Check the settings and show what is effective; secrets stay hidden.

    Every fault is a line FILE:LINE: KEY: TEXT on stderr, and the exit code is 78.
    """
    path = config_path(config)
    if as_json:
        _check_as_json(path)
        return
    from config.load import missing_credentials
    from config.words import in_words

    settings, _ = load(path)
    click.echo(f"{path or 'the built-in defaults'}: the settings are valid; effective are")
    for line in _flat("", in_words(settings)):
        click.echo(f"  {line}")
    if note := missing_credentials(settings):
        click.echo(f"Note: {note}")


def _check_as_json(path: Path | None) -> None:
    from config.load import SettingsInvalid, load_settings
    from config.words import in_words

    try:
        settings = load_settings(path, os.environ)
    except SettingsInvalid as invalid:
        faults = [{"where": fault.where, "path": fault.path, "text": fault.text} for fault in invalid.faults]
        show({"valid": False, "config": path and str(path), "faults": faults})
        sys.exit(BAD_SETTINGS)
    show({"valid": True, "config": path and str(path), "settings": in_words(settings)})


def _flat(path: str, value: Any) -> list[str]:
    match value:
        case dict():
            return [line for name, inner in value.items() for line in _flat(f"{path}.{name}" if path else name, inner)]
        case [dict(), *_]:
            return [line for nth, inner in enumerate(value) for line in _flat(f"{path}[{nth}]", inner)]
        case _:
            shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False).replace('"', "")
            return [f"{path}: {shown}"]


cli.add_command(backfill)
cli.add_command(backup)
cli.add_command(restore)
cli.add_command(cancel)
cli.add_command(ledger)
cli.add_command(alerts)
cli.add_command(verify)
cli.add_command(diff)
cli.add_command(doctor)
cli.add_command(floods)
cli.add_command(jobs)
cli.add_command(follow)
cli.add_command(import_)
cli.add_command(install_service)
cli.add_command(invite)
cli.add_command(keys)
cli.add_command(login)
cli.add_command(session)
cli.add_command(parse)
cli.add_command(plan)
cli.add_command(probe)
cli.add_command(reload)
cli.add_command(retention)
cli.add_command(schedule)
cli.add_command(stats)
cli.add_command(unfollow)
cli.add_command(token)
cli.add_command(audit)
cli.add_command(user)
