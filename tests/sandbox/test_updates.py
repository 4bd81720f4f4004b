"""Pushes, differences and private messages, as stock Telethon hears them."""

import pytest
from telethon import errors, events, functions, types
from telethon.tl.alltlobjects import LAYER

from sandbox.client import Sandbox
from sandbox.codec.layers import spoken_in
from sandbox.codec.peers import chat, user
from sandbox.codec.updates import Push, envelope
from tests.sandbox.conftest import Connect, hear, soon


async def test_a_new_post_reaches_every_member_and_nobody_else(dc: Sandbox, connect: Connect) -> None:
    boris, ann = await connect("boris"), await connect("ann")
    heard, unheard = hear(boris), hear(ann)
    (first,) = await dc.publish("morning_markets", text="only Boris reads this")
    await dc.publish("gorod_news", text="both do")
    event = await soon(heard)
    assert (event.message.id, event.message.text, event.is_channel) == (first, "only Boris reads this", True)
    assert (await soon(unheard)).message.text == "both do"
    channel = dc.world.channel("morning_markets")
    assert (await event.get_input_chat()).access_hash == dc.world.access_hash(
        dc.world.account("boris").id, "channel", channel.id
    )


async def test_pts_rises_by_one_for_posts_and_edits_and_by_the_number_of_deleted(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    heard = hear(client, events.Raw)
    channel = dc.world.channel("gorod_news")
    before = channel.pts
    ids = await dc.publish("gorod_news", texts=["one", "two", "three"])
    await dc.edit("gorod_news", ids[0], "changed")
    assert await dc.delete("gorod_news", [*ids[1:], 10**6]) == ids[1:]
    found = [await soon(heard) for _ in range(5)]
    assert [(type(u).__name__, u.pts - before, u.pts_count) for u in found] == [
        ("UpdateNewChannelMessage", 1, 1),
        ("UpdateNewChannelMessage", 2, 1),
        ("UpdateNewChannelMessage", 3, 1),
        ("UpdateEditChannelMessage", 4, 1),
        ("UpdateDeleteChannelMessages", 6, 2),
    ]
    assert (found[3].message.message, found[3].message.edit_date is not None) == ("changed", True)
    assert found[4].messages == ids[1:]


async def test_a_client_without_updates_hears_nothing_even_after_a_drop(dc: Sandbox, connect: Connect) -> None:
    deaf, ann = await connect("ann", receive_updates=False), await connect("ann")
    unheard, heard = hear(deaf), hear(ann)
    dc.drop_connections()
    await deaf.get_me()
    await ann.get_me()
    await dc.publish("gorod_news", text="hello")
    assert (await soon(heard)).message.text == "hello"
    await deaf.get_me()  # anything pushed would have come before this answer
    assert unheard.empty()


async def difference(client, channel, pts: int, limit: int = 100):
    peer = await client.get_input_entity(channel)
    return await client(
        functions.updates.GetChannelDifferenceRequest(peer, types.ChannelMessagesFilterEmpty(), pts, limit)
    )


async def test_a_channel_difference_is_paged_and_ends_at_the_channel_s_pts(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    channel = dc.world.channel("gorod_news")
    pts = channel.pts
    ids = await dc.publish("gorod_news", count=25, silent=True)
    await dc.edit("gorod_news", ids[3], "edited since")
    await dc.delete("gorod_news", [ids[5], ids[6]])
    new, deleted, pages = [], [], 0
    while True:
        page = await difference(client, "gorod_news", pts, 10)
        new += page.new_messages
        deleted += [u for u in page.other_updates if isinstance(u, types.UpdateDeleteChannelMessages)]
        pts, pages = page.pts, pages + 1
        if page.final:
            break
    assert (pts, pages) == (channel.pts, 3)
    assert [m.id for m in new] == [i for i in ids if i not in (ids[5], ids[6])]
    assert new[3].message == "edited since"
    assert deleted[0].messages == [ids[5], ids[6]]
    assert isinstance(await difference(client, "gorod_news", pts), types.updates.ChannelDifferenceEmpty)


async def test_more_than_a_hundred_missed_posts_are_too_long_a_difference(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    channel = dc.world.channel("gorod_news")
    pts = channel.pts
    await dc.publish("gorod_news", count=100, silent=True)
    assert len((await difference(client, "gorod_news", pts)).new_messages) == 100
    await dc.publish("gorod_news", silent=True)
    answer = await difference(client, "gorod_news", pts)
    assert isinstance(answer, types.updates.ChannelDifferenceTooLong)
    assert (answer.dialog.pts, answer.dialog.top_message) == (channel.pts, channel.top)
    assert isinstance(await difference(client, "gorod_news", 1), types.updates.ChannelDifferenceTooLong)
    with pytest.raises(errors.PersistentTimestampEmptyError):
        await difference(client, "gorod_news", 0)
    with pytest.raises(errors.PersistentTimestampInvalidError):
        await difference(client, "gorod_news", channel.pts + 1)


async def test_an_account_s_difference_names_only_the_channels_that_moved(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    state = await client(functions.updates.GetStateRequest())
    ask = functions.updates.GetDifferenceRequest(state.pts, state.date, state.qts)
    assert isinstance(await client(ask), types.updates.DifferenceEmpty)
    await dc.publish("night_trains", count=2, silent=True)
    await dc.publish("morning_markets", silent=True)  # ann doesn't follow it
    answer = await client(ask)
    channel = dc.world.channel("night_trains")
    assert [(u.channel_id, u.pts) for u in answer.other_updates] == [(channel.id, channel.pts)]
    assert [chat.id for chat in answer.chats] == [channel.id]


async def test_posts_that_were_missed_offline_are_caught_up(dc: Sandbox, connect: Connect) -> None:
    client = await connect("ann")
    await client.get_dialogs()
    heard = hear(client)
    await dc.publish("gorod_news", text="lost on the way", silent=True)
    await client.catch_up()
    assert (await soon(heard)).message.text == "lost on the way"


async def test_a_user_and_a_bot_talk_and_each_is_pushed_to(dc: Sandbox, connect: Connect) -> None:
    token = next(account.token for account in dc.world.accounts.values() if account.is_bot)
    bot = await connect(None)
    await bot.sign_in(bot_token=token)
    assert await bot(functions.bots.SetBotCommandsRequest(types.BotCommandScopeDefault(), "en", []))
    ann, phone = await connect("ann"), await connect("ann")
    to_bot, to_ann, to_phone = hear(bot), hear(ann), hear(phone)
    sent = await ann.send_message("sandbox_bot", "/start **now**")
    event = await soon(to_bot)
    assert (event.message.message, event.is_private, event.message.out) == ("/start now", True, False)
    assert isinstance(event.message.entities[0], types.MessageEntityBold)
    assert event.sender_id == dc.world.account("ann").id
    answer = await event.reply("Hello, Ann")
    assert (answer.out, answer.reply_to.reply_to_msg_id) == (True, event.message.id)
    heard = await soon(to_ann)
    assert (heard.message.message, heard.message.reply_to.reply_to_msg_id) == ("Hello, Ann", sent.id)
    assert [(await soon(to_phone)).message.out for _ in range(2)] == [True, False]
    assert [m.message for m in await ann.get_messages("sandbox_bot", limit=5)] == ["Hello, Ann", "/start now"]
    assert (await ann.get_dialogs(limit=1))[0].message.message == "Hello, Ann"
    state = await bot(functions.updates.GetStateRequest())
    missed = await bot(functions.updates.GetDifferenceRequest(state.pts - 1, state.date, state.qts))
    assert [m.message for m in missed.new_messages] == ["Hello, Ann"]


async def test_missed_private_messages_come_in_slices(dc: Sandbox, connect: Connect) -> None:
    boris, ann = await connect("boris"), await connect("ann")
    state = await ann(functions.updates.GetStateRequest())
    for number in range(5):
        await boris.send_message("ann", f"message {number}")
    ask = functions.updates.GetDifferenceRequest(state.pts, state.date, state.qts, pts_limit=3)
    first = await ann(ask)
    assert isinstance(first, types.updates.DifferenceSlice)
    ask.pts = first.intermediate_state.pts
    second = await ann(ask)
    texts = [m.message for m in (*first.new_messages, *second.new_messages)]
    assert texts == [f"message {number}" for number in range(5)]
    assert second.state.pts == state.pts + 5


async def test_the_same_random_id_is_one_message(dc: Sandbox, connect: Connect) -> None:
    boris = await connect("boris")
    peer = await boris.get_input_entity("ann")
    request = functions.messages.SendMessageRequest(peer, "once", random_id=77)
    first, second = await boris(request), await boris(request)
    assert first.updates[0].id == second.updates[0].id
    assert len(await boris.get_messages("ann", limit=10)) == 1
    with pytest.raises(errors.MessageEmptyError):
        await boris(functions.messages.SendMessageRequest(peer, "", random_id=78))
    with pytest.raises(errors.MessageTooLongError):
        await boris(functions.messages.SendMessageRequest(peer, "x" * 4097, random_id=79))
    with pytest.raises(errors.ChatWriteForbiddenError):
        await boris.send_message("gorod_news", "not here")


def test_a_client_of_an_older_layer_gets_users_and_channels_as_it_knows_them(dc: Sandbox) -> None:
    """Telethon can't read them any more; mtcute in make conformance does."""
    world = dc.world
    ann = world.account("ann")

    def answer():
        users = [user(world, ann.id, each) for each in world.accounts.values()]
        chats = [chat(world, ann.id, each) for each in world.channels.values()]
        return envelope([], users=users, chats=chats, date=1)

    now, before = bytes(answer()), bytes(spoken_in(227, answer()))
    assert bytes(spoken_in(LAYER, answer())) == now
    for newer, older, count in ((types.User, 0x31774388, 4), (types.Channel, 0x1C32B11C, 5)):
        assert before.count(older.to_bytes(4, "little")) == count
        before = before.replace(older.to_bytes(4, "little"), newer.CONSTRUCTOR_ID.to_bytes(4, "little"))
    assert before == now
    push = Push([], users=[user(world, ann.id, ann)], date=1)
    assert push.body(LAYER) is push.body(LAYER)
    assert (0x31774388).to_bytes(4, "little") in push.body(227)
