"""One MTProto session: what is sent in it, what it remembers of that, and MTProto's own messages."""

import secrets
import struct
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from telethon.tl import functions, types

from sandbox.crypto import seal
from sandbox.envelope import Message, rpc_result
from sandbox.keys import AuthKey

if TYPE_CHECKING:
    from sandbox.connection import Connection

MAX_REMEMBERED = 32
REMEMBERED_BYTES = 32 * 1024
_SILENT = tuple(
    getattr(types, name)
    for name in ("MsgsAck", "MsgsStateInfo", "MsgsAllInfo", "MsgDetailedInfo", "MsgNewDetailedInfo", "HttpWait")
    if hasattr(types, name)
)
"""What a client says without waiting for an answer."""


class Session:
    """One session on one connection."""

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

    # MTProto's own messages

    def _say(self, message: Any) -> None:
        self.send(bytes(message), answer=True, content=False)

    def begin(self, first: Message) -> None:
        """Tell the client that the session is new: what it was owed in an older one of the same id is gone."""
        unique = int.from_bytes(secrets.token_bytes(8), "little", signed=True)
        salt = self.connection.dc.salts.current(self.key)
        self.send(bytes(types.NewSessionCreated(first.id, unique, salt)), answer=False)

    def complain(self, message: Message, code: int) -> None:
        self._say(types.BadMsgNotification(message.id, message.seq, code))

    def correct_salt(self, message: Message) -> None:
        self._say(types.BadServerSalt(message.id, message.seq, 48, self.connection.dc.salts.current(self.key)))

    def acknowledge(self, message: Message) -> None:
        self._say(types.MsgsAck([message.id]))

    def serve(self, message: Message, request: Any) -> bool:
        """Answer one of MTProto's own questions; False when it is an API call."""
        match request:
            case functions.PingRequest():
                self._say(types.Pong(message.id, request.ping_id))
            case functions.PingDelayDisconnectRequest():
                self.connection.expect_within(request.disconnect_delay)
                self._say(types.Pong(message.id, request.ping_id))
            case functions.GetFutureSaltsRequest():
                salts = self.connection.dc.salts.future(self.key, message.id, request.num)
                self.send(salts, answer=True, content=False)
            case types.MsgsStateReq():
                states = bytes(4 if self.repeat(request_id) else 1 for request_id in request.msg_ids[:100])
                self._say(types.MsgsStateInfo(message.id, states))
            case types.MsgResendReq():
                pass  # pushes are not kept: a client that lost one asks for a difference
            case functions.DestroySessionRequest():
                self._say(types.DestroySessionNone(request.session_id))
            case functions.RpcDropAnswerRequest():
                self.answer(message.id, bytes(types.RpcAnswerUnknown()))
            case _:
                return isinstance(request, _SILENT)
        return True
