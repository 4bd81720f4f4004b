"""MTProto by hand, for what stock Telethon never does: the same message twice, wrong ids, messages at their bare order.

Encryption and TL are Telethon's own building blocks; when a message is sent, and with which id, is the test's choice.
"""

import asyncio
import logging
import struct
from collections import defaultdict
from io import BytesIO
from typing import Any

from telethon import functions, types
from telethon.extensions import BinaryReader
from telethon.network.mtprotostate import MTProtoState
from telethon.sessions import StringSession
from telethon.tl.alltlobjects import LAYER
from telethon.tl.core import MessageContainer, RpcResult, TLMessage

from tests.conformance.target import OutsideRefused, Target

INTERMEDIATE = b"\xee\xee\xee\xee"


class TransportCode(Exception):
    """Four bytes instead of a packet, such as -404."""


class RawClient:
    """One session over the intermediate transport. Raises IncompleteReadError or OSError once it is cut off."""

    def __init__(self, session: StringSession, target: Target) -> None:
        if not target.lets_pass(session.server_address, session.port):
            raise OutsideRefused(f"{session.server_address}:{session.port}")
        self._place = (session.server_address, session.port)
        self.state = MTProtoState(session.auth_key, defaultdict(lambda: logging.getLogger("raw")))
        self.first: list[Any] = []
        """What the server said before it answered the first request."""
        self.ids: list[int] = []
        """Of all messages that the server sent, in their order."""
        self.size = 0
        """Of the last packet."""
        self._waiting: list[TLMessage] = []
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter | None = None

    async def connect(self, *, init: bool) -> None:
        self._reader, self._writer = await asyncio.open_connection(*self._place)
        self._writer.write(INTERMEDIATE)
        if init:
            await self.initialise()

    async def initialise(self) -> None:
        """Say the layer, and learn the salt on the way."""
        begin = functions.InitConnectionRequest(
            1, "raw", "1", "1", "en", "", "en", functions.help.GetNearestDcRequest()
        )
        await self.ask(functions.InvokeWithLayerRequest(LAYER, begin))

    async def close(self) -> None:
        if self._writer:
            self._writer.close()

    def message(self, body: bytes, *, message_id: int | None = None, content: bool = True) -> tuple[int, bytes]:
        """A message with the next id, or with a given one; and its id."""
        buffer = BytesIO()
        made = self.state.write_data_as_message(buffer, body, content)
        data = buffer.getvalue()
        return (made, data) if message_id is None else (message_id, struct.pack("<q", message_id) + data[8:])

    def send(self, message: bytes) -> None:
        self.send_packet(self.state.encrypt_message_data(message))

    def send_packet(self, packet: bytes) -> None:
        assert self._writer is not None
        self._writer.write(struct.pack("<i", len(packet)) + packet)

    async def read(self) -> Any:
        """The next message that the server sent; those of a container one by one. Raises TransportCode."""
        while not self._waiting:
            async with asyncio.timeout(10):
                (length,) = struct.unpack("<i", await self._reader.readexactly(4))
                packet = await self._reader.readexactly(length)
            self.size = length
            if length == 4:
                raise TransportCode(struct.unpack("<i", packet)[0])
            found = self.state.decrypt_message_data(packet)
            assert found is not None, "Telethon would have ignored this message"
            self._waiting = found.obj.messages if isinstance(found.obj, MessageContainer) else [found]
        message = self._waiting.pop(0)
        self.ids.append(message.msg_id)
        return message.obj

    async def answer(self, message_id: int) -> Any:
        """Read until a message is answered: its result, or its RpcError."""
        while True:
            found = await self.read()
            if isinstance(found, types.BadServerSalt):
                self.state.salt = found.new_server_salt
            if isinstance(found, RpcResult) and found.req_msg_id == message_id:
                return found.error or _parsed(found.body)
            if message_id in (getattr(found, name, None) for name in ("bad_msg_id", "msg_id", "req_msg_id")):
                return found
            self.first.append(found)

    async def ask(self, request: Any) -> Any:
        """Send a request, once more if only the salt was wrong, and wait for its answer."""
        while True:
            message_id, message = self.message(bytes(request))
            self.send(message)
            answer = await self.answer(message_id)
            if not isinstance(answer, types.BadServerSalt):
                return answer
            self.first.append(answer)


def _parsed(body: bytes) -> Any:
    with BinaryReader(body) as reader:
        return reader.tgread_object()
