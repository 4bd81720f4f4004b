"""``floods`` and ``retention``."""

from urllib.parse import quote

import click

from daemon.options import Target, daemon_options, show


@click.command()
@click.option(
    "--forget",
    type=(click.IntRange(1, 2**63 - 1), str),
    metavar="USER_ID METHOD",
    help="Forget the wait and the learned pace of a method instead: only where it is known to be over.",
)
@click.option("--budget", type=click.IntRange(1, 2**63 - 1), metavar="USER_ID", help="Tell what an account may call.")
@daemon_options
def floods(target: Target, forget: tuple[int, str] | None, budget: int | None, *, as_json: bool) -> None:
    """List the waits that Telegram has told accounts, and that aren't over."""
    daemon = target.daemon()
    if forget is not None:
        who, method = forget
        document = daemon.delete(f"/users/{who}/floods/{quote(method, safe='')}").document
        words = "forgotten" if document["forgotten"] else "there was neither a wait nor a learned pace"
        show(document) if as_json else click.echo(f"User {who}, {method}: {words}")
        return
    document = daemon.get("/floods" if budget is None else f"/users/{budget}/budget").document
    if as_json:
        show(document)
        return
    for each in document.get("floods", ()):
        click.echo(f"User {each['account_id']}: {each['method']} until {each['until'][:19]}Z")
    for each in document.get("methods", ()):
        pace = "no known limit" if each["calls"] is None else f"{each['calls']} in {each['seconds']:g} s"
        wait = f", again in {each['ready_in']:g} s" if each["ready_in"] else ""
        click.echo(f"{each['method']}: {each['made']} of {pace}{wait}")


@click.command()
@daemon_options
def retention(target: Target, *, as_json: bool) -> None:
    """List the channels whose posts aren't kept for ever, and how many the next look lets go."""
    document = target.daemon().get("/retention").document
    if as_json:
        show(document)
        return
    for each in document["channels"]:
        name = f"@{each['username']}" if each["username"] else each["title"]
        click.echo(f"Channel {name}: kept for {each['keep']}, {each['due']} posts are older")
