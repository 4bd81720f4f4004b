"""Builds Telethon clients, and holds the seam through which raw updates reach an account.

Telethon 1.45 puts every raw ``Updates`` on ``_updates_queue``; its own loop over that queue keeps pts, asks for
differences on its own timers and drops posts on the way (``docs/telegram.md``). ``AccountClient`` replaces that loop
and the reconnect handler, nothing else: pts, gaps and catching up are ours. A contract test holds the names leaned on.
"""

import asyncio
import copy
import ipaddress
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from python_socks import ProxyError
from telethon import TelegramClient
from telethon._updates import SessionState
from telethon.crypto import rsa
from telethon.network import ConnectionTcpFull, ConnectionTcpMTProxyRandomizedIntermediate, MTProtoSender
from telethon.tl import TLRequest, functions
from telethon.tl.alltlobjects import LAYER

from actors.errors import ActorsError, LoopbackViolated
from actors.telegram.arithmetic import install
from actors.telegram.fence import Fence
from actors.telegram.proxy import address_of, is_mtproxy, options_of
from actors.telegram.session import AccountSession
from actors.telegram.swift import read_swiftly
from config.model import Datacenter, Telegram

BURST = 64
"""Updates handled before the loop gets a turn; the runtime's actors yield as often."""
BACKLOG = 4096
"""Updates that may wait. Beyond it they are dropped and the account asks for the difference, which names what moved."""

RETRY_DELAY = 0.5
"""Seconds between Telethon's own few attempts at connecting; beyond them the account waits longer."""
RETRY_DELAY_MOST = 60.0
SHORT_LIVED = 10.0
"""Seconds: a connection that fell sooner is made anew at once the first time, and ever later the next times."""

Feed = Callable[[Any], None]
Doubt = Callable[[], None]

_quiet = logging.getLogger("telewarden.telethon")
install()


class SettingsIncomplete(ActorsError):
    """Telegram's production service needs ``telegram.api_id`` and ``telegram.api_hash``."""

    park = True


class Fenced:
    """A connection that sends nothing while the process's fence is shut, not even what was handed to it before."""

    fence: ClassVar[Fence | None] = None

    async def _connect(self, timeout: float | None = None, ssl: Any = None) -> None:  # noqa: ASYNC109 - Telethon's
        if self.fence is not None:
            await self.fence.passed()
        await super()._connect(timeout=timeout, ssl=ssl)  # type: ignore[misc]  # of what it is mixed into

    async def send(self, data: bytes) -> None:
        if self.fence is not None:
            await self.fence.passed()
        await super().send(data)  # type: ignore[misc]  # of what it is mixed into

    def _send(self, data: bytes) -> None:
        if self.fence is not None and self.fence.shut:
            raise ConnectionError("the process stood still just before it sent")
        super()._send(data)  # type: ignore[misc]  # of what it is mixed into


@contextmanager
def fenced(fence: Fence) -> Iterator[None]:
    """All connections of the process ask ``fence`` before they send."""
    Fenced.fence = fence
    try:
        yield
    finally:
        Fenced.fence = None


class Unhurry(Fenced):
    """A connection that isn't made at once again and again, where the other side accepts it and lets it fall.

    Telethon waits between attempts that fail, yet not after one that succeeds for a moment: it would connect some
    500 times a second.
    """

    _made_at = float("-inf")
    _short = 0

    async def _connect(self, timeout: float | None = None, ssl: Any = None) -> None:  # noqa: ASYNC109 - Telethon's
        now = asyncio.get_running_loop().time()
        self._short = self._short + 1 if now - self._made_at < SHORT_LIVED else 0
        if self._short > 1:
            await asyncio.sleep(min(RETRY_DELAY * 2 ** (self._short - 2), RETRY_DELAY_MOST))
        try:
            await super()._connect(timeout=timeout, ssl=ssl)
        except ProxyError:
            # Its own text may quote the proxy's, and nobody up there knows its class.
            raise ConnectionError("the proxy refused") from None
        self._made_at = asyncio.get_running_loop().time()


class Unhurried(Unhurry, ConnectionTcpFull):  # type: ignore[misc]  # Telethon has no types
    """To a data centre, directly or through a SOCKS5 or HTTP proxy."""


class ByMTProxy(Unhurry, ConnectionTcpMTProxyRandomizedIntermediate):  # type: ignore[misc]  # Telethon has no types
    """To an MTProxy, which knows the data centres by their number."""


class LoopbackOnly(Unhurried):
    """A connection that never leaves this machine: the sandbox's guard against every door to the real service."""

    async def _connect(self, timeout: float | None = None, ssl: Any = None) -> None:  # noqa: ASYNC109 - Telethon's
        if not is_loopback(self._ip):
            raise LoopbackViolated("in sandbox mode only loopback addresses may be connected to")
        await super()._connect(timeout=timeout, ssl=ssl)


class AccountClient(TelegramClient):  # type: ignore[misc]  # Telethon has no types
    """A client that hands each raw update to ``on_update`` and leaves all of its meaning to its owner.

    ``on_update`` and ``on_doubt`` are plain functions called on the owner loop. ``on_doubt`` says that pushes may be
    missing and that new ones come only after an API call: the owner asks ``updates.getDifference`` at once. An
    exception out of ``on_update`` ends the client and comes out of ``ended()``.
    """

    def __init__(
        self, session: AccountSession, api_id: int, api_hash: str, *, on_update: Feed, on_doubt: Doubt, **options: Any
    ) -> None:
        super().__init__(session, api_id, api_hash, **options)
        self._feed = on_update
        self._doubt = on_doubt
        # An empty box makes every connect() run getMe, getState and getDifference; the values are never used.
        self._message_box.load(SessionState(0, 0, False, 1, 0, int(time.time()), 0, None), [])

    async def ask(self, request: Any, *, dc_id: int | None = None) -> Any:
        """Send one request and return its result: no retries, no sleeping, no memory of flood waits.

        Telethon's own call sleeps 2 s after each failure and keeps waits per method by the wall clock; both are
        decided by the account here. Peers must be given as ``Input…`` objects. Raises what Telethon raises.

        ``dc_id``: another data centre that is to answer, as those do in which files lie. It is connected to when it is
        first asked, under an authorization of its own, and left when nothing was asked for a minute.
        """
        if dc_id is not None and dc_id != self.session.dc_id:
            return await self._ask_abroad(request, dc_id)
        sent = functions.InvokeWithoutUpdatesRequest(request) if self._no_updates else request
        if type(request).read_result is TLRequest.read_result:
            sent.read_result = read_swiftly
        result = await self._answered(self._sender.send(sent))
        self.session.process_entities(result)
        return result

    async def _ask_abroad(self, request: Any, dc_id: int) -> Any:
        try:
            sender = await self._borrow_exported_sender(dc_id)
        except ValueError:  # Telethon's, of a data centre that the service doesn't name
            raise ConnectionError(f"the service names no data centre {dc_id}") from None
        try:
            return await self._answered(sender.send(request))
        finally:
            await self._return_exported_sender(sender)
            if not sender.is_connected():
                # Telethon would hand out the dead one until the client ends.
                self._borrowed_senders.pop(dc_id, None)

    async def _create_exported_sender(self, dc_id: int) -> Any:
        """As Telethon's own, which leaves its connection open where the authorization isn't given or takes too long."""
        dc = await self._get_dc(dc_id)
        sender = MTProtoSender(None, loggers=self._log)
        try:
            connection = self._connection(dc.ip_address, dc.port, dc.id, loggers=self._log, proxy=self._proxy)
            await sender.connect(connection)
            given = await self.ask(functions.auth.ExportAuthorizationRequest(dc_id))
            introduction = copy.copy(self._init_request)
            introduction.query = functions.auth.ImportAuthorizationRequest(id=given.id, bytes=given.bytes)
            await self._answered(sender.send(functions.InvokeWithLayerRequest(LAYER, introduction)))
        except BaseException:
            await sender.disconnect()
            raise
        return sender

    async def _answered(self, answer: Any) -> Any:
        try:
            return await answer
        except asyncio.CancelledError:
            # Telethon cancels what is pending when it disconnects; that must not look like a cancelled caller.
            task = asyncio.current_task()
            if answer.cancelled() and (task is None or not task.cancelling()):
                raise ConnectionError("disconnected before the answer") from None
            raise

    async def ended(self) -> None:
        """Wait until the client is gone for good. Raises what ended it; returns after ``disconnect()``."""
        gone, feed = self.disconnected, self._updates_handle
        try:
            await asyncio.wait((gone, feed), return_when=asyncio.FIRST_COMPLETED)
            if feed.done() and not feed.cancelled():
                feed.result()
            if gone.done():
                gone.result()
        finally:
            gone.cancel()

    async def _update_loop(self) -> None:
        queue, handled = self._updates_queue, 0
        while True:
            if queue.qsize() > BACKLOG:
                while not queue.empty():
                    queue.get_nowait()
                self._doubt()
            self._feed(await queue.get())
            handled += 1
            if handled % BURST == 0:
                await asyncio.sleep(0)

    async def _handle_auto_reconnect(self) -> None:
        self._doubt()


def is_loopback(address: str | None) -> bool:
    """Whether this is a literal loopback address; names aren't, whatever they resolve to."""
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


def build_client(
    session: AccountSession,
    settings: Telegram,
    *,
    datacenter: Datacenter | None = None,
    loopback_only: bool = False,
    on_update: Feed,
    on_doubt: Doubt,
    receive_updates: bool = True,
    proxy: str | None = None,
) -> AccountClient:
    """Build an unconnected client on the running loop. Called by the actor that encloses it, and by nobody else.

    ``datacenter`` overrides ``settings.datacenter`` (the sandbox's port is known only once it listens). Never sleeps
    for floods, makes three attempts at connecting and leaves backoff to the caller. ``proxy``: see ``proxy_of``.

    Raises:
        SettingsIncomplete: production without api_id and api_hash.
        LoopbackViolated: a session, or a proxy, that lives elsewhere, in sandbox mode.
    """
    datacenter = datacenter or settings.datacenter
    api_id, api_hash = _credentials(settings, datacenter)
    _place(session, datacenter)
    if loopback_only and not is_loopback(session.server_address):
        raise LoopbackViolated("in sandbox mode only sessions of a loopback data centre may be used")
    if loopback_only and proxy is not None and not is_loopback(address_of(proxy)[0]):
        raise LoopbackViolated("in sandbox mode only a proxy on a loopback address may be used")
    # Cached on the class, so one data centre's addresses would outlive it.
    AccountClient._config = None  # noqa: SLF001
    return AccountClient(
        session,
        api_id,
        api_hash,
        on_update=on_update,
        on_doubt=on_doubt,
        connection=ByMTProxy if is_mtproxy(proxy) else LoopbackOnly if loopback_only else Unhurried,
        proxy=None if proxy is None else options_of(proxy),
        # A mismatch makes Telethon replace the address by its built-in one.
        use_ipv6=":" in (session.server_address or ""),
        timeout=10,
        request_retries=1,
        connection_retries=2,
        retry_delay=RETRY_DELAY,
        auto_reconnect=True,
        flood_sleep_threshold=0,
        raise_last_call_error=True,
        device_model=session.device.model,
        system_version=session.device.system,
        app_version=session.device.app,
        lang_code="en",
        system_lang_code="en",
        base_logger=QuietLogger("telethon"),
        receive_updates=receive_updates,
        entity_cache_limit=100,
    )


def _credentials(settings: Telegram, datacenter: Datacenter | None) -> tuple[int, str]:
    if settings.api_id is not None and settings.api_hash is not None:
        return settings.api_id, settings.api_hash.get_secret_value()
    if datacenter is None:
        raise SettingsIncomplete("telegram.api_id and telegram.api_hash are needed: see https://my.telegram.org")
    return 1, "0" * 32  # a data centre of one's own doesn't ask who wrote the client


def _place(session: AccountSession, datacenter: Datacenter | None) -> None:
    """Point the session at its data centre's present address; a key of another data centre stays where it is."""
    if datacenter is None:
        return
    if session.auth_key is None or session.dc_id == datacenter.id:
        session.set_dc(datacenter.id, datacenter.address, datacenter.port)
    if datacenter.public_key is not None:
        pem = datacenter.public_key
        rsa.add_key(pem if "-----BEGIN" in pem else Path(pem).read_text(encoding="ascii"), old=False)


class QuietLogger(logging.Logger):
    """Keeps what Telethon logs, without what it logs about: its records quote raw bytes of private messages.

    It stands outside the tree of loggers, so that no handler ever sees such a record. From WARNING up its words come
    out of ``telewarden.telethon``, arguments and tracebacks taken out.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, logging.INFO)

    def getChild(self, suffix: str) -> "QuietLogger":  # noqa: N802 - logging's
        return QuietLogger(suffix)

    def handle(self, record: logging.LogRecord) -> None:
        if record.msg.startswith("Type %08x not found") and isinstance(record.args, tuple):
            _quiet.warning("constructor %08x is unknown: a push was dropped", record.args[0])
        elif record.levelno >= logging.WARNING:
            fault = record.exc_info[0] if record.exc_info else None
            _quiet.log(record.levelno, "%s: %s %s", self.name, record.msg, fault.__name__ if fault else "")
