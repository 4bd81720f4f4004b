"""What ``telewarden doctor`` looks at, and what it makes of it. Nothing is changed, and nobody signs in."""

import asyncio
import contextlib
import os
import shutil
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from actors.errors import StoreUnavailable
from actors.telegram.proxy import address_of
from config.load import missing_credentials
from config.model import Settings
from daemon.keys import MasterKeyRefused, MasterKeys, has_master_key, load_master_keys
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.errors import EmbeddedRefused, StoreRefused
from daemon.store.inspection import Inspection, inspect
from daemon.store.owner import Holder
from daemon.store.programs import find_programs

Level = Literal["ok", "warn", "bad"]

DISK_LOW, DISK_FULL = 1024**3, 100 * 1024**2
"""Bytes free below which some days of PostgreSQL and logs may not fit, and below which it is a matter of hours."""
CLOCK_OFF = 5.0
"""Seconds. Telegram refuses messages that are 30 s in its future or 300 s in its past
(https://core.telegram.org/mtproto/description#message-identifier-msg-id)."""
SEEN_LATELY = timedelta(minutes=1)
REACH_WITHIN = 5.0
TELEGRAM = ("149.154.167.51", 443)
"""Data centre 2 of Telegram's production service, which new clients are told to begin at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    level: Level
    about: str
    text: str
    """What is so, and where it isn't good, what to do."""


async def examine(settings: Settings) -> tuple[Finding, ...]:
    """All that can be seen from here, in the order in which it must be right."""
    credentials = missing_credentials(settings)
    findings = [
        Finding(level="ok", about="settings", text="they are valid")
        if credentials is None
        else Finding(level="warn", about="settings", text=credentials),
        await asyncio.to_thread(judge_folder, settings.state_dir),
    ]
    if settings.state_dir.exists():
        findings.append(judge_disk(settings.state_dir, shutil.disk_usage(settings.state_dir).free))
    keys, about_keys = await asyncio.to_thread(_keys, settings)
    findings.append(about_keys)
    findings += await _database(settings, keys)
    findings += await _reach(settings)
    return tuple(findings)


def judge_folder(folder: Path) -> Finding:
    """``state_dir``: holds keys and perhaps the database."""
    if not folder.exists():
        parent = next(each for each in folder.absolute().parents if each.exists())
        if os.access(parent, os.W_OK):
            return Finding(level="ok", about="state_dir", text=f"{folder} is made at the first start")
        return Finding(
            level="bad",
            about="state_dir",
            text=f"{folder} can't be made: {parent} isn't yours to write in; set state_dir",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding(
            level="bad", about="state_dir", text=f"{folder} isn't yours to write in: chown it, or set state_dir"
        )
    if folder.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Finding(level="warn", about="state_dir", text=f"{folder} is open to others: chmod 700 {folder}")
    return Finding(level="ok", about="state_dir", text=f"{folder} is there, and yours alone")


def judge_disk(folder: Path, free: int) -> Finding:
    text = f"{free / 1024**3:.1f} GiB are free below {folder}"
    if free >= DISK_LOW:
        return Finding(level="ok", about="disk", text=text)
    level: Level = "warn" if free >= DISK_FULL else "bad"
    return Finding(level=level, about="disk", text=f"{text}: make room, or posts stop being stored")


def _keys(settings: Settings) -> tuple[MasterKeys | None, Finding]:
    where = settings.keys.master_key_file
    if not has_master_key(settings.state_dir, where):
        if where is not None:
            text = f"there is no {where}: put the master key there, or take keys.master_key_file out of the settings"
            return None, Finding(level="bad", about="master key", text=text)
        return None, Finding(level="ok", about="master key", text="it is made at the first start")
    try:
        keys = load_master_keys(settings.state_dir, where)
    except MasterKeyRefused as refused:
        return None, Finding(level="bad", about="master key", text=str(refused))
    return keys, Finding(level="ok", about="master key", text="it is there, and closed to others")


async def _database(settings: Settings, keys: MasterKeys | None) -> list[Finding]:
    if settings.database.dsn is not None:
        dsn = settings.database.dsn.get_secret_value()
    else:
        postgres = EmbeddedPostgres(settings.world_dir / "postgres")
        if not await postgres.runs():
            return [await asyncio.to_thread(_embedded)]
        dsn = postgres.dsn
    try:
        inspection = await inspect(dsn, keys)
    except (StoreUnavailable, StoreRefused) as fault:
        return [Finding(level="bad", about="database", text=str(fault))]
    return [
        judge_schema(inspection),
        judge_clock(inspection.clock_ahead),
        judge_owner(inspection.owner, datetime.now(UTC)),
        judge_sessions(inspection),
    ]


def _embedded() -> Finding:
    try:
        find_programs()
    except EmbeddedRefused as refused:
        return Finding(level="bad", about="database", text=str(refused))
    return Finding(
        level="ok", about="database", text="the embedded PostgreSQL starts with the daemon; it isn't running now"
    )


def judge_schema(found: Inspection) -> Finding:
    text = f"PostgreSQL {found.version}, schema {found.schema}"
    if found.schema > found.newest:
        text += f", this program knows up to {found.newest}: run the newer Telewarden again"
        return Finding(level="bad", about="database", text=text)
    if found.schema < found.newest:
        text += f"; the next start brings it to {found.newest}: have a backup"
    return Finding(level="ok", about="database", text=text)


def judge_clock(ahead: float) -> Finding:
    text = f"this machine's clock and the database's differ by {abs(ahead):.1f} s"
    if abs(ahead) <= CLOCK_OFF:
        return Finding(level="ok", about="clock", text=text)
    return Finding(
        level="warn", about="clock", text=f"{text}, and Telegram refuses whose clock is off: timedatectl set-ntp true"
    )


def judge_owner(owner: Holder | None, now: datetime) -> Finding:
    if owner is None or owner.released:
        return Finding(level="ok", about="owner", text="no daemon holds the database: any may start")
    seen = f"process {owner.claim.pid} on {owner.claim.host}, last seen {owner.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC"
    if now - owner.heartbeat_at <= SEEN_LATELY:
        return Finding(level="ok", about="owner", text=f"{seen}, holds the database")
    text = (
        f"{seen}, didn't release the database: start it there again, or, if that machine is off for good, "
        "'telewarden run --take-over' here"
    )
    return Finding(level="warn", about="owner", text=text)


def judge_sessions(found: Inspection) -> Finding:
    if not found.closed:
        return Finding(
            level="ok", about="sessions", text=f"{found.sessions} sessions, all of them open with the master key"
        )
    whose = ", ".join(map(str, found.closed[:5])) + (" …" if len(found.closed) > 5 else "")
    text = (
        f"{len(found.closed)} of {found.sessions} sessions don't open with the master key at hand ({whose}): "
        "bring back the key that they were sealed with, or have them sign in again"
    )
    return Finding(level="bad", about="sessions", text=text)


async def _reach(settings: Settings) -> list[Finding]:
    """Whether a connection can be made, where the daemon would make one; nothing is sent."""
    if settings.sandbox.enabled:
        return [Finding(level="ok", about="data centre", text="the sandbox's own: nothing leaves this machine")]
    if missing_credentials(settings) is not None:
        return [Finding(level="ok", about="data centre", text="not looked at before accounts can sign in")]
    telegram = settings.telegram
    urls = [each.url for each in telegram.proxies] + ([] if telegram.proxy is None else [telegram.proxy])
    places = [("proxy", *place) for place in sorted({address_of(url.get_secret_value()) for url in urls})]
    if telegram.proxy is None:
        centre = telegram.datacenter
        places.insert(0, ("data centre", *(TELEGRAM if centre is None else (centre.address, centre.port))))
    return list(await asyncio.gather(*(_reached(*place) for place in places)))


async def _reached(about: str, host: str, port: int) -> Finding:
    try:
        async with asyncio.timeout(REACH_WITHIN), _connected(host, port):
            return Finding(level="ok", about=about, text=f"{host}:{port} takes connections")
    except TimeoutError:
        why = f"no answer within {REACH_WITHIN:.0f} s"
    except OSError as error:
        why = error.strerror or str(error)
    text = f"{host}:{port} can't be reached ({why}): check the firewall, or set telegram.proxy"
    return Finding(level="bad", about=about, text=text)


@contextlib.asynccontextmanager
async def _connected(host: str, port: int) -> AsyncIterator[None]:
    _, writer = await asyncio.open_connection(host, port)
    try:
        yield
    finally:
        writer.close()
