"""What is read swiftly is what Telethon's own reader reads, of every class of the layer."""

import random
import struct
from types import FunctionType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telethon.errors import TypeNotFoundError
from telethon.extensions import BinaryReader
from telethon.tl import alltlobjects, types
from telethon.tl.custom.message import Message

from actors.telegram import swift
from tests.actors.telegram.layer import DATE

MADE_BY_HAND = {"FutureSalts"}
"""Telethon reads it by code of its own."""
CLASSES = {cls.__name__: cls for cls in alltlobjects.tlobjects.values() if cls.__name__ not in MADE_BY_HAND}
DEPTH = 2
YES = struct.pack("<I", 0x997275B5)


class Inventing(BinaryReader):
    """Answers whatever Telethon's generated code reads, and keeps the bytes that say so.

    The code doesn't ask for types where an object stands, so any may stand there.
    """

    def __init__(self, seed):
        super().__init__(b"")
        self._rng = random.Random(seed)
        self._within = []
        self.said = bytearray()

    def _say(self, form, value):
        self.said += struct.pack("<" + form, value)
        return value

    def read_int(self, *, signed=True):
        return self._say("i" if signed else "I", self._rng.getrandbits(32) - signed * 2**31)

    def read_long(self):
        return self._say("q", self._rng.getrandbits(64) - 2**63)

    def read_double(self):
        return self._say("d", self._rng.uniform(-1e9, 1e9))

    def read_large_int(self, bits):
        said = self._rng.randbytes(bits // 8)
        self.said += said
        return int.from_bytes(said, "little", signed=True)

    def tgread_bytes(self):
        said = self._rng.randbytes(self._rng.choice((0, 1, 2, 3, 4, 7, 253, 254, 255, 70_000)))
        head = bytes([len(said)]) if len(said) < 254 else b"\xfe" + len(said).to_bytes(3, "little")
        self.said += head + said + bytes(-len(head + said) % 4)
        return said

    def tgread_bool(self):
        yes = self._rng.random() < 0.5
        self.said += YES if yes else struct.pack("<I", 0xBC799737)
        return yes

    def tgread_date(self):
        return swift.EPOCH.fromtimestamp(self._say("i", self._rng.getrandbits(31)), tz=swift.EPOCH.tzinfo)

    def tgread_object(self):
        # Telethon's message looks at who sent it, as soon as it is made.
        if len(self._within) == DEPTH or issubclass(self._within[-1], Message):
            return self.invent(types.PeerUser)
        kind = self._rng.randrange(6)
        if kind == 0:
            return self.tgread_bool()
        if kind == 1:
            self.said += struct.pack("<Ii", 0x1CB5C415, 2)
            return [self.invent(types.PeerChat), self.invent(types.PeerUser)]
        return self.invent(self._rng.choice(list(CLASSES.values())))

    def invent(self, cls):
        self._within.append(cls)
        self.said += struct.pack("<I", cls.CONSTRUCTOR_ID)
        code = cls.from_reader.__func__
        found = FunctionType(code.__code__, {**code.__globals__, "range": self._few})(cls, self)
        self._within.pop()
        return found

    def _few(self, count):
        """What was read last was how many follow: that they are few is said now."""
        del self.said[-4:]
        return range(self._say("i", count % 3))


def by_telethon(data):
    return BinaryReader(data).tgread_object()


def page(*messages):
    return types.messages.ChannelMessages(
        pts=5, count=len(messages), messages=list(messages), topics=[], chats=[], users=[]
    )


@pytest.mark.parametrize("part", range(8))
def test_every_class_of_the_layer_is_read_as_telethon_reads_it(part):
    swiftly = 0
    for name in sorted(CLASSES)[part::8]:
        for seed in range(6):
            reader = Inventing(f"{name} {seed}")
            meant = reader.invent(CLASSES[name])
            data = bytes(reader.said)
            found, end = swift.object_at(data, 0)
            assert (type(found), end) == (type(meant), len(data)), (name, seed)
            assert found.stringify() == meant.stringify(), (name, seed)
            swiftly += 1
    assert swiftly > 1500


def test_a_reader_can_be_made_for_every_class_of_the_layer():
    unmade = set()
    for constructor, cls in alltlobjects.tlobjects.items():
        try:
            assert callable(swift.READERS[constructor])
        except swift.UnknownConstructor:
            unmade.add(cls.__name__)
    assert unmade == MADE_BY_HAND


@given(st.text(max_size=600), st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1))
def test_texts_and_numbers_of_any_size_come_through(text, number, large):
    data = bytes(
        types.Message(
            id=number, peer_id=types.PeerChannel(large), date=DATE, message=text, post_author=text, grouped_id=large
        )
    )
    assert swift.read_swiftly(BinaryReader(data)).to_dict() == by_telethon(data).to_dict()


def message():
    reader = Inventing("a message")
    found = reader.invent(types.Message)
    assert isinstance(found, types.Message)
    return bytes(reader.said)


def test_an_answer_with_an_unknown_constructor_is_left_to_telethon_which_names_it():
    data = bytes(page(types.Message(id=1, peer_id=types.PeerChannel(5), date=DATE, message=""))).replace(
        struct.pack("<I", types.PeerChannel.CONSTRUCTOR_ID), struct.pack("<I", 0xDEADBEEF)
    )
    with pytest.raises(TypeNotFoundError, match="deadbeef"):
        swift.read_swiftly(BinaryReader(data))


def test_an_answer_that_is_cut_short_is_an_error_wherever_it_ends():
    data = message()
    for end in range(4, len(data), max(1, len(data) // 500)):
        with pytest.raises((struct.error, BufferError, IndexError, TypeNotFoundError)):
            swift.read_swiftly(BinaryReader(data[:end]))


def test_bare_answers_of_the_kinds_that_methods_have_are_read():
    assert swift.read_swiftly(BinaryReader(YES)) is True
    users = struct.pack("<Ii", 0x1CB5C415, 2) + bytes(types.UserEmpty(1)) + bytes(types.UserEmpty(2))
    assert [user.id for user in swift.read_swiftly(BinaryReader(users))] == [1, 2]
