"""The composition root: builds the parts, joins them, runs until told to stop, and takes them down in reverse."""

import asyncio
import faulthandler
import gc
import logging
import os
import platform
import resource
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import prometheus_client

from actors import log
from actors.errors import ActorsError, StoreUnavailable
from actors.messages.content import Profile
from actors.messages.ids import AccountId
from actors.messages.rows import SessionKey
from actors.metrics import ActorCollector, Metrics
from actors.runtime.errors import ActorDeadError, RuntimeFault
from actors.runtime.owner import LoopOwner, run_owner
from actors.supervisor import Parts, Root
from actors.telegram.client import fenced
from actors.telegram.fence import HAND_OVER, Fence
from config.faults import SettingsInvalid
from config.load import missing_credentials
from config.model import Datacenter, Settings
from daemon.admin.access import Access, TokenFileInvalid
from daemon.admin.server import AddressUnavailable, AdminServer
from daemon.beside import (
    EX_FAILED,
    Ending,
    PoolCollector,
    cut_off,
    forget_old,
    heartbeat,
    keep,
    measure_lag,
    measure_totals,
    release,
    stop_tree,
    watch_postgres,
    watch_root,
)
from daemon.keys import MasterKeyRefused, MasterKeys, load_master_keys
from daemon.logs import secrets_of, setup_logging
from daemon.media.opening import BlobsRefused, open_blobs
from daemon.planning import watch
from daemon.progress import Progress
from daemon.reloading import Reloading
from daemon.rotation import Rotation
from daemon.sandbox_process import SandboxFailed, SandboxProcess
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.errors import StoreRefused
from daemon.store.faults import is_leftover
from daemon.store.state_lock import StateLock
from daemon.store.store import OpenStore, open_store
from daemon.systemd import Notifier

logger = logging.getLogger("telewarden")

DATABASE_AGAIN = 2.0
"""Seconds between two looks at a database that isn't there at the start."""
WATCHDOG = 2.0
"""Seconds without a beat of the loop after which a thread outside names what blocks it, at most a quarter later."""


class StateRefused(Exception):
    """The state folder can't be used; the text says why."""


REFUSALS = (
    BlobsRefused,
    StoreRefused,
    SandboxFailed,
    AddressUnavailable,
    TokenFileInvalid,
    MasterKeyRefused,
    StateRefused,
    StoreUnavailable,
)
"""Faults that an operator can mend: told in one plain line, without a traceback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What is read and checked before the loop runs."""

    settings: Settings
    load: Callable[[], Settings]
    access: Access
    keys: MasterKeys
    take_over: bool


def run(settings: Settings, load: Callable[[], Settings], *, take_over: bool = False) -> int:
    """Run the daemon until SIGTERM, SIGINT or a failure that only a restart mends; the exit code.

    ``load`` reads the settings anew when it is told to reload (SIGHUP, ``POST /reload``).
    ``take_over``: take the database from a daemon on another host that is known to be off.
    """
    setup_logging(settings.logging, secrets=secrets_of(settings))
    _crash_discreetly()
    try:
        _make_state_dir(settings.state_dir)
        access = Access.load(settings.admin, settings.state_dir)
        keys = load_master_keys(settings.state_dir, settings.keys.master_key_file)
        start = Start(settings=settings, load=load, access=access, keys=keys, take_over=take_over)
        return run_owner(lambda owner: _run(owner, start), watchdog=WATCHDOG)
    except REFUSALS as error:
        logger.error("%s", error)  # noqa: TRY400 - plain words for an operator, no traceback
        return EX_FAILED


def _crash_discreetly() -> None:
    """A crash tells where it happened and leaves no core file: that would hold every session in the clear."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _make_state_dir(state_dir: Path) -> None:
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StateRefused(
            f"state_dir {state_dir} can't be made: {(error.strerror or str(error)).lower()}; set state_dir "
            "(TELEWARDEN__STATE_DIR) to a folder that this user may write"
        ) from error


async def _run(owner: LoopOwner, start: Start) -> int:
    ending = Ending(asyncio.Event())
    for number in (signal.SIGTERM, signal.SIGINT):
        owner.loop.add_signal_handler(number, ending.begin, number.name)
    # Until there is something to reload, a reload is what is being done: the settings were just read.
    owner.loop.add_signal_handler(signal.SIGHUP, lambda: None)
    owner.loop.set_exception_handler(_unheard)
    notify = Notifier.from_environment(os.environ)
    async with AsyncExitStack() as stack:
        starting = asyncio.create_task(_start(stack, owner, start, ending, notify), name="start")
        if await _first(starting, ending):
            gc.collect()
            gc.freeze()  # what lives now lives on; the collector needn't look at it again
            notify.ready()
            await ending.event.wait()
        notify.stopping()
        log.emit(log.STOPPING, reason=ending.reason)
    log.emit(log.STOPPED)
    return ending.code


def _unheard(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if is_leftover(context):
        logger.debug("a connection to the database was given up: %r", context.get("exception"))
    else:
        loop.default_exception_handler(context)


async def _first(starting: asyncio.Task[None], ending: Ending) -> bool:
    """Whether the start came to its end before it was told to stop; then it is cancelled. Raises what it raised."""
    stopping = asyncio.create_task(ending.event.wait(), name="stop")
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not starting.done():
        starting.cancel()
        await asyncio.wait((starting,))
    if starting.cancelled():
        return False
    starting.result()
    return True


async def _start(stack: AsyncExitStack, owner: LoopOwner, start: Start, ending: Ending, notify: Notifier) -> None:
    """Start the parts in order; each puts its own end on the stack."""
    settings, keys, take_over = start.settings, start.keys, start.take_over
    lock = stack.enter_context(StateLock(settings.state_dir))
    opened = await _open_store(stack, settings, keys, ending, notify)
    # The lock of the state folder proves that nobody else uses the PostgreSQL inside it.
    ownership = await opened.owner.take(lock, take_over=take_over or settings.database.dsn is None)
    stack.push_async_callback(release, opened)
    keep(stack, heartbeat(opened), "ownership heartbeat")
    fence = Fence(opened.owner.confirm, on_lost=lambda lost: ending.begin(str(lost), EX_FAILED))
    stack.enter_context(fenced(fence))
    keep(stack, fence.look(), "fence: look")
    keep(stack, fence.watch(), "fence: watch")
    if ownership.by_force:
        log.emit(log.TAKEN_OVER, seconds=HAND_OVER)
        await asyncio.sleep(HAND_OVER)
    rotation = Rotation(keys, opened.store.accounts)
    await rotation.go_on()
    metrics = _make_metrics(stack, owner)
    metrics.registry.register(PoolCollector(opened.database))
    keep(stack, measure_totals(opened, metrics, notify), "totals")
    keep(stack, forget_old(owner, opened), "audit: forget")
    datacenter, bot_token = await _datacenter(stack, settings, opened)
    blobs = open_blobs(settings)
    parts = Parts(
        settings=settings,
        store=opened.store,
        metrics=metrics,
        datacenter=datacenter,
        loopback_only=settings.sandbox.enabled,
        bot_token=bot_token,
        blobs=blobs,
    )
    root = Root.start(parts=parts, key="supervisor")
    stack.push_async_callback(stop_tree, root)
    keep(stack, watch_root(root, ending), "end of the tree")
    reloading = Reloading(
        owner=owner,
        store=opened.store,
        settings=settings,
        load=start.load,
        told=(
            lambda live: start.access.renew(live.admin),
            lambda live: setup_logging(live.logging, secrets={*secrets_of(settings), *secrets_of(live)}),
        ),
    )
    keep(stack, watch(owner, opened.store, lambda: reloading.settings), "plan")
    if notify.watchdog_interval is not None:
        keep(stack, Progress(owner, notify, opened.check).feed(notify.watchdog_interval), "watchdog")
    _reload_on_hangup(stack, owner, reloading, notify)
    admin = AdminServer(
        owner=owner, store=opened.store, access=start.access, registry=metrics.registry,
        ready=lambda: _ready(owner, opened), blobs=blobs, reloading=reloading, rotation=rotation,
    )  # fmt: skip
    await admin.start()
    stack.push_async_callback(admin.stop)
    log.emit(log.ADMIN_LISTENING, url=admin.url)
    _show_first_link(admin)
    note = missing_credentials(settings)
    if note is not None:
        logger.warning("%s", note)


def _show_first_link(admin: AdminServer) -> None:
    """To a person at a terminal alone: a log is read by others, and kept."""
    if admin.first_link is not None and sys.stderr.isatty():
        words = "Токен администратора, один раз в течение часа: / The administrator's token, once within an hour:"
        sys.stderr.write(f"\n  {words}\n  {admin.url}{admin.first_link.path}\n\n")


def _reload_on_hangup(stack: AsyncExitStack, owner: LoopOwner, reloading: Reloading, notify: Notifier) -> None:
    asked = asyncio.Event()
    owner.loop.add_signal_handler(signal.SIGHUP, asked.set)

    async def reload() -> None:
        while True:
            await asked.wait()
            asked.clear()
            notify.reloading()
            try:
                await reloading.apply()
            except SettingsInvalid as invalid:
                logger.debug("not reloaded: %s faults", len(invalid.faults))  # each is told where they are found
            except (ActorsError, RuntimeFault, ActorDeadError) as fault:
                log.emit(log.RELOAD_REFUSED, cause=str(fault))
            notify.ready()

    keep(stack, reload(), "reload")


def _make_metrics(stack: AsyncExitStack, owner: LoopOwner) -> Metrics:
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # twice the series, and nobody asks for them
    registry = prometheus_client.REGISTRY
    metrics = Metrics(registry)
    built = prometheus_client.Info("telewarden_build", "Which version this is.", registry=registry)
    built.info({"version": metadata.version("telewarden"), "python": platform.python_version()})
    registry.register(ActorCollector(owner))
    owner.on_foreign_loop = metrics.event_loop_errors.inc
    keep(stack, measure_lag(owner, metrics), "loop lag")
    return metrics


async def _open_store(
    stack: AsyncExitStack, settings: Settings, keys: MasterKeys, ending: Ending, notify: Notifier
) -> OpenStore:
    settings.world_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if settings.database.dsn is not None:
        dsn, where = settings.database.dsn.get_secret_value(), "database.dsn"
    else:
        postgres = await stack.enter_async_context(EmbeddedPostgres(settings.world_dir / "postgres"))
        keep(stack, watch_postgres(postgres, ending), "end of PostgreSQL")
        dsn, where = postgres.dsn, str(postgres.folder)
    opened = await _once_there(lambda: open_store(dsn, pool_size=settings.database.pool_size, keys=keys), notify)
    stack.push_async_callback(opened.close)
    keep(stack, cut_off(opened, ending), "end of a silent database")
    log.emit(log.DATABASE_READY, where=where)
    return opened


async def _once_there(open_: Callable[[], Awaitable[OpenStore]], notify: Notifier) -> OpenStore:
    """The store, once the database answers: after a reboot it may come up later. Raises: ``StoreRefused``."""
    told = False
    while True:
        try:
            return await open_()
        except StoreUnavailable as error:
            if not told:
                log.emit(log.DATABASE_AWAITED, error=str(error))
            told = True
            notify.starting("waiting for PostgreSQL", round(DATABASE_AGAIN) + 30)
            await asyncio.sleep(DATABASE_AGAIN)


async def _datacenter(
    stack: AsyncExitStack, settings: Settings, opened: OpenStore
) -> tuple[Datacenter | None, str | None]:
    """The data centre that overrides the sessions' own, and the bot's token; starts the sandbox where it is wanted."""
    token = None if settings.bot.token is None else settings.bot.token.get_secret_value()
    if not settings.sandbox.enabled:
        return settings.telegram.datacenter, token
    sandbox = SandboxProcess(settings.sandbox, settings.world_dir)
    stack.push_async_callback(sandbox.stop)
    datacenter = await sandbox.start()
    log.emit(log.SANDBOX_STARTED, address=datacenter.address, port=datacenter.port, control=sandbox.control)
    for account in await sandbox.accounts():
        if account.bot_token is not None:
            token = token or account.bot_token
            continue
        session = await sandbox.session(account.account_id)
        account_id = AccountId(account.account_id)
        await opened.store.accounts.save_profile(
            Profile(
                account_id=account_id,
                username=account.username,
                first_name=account.first_name,
                last_name=account.last_name,
            )
        )
        await opened.store.accounts.save_session(
            SessionKey(
                account_id=account_id,
                dc_id=datacenter.id,
                address=datacenter.address,
                port=datacenter.port,
                auth_key=bytes.fromhex(session["auth_key"]),
            )
        )
    return datacenter, token


async def _ready(owner: LoopOwner, opened: OpenStore) -> Mapping[str, str | None]:
    checks: dict[str, str | None] = {
        key: None if owner.get(key) is not None else "it isn't running"
        for key in ("supervisor", "recorder", "roster", "scheduler")
    }
    checks["database"] = await opened.check()
    return checks
