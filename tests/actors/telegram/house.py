"""What the tests here share: a sandbox over a socket, clients of ours, and an account among ears."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from telethon.sessions import StringSession

from actors import log
from actors.account import Account
from actors.messages.account import DescribeAccount, Reading, ReadingFor
from actors.messages.content import Profile
from actors.messages.ids import AccountId, ChannelId
from actors.messages.roster import AccountUp, Introduce, MembershipsRead
from actors.messages.rows import SessionKey
from actors.runtime.actor import TaskActor
from actors.runtime.clock import LoopClock
from actors.telegram.client import AccountClient, build_client
from actors.telegram.session import AccountSession
from config.model import Collection, Datacenter, Settings, Telegram
from sandbox.client import Sandbox
from sandbox.faults import Rule


def open_sandbox() -> Sandbox:
    return Sandbox(accounts=2, channels=3, posts=60)


def key_of(dc: Sandbox, account: int | str, name: str = "") -> SessionKey:
    ready = StringSession(dc.session(account, name))
    return SessionKey(
        account_id=AccountId(dc.world.account(account).id),
        dc_id=ready.dc_id,
        address=ready.server_address,
        port=ready.port,
        auth_key=ready.auth_key.key,
    )


@asynccontextmanager
async def open_client(
    dc: Sandbox, account: int | str, *, on_update: Any = None, on_doubt: Any = None, **options: Any
) -> AsyncIterator[AccountClient]:
    session = AccountSession(key_of(dc, account), on_channels=options.pop("on_channels", lambda _: None))
    client = build_client(
        session,
        Telegram(),
        datacenter=place_of(dc),
        loopback_only=True,
        on_update=on_update or (lambda _: None),
        on_doubt=on_doubt or (lambda: None),
        **options,
    )
    await client.connect()
    try:
        yield client
    finally:
        await client.disconnect()


def place_of(dc: Sandbox) -> Any:
    return Datacenter(id=203, address=dc.address, port=dc.port, public_key=dc.public_key)


def account_ids(dc: Sandbox) -> list[int]:
    return [account.id for account in dc.world.accounts.values() if not account.is_bot]


def fail(dc: Sandbox, method: str, error: tuple[int, str] | None = None, **fields: Any) -> Rule:
    rule = Rule(method=method, error=error, **fields)
    dc.dc.dispatcher.faults.rules.append(rule)
    return rule


def calls(dc: Sandbox, account: int) -> dict[str, int]:
    """Requests that the data centre has had from an account, by method."""
    return dict(dc.requests()["by_account"].get(str(account), {}))


def send_letter(dc: Sandbox, sender: int, receiver: int, text: str, random_id: int = 1) -> None:
    """A private message, pushed to its receiver."""
    key, _ = dc.dc.session(dc.world.account(sender), "letter")
    dc.dc.send_letter(key, receiver, text=text, random_id=random_id)


class Ears(TaskActor):
    """Stands where the roster or a channel stands, and hears what it is told."""

    def __init__(self, heard):
        super().__init__()
        self.heard = heard

    def on_receive(self, message):
        if isinstance(message, Introduce):
            account_id, memberships = message.account_id, message.memberships
            read = MembershipsRead(account_id=account_id, memberships=memberships, complete=message.complete)
            self.heard.put_nowait(read)
            self.heard.put_nowait(AccountUp(account_id=account_id))
            return Reading(channel_ids=frozenset(), updates=True)
        if isinstance(message, ReadingFor):
            return Reading(channel_ids=frozenset(), updates=True)
        self.heard.put_nowait(message)
        return None

    def on_control(self, message):
        self.heard.put_nowait(message)


class Skewed(LoopClock):
    """The real clock, moved on by hand: timers keep real time."""

    def __init__(self):
        self.ahead = timedelta()

    def now(self):
        return super().now() + self.ahead


class Counts:
    def __init__(self):
        self.calls, self.dropped = [], asyncio.Queue()

    def call_made(self, method, outcome):
        self.calls.append((method, outcome))

    def flood_waited(self, method, seconds):
        self.calls.append((method, seconds))

    def budget_begun(self, budgets):
        assert budgets is not None

    def push_dropped(self):
        self.dropped.put_nowait(None)


class Watcher(logging.Handler):
    """Tells when an event was logged."""

    def __init__(self, event):
        super().__init__()
        self.event = event
        self.times = asyncio.Queue()
        self.logger = logging.getLogger(event.logger)
        self.former_level = self.logger.level
        self.logger.setLevel(logging.INFO)
        self.logger.addHandler(self)

    def emit(self, record):
        if getattr(record, "event", None) is self.event:
            self.times.put_nowait(record)

    def close(self):
        self.logger.removeHandler(self)
        self.logger.setLevel(self.former_level)
        super().close()


class House:
    """An account among ears."""

    def __init__(self, dc, store, owner, account_id):
        self.dc, self.store, self.owner, self.id = dc, store, owner, account_id
        self.roster = asyncio.Queue()
        self.metrics = Counts()
        self.signed_in = Watcher(log.SIGNED_IN)
        Ears.start(self.roster, key="roster")
        self.channel_ids = [ChannelId(channel.id) for channel in dc.world.channels_of(account_id)]

    @property
    def key(self):
        return f"account/{self.id}"

    async def sign_in(self, key=None):
        await self.store.accounts.save_profile(
            Profile(account_id=self.id, username=None, first_name="before", last_name=None)
        )
        await self.store.accounts.save_session(key or key_of(self.dc, self.id))

    def start(self, **settings):
        self.ref = Account.start(
            self.id,
            store=self.store,
            settings=Settings(collection=Collection(**settings)),
            datacenter=place_of(self.dc),
            loopback_only=True,
            metrics=self.metrics,
            key=self.key,
        )
        return self.ref

    async def up(self, **settings):
        await self.sign_in()
        return await self.come_up(**settings)

    async def come_up(self, **settings):
        """Start, and wait until the account serves."""
        self.start(**settings)
        told = await self.hear(MembershipsRead), await self.hear(AccountUp)
        async with asyncio.timeout(5):
            await self.signed_in.times.get()
        return told

    async def hear(self, kind):
        """The roster's next message of this kind; others are passed over."""
        async with asyncio.timeout(5):
            while not isinstance(message := await self.roster.get(), kind):
                pass
        return message

    def listen(self, channel_id):
        heard = asyncio.Queue()
        Ears.start(heard, key=f"channel/{channel_id}")
        return heard

    async def read(self, *channel_ids):
        """Give the account channels to read, and wait until it knows."""
        self.ref.control(Reading(channel_ids=frozenset(channel_ids), updates=True))
        await self.ref.call(DescribeAccount())

    async def stop(self):
        await self.ref.stop(block=False)
