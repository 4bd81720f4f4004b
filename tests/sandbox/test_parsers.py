"""Arbitrary and damaged bytes against all that reads a client's bytes: nothing but the documented errors comes out.

`make fuzz` (10,000 examples, times the factors below) gives transports 100,000 inputs, ciphers and envelopes 100,000,
the key exchange 30,000 and whole connections 40,000 packets.
"""

import asyncio
import contextlib
import copy
import logging
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from inspect import signature
from types import SimpleNamespace
from typing import Any, Union, get_args, get_origin, get_type_hints
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telethon.errors import TypeNotFoundError
from telethon.extensions import BinaryReader
from telethon.network.connection.tcpabridged import AbridgedPacketCodec
from telethon.network.connection.tcpfull import FullPacketCodec
from telethon.network.connection.tcpintermediate import IntermediatePacketCodec
from telethon.tl import functions, types
from telethon.tl.alltlobjects import tlobjects
from telethon.tl.tlobject import TLObject

from sandbox import methods
from sandbox.connection import Connection
from sandbox.crypto import CipherError, ServerKey, unseal
from sandbox.datacentre import DataCentre
from sandbox.envelope import (
    CONTAINER,
    GZIP,
    MAX_MESSAGES,
    MAX_OBJECTS,
    MAX_UNPACKED,
    RPC_RESULT,
    EnvelopeError,
    Message,
    UnknownConstructorError,
    open_packet,
    read_object,
    unfold,
)
from sandbox.framing import MAX_PACKET, TransportError
from sandbox.generate import Shape
from sandbox.handshake import Handshake, HandshakeError
from sandbox.keys import AuthKey
from sandbox.transport import Wire, recognise
from tests.fuzz import fuzz
from tests.sandbox import rawclient
from tests.sandbox.rawclient import LAYER, KeyExchange, Sealer, initialised, packed

# Of strategies over all of Telegram's methods, made only for its statistics when a draw is repeated.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr:hypothesis.errors.HypothesisWarning")

VECTOR = b"\x15\xc4\xb5\x1c"
KEY = bytes(range(256))

# What breaks readers: the edges of lengths and counts, and names of things that hold others.
words = st.sampled_from(
    [
        *(struct.pack("<i", n) for n in (0, 1, 2, 3, 4, 12, 20, 255, 256, 1020, 1021, -1, -4, -16, -32)),
        *(struct.pack("<i", n) for n in (2**31 - 1, -(2**31), MAX_PACKET, MAX_PACKET + 1, MAX_PACKET // 4 + 1)),
        *(CONTAINER, GZIP, RPC_RESULT, VECTOR, b"\xfe\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xef" * 4, b"\xdd" * 4),
        *(name.to_bytes(4, "little") for name in (0x997275B5, 0xBC799737, *list(tlobjects)[::200])),
    ]
)
anything = st.binary(max_size=200)


def container(*bodies: bytes) -> bytes:
    """The same each time, as hypothesis wants it; and yet another container has other ids."""
    return rawclient.container(*bodies, first=crc32(b"".join(bodies)) << 16)


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Something valid with bits flipped, words replaced, parts cut out, repeated or put where they don't belong."""
    data = bytearray(draw(whole))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        end = place + draw(st.integers(0, 40))
        match draw(st.sampled_from(("flip", "word", "aligned", "cut", "truncate", "repeat", "splice", "more"))):
            case "flip" if data:
                data[place] ^= 1 << draw(st.integers(0, 7))
            case "word":
                data[place : place + 4] = draw(words)
            case "aligned":
                data[place & ~3 : (place & ~3) + 4] = draw(words)
            case "cut":
                del data[place:end]
            case "truncate":
                del data[place:]
            case "repeat":
                data[place:place] = data[place:end] * draw(st.integers(1, 3))
            case "splice":
                data[place:place] = draw(anything)
            case "more":
                data += draw(anything)
    return bytes(data)


# Transports

encrypted = st.builds(
    lambda name, body: b"\x01" + name + body + bytes(-len(body) % 16), st.binary(min_size=23, max_size=23), anything
)
unencrypted = st.builds(
    lambda body: bytes(16) + struct.pack("<i", len(body)) + body,
    st.lists(words, min_size=1, max_size=20).map(b"".join),
)
some_packets = st.lists(encrypted | unencrypted, min_size=1, max_size=4)


class Padded(IntermediatePacketCodec):
    """As the transport's description has it; Telethon's own pads by three bytes at most, and by chance."""

    def encode_packet(self, data: bytes) -> bytes:
        return super().encode_packet(data + bytes(sum(data) % 16))


CODECS = {
    "full": FullPacketCodec,
    "abridged": AbridgedPacketCodec,
    "intermediate": IntermediatePacketCodec,
    "padded": Padded,
}
TAGS = {"full": b"", "abridged": b"\xef", "intermediate": b"\xee" * 4, "padded": b"\xdd" * 4}


def stream(kind: str, packets: list[bytes]) -> bytes:
    codec = CODECS[kind](SimpleNamespace(_send_counter=0))
    return TAGS[kind] + b"".join(codec.encode_packet(packet) for packet in packets)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def in_pieces(data: bytes, size: int) -> list[bytes]:
    """Few enough that a long stream in single bytes doesn't take long."""
    size = max(size, len(data) // 50)
    return [data[place : place + size] for place in range(0, len(data), size)] if size else [data]


async def read_all(pieces: list[bytes]) -> tuple[list[bytes], Exception]:
    """The packets that a stream holds, and what ended it."""
    reader, packets = asyncio.StreamReader(), []

    async def feed() -> None:
        for piece in pieces:
            reader.feed_data(piece)
            await asyncio.sleep(0)
        reader.feed_eof()

    feeding = asyncio.create_task(feed())
    try:
        framing = await recognise(reader)
        while True:
            length = await framing.head(reader)
            packets.append(framing.packet(await reader.readexactly(length)))
    except (TransportError, asyncio.IncompleteReadError) as error:
        return packets, error
    finally:
        await feeding


@pytest.mark.parametrize("kind", CODECS)
@fuzz(30, 0.5)
@given(packets=some_packets, size=st.integers(0, 9))
def test_packets_come_out_as_they_went_in(kind: str, loop: asyncio.Runner, packets: list[bytes], size: int) -> None:
    read, end = loop.run(read_all(in_pieces(stream(kind, packets), size)))
    assert read == packets
    assert isinstance(end, asyncio.IncompleteReadError)


@pytest.mark.parametrize("kind", CODECS)
@fuzz(60, 1.75)
@given(data=st.data(), size=st.integers(0, 9))
def test_a_damaged_stream_ends_and_what_was_read_of_it_reads_the_same_again(
    kind: str, loop: asyncio.Runner, data: st.DataObject, size: int
) -> None:
    sent = data.draw(damaged(some_packets.map(lambda packets: stream(kind, packets))))
    read, _ = loop.run(read_all(in_pieces(sent, size)))
    assert sum(map(len, read)) <= len(sent)
    unpadded = "intermediate" if kind == "padded" else kind
    if read and sent.startswith(TAGS[kind]) and all(len(packet) >= 24 and len(packet) % 4 == 0 for packet in read):
        again, _ = loop.run(read_all([TAGS[kind] + stream(unpadded, read).removeprefix(TAGS[unpadded])]))
        assert again == read


@fuzz(60)
@given(sent=st.binary(max_size=100) | st.lists(words, max_size=20).map(b"".join))
def test_any_stream_ends(loop: asyncio.Runner, sent: bytes) -> None:
    read, _ = loop.run(read_all([sent]))
    assert sum(map(len, read)) <= len(sent)


# Ciphers

sealer = Sealer(KEY, salt=1)


@fuzz(60, 2)
@given(data=st.data(), body=anything)
def test_a_packet_opens_whole_or_not_at_all(data: st.DataObject, body: bytes) -> None:
    whole = sealer.seal(body)
    packet = data.draw(damaged(st.just(whole)) | anything)
    if packet[8:] == whole[8:]:
        assert body in unseal(KEY, packet)
    else:
        with pytest.raises(CipherError):
            unseal(KEY, packet)


# Envelopes

heads = st.builds(
    lambda head, body, padding: head + struct.pack("<i", len(body)) + body + padding,
    st.binary(min_size=28, max_size=28),
    st.lists(words, max_size=20).map(b"".join),
    st.binary(min_size=12, max_size=30),
)


@fuzz(60, 2)
@given(plain=damaged(heads) | anything)
def test_a_message_in_a_packet_is_what_its_length_says(plain: bytes) -> None:
    try:
        opened = open_packet(plain)
    except EnvelopeError:
        return
    inside = opened.message
    head = struct.pack("<qqqii", opened.salt, opened.session_id, inside.id, inside.seq, len(inside.body))
    assert plain.startswith(head + inside.body)


bodies = st.lists(words, min_size=1, max_size=8).map(b"".join) | st.just(bytes(functions.PingRequest(1)))
maybe_packed = bodies | bodies.map(packed) | st.builds(lambda: packed(bytes(MAX_UNPACKED // 2)))
containers = st.lists(maybe_packed, max_size=4).map(lambda inner: container(*inner))


@fuzz(60, 2)
@given(body=damaged(maybe_packed | containers | containers.map(packed)))
def test_what_a_message_holds_is_bounded_and_comes_unpacked(body: bytes) -> None:
    found = []
    with contextlib.suppress(EnvelopeError):
        found += unfold(Message(4, 1, body))
    assert len(found) <= MAX_MESSAGES
    assert sum(len(inner.body) for inner in found) <= len(body) + MAX_UNPACKED
    for inner in found:
        assert inner.body[:4] != GZIP
        assert len(found) == 1 or inner.body[:4] != CONTAINER


# TL

names = st.sampled_from([name.to_bytes(4, "little") for name in tlobjects])
METHODS = [method.CONSTRUCTOR_ID.to_bytes(4, "little") for method in methods.ALL]
SERVICE = [
    functions.PingRequest,
    functions.PingDelayDisconnectRequest,
    functions.GetFutureSaltsRequest,
    functions.RpcDropAnswerRequest,
    functions.DestroySessionRequest,
    types.MsgsStateReq,
    types.MsgResendReq,
    types.MsgsAck,
]
strings = st.binary(max_size=20).map(TLObject.serialize_bytes)
soup = st.lists(
    names
    | words
    | strings
    | st.binary(min_size=4, max_size=8)
    | st.builds(lambda count: VECTOR + struct.pack("<i", count), st.integers(-2, 5)),
    max_size=40,
).map(b"".join)


def some(hint: Any, known: dict[Any, st.SearchStrategy[Any]], depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of a type as Telethon's signatures name it; deep inside, whatever is simplest."""
    if hint in known:
        return known[hint]
    kinds = get_args(hint)
    if get_origin(hint) is list:
        return st.lists(some(kinds[0], known, depth), max_size=0 if depth > 2 else 3)
    if get_origin(hint) is Union:
        if depth > 1:
            kinds = sorted(kinds, key=lambda kind: 0 if kind in known else len(signature(kind).parameters) + 1)[:2]
        return st.one_of([some(kind, known, depth) for kind in kinds])
    hints = get_type_hints(hint.__init__, vars(types))
    return st.builds(hint, **{name: some(each, known, depth + 1) for name, each in hints.items() if name != "return"})


def requests(world: Any = None, me: int = 1) -> st.SearchStrategy[bytes]:
    """Well-formed calls of every method; with a world, about channels and people that are there."""
    channels, people = [(1, 2)], [(1, 2)]
    if world:
        channels = [(number, world.access_hash(me, "channel", number)) for number in world.channels]
        people = [(number, world.access_hash(me, "user", number)) for number in world.accounts]
    channel, person = st.sampled_from(channels), st.sampled_from(people)
    known = {
        int: st.sampled_from([0, 1, 2, 30, 100, 4096, -1, -100, 2**31 - 1, -(2**31)]),
        str: st.text(max_size=20) | st.sampled_from(["9996620000", "gorod_news"]),
        bytes: st.binary(max_size=20),
        bool: st.booleans(),
        float: st.just(1.5),
        datetime: st.sampled_from([datetime.fromtimestamp(n, UTC) for n in (0, 1, 1_700_000_000, 2**31 - 1)]),
        type(None): st.none(),
        types.InputChannel: channel.map(lambda row: types.InputChannel(*row)),
        types.InputPeerChannel: channel.map(lambda row: types.InputPeerChannel(*row)),
        types.InputUser: person.map(lambda row: types.InputUser(*row)),
        types.InputPeerUser: person.map(lambda row: types.InputPeerUser(*row)),
    }
    calls = st.one_of([some(method, known) for method in methods.ALL])
    service = st.one_of([some(kind, known) for kind in SERVICE])
    return (calls | calls.map(initialised) | service).map(written).filter(bool)


def written(request: Any) -> bytes:
    """Empty for a combination of fields that Telethon can't write, or writes so that it can't be read."""
    try:
        reader = BinaryReader(bytes(request))
        reader.tgread_object()
    except (AssertionError, BufferError, struct.error, TypeNotFoundError):
        return b""
    return reader.get_bytes() if reader.tell_position() == len(reader.get_bytes()) else b""


@fuzz(60)
@given(body=requests())
def test_what_clients_send_is_read_to_its_end(body: bytes) -> None:
    assert read_object(body + b"more")[1] == len(body)


@fuzz(150, 3)
@given(body=damaged(requests()) | soup | st.builds(bytes.__add__, st.sampled_from(METHODS), soup))
def test_bytes_are_a_whole_object_or_refused(body: bytes) -> None:
    try:
        _, length = read_object(body)
    except (UnknownConstructorError, ValueError):
        return
    assert 4 <= length <= len(body)


# The key exchange


@pytest.fixture(scope="module")
def exchange() -> tuple[KeyExchange, dict[str, Handshake], dict[str, bytes]]:
    """A client half way, the server's side before each step, and what the client has to say there."""
    client = KeyExchange(ServerKey.generate())
    server = Handshake(client._server)
    before, said = {"req_pq": copy.copy(server)}, {"req_pq": client.req_pq()}
    res_pq, _ = server.answer(said["req_pq"])
    said["inner"] = client.inner_data(res_pq)
    said["req_dh"] = client.req_dh_params(said["inner"])
    before["req_dh"] = copy.copy(server)
    dh_params, _ = server.answer(said["req_dh"])
    said["data"] = client.client_data(dh_params)
    said["set_dh"] = client.set_client_dh(said["data"])
    before["set_dh"] = copy.copy(server)
    return client, before, said


def test_the_exchange_ends_in_the_same_key_on_both_sides(exchange: Any) -> None:
    client, before, said = exchange
    assert copy.copy(before["set_dh"]).answer(said["set_dh"])[1] == client.auth_key


def answered(server: Handshake, body: bytes) -> bytes | None:
    try:
        return copy.copy(server).answer(body)[1]
    except HandshakeError:
        return None


@fuzz(60, 2)
@given(data=st.data(), step=st.sampled_from(["req_pq", "req_dh", "set_dh"]))
def test_a_damaged_step_of_the_key_exchange_ends_it(exchange: Any, data: st.DataObject, step: str) -> None:
    client, before, said = exchange
    told = said[step]
    # RSA takes 25 ms: what passes unharmed to it is left to the test below.
    damage = damaged(st.just(told)) | soup
    body = data.draw(damage.filter(lambda body: body[:44] != told[:44] or step != "req_dh"))
    key = answered(before[data.draw(st.sampled_from(sorted(before)))], body)
    assert key in (None, client.auth_key)


@fuzz(5, 0.05)
@given(data=st.data(), what=st.sampled_from(["inner", "cipher"]))
def test_any_bytes_under_rsa_are_answered_or_refused(exchange: Any, data: st.DataObject, what: str) -> None:
    client, before, said = exchange
    if what == "inner":
        body = client.req_dh_params(data.draw(damaged(st.just(said["inner"])) | soup))
    else:
        head, tail = said["req_dh"][:-260], said["req_dh"][-260:]
        body = head + data.draw(damaged(st.just(tail)))
    assert answered(before["req_dh"], body) is None


@fuzz(60)
@given(data=st.data())
def test_any_bytes_under_the_temporary_key_make_the_right_key_or_none(exchange: Any, data: st.DataObject) -> None:
    client, before, said = exchange
    inner = data.draw(damaged(st.just(said["data"])) | soup)
    key = answered(before["set_dh"], client.set_client_dh(inner))
    if inner == said["data"]:
        assert key == client.auth_key
    elif inner[:36] != said["data"][:36]:  # name and nonces; behind them comes g_b, which may be another
        assert key is None


# Whole connections


class Alarm(logging.Handler):
    """Tracebacks in the log: defects that were caught at the last line of defence."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.found.append(self.format(record))


class Deaf:
    """A client's end that takes all it is sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False
        self.transport = self

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    async def drain(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True


@pytest.fixture(scope="module")
def centre() -> Iterator[tuple[DataCentre, Alarm]]:
    alarm, logger = Alarm(), logging.getLogger("sandbox")
    dc = DataCentre.build(Shape(accounts=3, channels=6, posts=60, seed=1))
    logger.addHandler(alarm)
    logger.propagate = False
    yield dc, alarm
    logger.propagate = True
    logger.removeHandler(alarm)


def fresh_key(dc: DataCentre) -> AuthKey:
    """The last one may have been signed out by what was said with it."""
    account = next(iter(dc.world.accounts.values()))
    return dc.keys.mint(account.id, dc_id=account.dc_id)


async def run(dc: DataCentre, packets: list[bytes]) -> Deaf:
    reader, writer = asyncio.StreamReader(), Deaf()
    reader.feed_data(stream("intermediate", packets))
    reader.feed_eof()
    wire = Wire(reader, writer, await recognise(reader))
    await Connection(dc, wire, next(iter(dc.world.accounts.values())).dc_id).run()
    return writer


@pytest.fixture(scope="module")
def sent_bodies(centre: Any) -> Callable[[], st.SearchStrategy[bytes]]:
    dc, _ = centre
    known = requests(dc.world, next(iter(dc.world.accounts)))
    made_up = st.builds(bytes.__add__, st.sampled_from(METHODS), soup)
    one = known | damaged(known) | made_up | soup
    several = st.lists(one, max_size=4).map(lambda inner: container(*inner))
    return lambda: one | several | damaged(several) | several.map(packed)


@fuzz(100)
@given(data=st.data())
def test_a_connection_survives_any_sealed_packets(
    centre: Any, loop: asyncio.Runner, sent_bodies: Callable[[], st.SearchStrategy[bytes]], data: st.DataObject
) -> None:
    dc, alarm = centre
    alarm.found.clear()
    key = fresh_key(dc)
    dc.keys.change(key, layer=data.draw(st.sampled_from([LAYER, 0])))
    client = Sealer(key.key, dc.salts.current(key))
    wanted = data.draw(st.lists(sent_bodies(), min_size=1, max_size=3))
    writer = loop.run(run(dc, [client.seal(body) for body in wanted]))
    assert alarm.found == []
    assert writer.closed or client.open(writer.sent[0][4:])[:4] == b"\x08\x09\xc2\x9e"


@fuzz(30)
@given(packets=st.lists(damaged(encrypted | unencrypted) | anything, max_size=3))
def test_a_connection_survives_any_packets(centre: Any, loop: asyncio.Runner, packets: list[bytes]) -> None:
    dc, alarm = centre
    alarm.found.clear()
    key = fresh_key(dc)
    loop.run(run(dc, [*packets, *(key.id + packet[8:] for packet in packets), Sealer(key.key, 1).seal(b"abcd")]))
    assert alarm.found == []


# Each of these was found by reading or by the above.


@pytest.mark.parametrize(
    "inner",
    [
        CONTAINER + struct.pack("<iqii", 2**31 - 1, 4, 1, -16) + bytes(functions.PingRequest(1)),
        RPC_RESULT + bytes(8) + packed(bytes(64)),
        RPC_RESULT + bytes(8) + GZIP + TLObject.serialize_bytes(b"no gzip"),
    ],
    ids=["container", "packed result", "broken result"],
)
def test_what_only_packets_hold_is_refused_inside_a_request(inner: bytes) -> None:
    # Telethon would read the first one for ever, unpack the second without a bound, and fail oddly at the third.
    layered = functions.InvokeWithLayerRequest.CONSTRUCTOR_ID.to_bytes(4, "little") + bytes(4)
    for body in (inner, layered + inner):
        with pytest.raises(ValueError, match="inside a request"):
            read_object(body)


def test_a_request_of_countless_objects_is_refused() -> None:
    settings = bytes(types.PeerSettings())
    for count, length in ((MAX_OBJECTS, MAX_OBJECTS), (2**31 - 1, 3), (-1, 0)):
        body = VECTOR + struct.pack("<i", count) + settings * length
        if count < 0:
            assert read_object(body) == ([], 8)
        else:
            with pytest.raises(ValueError, match=r"objects|ends too early|requires a buffer"):
                read_object(body)


def test_a_request_of_countless_layers_is_refused() -> None:
    layer = functions.InvokeWithLayerRequest.CONSTRUCTOR_ID.to_bytes(4, "little") + bytes(4)
    with pytest.raises(ValueError, match="recursion"):
        read_object(layer * 100_000 + bytes(functions.PingRequest(1)))


def test_a_refusal_does_not_quote_what_was_sent() -> None:
    for body in (b"\xfe\xff\xff\x0f" + b"secret" * 40_000, b"\x05secret"):
        method = functions.contacts.ResolveUsernameRequest.CONSTRUCTOR_ID.to_bytes(4, "little")
        with pytest.raises(ValueError, match="no whole object") as caught:
            read_object(method + bytes(4) + body)
        assert "secret" not in str(caught.value)
        with pytest.raises(EnvelopeError) as refused:
            list(unfold(Message(4, 1, GZIP + body)))
        assert "secret" not in str(refused.value)


def test_gzip_of_one_packet_is_bounded_together_and_must_be_whole() -> None:
    third = packed(bytes(MAX_UNPACKED // 3))
    for whole in (container(third, third, third), packed(container(third, third))):
        assert len(list(unfold(Message(4, 1, whole)))) == whole.count(GZIP) or whole[:4] == GZIP
    found = unfold(Message(4, 1, container(*[third] * MAX_MESSAGES)))
    assert sum(len(next(found).body) for _ in range(3)) <= MAX_UNPACKED
    with pytest.raises(EnvelopeError, match="too much"):
        next(found)
    for short in (GZIP + TLObject.serialize_bytes(third[8:-8]), packed(bytes(3)), packed(bytes(MAX_UNPACKED + 4))):
        with pytest.raises(EnvelopeError):
            list(unfold(Message(4, 1, short)))
    assert len(next(unfold(Message(4, 1, packed(bytes(MAX_UNPACKED))))).body) == MAX_UNPACKED


def test_a_container_packed_inside_a_container_is_refused() -> None:
    with pytest.raises(EnvelopeError, match="in a container"):
        list(unfold(Message(4, 1, container(packed(container(b"abcd"))))))


@pytest.mark.parametrize("length", [0, 1, 31])
def test_a_packet_shorter_than_its_head_is_refused_as_such(length: int) -> None:
    with pytest.raises(EnvelopeError, match="shorter"):
        open_packet(bytes(length))


@pytest.mark.parametrize("length", [1, 4, 7, 20, 23])
def test_a_padded_packet_too_short_for_any_message_is_refused(loop: asyncio.Runner, length: int) -> None:
    sent = TAGS["padded"] + struct.pack("<i", length) + bytes(length)
    read, end = loop.run(read_all([sent]))
    assert read == []
    assert isinstance(end, TransportError)
