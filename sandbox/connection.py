"""One client's connection: its packets, the MTProto sessions it carries, and the calls in them."""

import asyncio
import logging
import struct
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sandbox.crypto import CipherError, unseal
from sandbox.dispatch import Call, RefusedError, Unwrapped, refusal, unwrap
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
from sandbox.session import Running, Session
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
        except OSError as error:
            logger.error("a client is cut off, as what it did can't be written down: %s", error)  # noqa: TRY400 - no defect
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
        if session.place in self._sessions:
            return
        self._sessions[session.place] = session
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

    def _unwrap(self, session: Session, call: Unwrapped) -> int:
        """Note on the key what the wrappers say; the id of the call's takeout session, if any.

        Raises RefusedError when no such takeout session is open, and when a call that it waited for has failed.
        """
        if call.takeout is not None and call.takeout != self.dc.logins.takeouts.get(session.key.id):
            raise RefusedError(400, "TAKEOUT_INVALID")
        if any(session.has_failed(request_id) for request_id in call.after):
            raise RefusedError(400, "MSG_WAIT_FAILED")
        if call.device:
            # Clients say this once per key, not once per session: it has to be kept with the key.
            layer, now = call.layer or session.key.layer, self.dc.clock.seconds()
            session.wants_updates = not call.quiet
            self.dc.keys.change(session.key, layer=layer, wants_updates=not call.quiet, device=call.device, active=now)
        elif session.wants_updates is None and not call.quiet:
            session.wants_updates = session.key.wants_updates
        return call.takeout or 0

    def _call(self, session: Session, message: Message, wrapped: Any) -> None:
        if message.id in session.running or session.repeat(message.id):
            return
        try:
            unwrapped = unwrap(wrapped)
            if first := next((each for each in unwrapped.after if each in session.running), None):
                self._hold(session, first, message, wrapped)
                return
            takeout = self._unwrap(session, unwrapped)
        except RefusedError as fault:
            session.answer(message.id, refusal(fault.code, fault.message))
            return
        if not session.key.layer:
            session.answer(message.id, refusal(400, "CONNECTION_NOT_INITED"))
            return
        self._called_with[session.key.id] = session.key
        call, request = self._caller(session, takeout), unwrapped.request
        fate = self.dc.dispatcher.admit(call, request)
        # As with the real service, a new session hears updates only from its first API call on.
        self.dc.hub.listen(session)
        if isinstance(fate, Rule):
            self._suffer(session, message, call, request, fate)
        else:
            self._finish(session, message, self.dc.dispatcher.answer(call, request) if fate is None else fate)

    def _caller(self, session: Session, takeout: int) -> Call:
        account = None if session.key.refusal else self.dc.world.accounts.get(session.key.account_id)
        return Call(dc=self.dc, key=session.key, connection=self, maybe_account=account, takeout=takeout)

    def _finish(self, session: Session, message: Message, answer: bytes) -> None:
        session.key.use.end(self)
        session.answer(message.id, answer)
        self.dc.hub.listen(session)  # signing in or out changes whose updates come here

    def sessions(self, key: AuthKey) -> list[Session]:
        """Those that this connection carries for a key."""
        return [session for session in self._sessions.values() if session.key is key]

    def _suffer(self, session: Session, message: Message, call: Call, request: Any, rule: Rule) -> None:
        def happen() -> None:
            late = replace(call, maybe_account=self._caller(session, call.takeout).maybe_account)
            if rule.drop:
                self.wire.abort()
            elif rule.lose:
                session.keep(message.id, self.dc.dispatcher.answer_late(late, request))
                self.wire.abort()
            else:
                answer = refusal(*rule.error) if rule.error else self.dc.dispatcher.answer_late(late, request)
                self._finish(session, message, answer)

        if not rule.delay:
            happen()
            return
        if len(self._delayed) >= MAX_DELAYED:
            self.wire.abort()
            return
        session.acknowledge(message)

        def wake() -> None:
            running = session.running.pop(message.id)
            self._delayed.discard(timer)
            happen()
            running.done()

        timer = asyncio.get_running_loop().call_later(rule.delay, wake)
        session.running[message.id] = Running(timer)
        self._delayed.add(timer)

    def _hold(self, session: Session, first: int, message: Message, wrapped: Any) -> None:
        """Carry out a call when another, which is still running, is done."""
        if len(session.running) >= MAX_DELAYED:
            self.wire.abort()
            return
        held = Running()

        def go_on() -> None:
            if session.running.pop(message.id, None) is held:
                self._call(session, message, wrapped)
                again = session.running.get(message.id)
                if again:
                    again.then += held.then
                else:
                    held.done()

        session.running[first].then.append(go_on)
        session.running[message.id] = held

    def drop_call(self, session: Session, request_id: int) -> Running | None:
        """Don't carry out a call that is held back; None if there was none."""
        running = session.running.pop(request_id, None)
        if running and running.timer:
            running.timer.cancel()
            self._delayed.discard(running.timer)
            session.key.use.end(self)
        return running

    def destroy(self, key: AuthKey, session_id: int) -> bool:
        """End a session of a key, over whichever connections it came; whether there was one."""
        place, known = (key.id, session_id), False
        others = (connection for _, connection in self.dc.doors.connections.values() if connection)
        for connection in {self, *others}:
            if session := connection._sessions.pop(place, None):  # noqa: SLF001 - its own kind
                known = True
                self.dc.hub.leave(session)
                for request_id in list(session.running):
                    connection.drop_call(session, request_id)
        return known
