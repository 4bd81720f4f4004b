"""``telewarden alerts``: what an operator has to know."""

import click

from daemon.options import Target, daemon_options, show


@click.command()
@click.option("--ended", is_flag=True, help="Also those that are over.")
@daemon_options
def alerts(target: Target, *, ended: bool, as_json: bool) -> None:
    """List what needs a look: floods, dead keys, lost channels, refusals. Exits 0 whether or not there is any."""
    document = target.daemon().get("/alerts", {"ended": "true" if ended else None}).document
    if as_json:
        show(document)
        return
    for one in document["alerts"]:
        about = [f"{name} {one[name + '_id']}" for name in ("account", "channel") if one[name + "_id"]]
        state = "" if one["ended_at"] is None else f", over since {one['ended_at']}"
        click.echo(
            f"{one['kind']} {', '.join(about) or 'all'}: {one['cause']} "
            f"({one['count']} times since {one['first_at']}{state})"
        )
    if not document["alerts"]:
        click.echo("No alerts.")
