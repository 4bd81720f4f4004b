"""Sorting raw updates and keeping the common state: pure functions."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from telethon.tl import types

from actors.messages.channel import ChannelDeleted, ChannelMoved, ChannelPosted
from actors.messages.ids import ChannelId
from actors.messages.rows import UpdateState
from actors.sequence import judge_pts
from actors.telegram.updates import advance, sort_updates

DATE = datetime(2026, 1, 2, tzinfo=UTC)
READ = frozenset({ChannelId(7)})
STATE = UpdateState(pts=10, qts=0, date=0, seq=5)


def post(channel=7, number=5, text="t"):
    return types.Message(id=number, peer_id=types.PeerChannel(channel), date=DATE, message=text)


def private(text="secret"):
    return types.Message(id=1, peer_id=types.PeerUser(3), date=DATE, message=text)


def updates(*each, seq=0):
    return types.Updates(updates=list(each), users=[], chats=[], date=DATE, seq=seq)


def test_posts_edits_and_deletions_of_channels_that_are_read_are_news():
    found = sort_updates(
        updates(
            types.UpdateNewChannelMessage(post(), 3, 1),
            types.UpdateEditChannelMessage(post(), 4, 1),
            types.UpdateDeleteChannelMessages(7, [5, 6], 6, 2),
        ),
        READ,
    )
    assert [channel for channel, _ in found.news] == [7, 7, 7]
    new, edit, deleted = [news for _, news in found.news]
    assert isinstance(new, ChannelPosted)
    assert (new.edited, new.pts, edit.edited) == (False, 3, True)
    assert deleted == ChannelDeleted(channel_id=ChannelId(7), message_ids=(5, 6), pts=6, pts_count=2)


def test_what_nobody_reads_leaves_nothing():
    found = sort_updates(
        updates(
            types.UpdateNewChannelMessage(post(8), 3, 1),
            types.UpdateDeleteChannelMessages(8, [5], 4, 1),
            types.UpdateChannelTooLong(8, 9),
            types.UpdateChannelWebPage(8, types.WebPageEmpty(1), 5, 1),
            types.UpdateReadChannelInbox(8, 1, 0, 77),
        ),
        READ,
    )
    assert (found.news, found.moved, found.pts, found.membership) == ([], [], [], [])


def test_of_private_messages_only_their_pts_is_kept():
    found = sort_updates(updates(types.UpdateNewMessage(private(), 11, 1)), READ)
    assert found.pts == [(11, 1)]
    assert "secret" not in repr(found)
    short = types.UpdateShortMessage(1, 3, "secret", 12, 1, DATE)
    assert "secret" not in repr(sort_updates(short, READ))
    assert sort_updates(short, READ).pts == [(12, 1)]


def test_a_pushed_post_brings_its_raw_form_only_where_it_is_asked_for():
    push = updates(types.UpdateNewChannelMessage(types.Message(5, types.PeerChannel(7), DATE, "text"), 5, 1))
    (_, quiet), (_, told) = (sort_updates(push, READ, keep_raw=raw).news[0] for raw in (False, True))
    assert quiet.post.raw is None
    assert told.post.raw is not None


def test_what_only_moves_a_channels_pts_is_a_deletion_of_nothing():
    found = sort_updates(updates(types.UpdateChannelWebPage(7, types.WebPageEmpty(1), 5, 1)), READ)
    assert found.news == [(7, ChannelDeleted(channel_id=ChannelId(7), message_ids=(), pts=5, pts_count=1))]
    assert found.pts == []


def test_too_long_names_the_channel_or_everything():
    assert sort_updates(updates(types.UpdateChannelTooLong(7)), READ).moved == [ChannelMoved(channel_id=7, pts=None)]
    assert sort_updates(types.UpdatesTooLong(), READ).too_long


def test_a_change_of_membership_is_told_of_any_channel():
    assert sort_updates(types.UpdateShort(types.UpdateChannel(8), DATE), READ).membership == [8]


def test_a_difference_is_sorted_like_a_push():
    state = types.updates.State(20, 0, DATE, 6, 0)
    moved = types.UpdateChannelTooLong(7, 9)
    found = sort_updates(types.updates.Difference([private()], [], [moved], [], [], state), READ)
    assert found.moved == [ChannelMoved(channel_id=7, pts=9)]
    assert "secret" not in repr(found)


def test_unknown_updates_are_passed_over():
    found = sort_updates(
        updates(types.UpdateConfig(), types.UpdateUserTyping(1, types.SendMessageTypingAction())), READ
    )
    assert (found.news, found.pts) == ([], [])
    assert sort_updates(object(), READ).news == []


def test_the_common_state_moves_on_without_a_gap():
    found = sort_updates(updates(types.UpdateNewMessage(private(), 11, 1), seq=6), READ)
    assert advance(STATE, found) == (UpdateState(pts=11, qts=0, date=int(DATE.timestamp()), seq=6), False)


def test_a_gap_in_pts_or_seq_leaves_the_state_and_says_so():
    assert advance(STATE, sort_updates(updates(types.UpdateNewMessage(private(), 13, 1)), READ)) == (STATE, True)
    assert advance(STATE, sort_updates(updates(seq=8), READ)) == (STATE, True)
    assert advance(STATE, sort_updates(types.UpdatesTooLong(), READ)) == (STATE, True)


def test_old_news_change_nothing():
    found = sort_updates(updates(types.UpdateNewMessage(private(), 9, 1), seq=4), READ)
    state, missing = advance(STATE, found)
    assert (state.pts, state.seq, missing) == (10, 5, False)


def test_an_update_without_a_known_pts_is_a_gap():
    assert judge_pts(None, 5, 1) == "gap"
    assert judge_pts(4, 5, 1) == "contiguous"
    assert judge_pts(5, 5, 0) == "contiguous"
    assert judge_pts(5, 5, 1) == "old"
    assert judge_pts(3, 5, 1) == "gap"


@given(st.lists(st.integers(1, 3), min_size=1, max_size=30), st.randoms())
def test_in_order_nothing_is_missing_and_in_any_order_nothing_is_taken_twice(counts, random):
    known, stream = 0, []
    for count in counts:
        known += count
        stream.append((known, count))
    state = 0
    for pts, count in stream:
        assert judge_pts(state, pts, count) == "contiguous"
        state = pts
        assert judge_pts(state, pts, count) == "old"
    random.shuffle(stream)
    state = applied = 0
    for pts, count in stream:
        if judge_pts(state, pts, count) == "contiguous":
            state, applied = pts, applied + count
    assert applied == state
