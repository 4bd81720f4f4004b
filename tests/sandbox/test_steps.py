"""Steps of pts and their dates: what a client is told must take it nowhere that it hasn't been."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from telethon import errors, events, functions, types, utils

from sandbox.client import Sandbox
from sandbox.faults import Turbulence
from sandbox.limits import Limit
from sandbox.posts import Post
from sandbox.switches import Switches
from tests.sandbox.conftest import Connect, hear, signed_in, soon

EMPTY = types.ChannelMessagesFilterEmpty()


async def group_of(dc: Sandbox, *members: str) -> Any:
    """A channel and its discussion group, with these accounts in both."""
    channel = dc.dc.found("Press", "the_press")
    group = dc.dc.found("Talk", "the_talk", group_of=channel)
    for each in (channel, group):
        for member in members:
            dc.dc.move(each, dc.world.account(member), "member")
    return channel, group


async def difference(client: Any, channel: Any, pts: int, limit: int = 100) -> Any:
    peer = await client.get_input_entity(channel)
    return await client(functions.updates.GetChannelDifferenceRequest(peer, EMPTY, pts, limit))


# Once sent, twice asked


async def test_a_group_message_that_is_sent_again_is_told_with_its_own_step(dc: Sandbox, connect: Connect) -> None:
    _, group = await group_of(dc, "ann", "boris")
    ann = await connect("ann")
    ask = functions.messages.SendMessageRequest(await ann.get_input_entity("the_talk"), "hello", random_id=77)
    first = await ann(ask)
    await dc.publish(group.id, text="in between")
    again = await ann(ask)
    told = [(update.message.id, update.pts) for answer in (first, again) for update in answer.updates[1:]]
    assert told[0] == told[1]
    assert told[0][1] == group.pts - 1


async def test_a_letter_that_is_sent_again_after_an_edit_is_told_with_its_first_step(connect: Connect) -> None:
    ann = await connect("ann")
    peer = await ann.get_input_entity("boris")
    ask = functions.messages.SendMessageRequest(peer, "hello", random_id=77)
    first = await ann(ask)
    await ann.edit_message(peer, first.updates[0].id, "edited")
    again = await ann(ask)
    assert (again.updates[1].pts, again.updates[1].message.message) == (first.updates[1].pts, "edited")


# Clocks


@pytest.mark.parametrize("skews", [(20, 0), (0, -60)])
async def test_a_clock_that_is_put_back_hides_no_channel(dc: Sandbox, connect: Connect, skews: tuple[int, int]) -> None:
    client = await connect("ann")
    dc.dc.clock.skew, after = skews
    state = await client(functions.updates.GetStateRequest())
    dc.dc.clock.skew = after
    await dc.publish("gorod_news", text="moved", silent=True)
    ask = functions.updates.GetDifferenceRequest(state.pts, state.date, state.qts)
    named = [update.channel_id for update in (await client(ask)).other_updates]
    assert named == [dc.world.channel("gorod_news").id]


async def test_dates_never_fall_though_the_clock_does(dc: Sandbox, connect: Connect) -> None:
    ann, boris = dc.world.account("ann"), dc.world.account("boris")
    for skew in (-60, 0, -120):
        dc.dc.clock.skew = skew
        await dc.publish("gorod_news", text=f"at {skew}")
        dc.dc.write(ann, boris, f"at {skew}")
    dc.dc.clock.skew = 0
    client = await connect("ann")
    for peer in ("gorod_news", "boris"):
        dates = [message.date for message in await client.get_messages(peer, limit=3)]
        assert dates == sorted(dates, reverse=True)
        before = await client.get_messages(peer, limit=2, offset_date=dates[1])
        assert all(message.date < dates[1] for message in before)


async def test_a_wait_is_no_longer_for_a_clock_that_is_put_back(dc: Sandbox, connect: Connect) -> None:
    client = await connect("ann")
    dc.dc.dispatcher.limits.enforce({"help.getNearestDc": [Limit(1, 5)]})
    await client(functions.help.GetNearestDcRequest())
    dc.dc.clock.skew = -200
    with pytest.raises(errors.FloodWaitError) as wait:
        await client._sender.send(functions.help.GetNearestDcRequest())
    assert wait.value.seconds <= 5


# The past


@pytest.mark.parametrize("posts", [1, 2, 50, 350])
async def test_steps_from_before_the_world_was_born_are_told_as_far_as_too_long_begins(posts: int) -> None:
    async with Sandbox(channels=1, posts=posts) as dc, signed_in(dc) as client:
        channel = dc.world.channel("gorod_news")
        ids = list(channel.ids)
        for behind in (1, 5, 49, 100, 101):
            pts = channel.pts - behind
            if pts < 1:
                continue
            found = await difference(client, "gorod_news", pts)
            if behind > 100:
                assert type(found) is types.updates.ChannelDifferenceTooLong
            else:
                assert [message.id for message in found.new_messages] == ids[-behind:]
                assert (found.pts, found.final) == (channel.pts, True)
        await dc.delete("gorod_news", [ids[-1]])
        if posts > 5:
            found = await difference(client, "gorod_news", channel.pts - 6)
            assert [message.id for message in found.new_messages] == ids[-5:-1]


async def test_the_past_counts_as_old_as_it_is() -> None:
    async with Sandbox(channels=1, switches=Switches(too_long_after=3600)) as dc, signed_in(dc) as client:
        pts = dc.world.channel("gorod_news").pts
        assert type(await difference(client, "gorod_news", pts - 1)) is types.updates.ChannelDifferenceTooLong


# The account's own differences


async def test_a_difference_is_cut_by_its_limit_and_refused_above_its_total(dc: Sandbox, connect: Connect) -> None:
    client, since = await connect("ann"), datetime.now(UTC) + timedelta(hours=1)
    state = await client(functions.updates.GetStateRequest())
    for number in range(30):
        dc.dc.write(dc.world.account("boris"), dc.world.account("ann"), f"letter {number}")

    async def ask(**limits: int) -> Any:
        return await client(functions.updates.GetDifferenceRequest(state.pts, since, state.qts, **limits))

    part = await ask(pts_limit=10)
    assert (type(part), len(part.new_messages)) == (types.updates.DifferenceSlice, 10)
    assert len((await ask()).new_messages) == len((await ask(pts_total_limit=30)).new_messages) == 30
    assert type(await ask(pts_total_limit=29)) is types.updates.DifferenceTooLong


async def test_no_edit_in_a_slice_is_ahead_of_the_slice(dc: Sandbox, connect: Connect) -> None:
    ann = await connect("ann")
    state = await ann(functions.updates.GetStateRequest())
    sent = await ann.send_message("boris", "0")
    for number in range(1, 6):
        await ann.edit_message("boris", sent.id, str(number))
    pts, steps = state.pts, []
    while True:
        found = await ann(functions.updates.GetDifferenceRequest(pts, state.date, state.qts, pts_limit=2))
        steps += [(pts, update.pts) for update in found.other_updates if isinstance(update, types.UpdateEditMessage)]
        end = getattr(found, "intermediate_state", None) or found.state
        assert all(pts < each <= end.pts for asked, each in steps if asked == pts)
        pts = end.pts
        if type(found) is types.updates.Difference:
            break
    assert [each for _, each in steps] == [state.pts + n for n in range(2, 7)]


async def test_a_difference_tells_of_channels_that_were_joined_or_lost_meanwhile(dc: Sandbox, connect: Connect) -> None:
    client, ann = await connect("ann"), dc.world.account("ann")
    state = await client(functions.updates.GetStateRequest())
    joined = next(channel for channel in dc.world.channels.values() if ann.id not in channel.members)
    lost = dc.world.channels_of(ann.id)[0]
    left = dc.world.channels_of(ann.id)[1]
    await client.disconnect()
    dc.dc.move(joined, ann, "member")
    dc.dc.move(lost, ann, "banned")
    dc.dc.move(left, ann, "left", silent=True)
    await client.connect()
    found = await client(functions.updates.GetDifferenceRequest(state.pts, state.date, state.qts))
    told = {update.channel_id for update in found.other_updates if isinstance(update, types.UpdateChannel)}
    assert told == {joined.id, lost.id}
    assert {chat.id: type(chat) for chat in found.chats}[lost.id] is types.ChannelForbidden


# Who hears, and what


async def test_a_call_without_updates_leaves_a_session_as_it_is(dc: Sandbox, connect: Connect) -> None:
    client = await connect("ann")
    heard = hear(client)
    await client(functions.InvokeWithoutUpdatesRequest(functions.help.GetNearestDcRequest()))
    await dc.publish("gorod_news", text="still heard")
    assert (await soon(heard)).text == "still heard"
    deaf = await connect(session=client.session.save(), receive_updates=False)
    await deaf.get_me()
    await client.get_me()
    await dc.publish("gorod_news", text="heard beside a deaf one")
    assert (await soon(heard)).text == "heard beside a deaf one"


async def test_which_of_an_accounts_sessions_loses_a_push_follows_from_the_seed() -> None:
    async def lost() -> list[list[str]]:
        async with Sandbox(channels=1) as dc, signed_in(dc) as one, signed_in(dc) as two, signed_in(dc) as three:
            clients = (one, two, three)
            heard = [hear(client) for client in clients]
            for client in clients:
                await client.get_me()
            dc.dc.hub.turbulence = Turbulence(loss=0.5, seed=3)
            for number in range(12):
                await dc.publish("gorod_news", text=str(number))
            for client in clients:
                await client(functions.PingRequest(1))  # behind all that was pushed
                await client.get_me()
            return [[queue.get_nowait().text for _ in range(queue.qsize())] for queue in heard]

    first = await lost()
    assert first == await lost()
    assert len({tuple(each) for each in first}) == 3


async def test_ones_own_comment_is_ones_own_in_every_session(dc: Sandbox, connect: Connect) -> None:
    await group_of(dc, "ann", "boris")
    writer, other, boris = await connect("ann"), await connect("ann"), await connect("boris")
    mine, theirs = hear(other, events.NewMessage), hear(boris, events.NewMessage)
    for client in (other, boris):
        await client.get_me()
    await writer.send_message("the_talk", "my own")
    assert [(await soon(queue)).message.out for queue in (mine, theirs)] == [True, False]


async def test_a_forward_names_and_describes_where_it_is_from(dc: Sandbox, connect: Connect) -> None:
    ann, boris = await connect("ann"), await connect("boris")
    channel = dc.world.channel("gorod_news")
    post = next(post for post in channel.posts.values() if post.entities)
    heard = hear(boris, events.Raw(types.UpdateNewMessage))
    await boris.get_me()
    state = await boris(functions.updates.GetStateRequest())
    await ann.forward_messages("boris", post.id, "gorod_news")
    assert utils.get_peer_id(types.PeerChannel(channel.id)) in (await soon(heard))._entities
    history = await boris(
        functions.messages.GetHistoryRequest(await boris.get_input_entity("ann"), 0, None, 0, 1, 0, 0, 0)
    )
    late = await boris(functions.updates.GetDifferenceRequest(state.pts, state.date, state.qts))
    assert [chat.id for chat in history.chats] == [channel.id]
    assert channel.id in [chat.id for chat in late.chats]
    assert len(history.messages[0].entities) == len(post.entities)


async def test_a_twin_follows_its_post(dc: Sandbox, connect: Connect) -> None:
    channel, group = await group_of(dc, "ann")
    (post_id,) = dc.dc.publish_drafts(
        channel, [lambda n: Post(id=n, date=dc.dc.clock.seconds(), text="a picture", media="photo")]
    )
    client = await connect("ann")
    post = await client.get_messages("the_press", ids=post_id)
    twin = await client.get_messages("the_talk", ids=group.roots[post_id])
    assert twin.photo.id == post.photo.id
    assert await client.download_media(twin, bytes) == await client.download_media(post, bytes)
    await dc.edit("the_press", post_id, "said anew")
    assert (await client.get_messages("the_talk", ids=group.roots[post_id])).text == "said anew"
