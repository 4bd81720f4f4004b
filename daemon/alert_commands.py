"""``telewarden alerts``: what an operator has to know."""

import click

from daemon.options import Target, daemon_options, show


@click.command()
@click.option("--ended", is_flag=True, help="Also those that are over.")
@click.option("--close", "number", type=click.IntRange(min=1), help="Say that this one is dealt with.")
@click.option("--after", type=click.IntRange(min=1), help="Only those that are listed after this one.")
@daemon_options
def alerts(target: Target, number: int | None, after: int | None, *, ended: bool, as_json: bool) -> None:
    """List what needs a look: floods, dead keys, lost channels, refusals.

    Those that are not over, the last met first. Exits 0 whether or not there is any.
    """
    if number is not None:
        closed = target.daemon().post(f"/alerts/{number}/close").document
        if as_json:
            show(closed)
        else:
            click.echo(f"Alert {number} is over since {closed['ended_at']}.")
        return
    document = target.daemon().get("/alerts", {"ended": "true" if ended else None, "after": after}).document
    if as_json:
        show(document)
        return
    for one in document["alerts"]:
        about = [f"{name} {one[name + '_id']}" for name in ("account", "channel") if one[name + "_id"]]
        state = "" if one["ended_at"] is None else f", over since {one['ended_at']}"
        click.echo(
            f"{one['alert_id']}: {one['kind']} {', '.join(about) or 'all'}: {one['cause']} "
            f"({one['count']} times since {one['first_at']}{state})"
        )
    if not document["alerts"]:
        click.echo("No alerts.")
    if document["next_after"] is not None:
        click.echo(f"There are more: --after {document['next_after']}", err=True)
