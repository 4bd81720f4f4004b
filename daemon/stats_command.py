"""``telewarden stats``: a post's figures as they grew."""

import click

from daemon.ledger_commands import path_of
from daemon.options import Target, daemon_options, show

FIGURES = ("views", "forwards", "replies")


@click.command()
@click.argument("channel")
@click.argument("post", type=click.IntRange(1, 2**31 - 1))
@daemon_options
def stats(target: Target, channel: str, post: int, *, as_json: bool) -> None:
    """Show the figures of one POST of CHANNEL: now, and at each rereading.

    Rereadings happen at the ages that collection.reread_after names.
    """
    document = target.daemon().get(path_of(channel, f"posts/{post}/stats")).document
    if as_json:
        show(document)
        return
    for point in document["series"]:
        click.echo(f"{point['at']}\t{_line(point)}")
    click.echo(f"now\t{_line(document)}")


def _line(point: dict[str, object]) -> str:
    told = [f"{name}={point[name]}" for name in FIGURES if point[name] is not None]
    reactions = point["reactions"]
    if isinstance(reactions, dict) and reactions:
        told.append("reactions=" + ",".join(f"{name}:{count}" for name, count in reactions.items()))
    return " ".join(told) or "no figures"
