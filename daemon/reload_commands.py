"""``telewarden reload`` and ``telewarden diff``: other settings for a daemon that runs."""

import sys
from typing import Any

import click

from daemon.http_client import DaemonRefused
from daemon.options import BAD_SETTINGS, Target, daemon_options, show

TIMEOUT = 120.0
"""Seconds; a file of 10,000 schedules takes some."""


@click.command()
@daemon_options
def reload(target: Target, *, as_json: bool) -> None:
    """Have the daemon read its settings again and go by them.

    What only a restart changes is named and left as it is. Bad settings change nothing: every fault is a line on
    stderr, and the exit code is 78. SIGHUP (systemctl reload) does the same.
    """
    _tell(target, "POST", "Applied", as_json=as_json)


@click.command()
@daemon_options
def diff(target: Target, *, as_json: bool) -> None:
    """Show what a reload would change; nothing is changed."""
    _tell(target, "GET", "To be applied", as_json=as_json)


def _tell(target: Target, method: str, verb: str, *, as_json: bool) -> None:
    try:
        document = target.daemon().ask(method, "/reload", timeout=TIMEOUT).document
    except DaemonRefused as refused:
        faults = refused.document.get("faults")
        if faults is None:
            raise
        for fault in faults:
            click.echo(f"{fault['where']}: {fault['path'] and fault['path'] + ': '}{fault['text']}", err=True)
        click.echo(f"telewarden: {refused}", err=True)
        sys.exit(BAD_SETTINGS)
    if as_json:
        show(document)
        return
    for change in document["changes"]:
        click.echo(line(change))
    hidden = document["applied"] + document["needs_restart"] - len(document["changes"])
    if hidden:
        click.echo(f"… and {hidden} more")
    if document["dropped_channels"]:
        names = ", ".join(document["dropped"])
        click.echo(f"WARNING: {document['dropped_channels']} channels are followed no more: {names}")
    restart = f", {document['needs_restart']} after a restart" if document["needs_restart"] else ""
    click.echo(f"{verb}: {document['applied']}{restart}")


def line(change: dict[str, Any]) -> str:
    from config.words import shortened

    before, after = (shortened(change[which]) for which in ("before", "after"))
    note = "  (after a restart)" if change["takes"] == "restart" else ""
    return f"{change['path']}: {before} -> {after}{note}"
