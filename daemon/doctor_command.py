"""``telewarden doctor``: what keeps a daemon from working, and what to do."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from daemon.http_client import DaemonRefused, DaemonUnreachable
from daemon.options import FAILED, Target, daemon_options, show

if TYPE_CHECKING:
    from daemon.doctor import Finding
    from daemon.http_client import Daemon

MARKS = {"ok": "ok  ", "warn": "WARN", "bad": "BAD "}


@click.command()
@daemon_options
def doctor(target: Target, *, as_json: bool) -> None:
    """Look at settings, keys, database, disk, clock, sessions, and at the way to Telegram; say what to do.

    Nothing is changed and nobody signs in; it works beside a running daemon and without one. Exit code 1 when something
    is bad.
    """
    findings = (*_examined(target), _daemon(target))
    bad = any(finding.level == "bad" for finding in findings)
    if as_json:
        show({"healthy": not bad, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            click.echo(f"{MARKS[finding.level]} {finding.about}: {finding.text}")
    if bad:
        raise SystemExit(FAILED)


def _examined(target: Target) -> "list[Finding]":
    from actors.runtime.owner import LoopOwner, run_owner
    from daemon.doctor import Finding, examine

    settings, findings = target.settings(), list[Finding]()

    async def main(_: LoopOwner) -> int:
        findings.extend(await examine(settings))
        return 0

    run_owner(main)
    return findings


def _daemon(target: Target) -> "Finding":
    from daemon.doctor import Finding

    try:
        daemon = target.daemon()
        daemon.get("/readyz")
    except click.ClickException as fault:
        return Finding(level="warn", about="daemon", text=fault.message)
    except DaemonUnreachable as gone:
        return Finding(level="warn", about="daemon", text=f"{gone}: start it with 'telewarden run'")
    except DaemonRefused as refused:
        return Finding(level="bad", about="daemon", text=refused.detail)
    if not target.named and (other := _other_than(target, daemon)):
        return Finding(level="bad", about="daemon", text=f"{daemon.url} is ready, but {other}")
    return Finding(level="ok", about="daemon", text=f"{daemon.url} is ready")


def _other_than(target: Target, daemon: "Daemon") -> str | None:
    """How the daemon that answers differs from the settings that were looked at; None where that isn't seen."""
    from config.words import in_words

    try:
        theirs = daemon.get("/settings").document
    except (DaemonRefused, DaemonUnreachable):
        return None  # a token for less than that
    settings = target.settings()
    if theirs["state_dir"] != str(settings.state_dir):
        return (
            f"its state_dir is {theirs['state_dir']}, not {settings.state_dir}: all of the above is about another "
            "installation; name the daemon's settings with -c"
        )
    if theirs["database"]["dsn"] != in_words(settings.database.dsn):
        return (
            "its database is another than the one above: its database.dsn comes from a credential or a variable; give "
            "that to this command too (TELEWARDEN__DATABASE__DSN_FILE)"
        )
    if not settings.state_dir.exists():
        return f"there is no {settings.state_dir.absolute()}: run this in the daemon's folder, or set state_dir"
    return None
