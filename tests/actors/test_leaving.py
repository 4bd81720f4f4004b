"""Signing a user out, and removing one, in a whole tree over a data centre."""

import pytest

from actors.errors import UserNotSignedIn, UserUnknown
from actors.messages.account import DescribeAccount
from actors.messages.signin import DisableUser, EnableUser, ImportSession, RemoveUser, SignOut
from actors.runtime.errors import ActorMissing
from actors.runtime.supervision import RestartChild
from sandbox.client import Sandbox
from tests.actors.telegram.house import calls, fail
from tests.actors.test_collection import Tree
from tests.adversity.hours import follow_all
from tests.daemon.store.rows import ask


@pytest.fixture
async def tree(store):
    async with Sandbox(accounts=2, channels=2, posts=20) as sandbox:
        follow_all(0)(sandbox)
        first, second = (each for each in sandbox.dc.world.accounts.values() if not each.is_bot)
        self = Tree(sandbox, store)
        self.first, self.second = first, second
        channels = list(sandbox.dc.world.channels.values())
        self.shared, self.alone = channels
        for channel, standing in zip(channels, ("member", "left"), strict=True):
            if (second.id in channel.members) != (standing == "member"):
                sandbox.dc.move(channel, second, standing, silent=True)
        await self.sign_in()
        self.start()
        await self.signed_in()
        await self.parse()
        yield self
        await self.stop()


async def leave(tree, message):
    return await tree.owner.find("signin").call(message, timeout=30)


async def test_a_user_that_is_signed_out_is_so_at_telegram_too_and_others_read_on(tree, store):
    me = tree.first.id
    assert await leave(tree, SignOut(account_id=me)) is True
    with pytest.raises(ActorMissing):
        tree.owner.find(f"account/{me}")
    assert calls(tree.sandbox, me)["auth.logOut"] == 1
    row = await store.accounts.one(me)
    assert (row.state, row.has_session, row.cause) == ("signed_out", False, "signed out on request")
    posts = len(await store.posts.page(tree.shared.id, after_id=0, limit=100))
    tree.sandbox.dc.publish(tree.shared, count=3)

    async def is_stored():
        return len(await store.posts.page(tree.shared.id, after_id=0, limit=100)) == posts + 3

    await tree.until(is_stored)
    assert await leave(tree, SignOut(account_id=me)) is True  # there is nothing to end
    assert calls(tree.sandbox, me)["auth.logOut"] == 1


async def test_a_session_that_telegram_doesnt_end_is_deleted_here_all_the_same(tree, store):
    me = tree.first.id
    fail(tree.sandbox, "auth.logOut", (500, "INTERNAL"), count=0)
    assert await leave(tree, SignOut(account_id=me)) is False
    assert not (await store.accounts.one(me)).has_session


async def test_a_disabled_account_is_left_alone_keeps_its_session_and_others_read_on(tree, store):
    me = tree.first.id
    await leave(tree, DisableUser(account_id=me))
    with pytest.raises(ActorMissing):
        tree.owner.find(f"account/{me}")
    row = await store.accounts.one(me)
    assert (row.state, row.has_session, row.cause) == ("disabled", True, "disabled on request")
    before, posts = calls(tree.sandbox, me), len(await store.posts.page(tree.shared.id, after_id=0, limit=100))
    tree.sandbox.dc.publish(tree.shared, count=3)

    async def is_stored():
        return len(await store.posts.page(tree.shared.id, after_id=0, limit=100)) == posts + 3

    await tree.until(is_stored)
    # Not by a restart of all accounts either.
    await tree.owner.find("supervisor").call(RestartChild(key="accounts"), timeout=30)
    await tree.until(lambda: _is(tree, tree.second.id, "active"))
    assert calls(tree.sandbox, me) == before

    await leave(tree, EnableUser(account_id=me))
    await leave(tree, EnableUser(account_id=me))
    await tree.until(lambda: _is(tree, me, "active"))
    assert (await store.accounts.one(me)).cause is None


async def _is(tree, account_id, state):
    row = await tree.store.accounts.one(account_id)
    account = tree.owner.get(f"account/{account_id}")
    return row.state == state and account is not None and (await account.call(DescribeAccount())).state == state


async def test_only_who_is_signed_in_can_be_disabled_and_nobody_disabled_signs_in(tree, store):
    me = tree.first.id
    session = ImportSession(session=tree.sandbox.session(me))
    await leave(tree, DisableUser(account_id=me))
    step = await leave(tree, session)
    assert (step.state, "user enable" in step.error) == ("failed", True)
    assert (await store.accounts.one(me)).state == "disabled"
    await leave(tree, SignOut(account_id=me))
    with pytest.raises(UserNotSignedIn):
        await leave(tree, DisableUser(account_id=me))
    for unknown in (DisableUser(account_id=404), EnableUser(account_id=404)):
        with pytest.raises(UserUnknown):
            await leave(tree, unknown)


@pytest.mark.parametrize("posts", [False, True])
async def test_a_removed_user_leaves_nothing_and_the_channels_of_others_alone(tree, store, dsn, posts):
    me = tree.first.id
    removed = await leave(tree, RemoveUser(account_id=me, posts=posts))
    assert (removed.user_id, removed.signed_out, removed.channels) == (me, True, 1)
    assert (removed.posts > 0) == posts
    assert [row.account_id for row in await store.accounts.all() if not row.bot] == [tree.second.id]
    assert await ask(dsn, "SELECT * FROM sessions WHERE account_id = $1", me) == []
    kept = await store.channels.one(tree.alone.id)
    assert (kept is None) == posts
    if posts:
        with pytest.raises(ActorMissing):
            tree.owner.find(f"channel/{tree.alone.id}")
    else:
        assert kept.subscriptions == 0
        assert len(await store.posts.page(tree.alone.id, after_id=0, limit=100)) > 0
    job = await tree.parse()
    assert job.state == "success"
    assert (await tree.owner.find(f"account/{tree.second.id}").call(DescribeAccount())).state == "active"
    with pytest.raises(UserUnknown):
        await leave(tree, RemoveUser(account_id=me))
