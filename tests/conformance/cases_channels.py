"""channels.*: what a channel is, its posts by id, and being in it."""

from typing import Any

from telethon import errors, events, functions, types

from tests.conformance.cases import agrees, case
from tests.conformance.stage import Stage, hear, refuses, soon


@case("channels.getChannels")
async def channels_are_described_with_the_asker_s_own_hashes(stage: Stage) -> None:
    client = await stage.client()
    peer = await client.get_input_entity(await stage.channel())
    (chat,) = (await client(functions.channels.GetChannelsRequest([peer]))).chats
    assert (chat.id, chat.access_hash) == (peer.channel_id, peer.access_hash)
    if not stage.has_control:
        return
    row = await stage.channel_row(peer.channel_id)
    assert (chat.title, chat.username, chat.broadcast) == (row["title"], row["username"], row["broadcast"])
    boris = await stage.client("boris")
    assert (await boris.get_input_entity(row["username"])).access_hash != peer.access_hash
    await refuses(boris, errors.ChannelInvalidError, functions.channels.GetChannelsRequest([peer]))


@case("channels.getFullChannel")
async def a_full_channel_says_its_pts_its_members_and_its_group(stage: Stage) -> None:
    client = await stage.client("ann")
    channel = await stage.found("Press", "ann", "vera")
    group = await stage.found("Talk", "boris", group_of=channel["id"])
    ids = await stage.publish(channel["id"], "one", "two")
    found = await client(functions.channels.GetFullChannelRequest(channel["username"]))
    full = found.full_chat
    assert (full.id, full.participants_count, full.linked_chat_id) == (channel["id"], 2, group["id"])
    assert full.pts == (await stage.ledger(channel["id"]))["pts"] >= len(ids)
    assert [chat.id for chat in found.chats] == [channel["id"], group["id"]]
    other = await client(functions.channels.GetFullChannelRequest(group["username"]))
    assert (other.full_chat.linked_chat_id, other.chats[0].megagroup) == (channel["id"], True)


@case("channels.getFullChannel")
async def a_channel_that_may_be_read_has_a_pts(stage: Stage) -> None:
    client = await stage.client()
    found = await client(functions.channels.GetFullChannelRequest(await stage.channel()))
    assert found.full_chat.pts > 0
    assert found.full_chat.id in {chat.id for chat in found.chats}


def posts(peer: Any, *ids: Any) -> Any:
    named = [types.InputMessageID(each) if isinstance(each, int) else each for each in ids]
    return functions.channels.GetMessagesRequest(peer, named)


@case("channels.getMessages")
async def named_posts_come_in_the_order_asked_and_the_missing_as_empty(stage: Stage) -> None:
    client = await stage.client()
    peer = await client.get_input_entity(await stage.channel())
    newest = [message.id for message in await client.get_messages(peer, limit=3)]
    wanted = [newest[1], 2**31 - 1, newest[2], newest[0]]
    found = await client(posts(peer, *wanted))
    assert [message.id for message in found.messages] == wanted
    assert [type(m) for m in found.messages if m.id == 2**31 - 1] == [types.MessageEmpty]
    await agrees(stage, await stage.channel(), [m for m in found.messages if m.id != 2**31 - 1])


@case("channels.getMessages")
async def deleted_posts_are_gone_and_a_hundred_may_be_named(stage: Stage) -> None:
    client = await stage.client("ann")
    row = await stage.found("Named", "ann")
    ids = await stage.publish(row["id"], count=100)
    peer = await client.get_input_entity(row["username"])
    await stage.control.post("/deletes", channel=row["id"], ids=ids[:2])
    found = await client(posts(peer, *ids))
    assert [m.id for m in found.messages if isinstance(m, types.MessageEmpty)] == ids[:2]
    assert len(found.messages) == 100
    await refuses(client, errors.MessageIdsEmptyError, posts(peer))
    await refuses(client, errors.LimitInvalidError, posts(peer, *range(1, 102)))
    await refuses(client, errors.MessageIdInvalidError, posts(peer, types.InputMessageCallbackQuery(1, 1)))


@case("channels.getMessages")
async def a_post_is_named_as_the_answered_or_the_pinned_one_too(stage: Stage) -> None:
    client = await stage.client("ann")
    row = await stage.found("Answered", "ann")
    (first,) = await stage.publish(row["id"], "a question")
    told = await stage.control.post(
        "/posts",
        channel=row["id"],
        posts=[{"text": "an answer", "reply_to": first}, {"service": "pin", "reply_to": first}],
    )
    answer = await client.get_messages(row["username"], ids=told["ids"][0])
    assert (await answer.get_reply_message()).message == "a question"
    assert (await client.get_messages(row["username"], ids=types.InputMessagePinned())).id == first


@case("channels.joinChannel", "channels.leaveChannel", "channels.getParticipant")
async def who_joins_is_pushed_to_until_he_leaves(stage: Stage) -> None:
    client, row = await stage.client("ann"), await stage.found("Open")
    heard = hear(client, events.NewMessage)
    peer = await client.get_input_entity(row["username"])
    join, leave = functions.channels.JoinChannelRequest(peer), functions.channels.LeaveChannelRequest(peer)
    own = functions.channels.GetParticipantRequest(peer, types.InputPeerSelf())
    await refuses(client, errors.UserNotParticipantError, leave, own)
    for _ in range(2):  # once more is no fault
        joined = await client(join)
        assert [(chat.id, chat.left) for chat in joined.chats] == [(row["id"], False)]
    assert isinstance((await client(own)).participant, types.ChannelParticipantSelf)
    assert (await stage.account("ann"))["id"] in (await stage.channel_row(row["id"]))["members"]
    await stage.publish(row["id"], "for members")
    assert (await soon(heard)).message.message == "for members"
    assert (await client(leave)).chats[0].left
    await stage.publish(row["id"], "for others")
    await stage.publish(await stage.channel(), "for all who follow")
    assert (await soon(heard)).message.message == "for all who follow"


@case("channels.joinChannel", "channels.leaveChannel")
async def joining_is_refused_to_bots_the_banned_and_those_to_be_approved(stage: Stage) -> None:
    client, bot, row = await stage.client("ann"), await stage.client("sandbox_bot"), await stage.found("Strict")
    peer, theirs = await client.get_input_entity(row["username"]), await bot.get_input_entity(row["username"])
    join, leave = functions.channels.JoinChannelRequest, functions.channels.LeaveChannelRequest
    await refuses(bot, errors.BotMethodInvalidError, join(theirs), leave(theirs))
    await refuses(client, errors.ChannelInvalidError, join(types.InputChannel(1, 1)), leave(types.InputChannel(1, 1)))
    await stage.control.post(f"/channels/{row['id']}", approval=True)
    await refuses(client, errors.InviteRequestSentError, join(peer), join(peer))
    assert (await stage.channel_row(row["id"]))["waiting"] == [(await stage.account("ann"))["id"]]
    await stage.control.post("/members", channel=row["id"], account="ann", standing="banned")
    await refuses(client, errors.ChannelPrivateError, join(peer), leave(peer))


@case("channels.joinChannel")
async def an_account_is_in_only_so_many_channels(stage: Stage) -> None:
    client, row = await stage.client("ann"), await stage.found("One too many")
    world = await stage.world()
    ann = next(account["id"] for account in world["accounts"] if account["username"] == "ann")
    await stage.control.post("/switches", max_joined=len(world["memberships"][str(ann)]))
    await refuses(client, errors.ChannelsTooMuchError, functions.channels.JoinChannelRequest(row["username"]))
    await stage.control.post("/switches", max_joined=500)
    assert (await client(functions.channels.JoinChannelRequest(row["username"]))).chats


@case("channels.getParticipant")
async def members_are_named_in_groups_alone(stage: Stage) -> None:
    client, channel = await stage.client("ann"), await stage.found("Press", "ann", "boris")
    group = await stage.found("Talk", "boris", group_of=channel["id"])
    ask = functions.channels.GetParticipantRequest
    found = await client(ask(group["username"], "boris"))
    assert [user.username for user in found.users] == ["boris"]
    await refuses(client, errors.UserNotParticipantError, ask(group["username"], "vera"))
    await refuses(client, errors.ChatAdminRequiredError, ask(channel["username"], "boris"))
    peer = await client.get_input_entity(group["username"])
    await refuses(client, errors.PeerIdInvalidError, ask(peer, types.InputPeerUser(1, 1)))


@case("channels.readHistory")
async def reading_a_channel_is_accepted(stage: Stage) -> None:
    client, bot, row = await stage.client("ann"), await stage.client("sandbox_bot"), await stage.found("Read", "ann")
    (post,) = await stage.publish(row["id"], "seen")
    ask = functions.channels.ReadHistoryRequest
    assert await client(ask(row["username"], post)) is True
    await refuses(bot, errors.BotMethodInvalidError, ask(await bot.get_input_entity(row["username"]), post))
    await refuses(client, errors.ChannelInvalidError, ask(types.InputChannel(1, 1), 1))


@case("channels.getChannels", "channels.getFullChannel", "channels.getMessages", "channels.getParticipant")
async def a_private_channel_is_shut_to_all_who_are_not_in_it(stage: Stage) -> None:
    client, row = await stage.client("ann"), await stage.found("Shut")
    (post,) = await stage.publish(row["id"], "secret")
    peer = await client.get_input_entity(row["username"])
    requests = (
        functions.channels.GetChannelsRequest([peer]),
        functions.channels.GetFullChannelRequest(peer),
        functions.channels.GetParticipantRequest(peer, types.InputPeerSelf()),
        posts(peer, post),
    )
    await stage.control.post(f"/channels/{row['id']}", username="")
    await refuses(client, errors.ChannelPrivateError, *requests)
    await stage.control.post("/members", channel=row["id"], account="ann", standing="member")
    for request in requests:
        assert (await client(request)).chats[0].title == "Shut"
