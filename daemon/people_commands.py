"""``user`` and ``invite``."""

import click

from daemon.options import Target, daemon_options, show

TIMEOUT = 90.0
ROLES = ("owner", "admin", "user")
_USER = click.IntRange(1, 2**63 - 1)


@click.group()
def user() -> None:
    """What a user may do, and the end of one."""


@user.command()
@click.argument("user_id", type=_USER)
@click.argument("role", type=click.Choice(ROLES))
@daemon_options
def role(target: Target, user_id: int, role: str, *, as_json: bool) -> None:
    """Make a user owner, admin or plain user: it decides what the bot does for whom."""
    _tell(target.daemon().put(f"/users/{user_id}/role", {"role": role}).document, as_json=as_json)


@user.command()
@click.argument("user_id", type=_USER)
@click.argument("plan")
@daemon_options
def plan(target: Target, user_id: int, plan: str, *, as_json: bool) -> None:
    """Give a user one of the settings' plans."""
    _tell(target.daemon().put(f"/users/{user_id}/plan", {"plan": plan}).document, as_json=as_json)


def _tell(document: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        show(document)
    else:
        click.echo(f"User {document['id']}: role={document['role']}, plan={document['plan']}")


@user.command()
@click.argument("user_id", type=_USER)
@daemon_options
def logout(target: Target, user_id: int, *, as_json: bool) -> None:
    """End a user's session, at Telegram and here. Its posts stay; 'telewarden login' signs it in again."""
    document = target.daemon().post(f"/users/{user_id}/logout", timeout=TIMEOUT).document
    if as_json:
        show(document)
        return
    click.echo(f"User {user_id}: signed out")
    _warn(user_id, told=document["signed_out"])


@user.command()
@click.argument("user_id", type=_USER)
@daemon_options
def disable(target: Target, user_id: int, *, as_json: bool) -> None:
    """Leave an account alone until 'user enable': it disconnects and keeps its session, others read its channels on."""
    _tell_state(target.daemon().post(f"/users/{user_id}/disable", timeout=TIMEOUT).document, as_json=as_json)


@user.command()
@click.argument("user_id", type=_USER)
@daemon_options
def enable(target: Target, user_id: int, *, as_json: bool) -> None:
    """Take a disabled account up again."""
    _tell_state(target.daemon().post(f"/users/{user_id}/enable", timeout=TIMEOUT).document, as_json=as_json)


def _tell_state(document: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        show(document)
    else:
        click.echo(f"User {document['id']}: {document['state']}")


@user.command()
@click.argument("user_id", type=_USER)
@click.option("--posts", is_flag=True, help="Delete also the channels that nobody else follows, with their posts.")
@click.confirmation_option(prompt="Delete this user with all that is kept about it?")
@daemon_options
def remove(target: Target, user_id: int, *, posts: bool, as_json: bool) -> None:
    """Sign a user out and delete all that is kept about it: session, memberships, consents, jobs."""
    document = target.daemon().delete(f"/users/{user_id}", {"posts": int(posts)}, timeout=TIMEOUT).document
    if as_json:
        show(document)
        return
    gone = f"channels without a follower={document['channels']}, posts deleted={document['posts']}"
    click.echo(f"User {user_id}: removed; {gone}")
    _warn(user_id, told=document["signed_out"])


def _warn(user_id: int, *, told: bool) -> None:
    if not told:
        click.echo(
            f"Telegram didn't confirm that the session of {user_id} is over: end it in Telegram > Settings > Devices.",
            err=True,
        )


@click.group()
def invite() -> None:
    """Codes that let people in: /start CODE, said to the bot."""


@invite.command()
@click.option("--role", type=click.Choice(ROLES), default="user", help="Default: user.")
@click.option("--plan", default="default", help="One of the settings' plans. Default: default.")
@click.option("--uses", type=click.IntRange(1, 10_000), default=1, help="How many people it lets in. Default: 1.")
@click.option("--expires", default="7d", help="12h, 7d, up to 52w. Default: 7d.")
@daemon_options
def create(target: Target, role: str, plan: str, uses: int, expires: str, *, as_json: bool) -> None:
    """Make an invite and print its code, which is shown this once."""
    wish = {"role": role, "plan": plan, "uses": uses, "expires": expires}
    document = target.daemon().post("/invites", wish).document
    show(document) if as_json else click.echo(document["code"])


@invite.command("list")
@click.option("--before", type=click.IntRange(min=1), help="Only invites with a smaller number.")
@daemon_options
def list_(target: Target, before: int | None, *, as_json: bool) -> None:
    """List the invites, the last made first; codes aren't kept."""
    document = target.daemon().get("/invites", {"before_id": before}).document
    if as_json:
        show(document)
        return
    for each in document["invites"]:
        revoked = ", revoked" if each["revoked_at"] else ""
        click.echo(
            f"Invite {each['id']}: role={each['role']}, plan={each['plan']}, left={each['uses_left']}/{each['uses']}, "
            f"expires={each['expires_at']}{revoked}"
        )
    if document["next_before_id"] is not None:
        click.echo(f"There are more: --before {document['next_before_id']}", err=True)


@invite.command()
@click.argument("invite_id", type=click.IntRange(1))
@daemon_options
def revoke(target: Target, invite_id: int, *, as_json: bool) -> None:
    """End an invite: it lets nobody in any more."""
    document = target.daemon().delete(f"/invites/{invite_id}").document
    show(document) if as_json else click.echo(f"Invite {invite_id}: revoked")
