"""``token`` and ``audit``."""

import click

from daemon.options import Target, daemon_options, show

ROLES = ("viewer", "operator", "admin")


@click.group()
def token() -> None:
    """Who may ask the daemon over HTTP from elsewhere."""


@token.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="viewer", help="What it may do. Default: viewer.")
@click.option("--expires", metavar="DURATION", help="When it ends, such as 90d. Default: never.")
@daemon_options
def create(target: Target, name: str, role: str, expires: str | None, *, as_json: bool) -> None:
    """Make a token, and show it this once: its digest alone is kept.

    A viewer looks, an operator runs the collection, an admin decides who may do what.
    """
    made = target.daemon().post("/tokens", {"name": name, "role": role, "expires": expires}).document
    show(made) if as_json else click.echo(made["token"])


@token.command("list")
@daemon_options
def list_(target: Target, *, as_json: bool) -> None:
    """List the tokens, those that are over too."""
    document = target.daemon().get("/tokens").document
    if as_json:
        show(document)
        return
    for each in document["tokens"]:
        used = "never used" if each["last_used_at"] is None else f"last used {each['last_used_at'][:16]}Z"
        end = "" if each["expires_at"] is None else f", until {each['expires_at'][:16]}Z"
        over = "" if each["revoked_at"] is None else ", REVOKED"
        click.echo(f"Token {each['id']} {each['name']}: {each['role']}, {used}{end}{over}")


@token.command()
@click.argument("token_id", type=click.IntRange(1, 2**63 - 1))
@daemon_options
def revoke(target: Target, token_id: int, *, as_json: bool) -> None:
    """Refuse a token from now on."""
    document = target.daemon().delete(f"/tokens/{token_id}").document
    show(document) if as_json else click.echo(f"Token {token_id} {document['name']}: revoked")


@click.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=50, help="At most so many, the newest. Default: 50.")
@daemon_options
def audit(target: Target, limit: int, *, as_json: bool) -> None:
    """Show who asked the daemon to change what, the newest last."""
    document = target.daemon().get("/audit", {"limit": limit}).document
    if as_json:
        show(document)
        return
    for each in reversed(document["audit"]):
        click.echo(
            f"{each['at'][:19]}Z {each['who']} ({each['role']}): {each['method']} {each['path']} {each['status']}"
        )
