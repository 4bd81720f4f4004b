"""``keys rotate``."""

import click

from daemon.options import Target, daemon_options, show

TIMEOUT = 60.0


@click.group()
def keys() -> None:
    """The master key that seals all sessions."""


@keys.command()
@daemon_options
def rotate(target: Target, *, as_json: bool) -> None:
    """Make a new master key and seal every session with it, while the daemon runs.

    The former key is replaced in its file once nothing needs it. Copies of the database made before can only be used
    with a copy of that key.
    """
    done = target.daemon().post("/keys/rotate", timeout=TIMEOUT).document
    show(done) if as_json else click.echo(f"Sessions sealed with a new master key: {done['sessions']}")
