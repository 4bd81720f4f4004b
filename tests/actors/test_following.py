"""Channels followed and dropped as a person asks, by name, link, invite and folder, in a whole tree."""

from dataclasses import replace

import pytest

from actors.errors import FolderUnknown, LimitReached, NotAChannel, Refused
from actors.messages.account import DescribeAccount
from actors.messages.following import FollowChannel, ImportChannels, ListFolders, UnfollowChannel
from actors.messages.ids import ChannelId
from actors.places import Place, place_of
from config.model import Start
from sandbox.client import Sandbox
from tests.actors.telegram.house import calls
from tests.adversity.storm import FastTree

NEWEST = Start(policy="last", count=5)


class Reader(FastTree):
    """One account among six channels, of which the first three are followed; two it isn't a member of."""

    faster = 5

    @property
    def me(self):
        return next(each for each in self.sandbox.dc.world.accounts.values() if not each.is_bot)

    @property
    def all_channels(self):
        return list(self.sandbox.dc.world.channels.values())

    def account(self):
        return self.owner.find(f"account/{self.me.id}")

    async def wish(self, wish):
        return await self.account().call(wish, timeout=60)

    async def followed(self):
        return {row.channel_id for row in await self.store.channels.all() if row.subscriptions}

    async def restart(self, **collection):
        await self.stop()
        self.start(start=NEWEST, **collection)

        async def is_up():
            account = self.owner.get(f"account/{self.me.id}")
            return account is not None and (await account.call(DescribeAccount())).state == "active"

        await self.until(is_up)


@pytest.fixture
async def reader(store):
    async with Sandbox(accounts=1, channels=6, posts=60) as sandbox:
        tree = Reader(sandbox, store)
        for channel in tree.all_channels:
            standing = "member" if channel in tree.all_channels[:4] else "left"
            if (tree.me.id in channel.members) != (standing == "member"):
                sandbox.dc.move(channel, tree.me, standing, silent=True)
            if not channel.username:
                sandbox.dc.alter(channel, username=f"name_of_{channel.id}", quiet=True)
        await tree.sign_in()
        tree.start(start=NEWEST, follow="listed", channels=(tree.all_channels[0].username,))
        await tree.signed_in()
        yield tree
        await tree.stop()


LISTED = {"follow": "listed"}


async def test_a_public_channel_is_followed_by_its_name_without_joining_it_through_restarts(reader):
    channel = reader.all_channels[4]
    found = await reader.wish(FollowChannel(place=place_of(f"https://t.me/{channel.username}")))
    assert (found.channel_id, found.state, found.username) == (channel.id, "followed", channel.username)
    assert reader.me.id not in channel.members
    assert (await reader.wish(FollowChannel(place=Place(channel_id=channel.id)))).state == "already"
    assert calls(reader.sandbox, reader.me.id)["contacts.resolveUsername"] == 1
    assert (await reader.parse()).state == "success"
    assert len(await reader.store.posts.page(channel.id, after_id=0, limit=100)) == 5
    await reader.restart(**LISTED)
    assert channel.id in await reader.followed()
    assert calls(reader.sandbox, reader.me.id)["contacts.resolveUsername"] == 1


async def test_what_is_followed_already_is_joined_all_the_same_when_that_is_asked_for(reader):
    channel = reader.all_channels[4]
    place = Place(username=channel.username)
    assert (await reader.wish(FollowChannel(place=place))).state == "followed"
    assert reader.me.id not in channel.members
    assert (await reader.wish(FollowChannel(place=place, join=True))).state == "already"
    assert reader.me.id in channel.members


async def test_what_is_unfollowed_stays_so_though_the_account_is_a_member(reader):
    mine = reader.all_channels[:4]
    await reader.restart(follow="dialogs")
    assert await reader.followed() == {channel.id for channel in mine}
    assert await reader.wish(UnfollowChannel(channel_id=mine[1].id)) is True
    assert await reader.wish(UnfollowChannel(channel_id=mine[1].id)) is False

    async def is_dropped():
        return mine[1].id not in await reader.followed()

    await reader.until(is_dropped)
    reader.sandbox.dc.publish(mine[1], count=2)
    await reader.restart(follow="dialogs")
    assert await reader.followed() == {mine[0].id, mine[2].id, mine[3].id}
    assert reader.me.id in mine[1].members
    assert (await reader.wish(FollowChannel(place=place_of(f"-100{mine[1].id}")))).state == "followed"
    assert mine[1].id in await reader.followed()


async def test_an_invite_is_joined_only_when_it_is_asked_for(reader):
    dc, channel = reader.sandbox.dc, reader.all_channels[5]
    dc.alter(channel, username="", quiet=True)
    link = place_of(f"https://t.me/+{channel.invite}")
    found = await reader.wish(FollowChannel(place=link))
    assert (found.channel_id, found.title, found.state) == (None, channel.title, "join_needed")
    assert reader.me.id not in channel.members
    found = await reader.wish(FollowChannel(place=link, join=True))
    assert (found.channel_id, found.state) == (channel.id, "followed")
    assert reader.me.id in channel.members
    assert channel.id in await reader.followed()
    assert (await reader.wish(FollowChannel(place=link))).state == "followed"


async def test_a_channel_whose_administrators_must_agree_is_told_as_such(reader):
    channel = reader.all_channels[5]
    reader.sandbox.dc.alter(channel, approval=True, quiet=True)
    place = Place(username=channel.username)
    assert (await reader.wish(FollowChannel(place=place, join=True))).state == "join_requested"
    assert channel.id not in await reader.followed()


async def test_what_can_not_be_followed_is_refused_with_the_reason(reader):
    with pytest.raises(Refused) as refused:
        await reader.wish(FollowChannel(place=Place(username="nobody_bears_this")))
    assert refused.value.cause == "USERNAME_NOT_OCCUPIED"
    with pytest.raises(Refused) as refused:
        await reader.wish(FollowChannel(place=Place(invite="x" * 20), join=True))
    assert refused.value.cause == "INVITE_HASH_EXPIRED"
    with pytest.raises(NotAChannel):
        await reader.wish(FollowChannel(place=Place(username=reader.me.username)))
    with pytest.raises(NotAChannel):
        await reader.wish(FollowChannel(place=Place(channel_id=ChannelId(12345))))
    with pytest.raises(LimitReached):
        await reader.wish(FollowChannel(place=Place(username=reader.all_channels[4].username), limit=1))
    with pytest.raises(FolderUnknown):
        await reader.wish(ImportChannels(folder_id=9))
    assert await reader.followed() == {reader.all_channels[0].id}


async def test_an_account_that_can_join_no_more_says_so(reader):
    dc = reader.sandbox.dc
    dc.switches = replace(dc.switches, max_joined=4)
    with pytest.raises(Refused) as refused:
        await reader.wish(FollowChannel(place=Place(username=reader.all_channels[4].username), join=True))
    assert refused.value.cause == "CHANNELS_TOO_MUCH"


async def test_all_dialogs_or_one_folder_are_taken_over_up_to_the_limit(reader):
    first, second, third, fourth = reader.all_channels[:4]
    reader.sandbox.dc.file(reader.me, 7, "News", (second, third))
    (folder,) = await reader.wish(ListFolders())
    assert (folder.folder_id, folder.title) == (7, "News")
    done = await reader.wish(ImportChannels(folder_id=7))
    assert (done.followed, done.already, done.over_limit) == (2, 0, 0)
    assert await reader.followed() == {first.id, second.id, third.id}
    done = await reader.wish(ImportChannels(limit=3))
    assert (done.followed, done.already, done.over_limit) == (0, 3, 1)
    done = await reader.wish(ImportChannels(limit=4))
    assert (done.followed, done.already, done.over_limit) == (1, 3, 0)
    assert await reader.followed() == {first.id, second.id, third.id, fourth.id}
    await reader.restart(**LISTED)
    assert await reader.followed() == {first.id, second.id, third.id, fourth.id}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("@Channel_1", Place(username="Channel_1")),
        (" channel1 ", Place(username="channel1")),
        ("https://t.me/channel1/55?single", Place(username="channel1")),
        ("t.me/s/channel1", Place(username="channel1")),
        ("https://telegram.me/channel1", Place(username="channel1")),
        ("channel1.t.me", Place(username="channel1")),
        ("tg://resolve?domain=channel1&post=5", Place(username="channel1")),
        ("https://t.me/+AbCdEf0123456789_-", Place(invite="AbCdEf0123456789_-")),
        ("https://t.me/joinchat/AbCdEf0123456789", Place(invite="AbCdEf0123456789")),
        ("tg://join?invite=AbCdEf0123456789", Place(invite="AbCdEf0123456789")),
        ("https://t.me/c/1500000001/7", Place(channel_id=ChannelId(1500000001))),
        ("-1001500000001", Place(channel_id=ChannelId(1500000001))),
        ("-100100", Place(channel_id=ChannelId(100))),
        ("-1000000000100", Place(channel_id=ChannelId(100))),
        ("https://www.telegram.me/News", Place(username="News")),
        ("1500000001", Place(channel_id=ChannelId(1500000001))),
        ("-3147483648123", Place(channel_id=ChannelId(2147483648123))),
        ("a b", None), ("", None), ("@x", None), ("https://example.org/channel1", None), ("1name", None),
        ("t.me/+short", None), ("https://t.me/", None),
    ],
)  # fmt: skip
def test_what_people_write_when_they_mean_a_channel(text, place):
    assert place_of(text) == place
