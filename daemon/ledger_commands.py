"""The commands about what a channel holds: ledger."""

from typing import Any
from urllib.parse import quote

import click

from daemon.options import Target, daemon_options, show

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
