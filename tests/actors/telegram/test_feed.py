"""What an account makes of its pushes, and which channels it follows."""

from datetime import UTC, datetime

import pytest
from telethon.tl import types

from actors.messages.content import Membership
from actors.messages.ids import AccountId, ChannelId
from actors.messages.rows import AccountRow, UpdateState
from actors.telegram.feed import Feed
from actors.telegram.follow import followed, is_named, merged, resolver_of, to_resolve
from config.model import Collection
from config.values import bare_name

ME = AccountId(1)
DATE = datetime(2026, 1, 1, tzinfo=UTC)


class Heard:
    def __init__(self):
        self.news, self.new, self.gone, self.far, self.behind = [], [], [], [], 0

    def pass_on(self, channel_id, news):
        self.news.append((channel_id, news))

    def joined(self, membership):
        self.new.append(membership)

    def left(self, channel_id):
        self.gone.append(channel_id)

    def moved(self, channel_ids):
        self.far += channel_ids

    def fell_behind(self):
        self.behind += 1


def chat(number=7, **fields):
    wanted = {"title": "T", "photo": types.ChatPhotoEmpty(), "date": DATE, "access_hash": 5, "broadcast": True}
    return types.Channel(id=number, **(wanted | fields))


def pushed(*updates, chats=()):
    return types.Updates(list(updates), [], list(chats), DATE, 0)


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def feed(heard):
    return Feed(ME, Collection(), heard)


def test_a_channel_that_was_joined_is_told_with_its_own_hash(feed, heard):
    feed.take(pushed(types.UpdateChannel(7), chats=[chat()]))
    assert [(each.channel_id, each.access_hash) for each in heard.new] == [(7, 5)]
    assert feed.peer_of(ChannelId(7)).access_hash == 5
    feed.take(pushed(types.UpdateChannel(7), chats=[chat()]))
    assert len(heard.new) == 1


@pytest.mark.parametrize("gone", [chat(left=True), types.ChannelForbidden(7, 5, "T")])
def test_a_channel_that_was_left_or_taken_away_is_told_once(feed, heard, gone):
    feed.take(pushed(types.UpdateChannel(7), chats=[chat()]))
    for _ in range(2):
        feed.take(pushed(types.UpdateChannel(7), chats=[gone]))
    assert heard.gone == [7]
    assert feed.peer_of(ChannelId(7)) is None


def test_a_change_that_comes_without_its_chat_changes_nothing(feed, heard):
    feed.take(pushed(types.UpdateChannel(7), chats=[chat()]))
    feed.take(pushed(types.UpdateChannel(7)))
    assert heard.gone == []


def test_only_listed_channels_are_joined_where_settings_say_so(heard):
    feed = Feed(ME, Collection(follow="listed", channels=("@news",)), heard)
    feed.take(pushed(types.UpdateChannel(7), types.UpdateChannel(8), chats=[chat(), chat(8, username="News")]))
    assert [each.channel_id for each in heard.new] == [8]


def test_a_new_name_or_hash_of_a_followed_channel_rides_along_with_a_post(feed, heard):
    feed.take(pushed(types.UpdateChannel(7), chats=[chat()]))
    feed.reading = frozenset({ChannelId(7)})
    post = types.Message(id=1, peer_id=types.PeerChannel(7), date=DATE, message="t")
    feed.take(pushed(types.UpdateNewChannelMessage(post, 2, 1), chats=[chat(title="New", access_hash=6)]))
    assert [(each.title, each.access_hash) for each in heard.new] == [("T", 5), ("New", 6)]
    assert len(heard.news) == 1


def test_channels_that_nobody_follows_are_not_kept(feed, heard):
    feed.take(pushed(chats=[chat(9)]))
    assert (heard.new, feed.memberships) == ([], {})


def test_a_gap_is_told_and_the_state_waits_for_the_difference(feed, heard):
    feed.state = UpdateState(pts=1, qts=0, date=0, seq=0)
    private = types.Message(id=1, peer_id=types.PeerUser(3), date=DATE, message="t")
    feed.take(pushed(types.UpdateNewMessage(private, 5, 1)))
    assert (heard.behind, feed.state.pts) == (1, 1)
    after = UpdateState(pts=5, qts=0, date=9, seq=0)
    state = types.updates.State(5, 0, DATE, 0, 0)
    too_long = feed.take_slice(types.updates.Difference([private], [], [], [], [], state), after)
    assert (too_long, feed.state) == (False, after)
    assert feed.take_slice(types.UpdatesTooLong(), after)


def membership(number=7, username=None):
    return Membership(account_id=ME, channel_id=ChannelId(number), access_hash=5, username=username, title="T")


@pytest.mark.parametrize(
    ("written", "bare"),
    [
        ("@News", "news"),
        ("https://t.me/News/", "news"),
        ("t.me/news", "news"),
        (" news ", "news"),
        ("-1001500000001", "1500000001"),
        ("1500000001", "1500000001"),
    ],
)
def test_a_channel_may_be_named_in_many_ways(written, bare):
    assert bare_name(written) == bare


def test_listed_channels_are_chosen_by_name_or_id():
    known = (membership(7, "News"), membership(8), membership(9, "other"))
    settings = Collection(follow="listed", channels=("@news", "-1008", "@absent"))
    assert [each.channel_id for each in followed(known, settings)] == [7, 8]
    assert followed(known, Collection()) == known
    assert to_resolve(known, settings) == ("absent",)
    assert is_named(known[0], {"news"})


def test_what_was_seen_wins_over_what_was_stored():
    assert merged((membership(7, "old"),), (membership(7, "new"), membership(8)))[ChannelId(7)].username == "new"


def row(number, **fields):
    wanted = {
        "username": None,
        "first_name": None,
        "last_name": None,
        "cause": None,
        "channels": 0,
        "since": DATE,
        "state_since": DATE,
    }
    wanted |= {"bot": False, "state": "active", "has_session": True}
    return AccountRow(account_id=AccountId(number), **(wanted | fields))


def test_one_account_alone_resolves_a_name():
    rows = [row(3), row(1), row(2, state="revoked"), row(4, has_session=False), row(5, bot=True)]
    chosen = {resolver_of(f"name{number}", rows) for number in range(50)}
    assert chosen == {1, 3}
    assert resolver_of("name", rows) == resolver_of("name", list(reversed(rows)))
    assert resolver_of("name", []) is None
