import pytest

from actors.errors import UserUnknown
from actors.messages.ids import AccountId, ChannelId
from daemon.store.errors import ChannelMissing
from tests.daemon.store.rows import NEWS, SPORT, USER, ask, follow, membership

OTHER = AccountId(8)


async def names(store) -> dict[int, str | None]:
    return {row.channel_id: row.username for row in await store.channels.all()}


async def test_a_channel_is_found_by_every_kind_of_name_whatever_the_case(store):
    await follow(store, membership(NEWS, "NewsRoom"))
    for name in ("newsroom", "@NEWSROOM", "https://t.me/NewsRoom", "100", "-100100", "-1000000000100"):
        found = await store.channels.by_name(name)
        assert (found.channel_id, found.username) == (NEWS, "NewsRoom")
    assert await store.channels.by_name("nobody") is None
    assert await store.channels.by_name("") is None
    assert await store.channels.one(ChannelId(5)) is None


async def test_memberships_come_back_with_the_account_own_access_hash(store):
    first, second = membership(NEWS, "news"), membership(NEWS, "news", account_id=OTHER, access_hash=-5)
    await follow(store, first)
    await follow(store, second, account_id=OTHER)
    assert set(await store.channels.memberships()) == {first, second}
    assert (await store.channels.one(NEWS)).subscriptions == 2


async def test_a_complete_list_ends_what_it_doesnt_name_and_an_incomplete_one_nothing(store):
    await follow(store, membership(NEWS), membership(SPORT))
    await store.channels.save_memberships(USER, [membership(NEWS)], complete=False)
    assert await store.channels.of_account(USER) == (NEWS, SPORT)
    await store.channels.save_memberships(USER, [membership(NEWS)], complete=True)
    assert await store.channels.of_account(USER) == (NEWS,)
    await store.channels.save_memberships(USER, [membership(SPORT)], complete=False)
    assert await store.channels.of_account(USER) == (NEWS, SPORT)
    await store.channels.save_memberships(USER, [], complete=True)
    assert await store.channels.of_account(USER) == ()
    assert set(await names(store)) == {NEWS, SPORT}


async def test_a_list_of_one_account_leaves_those_of_others_alone(store):
    await follow(store, membership(NEWS))
    await follow(store, membership(SPORT, account_id=OTHER), account_id=OTHER)
    await store.channels.save_memberships(OTHER, [], complete=True)
    assert await store.channels.of_account(USER) == (NEWS,)


async def test_an_ended_membership_is_gone_from_the_list(store):
    await follow(store, membership(NEWS))
    await store.channels.end_membership(USER, NEWS)
    assert await store.channels.memberships() == ()
    assert (await store.channels.one(NEWS)).subscriptions == 0
    assert (await store.accounts.one(USER)).channels == 0


async def test_a_username_goes_to_the_channel_that_has_it_now(store):
    await follow(store, membership(NEWS, "Name"))
    await follow(store, membership(SPORT, "NAME"))
    assert await names(store) == {NEWS: None, SPORT: "NAME"}


async def test_two_channels_may_swap_their_usernames_in_one_list(store):
    await follow(store, membership(NEWS, "one"), membership(SPORT, "two"))
    await follow(store, membership(NEWS, "Two"), membership(SPORT, "One"))
    assert await names(store) == {NEWS: "Two", SPORT: "One"}


async def test_a_username_twice_in_one_list_goes_to_the_later_channel(store):
    await follow(store, membership(NEWS, "same"), membership(SPORT, "Same"))
    assert await names(store) == {NEWS: None, SPORT: "Same"}


async def test_the_same_list_again_writes_nothing(dsn, store):
    await follow(store, membership(NEWS, "a"))
    query = "SELECT c.ctid::text, m.ctid::text FROM channels c JOIN memberships m ON m.channel_id = c.id"
    before = await ask(dsn, query)
    await follow(store, membership(NEWS, "a"))
    assert await ask(dsn, query) == before


async def test_reader_and_condition_are_kept(store):
    await follow(store, membership(NEWS))
    await store.channels.set_reader(NEWS, USER)
    await store.channels.set_condition(NEWS, "private", "CHANNEL_PRIVATE")
    row = await store.channels.one(NEWS)
    assert (row.reader_id, row.condition) == (USER, "private")
    await store.channels.set_reader(NEWS, None)
    assert (await store.channels.one(NEWS)).reader_id is None


async def test_what_has_no_row_is_refused(store):
    with pytest.raises(UserUnknown):
        await store.channels.save_memberships(AccountId(404), [membership(NEWS)], complete=True)
    assert await store.channels.all() == ()
    with pytest.raises(ChannelMissing):
        await store.channels.set_condition(NEWS, "gone", None)
