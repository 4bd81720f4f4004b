"""One client's connection: its packets, the MTProto sessions it carries, and the calls in them."""

import asyncio
import logging
import struct
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from sandbox.crypto import CipherError, unseal
from sandbox.dispatch import Call, RefusedError, refusal, unwrap
from sandbox.envelope import (
    EnvelopeError,
    Message,
    MessageIds,
    UnknownConstructorError,
    check_id,
    open_packet,
    read_object,
    unfold,
)
from sandbox.faults import Rule
from sandbox.framing import TransportError
from sandbox.handshake import Handshake, HandshakeError
from sandbox.keys import AuthKey
from sandbox.session import Session
from sandbox.transport import Wire

if TYPE_CHECKING:
    from sandbox.datacentre import DataCentre

logger = logging.getLogger(__name__)

MAX_SESSIONS = 16
MAX_DELAYED = 256
"""Answers that a fault holds back, per connection; a client that piles up more is cut off."""
UNKNOWN_KEY = struct.pack("<i", -404)


class Connection:
    """Reads one client's packets until it goes away. Opened and closed by the data centre."""

    def __init__(self, dc: "DataCentre", wire: Wire, dc_id: int) -> None:
        self.dc = dc
        self.dc_id = dc_id
        self.wire = wire
        self.ids = MessageIds(dc.clock.now)
        self._handshake: Handshake | None = None
        self._sessions: OrderedDict[tuple[bytes, int], Session] = OrderedDict()
        self._called_with: dict[bytes, AuthKey] = {}
        self._delayed: set[asyncio.TimerHandle] = set()
        self._deadline: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        try:
            while True:
                self._receive(await self.wire.read())
                await self.wire.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except (TransportError, HandshakeError, CipherError, EnvelopeError, struct.error) as error:
            logger.warning("a client is cut off: %s", error)
            self.wire.abort()
        finally:
            self._close()

    def _close(self) -> None:
        for session in self._sessions.values():
            self.dc.hub.leave(session)
        for key in self._called_with.values():
            key.use.close(self)
        for handle in self._delayed:
            handle.cancel()
        if self._deadline:
            self._deadline.cancel()

    def _receive(self, packet: bytes) -> None:
        if packet[:8] == bytes(8):
            self._plain(packet)
            return
        key = self.dc.keys.find(packet[:8])
        if key is None or key.dc_id != self.dc_id:
            logger.info("a client came with an unknown auth key")
            self.wire.send(UNKNOWN_KEY)
            return
        opened = open_packet(unseal(key.key, packet))
        self.wire.trust()
        session = self._sessions.get((key.id, opened.session_id)) or Session(self, key, opened.session_id)
        try:
            check_id(opened.message.id, self.dc.clock.now())
        except EnvelopeError as error:
            self._complain(session, opened.message, error)
            return
        if not self.dc.salts.accepts(key, opened.salt):
            session.correct_salt(opened.message)
            return
        self._welcome(session, opened.message)
        try:
            for message in unfold(opened.message):
                self._message(session, message)
        except EnvelopeError as error:
            self._complain(session, opened.message, error)

    def _complain(self, session: Session, message: Message, error: EnvelopeError) -> None:
        logger.info("bad message %d: %s", error.code, error)
        session.complain(message, error.code)

    def _plain(self, packet: bytes) -> None:
        if len(packet) < 24:
            raise EnvelopeError(64, "a plain message is too short")
        length = int.from_bytes(packet[16:20], "little")
        self._handshake = self._handshake or Handshake(self.dc.server_key, self.dc.clock.now)
        reply, auth_key = self._handshake.answer(packet[20 : 20 + length])
        if auth_key is not None:
            self.dc.keys.add(auth_key, dc_id=self.dc_id, at=self.dc.clock.seconds())
        if reply:
            head = struct.pack("<qqi", 0, self.ids.next(answer=True), len(reply))
            self.wire.send(head + reply)

    def _welcome(self, session: Session, message: Message) -> None:
        """A session begins with the first message whose salt is right."""
        place = (session.key.id, session.id)
        if place in self._sessions:
            return
        self._sessions[place] = session
        if len(self._sessions) > MAX_SESSIONS:
            self.dc.hub.leave(self._sessions.popitem(last=False)[1])
        session.begin(message)

    def _message(self, session: Session, message: Message) -> None:
        try:
            request = read_object(message.body)[0]
        except UnknownConstructorError as error:
            answer = self.dc.dispatcher.unknown(f"{error.constructor:#010x}", error.constructor)
            session.answer(message.id, answer)
            return
        except ValueError as error:
            logger.warning("a request can't be read: %s", error)
            session.answer(message.id, refusal(400, "INPUT_REQUEST_INVALID"))
            return
        if not session.serve(message, request):
            self._call(session, message, request)

    def expect_within(self, seconds: int) -> None:
        """Drop the connection unless it is called again before."""
        if self._deadline:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(max(1, seconds), self.wire.abort)

    def _unwrap(self, session: Session, wrapped: Any) -> tuple[Any, int]:
        """The call inside the wrappers, with what they say noted on the key; and the id of its takeout session, if any.

        Raises RefusedError as `unwrap` does, and when no such takeout session is open.
        """
        call = unwrap(wrapped)
        if call.takeout is not None and call.takeout != self.dc.logins.takeouts.get(session.key.id):
            raise RefusedError(400, "TAKEOUT_INVALID")
        if call.device:
            # Clients say this once per key, not once per session: it has to be kept with the key.
            layer, now = call.layer or session.key.layer, self.dc.clock.seconds()
            self.dc.keys.change(session.key, layer=layer, wants_updates=not call.quiet, device=call.device, active=now)
        elif call.quiet:
            session.quiet = True
        return call.request, call.takeout or 0

    def _call(self, session: Session, message: Message, wrapped: Any) -> None:
        if session.repeat(message.id):
            return
        try:
            request, takeout = self._unwrap(session, wrapped)
        except RefusedError as fault:
            session.answer(message.id, refusal(fault.code, fault.message))
            return
        if not session.key.layer:
            session.answer(message.id, refusal(400, "CONNECTION_NOT_INITED"))
            return
        self._called_with[session.key.id] = session.key
        account = None if session.key.refusal else self.dc.world.accounts.get(session.key.account_id)
        call = Call(dc=self.dc, key=session.key, connection=self, maybe_account=account, takeout=takeout)
        fate = self.dc.dispatcher.admit(call, request)
        # As with the real service, a new session hears updates only from its first API call on.
        self.dc.hub.listen(session)
        if fate is None:
            self._finish(session, message, call, request)
        elif isinstance(fate, Rule):
            self._suffer(session, message, call, request, fate)
        else:
            session.answer(message.id, fate)
            session.key.use.end(self)

    def _finish(self, session: Session, message: Message, call: Call, request: Any) -> None:
        answer = self.dc.dispatcher.answer(call, request)
        session.key.use.end(self)
        session.answer(message.id, answer)
        self.dc.hub.listen(session)  # signing in or out changes whose updates come here

    def sessions(self, key: AuthKey) -> list[Session]:
        """Those that this connection carries for a key."""
        return [session for session in self._sessions.values() if session.key is key]

    def _suffer(self, session: Session, message: Message, call: Call, request: Any, rule: Rule) -> None:
        def happen() -> None:
            if rule.drop:
                self.wire.abort()
            elif rule.lose:
                self.dc.dispatcher.answer(call, request)
                self.wire.abort()
            elif rule.error:
                session.key.use.end(self)
                session.answer(message.id, refusal(*rule.error))
            else:
                self._finish(session, message, call, request)

        if not rule.delay:
            happen()
            return
        if len(self._delayed) >= MAX_DELAYED:
            self.wire.abort()
            return
        session.acknowledge(message)

        def wake() -> None:
            self._delayed.discard(handle)
            happen()

        handle = asyncio.get_running_loop().call_later(rule.delay, wake)
        self._delayed.add(handle)
