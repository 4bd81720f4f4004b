"""``follow``, ``unfollow`` and ``import``."""

from urllib.parse import quote

import click

from daemon.options import Target, daemon_options, fail, show

TIMEOUT = 120.0
_USER = click.IntRange(1, 2**63 - 1)
_WORDS = {
    "followed": "followed from now on",
    "already": "followed already",
    "join_needed": "only members can read it: --join makes the account one",
    "join_requested": "its administrators must let the account in first",
}


@click.command()
@click.argument("user_id", type=_USER)
@click.argument("channel")
@click.option("--join", is_flag=True, help="Make the account a member: a private channel can't be read otherwise.")
@daemon_options
def follow(target: Target, user_id: int, channel: str, *, join: bool, as_json: bool) -> None:
    """Have a user's account follow a channel.

    CHANNEL is a name, @name, t.me link, invite link or an id. A public channel needn't be joined.
    """
    wish = {"channel": channel, "join": join}
    document = target.daemon().post(f"/users/{user_id}/channels", wish, timeout=TIMEOUT).document
    if as_json:
        show(document)
    else:
        name = f"@{document['username']}" if document["username"] else document["title"]
        click.echo(f"Channel {name}: {_WORDS[document['state']]}")
    if document["state"] in {"join_needed", "join_requested"}:
        fail("it isn't followed yet")


@click.command()
@click.argument("user_id", type=_USER)
@click.argument("channel")
@daemon_options
def unfollow(target: Target, user_id: int, channel: str, *, as_json: bool) -> None:
    """Have a user's account follow a channel no more. It stays a member, and the posts stay."""
    document = target.daemon().delete(f"/users/{user_id}/channels/{quote(channel, safe='')}", timeout=TIMEOUT).document
    if as_json:
        show(document)
    else:
        click.echo(f"Channel {channel}: " + ("not followed any more" if document["unfollowed"] else "wasn't followed"))


@click.command("import")
@click.argument("user_id", type=_USER)
@click.option("--folder", help="Only the channels of this folder, by its title or id. Default: all dialogs.")
@daemon_options
def import_(target: Target, user_id: int, folder: str | None, *, as_json: bool) -> None:
    """Have a user's account follow all channels among its dialogs, or those in one of its folders."""
    daemon = target.daemon()
    wish = {}
    if folder is not None:
        known = daemon.get(f"/users/{user_id}/folders", timeout=TIMEOUT).document["folders"]
        ids = [each["id"] for each in known if folder in (each["title"], str(each["id"]))]
        if not ids:
            titles = ", ".join(repr(each["title"]) for each in known) or "none"
            fail(f"there is no folder {folder!r}; the account has: {titles}")
        wish = {"folder": ids[0]}
    document = daemon.post(f"/users/{user_id}/import", wish, timeout=TIMEOUT).document
    if as_json:
        show(document)
        return
    over = f", over the limit={document['over_limit']}" if document["over_limit"] else ""
    click.echo(f"Channels: followed={document['followed']}, already={document['already']}{over}")
