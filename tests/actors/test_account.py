"""An account over a socket to the sandbox, with its rows in PostgreSQL."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from actors import log
from actors.errors import ChannelLost, FloodWaited, TryAgain
from actors.messages.account import DescribeAccount, FetchHistory, FindStart, PeekChannels, RosterUp
from actors.messages.channel import ChannelDeleted, ChannelMoved, ChannelPosted
from actors.messages.content import Profile
from actors.messages.ids import ChannelId
from actors.messages.roster import AccountDown, AccountUp, MembershipLost, MembershipsRead
from actors.messages.rows import UpdateState
from actors.runtime.errors import ActorDeadError
from actors.runtime.message import Pause, Resume
from tests.actors.telegram.house import Ears, account_ids, calls, fail, key_of, send_letter


async def test_an_account_signs_in_by_its_stored_key_and_tells_what_it_belongs_to(house, caplog):
    caplog.set_level("DEBUG")
    read, up = await house.up()
    assert read.complete
    assert {each.channel_id for each in read.memberships} == set(house.channel_ids)
    assert all(each.top_id and each.pts and each.access_hash for each in read.memberships)
    assert up.account_id == house.id
    row = await house.store.accounts.one(house.id)
    assert (row.state, row.first_name) == ("active", house.dc.world.account(house.id).first_name)
    events = [record.event for record in caplog.records if hasattr(record, "event")]
    assert events == [log.CLIENT_CREATED, log.SIGNED_IN]


async def test_a_start_costs_one_call_of_each_kind(house):
    await house.up()
    assert calls(house.dc, house.id) == {
        "help.getConfig": 1,
        "users.getUsers": 1,
        "messages.getDialogs": 1,
        "updates.getState": 1,
    }


async def test_a_page_of_history_is_one_call(house):
    await house.up()
    channel = house.channel_ids[0]
    page = await house.ref.call(FetchHistory(channel_id=channel, offset_id=0, limit=10))
    top = house.dc.world.channel(channel).top
    assert [post.message_id for post in page.posts] == list(range(top, top - 10, -1))
    assert (page.lowest_id, page.count) == (top - 9, 10)
    assert calls(house.dc, house.id)["messages.getHistory"] == 1


async def test_an_empty_page_has_no_lowest_id(house):
    await house.up()
    page = await house.ref.call(FetchHistory(channel_id=house.channel_ids[0], offset_id=1, limit=10))
    assert (page.posts, page.lowest_id, page.count) == ((), None, 0)


async def test_the_start_is_the_nth_from_the_top_or_the_first_since_a_date(house):
    await house.up()
    channel = house.dc.world.channel(house.channel_ids[0])
    find = FindStart(channel_id=channel.id, newest=5)
    assert (await house.ref.call(find)).message_id == channel.ids[-5]
    assert (await house.ref.call(FindStart(channel_id=channel.id, newest=10_000))).message_id == 1
    middle = channel.ids[len(channel.ids) // 2]
    since = datetime.fromtimestamp(channel.posts[middle].date, UTC)
    first = min(post for post in channel.ids if channel.posts[post].date >= channel.posts[middle].date)
    assert (await house.ref.call(FindStart(channel_id=channel.id, since=since))).message_id == first
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert (await house.ref.call(FindStart(channel_id=channel.id, since=tomorrow))).message_id == channel.top + 1
    assert calls(house.dc, house.id)["messages.getHistory"] == 4


def expel(house, channel_id):
    dc = house.dc.dc
    channel, account = dc.world.channel(channel_id), dc.world.account(house.id)
    dc.alter(channel, username="", quiet=True)
    dc.move(channel, account, "left", silent=True)


async def test_a_hundred_heads_are_one_call_and_a_lost_channel_is_found_by_halving(house):
    await house.up()
    peeked = await house.ref.call(PeekChannels(channel_ids=tuple(house.channel_ids)))
    assert {head.channel_id: (head.top_id, head.pts) for head in peeked.heads} == {
        channel: (house.dc.world.channel(channel).top, house.dc.world.channel(channel).pts)
        for channel in house.channel_ids
    }
    assert calls(house.dc, house.id)["messages.getPeerDialogs"] == 1
    lost = house.channel_ids[-1]
    expel(house, lost)
    peeked = await house.ref.call(PeekChannels(channel_ids=(*house.channel_ids, ChannelId(7))))
    assert set(peeked.lost) == {lost, 7}
    assert {head.channel_id for head in peeked.heads} == set(house.channel_ids) - {lost}


async def test_news_of_a_channel_that_is_read_goes_straight_to_it(house):
    await house.up()
    channel = house.channel_ids[0]
    heard = house.listen(channel)
    await house.read(channel)
    (post,) = await house.dc.publish(channel, text="new")
    await house.dc.edit(channel, post, "edited")
    await house.dc.delete(channel, [post])
    posted, edited, deleted = [await heard.get() for _ in range(3)]
    assert isinstance(posted, ChannelPosted)
    assert (posted.post.text, posted.edited, edited.post.text, edited.edited) == ("new", False, "edited", True)
    assert isinstance(deleted, ChannelDeleted)
    assert deleted.message_ids == (post,)
    assert edited.pts == posted.pts + 1 == deleted.pts - 1


async def test_news_of_a_channel_that_is_not_read_goes_nowhere(house):
    await house.up()
    first, second = house.channel_ids[:2]
    unread, heard = house.listen(first), house.listen(second)
    await house.read(second)
    await house.dc.publish(first, text="unread")
    await house.dc.publish(second, text="read")
    assert (await heard.get()).post.text == "read"
    assert unread.empty()


async def test_a_private_message_leaves_no_trace(house, caplog, opened):
    caplog.set_level("DEBUG")
    await house.up()
    channel = house.channel_ids[0]
    heard = house.listen(channel)
    await house.read(channel)
    other = next(account for account in house.dc.world.accounts.values() if account.id != house.id)
    send_letter(house.dc, other.id, house.id, "canary-4711")
    await house.dc.publish(channel, text="public")
    assert (await heard.get()).post.text == "public"
    await house.stop()
    assert "canary-4711" not in caplog.text
    assert house.roster.qsize() == 0
    state = await house.store.accounts.update_state(house.id)
    assert state.pts == house.dc.world.boxes[house.id].pts


async def test_a_push_without_a_channel_actor_is_counted(house):
    """The channel reads its own head when it starts."""
    await house.up()
    await house.read(house.channel_ids[0])
    await house.dc.publish(house.channel_ids[0], text="early")
    await house.metrics.dropped.get()


async def test_a_description_never_waits_for_telegram(house):
    await house.up()
    slow = fail(house.dc, "messages.getHistory", delay=30.0)
    asking = asyncio.create_task(house.ref.call(FetchHistory(channel_id=house.channel_ids[0], offset_id=0)))
    while not slow.hits:
        await house.ref.call(DescribeAccount(), timeout=0.5)
    snapshot = await house.ref.call(DescribeAccount(), timeout=0.5)
    assert (snapshot.state, snapshot.loop_id) == ("active", house.owner.loop_id)
    await house.stop()
    with pytest.raises(ActorDeadError):
        await asking


async def test_a_flood_wait_is_kept_and_no_call_is_made_inside_it(house):
    await house.up()
    fail(house.dc, "messages.getHistory", (420, "FLOOD_WAIT_600"))
    ask = FetchHistory(channel_id=house.channel_ids[0], offset_id=0)
    with pytest.raises(FloodWaited) as told:
        await house.ref.call(ask)
    assert timedelta(seconds=606) <= told.value.wait <= timedelta(seconds=660)
    with pytest.raises(FloodWaited):
        await house.ref.call(ask)
    assert calls(house.dc, house.id)["messages.getHistory"] == 1
    assert ("messages.getHistory", 600.0) in house.metrics.calls
    assert (await house.ref.call(DescribeAccount())).state == "flooded"
    assert await house.ref.call(PeekChannels(channel_ids=(house.channel_ids[0],)))
    assert set(await house.store.accounts.floods(house.id)) == {"messages.getHistory"}
    await house.stop()
    await house.come_up()
    with pytest.raises(FloodWaited):
        await house.ref.call(ask)
    house.owner.clock.ahead = timedelta(seconds=661)
    assert (await house.ref.call(ask)).posts


async def test_a_later_start_reads_the_difference_and_only_the_first_page(house):
    await house.up()
    await house.stop()
    assert await house.store.accounts.update_state(house.id)
    house.dc.dc.dispatcher.counts.reset()
    await house.come_up()
    assert calls(house.dc, house.id) == {
        "help.getConfig": 1,
        "users.getUsers": 1,
        "messages.getDialogs": 1,
        "updates.getDifference": 1,
    }


async def test_after_a_drop_the_account_catches_up_and_says_so(house):
    await house.up()
    channel = house.channel_ids[0]
    heard = house.listen(channel)
    await house.read(channel)
    house.dc.drop_connections()
    await house.hear(AccountUp)
    assert calls(house.dc, house.id)["updates.getDifference"] == 1
    (post,) = await house.dc.publish(channel, text="after the drop")
    while not isinstance(news := await heard.get(), ChannelPosted):
        pass
    assert news.post.message_id == post


@pytest.mark.parametrize(
    ("code", "name", "state", "wiped"),
    [
        (401, "AUTH_KEY_UNREGISTERED", "revoked", True),
        (401, "SESSION_REVOKED", "revoked", True),
        (406, "AUTH_KEY_DUPLICATED", "duplicated", True),
        (401, "USER_DEACTIVATED_BAN", "banned", False),
        (420, "FROZEN_METHOD_INVALID", "frozen", False),
    ],
)
async def test_an_account_that_is_no_more_is_parked_at_once(house, code, name, state, wiped):
    await house.up()
    fail(house.dc, "*", (code, name), count=100)
    ask = FetchHistory(channel_id=house.channel_ids[0], offset_id=0)
    with pytest.raises(Exception, match=name):
        await house.ref.call(ask)
    assert (await house.hear(AccountDown)).state == state
    assert await house.ref.wait_stopped(5)
    assert house.ref.failure.park
    row = await house.store.accounts.one(house.id)
    assert (row.state, row.cause, row.has_session) == (state, name, not wiped)
    made = calls(house.dc, house.id)
    await house.dc.publish(house.channel_ids[0])
    assert calls(house.dc, house.id) == made


async def test_an_account_without_a_session_is_parked_as_signed_out(house):
    await house.store.accounts.save_profile(
        Profile(account_id=house.id, username=None, first_name=None, last_name=None)
    )
    house.start()
    assert (await house.hear(AccountDown)).state == "signed_out"
    await house.ref.wait_stopped(5)
    assert (await house.store.accounts.one(house.id)).state == "signed_out"


async def test_another_accounts_key_is_not_used(house):
    other = account_ids(house.dc)[1]
    key = key_of(house.dc, other)
    await house.sign_in(replace(key, account_id=house.id))
    house.start()
    assert (await house.hear(AccountDown)).state == "parked"
    await house.ref.wait_stopped(5)
    assert "another account" in (await house.store.accounts.one(house.id)).cause


async def test_a_channel_that_went_private_is_lost_to_its_asker(house):
    await house.up()
    fail(house.dc, "messages.getHistory", (400, "CHANNEL_PRIVATE"))
    with pytest.raises(ChannelLost):
        await house.ref.call(FetchHistory(channel_id=house.channel_ids[0], offset_id=0))
    with pytest.raises(ChannelLost):
        await house.ref.call(FetchHistory(channel_id=ChannelId(7), offset_id=0))
    assert (await house.ref.call(DescribeAccount())).state == "active"


async def test_a_server_error_is_answered_at_once_and_the_account_goes_on(house):
    await house.up()
    fail(house.dc, "messages.getHistory", (500, "INTERNAL"))
    ask = FetchHistory(channel_id=house.channel_ids[0], offset_id=0)
    with pytest.raises(TryAgain):
        await house.ref.call(ask, timeout=1)
    assert (await house.ref.call(ask)).posts


async def test_listed_channels_are_followed_and_strangers_resolved_once(house):
    world = house.dc.world
    stranger = next(channel for channel in world.channels.values() if channel.username)
    house.dc.dc.move(stranger, world.account(house.id), "left", silent=True)
    mine = next(
        world.channel(each) for each in house.channel_ids if each != stranger.id and world.channel(each).username
    )
    names = (f"@{stranger.username}", f"https://t.me/{mine.username.upper()}")
    read, _ = await house.up(follow="listed", channels=names)
    assert {each.channel_id for each in read.memberships} == {stranger.id, mine.id}
    assert calls(house.dc, house.id)["contacts.resolveUsername"] == 1
    assert (await house.ref.call(FetchHistory(channel_id=stranger.id, offset_id=0, limit=5))).count == 5
    await house.store.channels.save_memberships(house.id, read.memberships, complete=True)
    await house.stop()
    again, _ = await house.come_up(follow="listed", channels=names)
    assert {each.channel_id for each in again.memberships} == {stranger.id, mine.id}
    assert calls(house.dc, house.id)["contacts.resolveUsername"] == 1


async def test_a_roster_that_starts_anew_is_told_again(house):
    await house.up()
    house.ref.control(RosterUp())
    assert (await house.hear(MembershipsRead)).memberships
    assert await house.hear(AccountUp)


async def test_the_state_of_a_clean_stop_is_kept(house):
    await house.up()
    await house.stop()
    assert isinstance(await house.store.accounts.update_state(house.id), UpdateState)


async def test_an_outage_parks_nobody_and_the_account_comes_back(house, monkeypatch):
    monkeypatch.setattr("actors.account.retry_after", lambda _: 0.05)
    await house.sign_in()
    fail(house.dc, "users.getUsers", (500, "INTERNAL"), count=5)
    await house.come_up()
    assert calls(house.dc, house.id)["users.getUsers"] == 6
    with pytest.raises(asyncio.QueueEmpty):
        house.roster.get_nowait()


async def test_while_not_connected_requests_fail_at_once(house):
    await house.sign_in()
    fail(house.dc, "users.getUsers", delay=30.0)
    house.start()
    with pytest.raises(TryAgain):
        await house.ref.call(FetchHistory(channel_id=house.channel_ids[0], offset_id=0), timeout=1)
    assert (await house.ref.call(DescribeAccount(), timeout=1)).state == "connecting"
    await house.stop()


async def test_a_left_channel_is_told(house):
    await house.up()
    left = house.channel_ids[0]
    expel(house, left)
    peeked = await house.ref.call(PeekChannels(channel_ids=(left,)))
    assert peeked.lost == (left,)
    assert MembershipLost(account_id=house.id, channel_id=left)


async def test_a_key_that_the_server_forgot_is_tried_once_more_and_then_given_up(house, monkeypatch):
    monkeypatch.setattr("actors.account.KEY_WAIT", 0.05)
    await house.sign_in(replace(key_of(house.dc, house.id), auth_key=bytes(range(256))))
    house.start()
    told = [(await house.hear(AccountDown)).state for _ in range(3)]
    assert told == ["connecting", "connecting", "revoked"]
    await house.ref.wait_stopped(5)
    assert house.ref.failure.park
    row = await house.store.accounts.one(house.id)
    assert (row.state, row.has_session) == ("revoked", False)


async def test_in_sandbox_mode_an_account_from_elsewhere_is_parked_unasked(house):
    await house.sign_in(replace(key_of(house.dc, house.id), dc_id=2, address="192.0.2.1", port=443))
    house.start()
    assert (await house.hear(AccountDown)).state == "parked"
    await house.ref.wait_stopped(5)
    row = await house.store.accounts.one(house.id)
    assert (row.state, "loopback" in row.cause, row.has_session) == ("parked", True, True)


async def test_a_service_that_goes_away_and_returns_finds_the_account_again(house, monkeypatch):
    monkeypatch.setattr("actors.account.retry_after", lambda _: 0.05)
    monkeypatch.setattr("actors.telegram.client.RETRY_DELAY", 0.01)
    await house.up()
    server, port = house.dc.dc, house.dc.port
    await server.close()
    down = await house.hear(AccountDown)
    assert down.state == "connecting"
    with pytest.raises(TryAgain):
        await house.ref.call(FetchHistory(channel_id=house.channel_ids[0], offset_id=0), timeout=1)
    await server.open("127.0.0.1", port)
    await house.hear(AccountUp)
    async with asyncio.timeout(5):
        await house.signed_in.times.get()
    assert (await house.ref.call(FetchHistory(channel_id=house.channel_ids[0], offset_id=0, limit=1))).posts


async def test_a_full_mailbox_of_a_channel_loses_nothing_silently(house, monkeypatch):
    monkeypatch.setattr(Ears, "mailbox_size", 1)
    await house.up()
    channel = house.channel_ids[0]
    heard = house.listen(channel)
    ears = house.owner.get(f"channel/{channel}")
    ears.control(Pause())
    await house.read(channel)
    await house.dc.publish(channel, count=3)
    for _ in range(2):
        await house.metrics.dropped.get()
    assert await heard.get() == ChannelMoved(channel_id=channel, pts=None)
    ears.control(Resume())


async def test_stopping_an_account_that_waits_for_telegram_is_quick(house):
    await house.up()
    slow = fail(house.dc, "messages.getHistory", delay=30.0)
    asking = asyncio.create_task(house.ref.call(FetchHistory(channel_id=house.channel_ids[0], offset_id=0)))
    while not slow.hits:
        await house.ref.call(DescribeAccount())
    async with asyncio.timeout(2):
        await house.stop()
    with pytest.raises(ActorDeadError):
        await asking


async def test_requests_stand_in_line_and_are_made_one_by_one(house):
    await house.up()
    ask = FetchHistory(channel_id=house.channel_ids[0], offset_id=0, limit=1)
    pages = await asyncio.gather(*(house.ref.call(ask) for _ in range(20)))
    assert len(pages) == 20
    assert calls(house.dc, house.id)["messages.getHistory"] == 20
