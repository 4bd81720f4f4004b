from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from actors.errors import SessionRejected, UserUnknown
from actors.messages.content import Profile
from actors.messages.ids import AccountId
from actors.messages.rows import AccountRow, Device, SessionKey, UpdateState
from daemon.keys import MasterKeys
from daemon.store.store import open_store
from tests.daemon.store.rows import NEWS, USER, ask, follow, membership

PROFILE = Profile(account_id=USER, username="Имя", first_name="A", last_name=None, bot=True)
KEY = SessionKey(account_id=USER, dc_id=2, address="127.0.0.1", port=443, auth_key=bytes(range(256)))


async def test_a_profile_is_saved_and_replaced(store):
    await store.accounts.save_profile(PROFILE)
    await store.accounts.save_profile(replace(PROFILE, first_name="B"))
    (stored,) = await store.accounts.all()
    expected = AccountRow(
        since=stored.since, state_since=stored.state_since,
        account_id=USER, username="Имя", first_name="B", last_name=None, bot=True,
        state="signed_out", cause=None, has_session=False, channels=0,
    )  # fmt: skip
    assert await store.accounts.all() == (expected,)
    assert await store.accounts.one(USER) == expected
    assert await store.accounts.one(AccountId(404)) is None


async def test_a_profile_read_again_keeps_the_state(store):
    await store.accounts.save_profile(PROFILE)
    await store.accounts.set_state(USER, "parked", "why")
    await store.accounts.save_profile(PROFILE)
    row = await store.accounts.one(USER)
    assert (row.state, row.cause) == ("parked", "why")


async def test_an_active_account_is_flooded_while_its_longest_wait_lasts(store):
    await store.accounts.save_profile(PROFILE)
    await store.accounts.set_state(USER, "active", None)
    before, soon = (await store.accounts.one(USER)).state_since, datetime.now(UTC) + timedelta(hours=1)
    await store.accounts.save_flood(USER, "users.getUsers", datetime.now(UTC) - timedelta(seconds=1))
    assert (await store.accounts.one(USER)).state == "active"
    await store.accounts.save_flood(USER, "updates.getDifference", soon)
    await store.accounts.save_flood(USER, "messages.getHistory", soon + timedelta(hours=1))
    (row,) = await store.accounts.all()
    assert (row.state, row.cause[:26], row.cause[-4:]) == ("flooded", "messages.getHistory, until", " UTC")
    assert row.state_since > before
    await store.accounts.save_flood(USER, "messages.getHistory", soon + timedelta(hours=2))
    assert (await store.accounts.one(USER)).state_since == row.state_since
    await store.accounts.set_state(USER, "frozen", "why")
    assert (await store.accounts.one(USER)).state == "frozen"


async def test_active_memberships_are_counted(store):
    await follow(store, membership(NEWS))
    assert (await store.accounts.one(USER)).channels == 1


async def test_a_session_comes_back_until_it_is_wiped(store):
    await store.accounts.save_profile(PROFILE)
    assert await store.accounts.session(USER) is None
    await store.accounts.save_session(KEY)
    assert (await store.accounts.session(USER)).device == Device()
    newer = replace(KEY, auth_key=bytes(256), device=Device(model="Another", system="Plan 9", app="4.2"))
    await store.accounts.save_session(newer)
    assert await store.accounts.session(USER) == newer
    assert (await store.accounts.one(USER)).has_session
    await store.accounts.wipe_session(USER)
    assert await store.accounts.session(USER) is None
    assert not (await store.accounts.one(USER)).has_session


async def test_nothing_of_a_session_stands_in_the_database_in_the_clear(dsn, store):
    await store.accounts.save_profile(PROFILE)
    await store.accounts.save_session(KEY)
    ((sealed,),) = await ask(dsn, "SELECT sealed FROM sessions")
    assert KEY.auth_key not in sealed
    assert KEY.auth_key.hex().encode() not in sealed
    assert b"127.0.0.1" not in sealed


async def test_a_session_copied_to_another_account_is_rejected(dsn, store):
    other = AccountId(8)
    for account_id in (USER, other):
        await store.accounts.save_profile(replace(PROFILE, account_id=account_id))
        await store.accounts.save_session(replace(KEY, account_id=account_id))
    await ask(dsn, "UPDATE sessions SET sealed = (SELECT sealed FROM sessions WHERE account_id = $1)", USER)
    assert await store.accounts.session(USER) == KEY
    with pytest.raises(SessionRejected):
        await store.accounts.session(other)


async def test_a_session_sealed_with_another_master_key_is_rejected(dsn, store):
    await store.accounts.save_profile(PROFILE)
    await store.accounts.save_session(KEY)
    async with await open_store(dsn, pool_size=2, keys=MasterKeys(bytes(32))) as stranger:
        with pytest.raises(SessionRejected, match="another master key"):
            await stranger.store.accounts.session(USER)


async def test_what_needs_an_account_refuses_one_without_a_row(store):
    for write in (
        store.accounts.save_session(KEY),
        store.accounts.set_state(USER, "active", None),
        store.accounts.save_flood(USER, "x", datetime.now(UTC)),
        store.accounts.save_update_state(USER, UpdateState(pts=1, qts=1, date=1, seq=1)),
    ):
        with pytest.raises(UserUnknown):
            await write


async def test_the_update_state_is_replaced(store):
    await store.accounts.save_profile(PROFILE)
    assert await store.accounts.update_state(USER) is None
    for pts in (5, 6):
        state = UpdateState(pts=pts, qts=2, date=1_800_000_000, seq=4)
        await store.accounts.save_update_state(USER, state)
        assert await store.accounts.update_state(USER) == state


async def test_floods_that_last_are_told_and_a_shorter_one_ends_none(store):
    await store.accounts.save_profile(PROFILE)
    now = datetime.now(UTC)
    later = now + timedelta(hours=2)
    await store.accounts.save_flood(USER, "messages.getHistory", later)
    await store.accounts.save_flood(USER, "messages.getHistory", later - timedelta(hours=1))
    await store.accounts.save_flood(USER, "past", now - timedelta(seconds=1))
    assert await store.accounts.floods(USER) == {"messages.getHistory": later}
