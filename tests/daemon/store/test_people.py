"""Invites are used as often as they say, also by those who come at once; a removal leaves nothing."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from actors.errors import InviteRefused, UserUnknown
from actors.messages.content import Profile
from actors.messages.ids import AccountId
from actors.messages.people import NewInvite
from tests.daemon.store.rows import NEWS, USER, ask, follow, membership, post, record

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
OTHER = AccountId(99)


def person(number):
    return Profile(account_id=AccountId(number), username=None, first_name="A", last_name=None)


def new(code="secret-code", **wanted):
    return NewInvite(**({"code": code, "expires_at": NOW + timedelta(days=7)} | wanted))


async def test_of_fifty_who_come_at_once_an_invite_lets_in_as_many_as_it_says(store, dsn):
    await store.people.invite(new(uses=3))

    async def come(number):
        try:
            await store.people.redeem("secret-code", person(number), NOW)
        except InviteRefused as refused:
            return refused.cause
        return None

    came = await asyncio.gather(*(come(number) for number in range(1, 51)))
    assert (came.count(None), came.count("used")) == (3, 47)
    assert len(await store.accounts.all()) == 3
    ((left,),) = await ask(dsn, "SELECT uses_left FROM invites")
    assert left == 0


async def test_who_comes_twice_uses_it_once_even_when_it_is_over(store):
    await store.people.invite(new())
    await store.people.redeem("secret-code", person(1), NOW)
    await store.people.redeem("secret-code", person(1), NOW + timedelta(days=30))
    (invite,) = await store.people.invites(before_id=100, limit=10)
    assert (invite.uses, invite.uses_left) == (1, 0)


@pytest.mark.parametrize(("code", "cause"), [("other", "unknown"), ("late", "expired"), ("void", "expired")])
async def test_what_lets_nobody_in(store, code, cause):
    await store.people.invite(new("late", expires_at=NOW))
    void = await store.people.invite(new("void"))
    assert await store.people.revoke(void.invite_id)
    assert await store.people.revoke(void.invite_id)
    assert not await store.people.revoke(404)
    with pytest.raises(InviteRefused) as refused:
        await store.people.redeem(code, person(1), NOW)
    assert refused.value.cause == cause
    assert await store.accounts.one(AccountId(1)) is None


async def test_an_invite_raises_a_role_and_never_lowers_one(store):
    await store.people.invite(new("user", uses=9))
    await store.people.invite(new("admin", role="admin", plan="big", uses=9))
    for code, role in (("user", "user"), ("admin", "admin"), ("user", "admin")):
        await store.people.redeem(code, person(1), NOW)
        assert (await store.accounts.one(AccountId(1))).role == role
    await store.people.set_role(AccountId(1), "owner")
    await store.people.set_plan(AccountId(1), "small")
    row = await store.accounts.one(AccountId(1))
    assert (row.role, row.plan) == ("owner", "small")
    with pytest.raises(UserUnknown):
        await store.people.set_role(AccountId(404), "owner")


async def test_codes_arent_kept(store, dsn):
    await store.people.invite(new("canary-of-an-invite"))
    for (table,) in await ask(dsn, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        for row in await ask(dsn, f"SELECT t::text FROM {table} t"):
            assert "canary" not in row[0]


async def test_consent_is_dated_by_its_text_and_gone_with_the_user(store, dsn):
    await store.accounts.save_profile(person(1))
    assert await store.people.consented_at(AccountId(1), "1") is None
    await store.people.consent(AccountId(1), "1", "bot")
    first = await store.people.consented_at(AccountId(1), "1")
    await store.people.consent(AccountId(1), "1", "bot")
    assert await store.people.consented_at(AccountId(1), "1") > first
    assert await store.people.consented_at(AccountId(1), "2") is None
    await store.people.remove(AccountId(1), ())
    assert await ask(dsn, "SELECT * FROM consents") == []


async def test_a_removal_deletes_what_nobody_else_follows_and_only_that(store, dsn):
    shared, alone = membership(NEWS), membership(NEWS + 1)
    await follow(store, shared, alone)
    await store.accounts.save_profile(person(OTHER))
    await store.channels.save_memberships(OTHER, (membership(NEWS, account_id=OTHER),), complete=True)
    await store.posts.record([record(post(1), post(2)), record(post(1, channel_id=NEWS + 1), channel_id=NEWS + 1)])
    assert await store.people.followed_alone(USER) == (NEWS + 1,)
    assert await store.people.remove(USER, await store.people.followed_alone(USER)) == 1
    assert [row.channel_id for row in await store.channels.all()] == [NEWS]
    assert len(await store.posts.page(NEWS, after_id=0, limit=10)) == 2
    connection = await asyncpg.connect(dsn)
    try:
        columns = await connection.fetch(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND column_name IN ('channel_id', 'account_id', 'user_id')"
        )
        for table, column in columns:
            gone = NEWS + 1 if column == "channel_id" else USER
            left = await connection.fetchval(f"SELECT count(*) FROM {table} WHERE {column} = $1", gone)
            assert not left, f"{table}.{column}"
    finally:
        await connection.close()
    with pytest.raises(UserUnknown):
        await store.people.remove(USER, ())


async def test_choices_are_kept_and_changed(store):
    await follow(store, membership(NEWS), membership(NEWS + 1))
    assert await store.people.choices(USER) == {}
    await store.people.choose(USER, (NEWS, NEWS + 1), wanted=True)
    await store.people.choose(USER, (NEWS,), wanted=False)
    assert await store.people.choices(USER) == {NEWS: False, NEWS + 1: True}
