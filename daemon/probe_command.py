"""``probe``: what a data centre does, asked once through a consenting account and written down without content."""

import logging
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from daemon.options import (
    BAD_SETTINGS,
    FAILED,
    UNREACHABLE,
    USAGE,
    Failure,
    config_option,
    fail,
    json_option,
    load,
    show,
)
from daemon.session_file import NotASession, session_text

if TYPE_CHECKING:
    from actors.messages.ids import AccountId
    from actors.messages.rows import SessionKey
    from actors.telegram.probe import Probed, Wish
    from actors.telegram.probe_trace import Finding, Trace
    from config.model import Settings

SESSION_MOST = 64 * 1024 * 1024
FASTEST_LOCALLY = 1000
"""Calls a second; against anything but loopback the probe itself refuses more than one."""


@click.command()
@config_option
@click.option(
    "--session",
    "session_file",
    type=click.File("rb"),
    help="A session that is connected nowhere else: the text of a StringSession or a .session file; - reads stdin.",
)
@click.option(
    "--account",
    type=click.IntRange(1, 2**63 - 1),
    help="Or a signed-in user's id; its daemon must be stopped meanwhile.",
)
@click.option("--channel", help="The channel to look at: @name, t.me/name or id. Best a quiet one with a long past.")
@click.option("--other-channel", "others", multiple=True, help="Another one for batches; may be repeated.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where the trace is written; a new file.")
@click.option(
    "--pace",
    type=click.FloatRange(0, FASTEST_LOCALLY, min_open=True),
    default=1.0,
    show_default=True,
    help="Calls a second, at most. More than 1 only on loopback.",
)
@click.option("--yes", is_flag=True, help="Don't ask before the calls are made.")
@click.option(
    "--compare",
    "pair",
    type=(click.Path(path_type=Path), click.Path(path_type=Path)),
    help="Ask nothing: print how two traces differ; exit 1 if they do.",
)
@json_option
def probe(
    *,
    config: Path | None,
    session_file: BinaryIO | None,
    account: int | None,
    channel: str | None,
    others: tuple[str, ...],
    out: Path | None,
    pace: float,
    pair: tuple[Path, Path] | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Ask a data centre how it behaves, and write a trace of shapes: no ids, names, texts or dates.

    It reads and changes nothing: no joins, no sends, nothing is marked as read, no view is counted. Which calls it
    makes is said, and confirmed, before the first. It stops at the first FLOOD_WAIT; the exit code is 1 then, and the
    trace is written all the same. See docs/probe.md, also on the consent of the account's owner.
    """
    if pair is not None:
        _compare(*pair, as_json=as_json)
        return
    if (session_file is None) == (account is None) or channel is None or out is None:
        raise click.UsageError("give --channel, --out and either --session or --account; or --compare and two traces")
    settings, _ = load(config)
    _refuse_settings(settings, stored=account is not None)
    key = None if session_file is None else _read_key(session_file)
    if not yes:
        _confirm(channel, session_file)
    from actors.telegram.probe import Wish

    def tell(line: str) -> None:
        click.echo(line, err=True)

    wish = Wish(channel=channel, others=others, pace=pace, tell=tell)
    with _reserved(out):
        probed = _run(settings, wish, key, account)
        out.write_text(probed.trace.dump(), encoding="utf-8")
    _tell(probed.trace, out, as_json=as_json)


def _refuse_settings(settings: "Settings", *, stored: bool) -> None:
    from config.load import missing_credentials

    if settings.sandbox.enabled and stored:
        fail("the sandbox runs only with its daemon: give --session, as GET /sessions/ACCOUNT of it says", UNREACHABLE)
    if missing := missing_credentials(settings):
        fail(missing, BAD_SETTINGS)


def _read_key(file: BinaryIO) -> "SessionKey":
    try:
        text = session_text(file.read(SESSION_MOST))
    except NotASession as fault:
        fail(f"{file.name}: {fault}")
    from actors.telegram.login import SignInRefused, read_session

    try:
        return read_session(text)
    except SignInRefused as refused:
        raise Failure(f"{file.name}: {refused}") from refused


def _confirm(channel: str, session_file: BinaryIO | None) -> None:
    from actors.telegram.probe_trace import PLAN

    reads_stdin = session_file is not None and session_file.name == "<stdin>"
    if reads_stdin or not sys.stdin.isatty():
        fail("there is no terminal to confirm at: read docs/probe.md, then give --yes", USAGE)
    click.echo(f"These calls will be made for the channel {channel}, each at most so often:", err=True)
    for method, most, why in PLAN:
        click.echo(f"  {most:3} {method:31} {why}", err=True)
    click.echo("Nothing is changed: no joins, no sends, nothing is marked as read, no view is counted.", err=True)
    click.echo("The owner of the account must have agreed to this.", err=True)
    click.confirm("Make these calls?", abort=True, err=True)


@contextmanager
def _reserved(path: Path) -> Iterator[None]:
    """Make the file before anything is asked, so that no call is made for nothing; away with it if nothing comes."""
    try:
        path.open("x").close()
    except FileExistsError as fault:
        raise Failure(f"{path} is there already: name a new file", USAGE) from fault
    except OSError as fault:
        raise Failure(f"{path} can't be written: {fault.strerror}", USAGE) from fault
    try:
        yield
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def _run(settings: "Settings", wish: "Wish", key: "SessionKey | None", account: int | None) -> "Probed":
    from actors.errors import LoopbackViolated
    from actors.messages.ids import AccountId
    from actors.telegram.client import SettingsIncomplete
    from actors.telegram.probe import ProbeRefused, probe

    if key is not None:
        ready = key
        refusals: tuple[type[Exception], ...] = (ProbeRefused, SettingsIncomplete, LoopbackViolated)

        async def work() -> "Probed":
            only = settings.sandbox.enabled
            return await probe(ready, wish, settings=settings.telegram, loopback_only=only)

    else:
        from actors.errors import SessionRejected
        from daemon.alone import REFUSALS

        assert account is not None
        account_id = AccountId(account)
        refusals = (ProbeRefused, SessionRejected, *REFUSALS)

        async def work() -> "Probed":
            return await _with_stored_session(settings, wish, account_id)

    try:
        return _on_a_loop(settings, work)
    except refusals as refused:
        raise Failure(str(refused)) from refused


def _on_a_loop(settings: "Settings", work: Callable[[], Awaitable["Probed"]]) -> "Probed":
    from actors.runtime.owner import LoopOwner, run_owner

    if not settings.logging.debug:
        # A command tells what went wrong in one line; Telethon's and asyncio's own words would stand around it.
        logging.getLogger().addHandler(logging.NullHandler())
    found: list[Probed] = []

    async def main(_: LoopOwner) -> int:
        found.append(await work())
        return 0

    run_owner(main)
    return found[0]


async def _with_stored_session(settings: "Settings", wish: "Wish", account_id: "AccountId") -> "Probed":
    """Own the store for as long as it takes: a key that a daemon uses at the same time is dead for good."""
    from dataclasses import replace
    from datetime import UTC, datetime

    from actors.telegram.probe import ProbeRefused, probe
    from daemon.alone import opened_store

    async with opened_store(settings) as opened:
        accounts = opened.store.accounts
        key = await accounts.session(account_id)
        if key is None:
            raise ProbeRefused(f"user {account_id} isn't signed in here: see 'telewarden users'")
        waits = await accounts.floods(account_id)
        probed = await probe(key, replace(wish, waits=waits), settings=settings.telegram)
        if probed.flood is not None:
            method, wait = probed.flood
            await accounts.save_flood(account_id, method, datetime.now(UTC) + wait)
        return probed


def _tell(trace: "Trace", out: Path, *, as_json: bool) -> None:
    def plain(findings: "dict[str, Finding]") -> dict[str, Any]:
        return {name: "unknown" if found.value is None else found.value for name, found in findings.items()}

    if as_json:
        document = {"trace": str(out), "calls": len(trace.records), "stopped": trace.stopped}
        show(document | {"switches": plain(trace.switches), "assumptions": plain(trace.assumptions)})
    else:
        for name, found in (trace.switches | trace.assumptions).items():
            value = "unknown" if found.value is None else str(found.value).lower()
            click.echo(f"{name}: {value} ({found.evidence})")
        click.echo(f"{out}: {len(trace.records)} calls, no content")
    if trace.stopped is not None:
        error = trace.stopped["error"]
        fail(f"it stopped at {trace.stopped['step']}: {error['name']}; what was seen until then is in {out}", FAILED)


def _compare(left: Path, right: Path, *, as_json: bool) -> None:
    from actors.telegram.probe_trace import Trace, TraceInvalid, compare

    try:
        differences = compare(Trace.load(left), Trace.load(right))
    except (TraceInvalid, OSError) as fault:
        raise Failure(str(fault), USAGE) from fault
    if as_json:
        show([{"place": each.place, "left": each.left, "right": each.right} for each in differences])
    else:
        for each in differences:
            click.echo(str(each))
    if differences:
        sys.exit(FAILED)
