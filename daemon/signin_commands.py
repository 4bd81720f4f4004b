"""``login`` and ``session import``: through the running daemon, else on their own."""

import io
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from daemon.http_client import Daemon, DaemonRefused, DaemonUnreachable
from daemon.options import BAD_SETTINGS, FAILED, UNREACHABLE, USAGE, Failure, Target, daemon_options, fail, show
from daemon.session_file import NotASession, session_text

if TYPE_CHECKING:
    from actors.messages.content import Profile
    from config.model import Settings

TIMEOUT = 90.0
"""Seconds for a step: the daemon waits up to 75 for Telegram."""
QR_POLL = 5
"""Seconds after which it is looked whether a new code is to be shown."""
ENTRIES = 3
"""Wrong entries that are forgiven where a person types them."""
NOWHERE_ELSE = (
    "Use this session nowhere else from now on: Telegram ends one that is connected twice. A fresh one is safer: "
    "'telewarden login --qr'."
)
SESSION_MOST = 64 * 1024 * 1024


@click.command()
@click.option("--phone", help="The account's number with its country code: +4930123456.")
@click.option("--qr", is_flag=True, help="Show a QR code instead, to be scanned by the account's own app.")
@click.option("--link", is_flag=True, help="Print a one-time link to the sign-in page, for the account's owner.")
@click.option("--user", type=click.IntRange(1), help="Who is to sign in, by user id: another is signed out again.")
@click.option("--code", help="The code that Telegram sent. Default: it is asked for.")
@daemon_options
def login(
    target: Target, phone: str | None, user: int | None, code: str | None, *, qr: bool, link: bool, as_json: bool
) -> None:
    """Sign a user in: Telegram sends a code, which is asked for; so is a two-factor password.

    The running daemon signs in and starts to collect at once. Where none runs and no --url is given, the session goes
    straight into the store of the settings. --qr and --link need a running daemon, --link also admin.public_url.
    """
    if [phone is not None, qr, link].count(True) != 1:
        raise click.UsageError("give one of --phone, --qr and --link")
    if link:
        made = target.daemon().post("/signin/link", query={"user": user}).document
        show(made) if as_json else click.echo(made["url"])
        return
    if phone is None:
        step = _by_qr(target.daemon(), user, Prompts(None))
        _tell(int(step["account_id"]), as_json=as_json)
        return
    if not 5 <= sum(each.isdecimal() for each in phone) <= 20:
        fail("--phone must be a number with its country code, such as +4930123456", USAGE)
    prompts = Prompts(code)
    try:
        step = _through_daemon(target.daemon(), phone, user, prompts)
    except DaemonUnreachable:
        if target.named:
            raise
        profile = _alone(target, lambda settings: _sign_in_alone(settings, phone, user, prompts))
        step = {"state": "done", "account_id": profile.account_id}
    _tell(int(step["account_id"]), as_json=as_json)


def _by_qr(daemon: Daemon, user: int | None, prompts: "Prompts") -> Any:
    """Show each code until one is scanned. They go to stderr: stdout is for the result."""
    step = daemon.post("/signin/qr", query={"user": user}, timeout=TIMEOUT).document
    path, shown = f"/signin/{step['sign_in_id']}", None
    while step["state"] == "scan_needed":
        if step["qr_link"] != shown:
            shown = step["qr_link"]
            _show_qr(shown)
        step = daemon.get(path, {"wait": QR_POLL}, timeout=TIMEOUT).document
    return _entered(daemon, step, prompts)


def _show_qr(link: str) -> None:
    import segno

    picture = io.StringIO()
    segno.make(link, error="l", micro=False).terminal(picture, compact=True, border=2)
    click.echo(picture.getvalue(), err=True)
    click.echo("Telegram > Settings > Devices > Link Desktop Device: scan this code.", err=True)


def _through_daemon(daemon: Daemon, phone: str, user: int | None, prompts: "Prompts") -> Any:
    begun = daemon.post("/signin", {"phone": phone}, {"user": user}, timeout=TIMEOUT)
    return _entered(daemon, begun.document, prompts)


def _entered(daemon: Daemon, step: Any, prompts: "Prompts") -> Any:
    path = f"/signin/{step['sign_in_id']}"
    for state, name, ask in (("code_needed", "code", prompts.code), ("password_needed", "password", prompts.password)):
        wrong, left = None, ENTRIES
        while step["state"] == state:
            try:
                step = daemon.post(f"{path}/{name}", {name: ask(wrong)}, timeout=TIMEOUT).document
            except DaemonRefused as refused:
                left -= 1
                if refused.document.get("state") != state or not left:
                    raise
                wrong = refused.detail
    return step


def _sign_in_alone(settings: "Settings", phone: str, user: int | None, prompts: "Prompts") -> "Profile":
    from daemon.alone import sign_in_alone

    return sign_in_alone(settings, phone, expected=user, ask_code=prompts.code, ask_password=prompts.password)


class Prompts:
    """Asks at the terminal; without one, reads a line of stdin for each question."""

    def __init__(self, code: str | None) -> None:
        self._code = code

    def code(self, wrong: str | None) -> str:
        given, self._code = self._code, None
        return given if given is not None else self._ask("Code from Telegram", wrong, hidden=False)

    def password(self, wrong: str | None) -> str:
        return self._ask("Two-factor password", wrong, hidden=True)

    @staticmethod
    def _ask(question: str, wrong: str | None, *, hidden: bool) -> str:
        if wrong is not None:
            click.echo(wrong, err=True)
        if sys.stdin.isatty():
            return str(click.prompt(question, hide_input=hidden, err=True))
        line = sys.stdin.readline().rstrip("\r\n")
        if not line:
            raise Failure(f"{question} is needed: there is no terminal to ask at, and stdin has no line for it", FAILED)
        return line


@click.group()
def session() -> None:
    """Sessions made elsewhere.

    A session is a Telegram account: whoever has it has all of it.
    """


@session.command("import")
@click.argument("file", type=click.File("rb"), default="-")
@daemon_options
def import_(target: Target, file: BinaryIO, *, as_json: bool) -> None:
    """Take over a Telethon session: FILE holds a StringSession's text, or is a .session file; - reads stdin.

    It must not be used anywhere else from then on: Telegram ends a session that is connected twice.
    """
    try:
        text = session_text(file.read(SESSION_MOST))
    except NotASession as fault:
        fail(f"{file.name}: {fault}")
    try:
        user = target.daemon().post("/sessions", {"session": text}, timeout=TIMEOUT).document
        user_id = int(user["id"])
    except DaemonUnreachable:
        if target.named:
            raise
        user_id = _alone(target, lambda settings: _import_alone(settings, text)).account_id
    _tell(user_id, as_json=as_json)
    click.echo(NOWHERE_ELSE, err=True)


def _import_alone(settings: "Settings", text: str) -> "Profile":
    from daemon.alone import import_alone

    return import_alone(settings, text)


def _alone(target: Target, work: Callable[["Settings"], "Profile"]) -> "Profile":
    """Do without a daemon, or say why that can't be."""
    from config.load import missing_credentials

    settings = target.settings()
    if settings.sandbox.enabled:
        fail("the sandbox runs only with its daemon: start 'telewarden run' first", UNREACHABLE)
    if missing := missing_credentials(settings):
        fail(missing, BAD_SETTINGS)
    click.echo("No daemon runs here: the session goes straight into the store.", err=True)
    from daemon.alone import REFUSALS

    try:
        return work(settings)
    except REFUSALS as refused:
        raise Failure(str(refused)) from refused


def _tell(user_id: int, *, as_json: bool) -> None:
    if as_json:
        show({"id": user_id, "authenticated": True})
    else:
        click.echo(f"User {user_id}: signed in")
