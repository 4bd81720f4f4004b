"""Channels whose access hash, name or reader is lost: what is asked again, how often, and what never again."""

from datetime import timedelta

import pytest

from actors.errors import ChannelLost
from actors.lost import LOOKS, next_look
from actors.messages.account import FetchHistory, LookAgain, PeekChannels
from actors.messages.ids import ChannelId
from actors.messages.roster import AccountDown, AccountUp, MembershipsRead
from tests.actors.telegram.house import calls, fail
from tests.adversity.error_table import ROWS

HOUR = 3600


@pytest.mark.parametrize(
    ("age", "wait"),
    [(0, HOUR), (HOUR - 1, 1), (HOUR, 5 * HOUR), (6 * HOUR, 18 * HOUR), (23 * HOUR, HOUR), (24 * HOUR, None)],
)
def test_a_lost_channel_is_looked_at_after_one_six_and_twenty_four_hours(age, wait):
    assert next_look(age) == wait
    assert LOOKS == (HOUR, 6 * HOUR, 24 * HOUR)


def named(house):
    """A public channel of the account's."""
    world = house.dc.world
    return next(world.channel(each) for each in house.channel_ids if world.channel(each).username)


def resolved(house):
    return calls(house.dc, house.id).get("contacts.resolveUsername", 0)


async def test_a_stale_access_hash_is_renewed_by_name_once_and_the_page_still_comes(house):
    await house.up()
    channel = named(house)
    fail(house.dc, "messages.getHistory", (400, "CHANNEL_INVALID"), channel=channel.id)
    assert (await house.ref.call(FetchHistory(channel_id=ChannelId(channel.id), offset_id=0, limit=5))).count == 5
    assert resolved(house) == 1

    fail(house.dc, "messages.getHistory", (400, "CHANNEL_INVALID"), channel=channel.id)
    with pytest.raises(ChannelLost):
        await house.ref.call(FetchHistory(channel_id=ChannelId(channel.id), offset_id=0, limit=5))
    assert resolved(house) == 1


async def test_a_stale_access_hash_among_the_heads_is_renewed_too(house):
    await house.up()
    channel = named(house)
    fail(house.dc, "messages.getPeerDialogs", (400, "CHANNEL_INVALID"))
    peeked = await house.ref.call(PeekChannels(channel_ids=(ChannelId(channel.id),)))
    assert [head.channel_id for head in peeked.heads] == [channel.id]
    assert (resolved(house), peeked.lost) == (1, ())


async def test_a_channel_without_a_name_is_lost_with_its_access_hash(house):
    channel = named(house)
    house.dc.dc.alter(channel, username="")
    await house.up()
    fail(house.dc, "messages.getHistory", (400, "CHANNEL_INVALID"))
    with pytest.raises(ChannelLost):
        await house.ref.call(FetchHistory(channel_id=ChannelId(channel.id), offset_id=0, limit=5))
    assert resolved(house) == 0


async def test_whoever_looks_again_at_a_lost_channel_belongs_to_it_once_it_can_be_read(house):
    read, _ = await house.up()
    membership = read.memberships[0]
    world = house.dc.world
    channel, me = world.channel(membership.channel_id), world.account(house.id)
    house.dc.dc.move(channel, me, "banned", silent=True)
    assert not await house.ref.call(LookAgain(membership=membership))
    house.dc.dc.move(channel, me, "member", silent=True)
    assert await house.ref.call(LookAgain(membership=membership))
    told = await house.hear(MembershipsRead)
    assert [each.channel_id for each in told.memberships] == [channel.id]
    assert (await house.ref.call(FetchHistory(channel_id=membership.channel_id, offset_id=0, limit=5))).count == 5


async def test_a_channel_that_bore_a_wanted_name_is_followed_under_its_new_one(house):
    channel = named(house)
    read, _ = await house.up(follow="listed", channels=(channel.username,))
    assert [each.channel_id for each in read.memberships] == [channel.id]
    await house.store.channels.save_memberships(house.id, read.memberships, complete=True)
    await house.stop()
    house.dc.dc.alter(channel, username="renamed_since")
    again, _ = await house.come_up(follow="listed", channels=(channel.username,))
    assert [(each.channel_id, each.username) for each in again.memberships] == [(channel.id, "renamed_since")]
    assert resolved(house) == 0


async def test_a_name_that_nobody_bears_is_asked_for_once_a_day(house):
    read, _ = await house.up(follow="listed", channels=("nobody_bears_this",))
    assert read.memberships == ()
    assert resolved(house) == 1
    for hours, times in ((1, 1), (22, 1), (2, 2), (1, 2)):
        await house.stop()
        house.owner.clock.ahead += timedelta(hours=hours)
        await house.come_up(follow="listed", channels=("nobody_bears_this",))
        assert resolved(house) == times, hours
    row = (await house.store.channels.wanted_names())["nobody_bears_this"]
    assert row.channel_ids == ()
    assert row.tried_at is not None


async def test_a_wait_at_resolving_is_no_miss(house):
    channel = named(house)
    house.dc.dc.move(channel, house.dc.world.account(house.id), "left", silent=True)
    fail(house.dc, "contacts.resolveUsername", (420, "FLOOD_WAIT_40000"))
    await house.up(follow="listed", channels=(channel.username,))
    assert await house.store.channels.wanted_names() == {}
    await house.stop()
    await house.come_up(follow="listed", channels=(channel.username,))
    assert resolved(house) == 1
    await house.stop()
    house.owner.clock.ahead += timedelta(seconds=45_000)
    read, _ = await house.come_up(follow="listed", channels=(channel.username,))
    assert [each.channel_id for each in read.memberships] == [channel.id]
    assert resolved(house) == 2


DAY = 86_400


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.code}-{row.name}")
async def test_each_error_while_a_name_is_looked_for(house, row):
    """The error table's rows at the call site that belongs to no channel; its waits end by leaps of the clock."""
    is_end = row.action == "park" and row.alert != "frozen"
    fail(house.dc, "contacts.resolveUsername", (row.code, row.name), count=0 if is_end else 1)
    await house.sign_in()
    house.start(follow="listed", channels=("sought",))
    if is_end:
        assert (await house.hear(AccountDown)).state not in ("active", "connecting")
        await house.ref.wait_stopped(5)
        assert resolved(house) == 1
        return
    await house.hear(AccountUp)
    asked = 2 if row.action == "again" else 1
    assert resolved(house) == asked
    rest = row.wait if row.action == "wait" else DAY
    for leap, more in ((0.9 * rest, 0), (0.25 * rest, 1)):
        await house.stop()
        house.owner.clock.ahead += timedelta(seconds=leap)
        await house.come_up(follow="listed", channels=("sought",))
        assert resolved(house) == asked + more
