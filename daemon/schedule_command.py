"""``telewarden schedule``: what is parsed when."""

from typing import Any

import click

from daemon.options import Target, daemon_options, show

TARGETS = ("users", "channels", "groups")


@click.command()
@click.option("--next", "count", type=click.IntRange(1, 100), default=3, help="Firings shown of each. Default: 3.")
@daemon_options
def schedule(target: Target, count: int, *, as_json: bool) -> None:
    """List the running daemon's schedules and when each fires next, in UTC.

    A daylight saving change moves a cron schedule in UTC; one by 'every' keeps its grid. Jitter is part of the first
    firing only: that of the later ones isn't drawn yet.
    """
    document = target.daemon().get("/schedules", {"next": count}).document
    if as_json:
        show(document)
        return
    for each in document["schedules"]:
        click.echo(line(each))


def line(schedule: dict[str, Any]) -> str:
    rule = f"every {schedule['every']}" if schedule["every"] else f"{schedule['cron']} ({schedule['timezone']})"
    whose = "".join(f", {what} {', '.join(map(str, schedule[what]))}" for what in TARGETS if schedule[what])
    quiet = f", quiet {schedule['quiet']}" if schedule["quiet"] else ""
    jitter = f", up to {schedule['jitter']} later" if schedule["jitter"] != "0s" else ""
    times = ", ".join(time[:19].replace("T", " ") for time in schedule["next"])
    return f"Schedule {schedule['name']}: {rule}{whose}{quiet}{jitter}; next {times}"
