"""One MTProto session: what is sent in it, and MTProto's own messages."""

import asyncio
import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from telethon.tl import functions, types

from sandbox.crypto import seal
from sandbox.envelope import Message, rpc_result
from sandbox.keys import AuthKey
from sandbox.memory import Place

if TYPE_CHECKING:
    from sandbox.connection import Connection

_RPC_ERROR = types.RpcError.CONSTRUCTOR_ID.to_bytes(4, "little")
MAX_ASKED = 8192
"""Messages whose states one question may ask for, as the service has it."""
MAX_REPEATED = 100
"""Of them, those that are answered once more at once."""
_SILENT = tuple(
    getattr(types, name)
    for name in ("MsgsAck", "MsgsStateInfo", "MsgsAllInfo", "MsgDetailedInfo", "MsgNewDetailedInfo", "HttpWait")
    if hasattr(types, name)
)
"""What a client says without waiting for an answer."""


@dataclass(slots=True)
class Running:
    """A call that is held back: by a fault until its timer ends, or until another call is done."""

    timer: asyncio.TimerHandle | None = None
    then: list[Callable[[], None]] = field(default_factory=list)
    """What waits for it."""

    def done(self) -> None:
        for go_on in self.then:
            go_on()


class Session:
    """One session on one connection."""

    def __init__(self, connection: "Connection", key: AuthKey, session_id: int) -> None:
        self.connection = connection
        self.key = key
        self.id = session_id
        self.listening_as = 0
        """The account whose updates come here; 0 until the first API call of a signed-in key."""
        self.wants_updates: bool | None = None
        """Whether they come here: as its first call that wasn't wrapped in invokeWithoutUpdates said, or as its key's
        last initConnection did; None until then."""
        self.running: dict[int, Running] = {}
        """Calls that are held back, by their message ids."""
        self._sent = 0

    @property
    def place(self) -> Place:
        return self.key.id, self.id

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
        self.send(self.keep(request_id, result), answer=True)

    def keep(self, request_id: int, result: bytes) -> bytes:
        """Remember a request's result as the answer to it; that answer."""
        body = rpc_result(request_id, result)
        self.connection.dc.memory.keep(self.place, request_id, body)
        return body

    def has_failed(self, request_id: int) -> bool:
        """Whether a request is remembered as refused."""
        body = self.connection.dc.memory.answer(self.place, request_id) or b""
        return bool(body[12:16] == _RPC_ERROR)

    def repeat(self, request_id: int) -> bool:
        """Answer a repeated request from memory; False when it isn't remembered."""
        body = self.connection.dc.memory.answer(self.place, request_id)
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
                asked = request.msg_ids[:MAX_ASKED]
                for request_id in asked[:MAX_REPEATED]:
                    self.repeat(request_id)
                self._say(types.MsgsStateInfo(message.id, bytes(self._state(request_id) for request_id in asked)))
            case types.MsgResendReq():
                pass  # pushes are not kept: a client that lost one asks for a difference
            case functions.DestroySessionRequest():
                known = self.connection.destroy(self.key, request.session_id)
                self._say((types.DestroySessionOk if known else types.DestroySessionNone)(request.session_id))
            case functions.RpcDropAnswerRequest():
                dropped = self.connection.drop_call(self, request.req_msg_id)
                self.answer(message.id, bytes(types.RpcAnswerDroppedRunning() if dropped else types.RpcAnswerUnknown()))
                if dropped:
                    dropped.done()
            case _:
                return isinstance(request, _SILENT)
        return True

    def _state(self, request_id: int) -> int:
        """Of a message: 4 for received (with 64: and answered, with 32: but not yet), 1 for nothing known."""
        if self.connection.dc.memory.answer(self.place, request_id) is not None:
            return 4 | 64
        return 4 | 32 if request_id in self.running else 1
