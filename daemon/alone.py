"""Signing in while no daemon runs: on a loop of its own, straight into the store."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from actors.errors import LoopbackViolated, StoreUnavailable
from actors.messages.content import Profile
from actors.messages.ids import AccountId
from actors.messages.rows import SessionKey
from actors.runtime.owner import LoopOwner, run_owner
from actors.signin import import_session, refuse_in_an_incident, sign_in
from actors.telegram.client import SettingsIncomplete
from actors.telegram.login import SignInRefused, save
from config.model import Settings
from daemon.keys import MasterKeyRefused, load_master_keys
from daemon.store.embedded import EmbeddedPostgres
from daemon.store.errors import StoreRefused
from daemon.store.state_lock import StateLock
from daemon.store.store import OpenStore, open_store

REFUSALS = (
    SignInRefused, SettingsIncomplete, LoopbackViolated, StoreRefused, StoreUnavailable, MasterKeyRefused
)  # fmt: skip
"""What these functions raise: faults that an operator can mend."""

Answer = Callable[[str | None], str]
"""Asks a person, given what was wrong with the entry before. May block: nothing else runs on this loop."""
Found = Callable[[], Awaitable[tuple[Profile, SessionKey]]]


def sign_in_alone(
    settings: Settings, phone: str, *, ask_code: Answer, ask_password: Answer, expected: int | None = None
) -> Profile:
    """Sign in by phone and store the session, unless it is another's than ``expected``. Raises: ``REFUSALS``."""
    who = None if expected is None else AccountId(expected)

    async def code(wrong: str | None) -> str:
        return ask_code(wrong)

    async def password(wrong: str | None) -> str:
        return ask_password(wrong)

    return _keep(
        settings, lambda: sign_in(phone, settings=settings, expected=who, ask_code=code, ask_password=password)
    )


def import_alone(settings: Settings, session: str) -> Profile:
    """Store a session made elsewhere, once Telegram has said whose it is. Raises: ``REFUSALS``."""
    return _keep(settings, lambda: import_session(session, settings=settings))


def _keep(settings: Settings, find: Found) -> Profile:
    if not settings.logging.debug:
        # A command tells what went wrong in one line; Telethon's and asyncio's own words would stand around it.
        logging.getLogger().addHandler(logging.NullHandler())
    profiles: list[Profile] = []

    async def main(_: LoopOwner) -> int:
        # The store comes first: a session that nobody could keep must not be made.
        async with opened_store(settings) as opened:
            await refuse_in_an_incident(opened.store.alerts)
            profile, key = await find()
            await save(opened.store.accounts, profile, key)
        profiles.append(profile)
        return 0

    run_owner(main)
    return profiles[0]


@asynccontextmanager
async def opened_store(settings: Settings) -> AsyncIterator[OpenStore]:
    """The daemon's own store, owned as the daemon owns it: while one runs, this raises ``StoreRefused``."""
    keys = load_master_keys(settings.state_dir, settings.keys.master_key_file)
    async with AsyncExitStack() as stack:
        lock = stack.enter_context(StateLock(settings.state_dir))
        if settings.database.dsn is not None:
            dsn = settings.database.dsn.get_secret_value()
        else:
            dsn = (await stack.enter_async_context(EmbeddedPostgres(settings.world_dir / "postgres"))).dsn
        opened = await stack.enter_async_context(
            await open_store(dsn, pool_size=settings.database.pool_size, keys=keys)
        )
        await opened.owner.take(lock)
        stack.push_async_callback(opened.owner.release)
        yield opened
