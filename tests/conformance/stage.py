"""One test's hold on the target: its clients, its control interface, and what it says that is true."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, Self

import aiohttp
import pytest
from telethon import TelegramClient, errors, functions, types
from telethon.crypto import rsa
from telethon.network import ConnectionTcpFull
from telethon.sessions import StringSession

from tests.conformance.raw import RawClient
from tests.conformance.target import Target, loopback_only

Row = dict[str, Any]
PATIENCE = 10.0
"""Seconds; nothing here takes half a second, but machines that test are busy."""


class Control:
    """The control interface over HTTP. Refusals fail the test, unless it asks for them."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    async def _ask(self, method: str, path: str, body: Row | None = None, **query: str) -> tuple[int, Any]:
        async with self._http.request(method, path, json=body, params=query) as answer:
            return answer.status, await answer.json(content_type=None) if answer.status != 204 else None

    async def _must(self, method: str, path: str, body: Row | None = None, **query: str) -> Any:
        status, said = await self._ask(method, path, body, **query)
        assert status < 300, f"{method} {path} {body}: {said}"
        return said

    async def get(self, path: str, **query: Any) -> Any:
        return await self._must("GET", path, **{name: str(value) for name, value in query.items()})

    async def post(self, path: str, **body: Any) -> Any:
        return await self._must("POST", path, body)

    async def delete(self, path: str, **body: Any) -> Any:
        return await self._must("DELETE", path, body)

    async def refuses(self, path: str, **body: Any) -> int:
        """The status of a POST that must be refused."""
        status, said = await self._ask("POST", path, body)
        assert status >= 400, f"POST {path} {body}: {said}"
        return status


class Stage:
    """What tests and cases are given. Use as an `async with`."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._clients: list[TelegramClient] = []
        self._raw: list[RawClient] = []
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        if self.target.control:
            self._http = aiohttp.ClientSession(base_url=self.target.control)
            if not self.target.is_own:
                await self._calm()
        return self

    async def __aexit__(self, *_: object) -> None:
        for raw in self._raw:
            await raw.close()
        for client in self._clients:
            await client.disconnect()
        if self._http:
            if not self.target.is_own:
                await self._calm()
            await self._http.close()

    async def _calm(self) -> None:
        """Put everything back that a test may have changed in a sandbox that others use after it."""
        for path in ("/faults", "/requests"):
            await self.control.delete(path)
        await self.control.post("/limits", enforce="none", one_connection_per_key=False)
        await self.control.post("/pushes")
        await self.control.post("/clock", skew=0.0)
        await self.control.post("/files", dc_id=self.target.dc_id)
        await self.control.post("/switches", **SWITCHES)
        for account in (await self.control.get("/world"))["accounts"]:
            await self.control.post(f"/accounts/{account['id']}", password="", dc_id=self.target.dc_id)

    @property
    def has_control(self) -> bool:
        return self._http is not None

    @property
    def control(self) -> Control:
        """Skips the test where there is none."""
        if self._http is None:
            pytest.skip("needs a control interface: TELEWARDEN_CONFORMANCE_CONTROL")
        return Control(self._http)

    # Clients

    async def session(self, account: str = "", **key: str) -> str:
        """A ready session: a new key each time, or that of a name; without an account the one that was given."""
        if not account and self.target.session:
            return self.target.session
        if not account and not self.has_control:
            pytest.skip("needs a session: TELEWARDEN_CONFORMANCE_SESSION")
        return str((await self.control.get(f"/sessions/{account or 'ann'}", **key))["session"])

    def stranger(self, door: Any = None) -> StringSession:
        """A session without an auth key: connecting makes one, for which the server's RSA key must be known.

        `door` is the dcOption of another data centre of the server.
        """
        if self.target.key is None:
            pytest.skip("needs the server's public key: TELEWARDEN_CONFORMANCE_KEY")
        rsa.add_key(self.target.key(), old=False)
        session = StringSession()
        session.set_dc(self.target.dc_id, self.target.address, self.target.port)
        if door:
            session.set_dc(door.id, door.ip_address, door.port)
        return session

    def telethon(self, session: str | StringSession, base: type[Any] = ConnectionTcpFull, **options: Any) -> Any:
        """Stock Telethon, which isn't connected yet and never waits by itself."""
        client = TelegramClient(
            StringSession(session) if isinstance(session, str) else session,
            1,
            "hash",
            connection=loopback_only(self.target, base),
            flood_sleep_threshold=0,
            **{"retry_delay": 0, "connection_retries": 2} | options,
        )
        self._clients.append(client)
        return client

    async def client(self, account: str = "", *, session: str = "", **options: Any) -> Any:
        """Connected and signed in."""
        client = self.telethon(session or await self.session(account), **options)
        await client.connect()
        return client

    async def new_client(self, **options: Any) -> Any:
        """Connected with a key that was just made and that nobody has signed in with."""
        client = self.telethon(self.stranger(), **options)
        await client.connect()
        return client

    async def anyone(self, **options: Any) -> Any:
        """Connected; signed in, if the server offers a session."""
        if self.target.session or self.has_control:
            return await self.client(**options)
        return await self.new_client(**options)

    async def raw(self, account: str = "", *, session: str = "", init: bool = True) -> RawClient:
        """A session whose messages are made by hand; unless `init` is false it has said which layer it speaks."""
        raw = RawClient(StringSession(session or await self.session(account)), self.target)
        self._raw.append(raw)
        await raw.connect(init=init)
        return raw

    # The world

    async def world(self) -> Row:
        return dict(await self.control.get("/world"))

    async def account(self, username: str) -> Row:
        return next(row for row in (await self.world())["accounts"] if row["username"] == username)

    async def channel_row(self, channel: str | int) -> Row:
        return next(row for row in (await self.world())["channels"] if channel in (row["id"], row["username"]))

    async def channel(self) -> str:
        """The username of the channel that is read: the given one, or the first that Ann follows."""
        if self.target.channel:
            return self.target.channel
        if not self.has_control:
            pytest.skip("needs a channel: TELEWARDEN_CONFORMANCE_CHANNEL")
        world = await self.world()
        ann = next(row["id"] for row in world["accounts"] if row["username"] == "ann")
        return next(str(row["username"]) for row in world["channels"] if row["username"] and ann in row["members"])

    async def ledger(self, channel: str | int) -> Row:
        (row,) = (await self.control.get("/ledger", channel=channel))["channels"]
        return dict(row)

    async def found(self, title: str = "Founded", *members: str, **fields: Any) -> Row:
        """A public channel of this test's own, with a name that no other has. Its members aren't told that they are."""
        name = f"t{secrets.token_hex(8)}"
        row = await self.control.post("/channels", title=title, username=name, **fields)
        for member in members:
            await self.control.post("/members", channel=name, account=member, standing="member", silent=True)
        return await self.channel_row(row["id"])

    async def publish(self, channel: str | int, *texts: str, **fields: Any) -> list[int]:
        """The ids of posts with these texts; without any, of one that is generated."""
        body = {"posts": [{"text": text} for text in texts]} if texts else {}
        return list((await self.control.post("/posts", channel=channel, **body, **fields))["ids"])

    async def asked(self, method: str, account: str = "") -> int:
        """How often a method was asked, by everybody or by one account."""
        counts = (await self.control.get("/requests"))["by_account"]
        if account:
            counts = {"": counts.get(str((await self.account(account))["id"]), {})}
        return sum(methods.get(method, 0) for methods in counts.values())

    async def fault(self, method: str, error: str = "", code: int = 400, **fields: Any) -> None:
        if error:
            fields["error"] = {"code": code, "message": error}
        await self.control.post("/faults", method=method, **fields)


SWITCHES = {
    "difference_pts": True,
    "too_long_above": 100,
    "too_long_after": 0,
    "peer_batch_fails": True,
    "max_joined": 500,
    "account_too_long_above": 0,
}
"""As a sandbox starts."""


def history(peer: Any, **fields: Any) -> Any:
    """messages.getHistory of which only what matters is said."""
    usual = {"offset_id": 0, "offset_date": None, "add_offset": 0, "limit": 100, "max_id": 0, "min_id": 0, "hash": 0}
    return functions.messages.GetHistoryRequest(peer, **usual | fields)


def channel_difference(peer: Any, pts: int, limit: int = 100) -> Any:
    return functions.updates.GetChannelDifferenceRequest(peer, types.ChannelMessagesFilterEmpty(), pts, limit)


async def refuses(client: Any, error: type[Exception] | str, *requests: Any) -> None:
    """Every one of these requests is answered with that error: by its words where Telethon has no class for it."""
    for request in requests:
        with pytest.raises(errors.RPCError) as caught:
            await client(request)
        if isinstance(error, str):
            assert caught.value.message == error
        else:
            assert type(caught.value) is error


def hear(client: Any, kind: Any) -> asyncio.Queue[Any]:
    """A queue of what a handler of that kind is told."""
    heard: asyncio.Queue[Any] = asyncio.Queue()
    client.add_event_handler(heard.put, kind)
    return heard


async def soon(heard: asyncio.Queue[Any]) -> Any:
    async with asyncio.timeout(PATIENCE):
        return await heard.get()


async def until(heard: asyncio.Queue[Any], is_last: Callable[[Any], bool]) -> list[Any]:
    """All that is heard before something that ends it, in its order: how one shows that nothing else came."""
    before = []
    while not is_last(each := await soon(heard)):
        before.append(each)
    return before
