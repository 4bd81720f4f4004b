"""The commands about what a channel holds: ledger, backfill, verify."""

import time
from datetime import datetime
from typing import Any
from urllib.parse import quote

import click

from daemon.job_commands import LONGEST_WAIT, check_end, tell
from daemon.options import Target, daemon_options, fail, show

POLL = 1.0
"""Seconds between two questions about a job."""
STATES = ("stored", "deleted", "service", "undecodable", "empty", "missing", "awaited", "unasked")


@click.command()
@click.argument("channel", required=False)
@daemon_options
def ledger(target: Target, channel: str | None, *, as_json: bool) -> None:
    """Say what is known of every message id of CHANNEL, or of all channels together.

    CHANNEL is a name, @name, t.me/name or an id. Without it: the sums, and a line for each channel that isn't whole.
    """
    document = target.daemon().get("/ledger" if channel is None else path_of(channel, "ledger")).document
    if as_json:
        show(document)
    elif channel is None:
        click.echo(f"All: {_pairs(document['totals'])}")
        for one in document["channels"]:
            missing = "unknown" if one["missing"] is None else one["missing"]
            click.echo(f"Channel {_name(one)}: missing={missing}{_doubt(one)}")
    else:
        counts = _pairs({state: document[state] for state in STATES})
        click.echo(
            f"Channel {channel}: top={document['top_id']}, {counts}, restricted={document['restricted']}"
            f"{_doubt(document)}"
        )


@click.command()
@click.argument("channel")
@click.option("--all", "everything", is_flag=True, help="All older posts.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Those since that day (UTC).")
@click.option("--posts", type=click.IntRange(1, 100_000_000), help="So many more than are wanted already.")
@click.option(
    "--wait",
    type=click.FloatRange(0, LONGEST_WAIT),
    help="Wait that many seconds for the end; exit 1 if it isn't done.",
)
@daemon_options
def backfill(
    target: Target,
    channel: str,
    since: datetime | None,
    posts: int | None,
    wait: float | None,
    *,
    everything: bool,
    as_json: bool,
) -> None:
    """Collect older posts of CHANNEL, down to a day, by number, or all.

    It goes on in the daemon, through restarts, and gives way to what is new. GET /jobs/ID says how far it is.
    """
    if (everything, since is not None, posts is not None).count(True) != 1:
        raise click.UsageError("give one of --all, --since and --posts")
    wish: dict[str, Any] = {"all": True} if everything else {"posts": posts}
    if since is not None:
        wish = {"since": since.date().isoformat()}
    query = {"wait": None if wait is None else f"{wait:.3f}"}
    daemon = target.daemon()
    job = daemon.post(path_of(channel, "backfill"), wish, query, timeout=30.0 + (wait or 0)).document
    tell(job, as_json=as_json)
    check_end(job, wait)


@click.command()
@click.argument("channel")
@click.option("--from", "low", type=click.IntRange(1, 2**31 - 1), help="From this id. Default: the lowest collected.")
@click.option("--to", "high", type=click.IntRange(1, 2**31 - 1), help="Up to this id. Default: the newest.")
@daemon_options
def verify(target: Target, channel: str, low: int | None, high: int | None, *, as_json: bool) -> None:
    """Compare what is stored of CHANNEL with Telegram, 100 ids a call, and mend it.

    Exit code 0 when nothing differed, 1 when something did. It gives way to all else that its account has to do.
    """
    daemon = target.daemon()
    query = {"from": low, "to": high, "wait": POLL}
    job = daemon.post(path_of(channel, "verify"), query=query, timeout=30.0 + POLL).document
    while job["state"] in {"queued", "running"}:
        time.sleep(POLL)
        job = daemon.get(f"/jobs/{job['job_id']}").document
    result = job["result"]
    if as_json:
        show(job)
    else:
        found = ", ".join(f"{what}={count}" for what, count in result["differences"].items() if count) or "none"
        click.echo(
            f"Channel {channel}: ids={job['ids_done']}, calls={result['calls']}, differences: {found}, "
            f"mended={result['mended']}"
        )
        for one in result["first"]:
            click.echo(f"  {one['message_id']}: {one['what']}")
    if job["state"] != "success":
        fail(f"the verification {job['state']}: {job['error'] or 'it was ended'}")
    if any(result["differences"].values()):
        fail("something differed")


def path_of(channel: str, what: str) -> str:
    """The route of a channel, whose name may hold slashes."""
    return f"/channels/{quote(channel, safe='')}/{what}"


def _name(channel: dict[str, Any]) -> str:
    return f"@{channel['username']}" if channel["username"] else str(channel["id"])


def _pairs(counts: dict[str, Any]) -> str:
    return ", ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in counts.items()
    )


def _doubt(document: dict[str, Any]) -> str:
    if document["doubt_since"] is None:
        return ""
    return f", in doubt since {document['doubt_since']} ({document['doubt_why']})"
