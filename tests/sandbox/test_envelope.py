"""What hostile or odd packets meet, and how answers are packed; bytes in, bytes out."""

import gzip
import struct
import time
import zlib

import pytest
from telethon import functions, types
from telethon.tl.core import GzipPacked

from sandbox.changes import Posted
from sandbox.channels import MAX_EVENTS, Channel
from sandbox.crypto import tl_bytes
from sandbox.envelope import (
    CONTAINER,
    GZIP,
    MAX_UNPACKED,
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
from sandbox.keys import MAX_STRANGERS, Keyring
from sandbox.posts import Post
from sandbox.world import World

PING = bytes(functions.PingRequest(1))


def container(*bodies: bytes) -> bytes:
    inner = b"".join(struct.pack("<qii", 4 * n, 1, len(body)) + body for n, body in enumerate(bodies))
    return CONTAINER + struct.pack("<i", len(bodies)) + inner


def packed(body: bytes, compress=gzip.compress) -> bytes:
    return GZIP + tl_bytes(compress(body))


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
def test_messages_come_out_of_containers_and_of_both_kinds_of_gzip(compress) -> None:
    body = container(PING, packed(PING, compress), PING)
    for whole in (body, packed(body, compress)):
        assert [message.body for message in unfold(Message(8, 1, whole))] == [PING] * 3


@pytest.mark.parametrize(
    "body",
    [
        CONTAINER + struct.pack("<i", 5000),
        CONTAINER + struct.pack("<i", 1) + b"short",
        CONTAINER + struct.pack("<iqii", 1, 4, 1, 4000) + PING,
        CONTAINER + struct.pack("<iqii", 1, 4, 1, -4) + PING,
        container(container(PING)),
        GZIP + tl_bytes(b"no gzip at all"),
        GZIP,
        packed(packed(PING)),
        packed(bytes(MAX_UNPACKED + 1)),
    ],
    # gzip writes the time: names made of the bytes would differ from run to run
    ids=["count", "short", "length", "negative", "nested", "no gzip", "empty gzip", "gzip in gzip", "bomb"],
)
def test_a_broken_or_boundless_message_is_refused(body: bytes) -> None:
    with pytest.raises(EnvelopeError) as caught:
        list(unfold(Message(4, 1, body)))
    assert caught.value.code == 64


def test_gzip_inside_a_request_is_not_unpacked() -> None:
    layered = functions.InvokeWithLayerRequest(229, functions.PingRequest(1))
    layered.query = GzipPacked(PING)
    with pytest.raises(ValueError, match="gzip inside"):
        read_object(bytes(layered.CONSTRUCTOR_ID.to_bytes(4, "little") + struct.pack("<i", 229) + bytes(layered.query)))


def test_bytes_that_are_no_object_are_told_from_objects_that_are_not_known() -> None:
    with pytest.raises(UnknownConstructorError, match="0x12345678"):
        read_object(struct.pack("<I", 0x12345678))
    for body in (b"", b"abc", PING[:7], bytes(functions.InvokeWithLayerRequest(1, functions.PingRequest(1)))[:9]):
        with pytest.raises(ValueError, match="no whole object"):
            read_object(body)
    assert read_object(PING + b"more") == (functions.PingRequest(1), len(PING))


def test_a_message_must_fit_its_packet() -> None:
    def plain(length: int, total: int) -> bytes:
        return struct.pack("<qqqii", 1, 2, 4, 1, length) + bytes(total)

    assert open_packet(plain(4, 16)).message.body == bytes(4)
    for length, total in ((5, 32), (0, 32), (-4, 32), (32, 32), (4, 4 + 1025), (4, 15)):
        with pytest.raises(EnvelopeError):
            open_packet(plain(length, total))


def test_message_ids_must_follow_the_clock() -> None:
    now = 1_700_000_000
    for offset, code in ((-301, 16), (31, 17)):
        with pytest.raises(EnvelopeError) as caught:
            check_id((now + offset) << 32, now)
        assert caught.value.code == code
    with pytest.raises(EnvelopeError):
        check_id((now << 32) + 1, now)
    for offset in (-299, 0, 29):
        check_id((now + offset) << 32, now)


def test_server_ids_rise_and_say_what_they_are() -> None:
    ids = MessageIds()
    made = [ids.next(answer=bool(n % 2)) for n in range(2000)]
    assert made == sorted(set(made))
    assert {made[n] % 4 for n in range(0, 2000, 2)} == {3}
    assert {made[n] % 4 for n in range(1, 2000, 2)} == {1}
    assert abs((made[0] >> 32) - time.time()) < 2
    now = 1000.0
    ids = MessageIds(lambda: now)
    first = ids.next(answer=True)
    now = 999.0
    assert ids.next(answer=True) > first
    now = 900.0
    assert ids.next(answer=True) >> 32 == 900


def test_middling_answers_are_gzipped_and_short_or_long_ones_are_not() -> None:
    for size, zipped in ((100, False), (4000, True), (100_000, False)):
        assert (rpc_result(9, bytes(size))[12:16] == GZIP) is zipped
    assert rpc_result(9, bytes(types.Pong(1, 2)))[4:12] == struct.pack("<q", 9)


def test_keys_that_nobody_signed_in_with_are_bounded() -> None:
    keys = Keyring()
    mine = keys.mint(7)
    first = keys.add(b"a" * 256)
    for number in range(MAX_STRANGERS):
        keys.add(number.to_bytes(256, "big"))
    assert keys.find(first.id) is None
    assert keys.find(mine.id) is mine


def test_events_of_a_channel_are_bounded_and_their_beginning_is_known() -> None:
    channel = Channel(id=1, username=None, title="")
    channel.fill([Post(id=1, date=1)])
    world = World(1, [], [channel])
    for number in range(2, 3 * MAX_EVENTS):
        world.apply(Posted(channel_id=1, at=number, posts=(Post(id=number, date=number),)))
    assert len(channel.events) <= MAX_EVENTS
    assert [event.pts for event in channel.events_after(channel.first_pts)] == list(
        range(channel.first_pts + 1, channel.pts + 1)
    )
