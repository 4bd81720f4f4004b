"""One client's connection and the MTProto sessions it carries."""

import asyncio
import logging
import secrets
import struct
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from telethon.tl import functions, types

from sandbox.crypto import CipherError, seal, unseal
from sandbox.dispatch import Call, RefusedError, refusal
from sandbox.envelope import (
    EnvelopeError,
    Message,
    MessageIds,
    UnknownConstructorError,
    check_id,
    open_packet,
    read_object,
    rpc_result,
    unfold,
)
from sandbox.faults import Rule
from sandbox.handshake import Handshake, HandshakeError
from sandbox.keys import AuthKey, Device
from sandbox.transport import TransportError, Wire

if TYPE_CHECKING:
    from sandbox.datacentre import DataCentre

logger = logging.getLogger(__name__)

MAX_SESSIONS = 16
MAX_DELAYED = 256
"""Answers that a fault holds back, per connection; a client that piles up more is cut off."""
MAX_REMEMBERED = 32
REMEMBERED_BYTES = 32 * 1024
UNKNOWN_KEY = struct.pack("<i", -404)

_SILENT = tuple(
    getattr(types, name)
    for name in ("MsgsAck", "MsgsStateInfo", "MsgsAllInfo", "MsgDetailedInfo", "MsgNewDetailedInfo", "HttpWait")
    if hasattr(types, name)
)
_UNWRAPPED = (
    functions.InvokeWithLayerRequest,
    functions.InvokeWithoutUpdatesRequest,
    functions.InitConnectionRequest,
    functions.InvokeAfterMsgRequest,
    functions.InvokeAfterMsgsRequest,
    functions.InvokeWithTakeoutRequest,
)
MAX_WRAPPERS = 16
MAX_NAME = 100
"""Characters that are kept of each of a client's names for itself."""


class Session:
    """One MTProto session on one connection: what is sent in it, and whether updates are."""

    def __init__(self, connection: "Connection", key: AuthKey, session_id: int) -> None:
        self.connection = connection
        self.key = key
        self.id = session_id
        self.listening_as = 0
        """The account whose updates come here; 0 until the first API call of a signed-in key."""
        self.quiet = False
        """A call came wrapped in invokeWithoutUpdates: this session is for errands."""
        self._sent = 0
        self._answers: OrderedDict[int, bytes] = OrderedDict()

    def send(self, body: bytes, *, answer: bool, content: bool = True) -> None:
        seq = self._sent * 2 + content
        self._sent += content
        connection = self.connection
        plain = (
            struct.pack(
                "<qqqii",
                connection.dc.salts.current(self.key),
                self.id,
                connection.ids.next(answer=answer),
                seq,
                len(body),
            )
            + body
        )
        connection.wire.send(seal(self.key.key, self.key.id, plain))

    def answer(self, request_id: int, result: bytes) -> None:
        """Send a request's result, and keep it for a while in case the request comes again."""
        body = rpc_result(request_id, result)
        if len(body) <= REMEMBERED_BYTES:
            self._answers[request_id] = body
            if len(self._answers) > MAX_REMEMBERED:
                self._answers.popitem(last=False)
        self.send(body, answer=True)

    def repeat(self, request_id: int) -> bool:
        """Answer a repeated request from memory; False when it isn't remembered."""
        body = self._answers.get(request_id)
        if body is not None:
            self.send(body, answer=True)
        return body is not None

    def push(self, updates: bytes) -> None:
        self.send(updates, answer=False)


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
            salt = self.dc.salts.current(key)
            bad = types.BadServerSalt(opened.message.id, opened.message.seq, 48, salt)
            session.send(bytes(bad), answer=True, content=False)
            return
        self._welcome(session, opened.message)
        try:
            for message in unfold(opened.message):
                self._message(session, message)
        except EnvelopeError as error:
            self._complain(session, opened.message, error)

    def _complain(self, session: Session, message: Message, error: EnvelopeError) -> None:
        logger.info("bad message %d: %s", error.code, error)
        note = types.BadMsgNotification(message.id, message.seq, error.code)
        session.send(bytes(note), answer=True, content=False)

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
        salt = self.dc.salts.current(session.key)
        unique = int.from_bytes(secrets.token_bytes(8), "little", signed=True)
        session.send(bytes(types.NewSessionCreated(message.id, unique, salt)), answer=False)

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
        if not isinstance(request, _SILENT) and not self._service(session, message, request):
            self._call(session, message, request)

    def _service(self, session: Session, message: Message, request: Any) -> bool:
        """Answer MTProto's own questions; False when it is an API call."""
        if isinstance(request, (functions.PingRequest, functions.PingDelayDisconnectRequest)):
            if isinstance(request, functions.PingDelayDisconnectRequest):
                self._expect_within(request.disconnect_delay)
            session.send(bytes(types.Pong(message.id, request.ping_id)), answer=True, content=False)
        elif isinstance(request, functions.GetFutureSaltsRequest):
            session.send(self.dc.salts.future(session.key, message.id, request.num), answer=True, content=False)
        elif isinstance(request, types.MsgsStateReq):
            states = bytes(4 if session.repeat(request_id) else 1 for request_id in request.msg_ids[:100])
            session.send(bytes(types.MsgsStateInfo(message.id, states)), answer=True, content=False)
        elif isinstance(request, types.MsgResendReq):
            pass  # pushes are not kept: a client that lost one asks for a difference
        elif isinstance(request, functions.DestroySessionRequest):
            session.send(bytes(types.DestroySessionNone(request.session_id)), answer=True, content=False)
        elif isinstance(request, functions.RpcDropAnswerRequest):
            session.answer(message.id, bytes(types.RpcAnswerUnknown()))
        else:
            return False
        return True

    def _expect_within(self, seconds: int) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(max(1, seconds), self.wire.abort)

    def _unwrap(self, session: Session, request: Any) -> tuple[Any, int]:
        """The call inside the wrappers, with what they say noted on the key; and the id of its takeout session, if any.

        Raises RefusedError when there are more wrappers than any client uses, or no such takeout session is open.
        """
        layer, quiet, begun, takeout, device = session.key.layer, False, False, 0, session.key.device
        for _ in range(MAX_WRAPPERS):
            if not isinstance(request, _UNWRAPPED):
                break
            if isinstance(request, functions.InvokeWithLayerRequest):
                layer = request.layer
            quiet = quiet or isinstance(request, functions.InvokeWithoutUpdatesRequest)
            if isinstance(request, functions.InvokeWithTakeoutRequest):
                takeout = request.takeout_id
                if takeout != self.dc.logins.takeouts.get(session.key.id):
                    raise RefusedError(400, "TAKEOUT_INVALID")
            if isinstance(request, functions.InitConnectionRequest):
                begun = True
                device = Device(
                    request.api_id,
                    request.device_model[:MAX_NAME],
                    request.system_version[:MAX_NAME],
                    request.app_version[:MAX_NAME],
                )
            request = request.query
        else:
            raise RefusedError(400, "INPUT_REQUEST_INVALID")
        if begun:
            # Clients say this once per key, not once per session: it has to be kept with the key.
            now = self.dc.clock.seconds()
            self.dc.keys.change(session.key, layer=layer, wants_updates=not quiet, device=device, active=now)
        elif quiet:
            session.quiet = True
        return request, takeout

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
        session.send(bytes(types.MsgsAck([message.id])), answer=True, content=False)

        def wake() -> None:
            self._delayed.discard(handle)
            happen()

        handle = asyncio.get_running_loop().call_later(rule.delay, wake)
        self._delayed.add(handle)
