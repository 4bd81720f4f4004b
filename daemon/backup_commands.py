"""``backup`` and ``restore``."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.options import config_option, fail, json_option, load, show

if TYPE_CHECKING:
    from daemon.backup import Manifest

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("file", type=_FILE)
@click.option("--verify", is_flag=True, help="Read all of FILE, a backup, and say whether it can be restored.")
@config_option
@json_option
def backup(file: Path, config: Path | None, *, verify: bool, as_json: bool) -> None:
    """Write the database and the settings to FILE, which only its owner can read; a daemon may run meanwhile.

    The settings file is in it as it is, with what secrets it holds. The master key isn't: without a copy of it, kept
    apart, the sessions in the backup are worth nothing, and everybody signs in anew. Files of posts aren't in it.
    """
    from daemon import backup as work

    if verify:
        _tell(_do(lambda: work.verify(file)), f"Whole: {file}", as_json=as_json)
        return
    settings, path = load(config)
    manifest = _do(lambda: work.back_up(settings, path, file))
    _tell(manifest, f"Written: {file}", as_json=as_json)
    if not as_json:
        key = settings.keys.master_key_file or settings.state_dir / "master.key"
        click.echo(f"Keep a copy of {key} apart from it: the sessions are sealed with that key.")


@click.command()
@click.argument("file", type=_FILE)
@config_option
@json_option
def restore(file: Path, config: Path | None, *, as_json: bool) -> None:
    """Restore FILE into the settings' database, which must be empty, while no daemon runs: all of it or nothing.

    The sessions in it are those of the daemon that it was made from. End that one for good before this one starts:
    Telegram kills a session that two use at the same time.
    """
    from daemon import backup as work

    settings, _ = load(config)
    manifest = _do(lambda: work.bring_back(settings, file))
    _tell(manifest, f"Restored: {file}", as_json=as_json)
    if not as_json:
        click.echo("Now: put back the master key, and see 'telewarden doctor' before 'telewarden run'.")


def _do(work: "Callable[[], Awaitable[Manifest]]") -> "Manifest":
    from actors.errors import StoreUnavailable
    from actors.runtime.owner import LoopOwner, run_owner
    from daemon.backup import REFUSALS

    made: list[Manifest] = []

    async def main(_: LoopOwner) -> int:
        made.append(await work())
        return 0

    try:
        run_owner(main)
    except (*REFUSALS, StoreUnavailable) as fault:
        fail(str(fault))
    return made[0]


def _tell(manifest: "Manifest", words: str, *, as_json: bool) -> None:
    if as_json:
        show(asdict(manifest))
        return
    rows = ", ".join(f"{name}={count}" for name, count in manifest.rows.items())
    click.echo(f"{words}\n  Telewarden {manifest.telewarden}, {manifest.created_at}, schema {manifest.schema}: {rows}")
