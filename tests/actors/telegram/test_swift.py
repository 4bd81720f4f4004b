"""What is read swiftly is what Telethon's own reader reads."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telethon.errors import TypeNotFoundError
from telethon.extensions import BinaryReader
from telethon.tl import alltlobjects, functions, types

from actors.telegram import swift
from actors.telegram.describe import PLAN
from tests.actors.telegram.layer import DATE, classes, sample

MADE_BY_HAND = {"FutureSalts"}
"""Telethon reads it by code of its own."""


def by_telethon(data):
    return BinaryReader(data).tgread_object()


def page(*messages):
    return types.messages.ChannelMessages(
        pts=5, count=len(messages), messages=list(messages), topics=[], chats=[], users=[]
    )


@pytest.mark.parametrize("name", sorted(classes(PLAN)))
def test_each_class_that_a_message_leads_to_is_read_as_telethon_reads_it(name):
    for depth in range(3):
        data = bytes(sample(name, depth))
        found = swift.read_swiftly(BinaryReader(data))
        assert type(found) is type(by_telethon(data))
        assert found.to_dict() == by_telethon(data).to_dict()


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


def test_an_answer_with_an_unknown_constructor_is_left_to_telethon_which_names_it():
    data = bytes(page(sample("Message", 1))).replace(
        struct.pack("<I", types.PeerChannel.CONSTRUCTOR_ID), struct.pack("<I", 0xDEADBEEF)
    )
    with pytest.raises(TypeNotFoundError, match="deadbeef"):
        swift.read_swiftly(BinaryReader(data))


def test_an_answer_that_is_cut_short_is_an_error_wherever_it_ends():
    data = bytes(page(sample("Message", 2)))
    for end in range(4, len(data)):
        with pytest.raises((struct.error, BufferError, IndexError, TypeNotFoundError)):
            swift.read_swiftly(BinaryReader(data[:end]))


def test_bare_answers_of_the_kinds_that_methods_have_are_read():
    yes = struct.pack("<I", 0x997275B5)
    assert swift.read_swiftly(BinaryReader(yes)) is True
    users = struct.pack("<Ii", 0x1CB5C415, 2) + bytes(types.UserEmpty(1)) + bytes(types.UserEmpty(2))
    assert [user.id for user in swift.read_swiftly(BinaryReader(users))] == [1, 2]
    assert functions.users.GetUsersRequest.read_result is swift.TLRequest.read_result
