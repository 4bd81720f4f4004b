"""The data centre: a listening socket, the world behind it, and the one way in which that world changes."""

import asyncio
import ipaddress
import logging
import random
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Self

from telethon.crypto import AuthKey as ClientKey
from telethon.sessions import StringSession

from sandbox import methods
from sandbox.codec import DC_ID
from sandbox.crypto import ServerKey
from sandbox.dispatch import Dispatcher
from sandbox.generate import Shape, build_world, draft_post, folder_digest
from sandbox.hub import Hub
from sandbox.keys import AuthKey, Json, Keyring
from sandbox.salts import Salts
from sandbox.session import Connection
from sandbox.state import State
from sandbox.transport import TransportError, Wire, recognise
from sandbox.world import Account, Change, Channel, Deleted, Edited, Entity, Post, Posted, Sent, World

logger = logging.getLogger(__name__)

CODE_LIFETIME = 300.0


class NotLoopbackError(ValueError):
    """The sandbox has no passwords worth the name: it listens on loopback and nowhere else."""


def loopback(host: str) -> str:
    """The address, if it is a loopback one. Raises NotLoopbackError."""
    if host == "localhost":
        return "127.0.0.1"
    with suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return host
    raise NotLoopbackError(f"{host} is no loopback address; the sandbox listens on 127.0.0.1 only")


@dataclass(slots=True)
class LoginCode:
    code: str
    hash: str
    expires: float


class DataCentre:
    """Owns everything that a client can reach. Use `open` and `close`."""

    def __init__(
        self, shape: Shape, state: State | None, *, rate: float = 0.0, code_lifetime: float = CODE_LIFETIME
    ) -> None:
        self.shape = shape
        self.world: World = build_world(shape)
        self.keys = Keyring(state.save_key if state else lambda _: None)
        self.salts = Salts()
        self.hub = Hub(self.world)
        self.dispatcher = Dispatcher(methods.ALL)
        self.codes: dict[str, LoginCode] = {}
        self.address, self.port = "", 0
        self._state = state
        self._rate = rate
        self._code_lifetime = code_lifetime
        self._random = random.Random(f"{shape.seed}/live")
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._publisher: asyncio.Task[None] | None = None

    @classmethod
    def build(
        cls, shape: Shape, state: State | None = None, *, rate: float = 0.0, code_lifetime: float = CODE_LIFETIME
    ) -> Self:
        """The world as the seed made it, and as the state's journal changed it. Raises PostsFolderError, StateError."""
        dc = cls(shape, state, rate=rate, code_lifetime=code_lifetime)
        if state:
            for row in state.saved_keys():
                dc.keys.load(row)
            state.compact_keys(dc.keys.rows())
            _ = dc.server_key  # read or written now, not in the middle of a client's key exchange
            for change in state.saved_changes():
                dc.world.apply(change)
        return dc

    @cached_property
    def server_key(self) -> ServerKey:
        """Made when first needed: ready sessions never ask for it, and making one takes a tenth of a second."""
        return self._state.server_key() if self._state else ServerKey.generate()

    async def open(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Begin to listen. Raises NotLoopbackError, OSError."""
        self._server = await asyncio.start_server(self._accept, loopback(host), port)
        self.address, self.port = self._server.sockets[0].getsockname()[:2]
        if self._rate > 0:
            self._publisher = asyncio.create_task(self._publish_steadily())
            self._publisher.add_done_callback(_report)

    async def close(self) -> None:
        """Stop publishing, stop listening, drop every client; then nothing of it is left open."""
        if self._publisher:
            self._publisher.cancel()
            await asyncio.wait([self._publisher])
        if self._server:
            self._server.close()
        clients = list(self._clients)
        self.drop_connections()
        if clients:
            await asyncio.wait(clients)
        if self._server:
            await self._server.wait_closed()
        if self._state:
            self._state.close()

    def drop_connections(self) -> int:
        """Cut off every client, as a network failure would; how many there were."""
        for writer in self._clients.values():
            writer.transport.abort()
        return len(self._clients)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients[task] = writer
        try:
            await Connection(self, Wire(reader, writer, await recognise(reader))).run()
        except (TransportError, asyncio.IncompleteReadError, ConnectionError) as error:
            logger.info("a client was not understood: %s", error)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            del self._clients[task]

    # Sessions and codes

    def session(self, account: Account, name: str = "") -> tuple[AuthKey, str]:
        """A signed-in auth key and its Telethon session string: a new one, or the one of that name."""
        key = self.keys.mint(account.id, name)
        session = StringSession()
        session.set_dc(DC_ID, self.address, self.port)
        session.auth_key = ClientKey(key.key)
        return key, str(session.save())

    def send_code(self, phone: str) -> LoginCode:
        for other in [number for number, sent in self.codes.items() if sent.expires <= time.time()]:
            del self.codes[other]
        code = f"{secrets.randbelow(90_000) + 10_000}"
        sent = LoginCode(code, secrets.token_hex(9), time.time() + self._code_lifetime)
        self.codes[phone] = sent
        return sent

    # Changes. Each is written down before anybody is told.

    def _carry_out(self, change: Change) -> None:
        if self._state:
            self._state.save_change(change)
        events = self.world.apply(change)
        if isinstance(change, Posted | Edited | Deleted) and not (isinstance(change, Posted) and change.silent):
            self.hub.channel_moved(self.world.channels[change.channel_id], events, change.at)

    def publish(
        self, channel: Channel, texts: Sequence[str] = (), *, count: int = 0, silent: bool = False
    ) -> list[int]:
        """New posts with these texts, then `count` generated ones; their ids."""
        at = int(time.time())
        drafts: list[Callable[[int], Post]] = [partial(_plain_post, at, text) for text in texts]
        drafts += [partial(draft_post, self._random, channel, at)] * count
        change = self.world.plan_posts(channel, drafts, at, silent=silent)
        self._carry_out(change)
        return [post.id for post in change.posts]

    def edit(self, channel: Channel, post_id: int, text: str) -> None:
        """Raises WorldError when there is no such post."""
        self._carry_out(self.world.plan_edit(channel, post_id, text, int(time.time())))

    def delete(self, channel: Channel, ids: Sequence[int]) -> list[int]:
        """The ids that were there and are gone now."""
        change = self.world.plan_delete(channel, ids, int(time.time()))
        if change.ids:
            self._carry_out(change)
        return list(change.ids)

    def send_letter(
        self, key: AuthKey, receiver: int, text: str, *, entities: tuple[Entity, ...], reply_to: int, random_id: int
    ) -> Sent:
        """A private message from the account signed in with `key`."""
        change = self.world.plan_letter(
            key.account_id,
            receiver,
            text,
            int(time.time()),
            entities=entities,
            reply_to=reply_to,
            random_id=random_id,
        )
        self._carry_out(change)
        self.hub.letter_sent(change, key)
        return change

    async def _publish_steadily(self) -> None:
        """`rate` posts a second over all generated channels, without drifting."""
        channels = [channel for channel in self.world.channels.values() if channel.generated]
        loop = asyncio.get_running_loop()
        due = loop.time()
        while channels:
            due += 1 / self._rate
            await asyncio.sleep(max(0.0, due - loop.time()))
            self.publish(self._random.choice(channels), count=1)


def _report(task: asyncio.Task[None]) -> None:
    """A publisher that dies must not do so in silence."""
    if not task.cancelled() and (error := task.exception()):
        logger.error("publishing at a steady rate has failed", exc_info=error)


def _plain_post(at: int, text: str, post_id: int) -> Post:
    return Post(id=post_id, date=at, text=text, views=1)


def shape_row(shape: Shape) -> Json:
    """What a state directory remembers of a shape, to refuse another one. Raises PostsFolderError."""
    return {
        "accounts": shape.accounts,
        "channels": shape.channels,
        "posts": shape.total_posts,
        "seed": shape.seed,
        "posts_dir": folder_digest(shape.posts_dir) if shape.posts_dir else None,
    }
