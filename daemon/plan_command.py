"""``telewarden plan``: what settings cost in calls, whether that fits, and when a backfill would end."""

from typing import TYPE_CHECKING, Any

import click

from daemon.options import Target, daemon_options, fail, show

if TYPE_CHECKING:
    from config.model import Settings


@click.command()
@click.option("--backfill", metavar="CHANNEL", help="Also say when a backfill of CHANNEL would end; none is begun.")
@click.option(
    "--posts", type=click.IntRange(1, 100_000_000), help="With --backfill: so many older posts. Default: all."
)
@daemon_options
def plan(target: Target, backfill: str | None, posts: int | None, *, as_json: bool) -> None:
    """Say what the settings cost in calls, by account and day.

    It goes by the settings file where there is one, else by the running daemon's own settings, and by the daemon's
    accounts and channels. Exit code 1 when it doesn't fit: change the schedules, or sign in more accounts.
    """
    if posts is not None and backfill is None:
        raise click.UsageError("--posts says how much of a --backfill")
    wish: dict[str, Any] = {}
    if target.has_file:
        wish = _costly(target.settings())
    if backfill is not None:
        wish["backfill"] = {"channel": backfill, "posts": posts}
    document = target.daemon().post("/plan", wish).document
    if as_json:
        show(document)
    else:
        for line in lines(document):
            click.echo(line)
    if not document["fits"]:
        fail("this doesn't fit: lengthen the schedules, read less often again, or sign in more accounts")


def _costly(settings: "Settings") -> dict[str, Any]:
    from config.words import in_words

    return {
        "schedules": in_words(settings.schedules),
        "groups": in_words(settings.groups),
        "reread_after": in_words(settings.collection.reread_after),
    }


def lines(document: dict[str, Any]) -> list[str]:
    told = []
    for account in document["accounts"]:
        name = f" @{account['username']}" if account["username"] else ""
        told.append(f"Account {account['account_id']}{name}: {account['state']}, reads {account['channels']} channels")
        for cost in account["costs"]:
            limit = "no known limit" if cost["limit_per_day"] is None else f"of {cost['limit_per_day']}"
            verdict = "" if cost["fits"] else "  DOESN'T FIT"
            told.append(f"  {cost['method']}: at most {cost['calls_per_day']} calls a day, {limit}{verdict}")
    for backfill in document["backfills"]:
        if not backfill["calls"]:
            told.append(f"Backfill of {backfill['channel']}: nothing older is missing")
            continue
        end = (
            "waits for somebody who can read it" if backfill["ends_at"] is None else f"ends {backfill['ends_at'][:16]}Z"
        )
        told.append(
            f"Backfill of {backfill['channel']}: {backfill['messages']} posts, {backfill['calls']} calls, {end}"
        )
    if document["unread"]:
        told.append(f"Read by nobody now: {', '.join(document['unread'])}")
    return told
