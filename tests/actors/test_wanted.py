"""Which files are wanted, and who fetches which."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages.files import PostFile, WantedFile
from actors.messages.ids import AccountId, ChannelId
from actors.wanted import BATCH, Rules, plan, why_skipped
from config.model import MEDIA_KINDS, MediaRule

FILE = PostFile(
    channel_id=ChannelId(7), message_id=1, file_key="photo-1", kind="photo", size=1000, mime=None, protected=False
)


@pytest.mark.parametrize(
    ("rule", "changed", "cause"),
    [
        ({}, {}, None),
        ({"kinds": ["video"]}, {}, "kind: photo"),
        ({"max_size": "1000B"}, {}, None),
        ({"max_size": "999B"}, {}, "size: 1000"),
        ({"max_size": "1B"}, {"size": None}, None),
        ({}, {"protected": True}, "protected"),
        ({"protected": True}, {"protected": True}, None),
    ],
)
def test_a_file_is_skipped_for_what_it_doesnt_meet(rule, changed, cause):
    assert why_skipped(replace(FILE, **changed), MediaRule(channel="*", **rule)) == cause


def rules(*channels):
    return Rules([MediaRule(channel=channel, kinds=[MEDIA_KINDS[place]]) for place, channel in enumerate(channels)])


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (["*"], 0),
        (["*", "@News"], 1),
        (["@other", "https://t.me/news"], 1),
        (["news", "NEWS"], 0),
        (["7", "*"], 0),
        (["-1007", "*"], 0),
        (["8", "@other"], None),
        ([], None),
    ],
)
def test_the_most_exact_rule_holds_however_the_channel_is_written(channels, expected):
    rule = rules(*channels).rule_for(ChannelId(7), "NeWs")
    assert rule == (None if expected is None else MediaRule(channel=channels[expected], kinds=[MEDIA_KINDS[expected]]))


def test_a_channel_without_a_name_has_the_rule_of_all():
    assert rules("*").rule_for(ChannelId(7), None) is not None
    assert rules("news").rule_for(ChannelId(7), None) is None


def test_what_the_rules_ask_for_is_told_to_the_store():
    asked = rules("@News", "-1007", "*")
    assert (asked.usernames, asked.ids, asked.all_channels) == (("news",), (7,), True) or set(asked.usernames) == {
        "news"
    }
    assert rules("a").digest != rules("b").digest
    assert rules("a").digest == rules("a").digest


def wanted(number, *channels):
    carriers = tuple((ChannelId(each), 100 + number) for each in channels)
    return WantedFile(file_key=f"photo-{number}", size=None, attempts=0, carriers=carriers)


def keys(batch):
    return [file.file_key for file, _ in batch.files]


def test_each_account_gets_files_of_one_channel_and_the_rest_waits():
    files = [wanted(1, 1), wanted(2, 2), wanted(3, 1), wanted(4, 3), wanted(5, 9), wanted(6), wanted(7, 9, 2)]
    found = plan(files, {1: 10, 2: 10, 3: 30}, resting=(), most=5)
    assert [(batch.account_id, batch.channel_id, keys(batch)) for batch in found.batches] == [
        (10, 1, ["photo-1", "photo-3"]),
        (30, 3, ["photo-4"]),
    ]
    assert found.waiting == {2}
    assert [file.file_key for file in found.unread] == ["photo-5"]
    assert [file.file_key for file in found.gone] == ["photo-6"]


def test_an_account_that_rests_gets_nothing_and_its_channels_wait():
    found = plan([wanted(1, 1), wanted(2, 2)], {1: 10, 2: 20}, resting={10}, most=5)
    assert ([batch.account_id for batch in found.batches], found.waiting) == ([20], {1})


def test_a_reader_that_is_awaited_is_waited_for():
    found = plan([wanted(1, 1), wanted(2, 2)], {}, awaited={1}, resting=(), most=5)
    assert (found.waiting, [file.file_key for file in found.unread]) == ({1}, ["photo-2"])


def test_no_more_batches_are_made_than_there_is_room_for():
    found = plan([wanted(number, number) for number in range(5)], {each: each for each in range(5)}, resting=(), most=2)
    assert ([batch.account_id for batch in found.batches], found.waiting) == ([0, 1], {2, 3, 4})


@given(
    st.lists(st.lists(st.integers(1, 6), max_size=3, unique=True), max_size=60),
    st.dictionaries(st.integers(1, 6), st.integers(1, 3)),
    st.sets(st.integers(1, 3)),
    st.sets(st.integers(1, 6)),
    st.integers(0, 4),
)
def test_every_file_is_in_one_place(carriers, readers, resting, awaited, most):
    files = [wanted(number, *channels) for number, channels in enumerate(carriers)]
    reader_of = {ChannelId(c): AccountId(a) for c, a in readers.items()}
    found = plan(files, reader_of, awaited=awaited, resting=resting, most=most)
    given_out = [file for batch in found.batches for file, _ in batch.files]
    told = given_out + list(found.unread) + list(found.gone)
    assert len(told) == len({file.file_key for file in told})
    for file in files:
        if file not in told:
            assert {channel for channel, _ in file.carriers} & found.waiting
    assert len({batch.account_id for batch in found.batches}) == len(found.batches) <= most
    for batch in found.batches:
        assert batch.account_id not in resting
        assert readers[batch.channel_id] == batch.account_id
        assert 0 < len(batch.files) <= BATCH
        assert all((batch.channel_id, message_id) in file.carriers for file, message_id in batch.files)
