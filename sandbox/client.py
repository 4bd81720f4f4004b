"""The sandbox inside a test's own process."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sandbox import ledger, traces
from sandbox.control import Control
from sandbox.datacentre import DataCentre, shape_row
from sandbox.generate import Shape, ShapeError
from sandbox.limits import USUAL
from sandbox.state import State
from sandbox.switches import Switches
from sandbox.world import World

MAX_RATE = 10_000.0


class Sandbox:
    """A data centre and its control interface, open for the length of an `async with`.

    Everything it opens is closed at its end: sockets, tasks, files.
    """

    def __init__(
        self,
        *,
        accounts: int = 3,
        channels: int = 6,
        posts: int | None = None,
        seed: int = 1,
        rate: float = 0.0,
        posts_dir: Path | str | None = None,
        export: Path | str | None = None,
        state: Path | str | None = None,
        trace: Path | str | None = None,
        switches: Switches | None = None,
        limits: bool = False,
        listen: tuple[str, int] = ("127.0.0.1", 0),
        control: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        """`listen` and `control` are hosts and ports, of loopback alone; 0 for any free port. Raises ShapeError."""
        folder, file, self._state, self._trace = (
            None if each is None else Path(each) for each in (posts_dir, export, state, trace)
        )
        self._shape = Shape(accounts=accounts, channels=channels, posts=posts, seed=seed, posts_dir=folder, export=file)
        if trace is not None and switches is not None:
            raise ShapeError("give switches or a trace that has some, not both")
        if not 0 <= rate <= MAX_RATE:
            raise ShapeError(f"a rate of {rate} posts a second is not from 0 to {MAX_RATE:.0f}")
        self._rate = rate
        self._switches = switches
        self._limits = limits
        self._listen, self._control_at = listen, control
        self.dc: DataCentre
        self._control: Control

    async def __aenter__(self) -> Self:
        """Raises PostsFolderError, ExportError, TraceError, StateError, NotLoopbackError, OSError."""
        # In a thread: files are read here, and the lock of a state directory may be waited for.
        self.dc = await asyncio.to_thread(self._build)
        self._control = Control(self.dc)
        try:
            await self.dc.open(*self._listen)
            await self._control.open(*self._control_at)
        except BaseException:
            await self._close()
            raise
        return self

    def _build(self) -> DataCentre:
        switches = traces.load(self._trace) if self._trace else self._switches
        state = State.open(self._state, shape_row(self._shape)) if self._state else None
        try:
            dc = DataCentre.build(self._shape, state, rate=self._rate, switches=switches)
        except BaseException:
            if state:
                state.close()
            raise
        if self._limits:
            dc.dispatcher.limits.enforce(USUAL)
        return dc

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        await self._control.close()
        await self.dc.close()

    @property
    def address(self) -> str:
        return self.dc.address

    @property
    def port(self) -> int:
        return self.dc.port

    @property
    def public_key(self) -> str:
        """PKCS#1 PEM, for `telethon.crypto.rsa.add_key(..., old=False)`."""
        return self.dc.server_key.public_pem()

    @property
    def world(self) -> World:
        return self.dc.world

    @property
    def control_url(self) -> str:
        return self._control.url

    def session(self, account: int | str, key: str = "") -> str:
        """A signed-in Telethon StringSession: a new auth key each time, or always the one named `key`.

        Raises:
            WorldError: there is no such account.
        """
        return self.dc.session(self.world.account(account), key)[1]

    def code(self, phone: str) -> str:
        """The newest sign-in code that waits for a phone number. Raises KeyError."""
        code = self.dc.logins.newest_code(phone.lstrip("+"))
        if code is None:
            raise KeyError(phone)
        return code

    async def publish(
        self,
        channel: int | str,
        *,
        text: str | None = None,
        texts: Sequence[str] = (),
        count: int | None = None,
        silent: bool = False,
    ) -> list[int]:
        """New posts: one of `text`, one of each of `texts`, `count` generated ones (1 when nothing is given)."""
        wanted = [*([text] if text is not None else []), *texts]
        return self.dc.publish(
            self.world.channel(channel), wanted, count=(not wanted) if count is None else count, silent=silent
        )

    async def edit(self, channel: int | str, post_id: int, text: str) -> None:
        self.dc.edit(self.world.channel(channel), post_id, text)

    async def delete(self, channel: int | str, ids: Sequence[int]) -> list[int]:
        return self.dc.delete(self.world.channel(channel), ids)

    def ledger(self, channel: int | str | None = None) -> dict[str, Any]:
        """As GET /ledger."""
        return ledger.ledger(self.world, channel)

    def requests(self) -> dict[str, Any]:
        """As GET /requests."""
        return ledger.requests(self.dc)

    def drop_connections(self) -> int:
        return self.dc.drop_connections()
