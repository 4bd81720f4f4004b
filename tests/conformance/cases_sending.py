"""messages.sendMessage, and the comments that it makes: getReplies and getDiscussionMessage."""

import secrets
from typing import Any

from telethon import errors, functions, types

from tests.conformance.cases import case
from tests.conformance.stage import Row, Stage, refuses


def send(peer: Any, text: str, *, reply_to: int = 0) -> Any:
    """A message that is the same one however often the request is sent."""
    answered = types.InputReplyToMessage(reply_to) if reply_to else None
    return functions.messages.SendMessageRequest(peer, text, reply_to=answered, random_id=secrets.randbits(62))


@case("messages.sendMessage")
async def a_private_message_is_one_however_often_it_is_sent(stage: Stage) -> None:
    ann, boris = await stage.client("ann"), await stage.client("boris")
    peer = await ann.get_input_entity("boris")
    request = send(peer, "only once")
    first, second = await ann(request), await ann(request)
    assert first.updates[0].id == second.updates[0].id
    assert first.updates[1].message.out
    texts = [message.message for message in await boris.get_messages("ann", limit=2)]
    assert texts.count("only once") == 1


@case("messages.sendMessage")
async def text_entities_and_the_answered_message_arrive_as_they_were_sent(stage: Stage) -> None:
    ann, boris = await stage.client("ann"), await stage.client("boris")
    first = await ann.send_message("boris", "**bold**, `code` and [a link](https://example.org/) 🌧 __after it__")
    (read,) = await boris.get_messages("ann", limit=1)
    assert read.message == "bold, code and a link 🌧 after it"
    kinds = [(type(e).__name__, e.offset, e.length) for e in read.entities]
    assert kinds == [
        ("MessageEntityBold", 0, 4),
        ("MessageEntityCode", 6, 4),
        ("MessageEntityTextUrl", 15, 6),
        ("MessageEntityItalic", 25, 8),
    ]
    await read.reply("answered")
    (answer,) = await ann.get_messages("boris", limit=1)
    assert (answer.message, answer.reply_to.reply_to_msg_id) == ("answered", first.id)


@case("messages.sendMessage")
async def what_can_t_be_sent_is_refused(stage: Stage) -> None:
    client = await stage.client("ann")
    peer = await client.get_input_entity("boris")
    await refuses(client, errors.MessageEmptyError, send(peer, ""))
    await refuses(client, errors.MessageTooLongError, send(peer, "x" * 4097))
    assert (await client(send(peer, "x" * 4096))).updates
    channel = await client.get_input_entity(await stage.channel())
    await refuses(client, errors.ChatWriteForbiddenError, send(channel, "no"))
    await refuses(client, errors.ChatWriteForbiddenError, send(types.InputPeerChat(1), "no"))
    await refuses(client, errors.PeerIdInvalidError, send(types.InputPeerUser(1, 1), "no"))


async def discussed(stage: Stage) -> tuple[Row, Row, int, int]:
    """A channel with a post, its group in which Ann is, and the ids of the post and of its twin."""
    channel = await stage.found("Press", "ann")
    group = await stage.found("Talk", "ann", group_of=channel["id"])
    (post,) = await stage.publish(channel["id"], "what do you say?")
    (twin,) = (await stage.ledger(group["id"]))["posts"]
    return channel, group, post, twin["id"]


@case("messages.sendMessage", "messages.getReplies", "messages.getDiscussionMessage")
async def comments_stand_below_their_post_in_order(stage: Stage) -> None:
    channel, group, post, root = await discussed(stage)
    client = await stage.client("ann")
    found = await client(functions.messages.GetDiscussionMessageRequest(channel["username"], post))
    assert [(m.id, m.peer_id.channel_id) for m in found.messages] == [(root, group["id"])]
    assert {chat.id for chat in found.chats} == {channel["id"], group["id"]}
    assert found.messages[0].fwd_from.channel_post == post
    sent = [await client.send_message(channel["username"], f"comment {n}", comment_to=post) for n in range(5)]
    answer = await sent[0].reply("to a comment")
    ids = [*(each.id for each in sent), answer.id]
    assert sent[0].peer_id.channel_id == group["id"]
    back = await client.get_messages(channel["username"], reply_to=post, limit=10)
    assert [message.id for message in back] == ids[::-1]
    assert back.total == 6

    async def page(where: str, msg_id: int, **fields: int) -> list[int]:
        usual = {"offset_id": 0, "add_offset": 0, "limit": 100, "max_id": 0, "min_id": 0, "hash": 0} | fields
        asked = functions.messages.GetRepliesRequest(where, msg_id, offset_date=None, **usual)
        return [message.id for message in (await client(asked)).messages]

    part = await client.get_messages(channel["username"], reply_to=post, limit=2)
    assert (len(part), part.total) == (2, 6)
    assert await page(group["username"], root, limit=2, offset_id=ids[3]) == [ids[2], ids[1]]
    assert await page(channel["username"], post, offset_id=ids[1], add_offset=-2, limit=2) == [ids[2], ids[1]]
    (counted,) = await client.get_messages(channel["username"], limit=1)
    assert (counted.replies.replies, counted.replies.channel_id, counted.replies.max_id) == (6, group["id"], ids[-1])


@case("messages.getReplies", "messages.getDiscussionMessage")
async def posts_without_comments_say_so(stage: Stage) -> None:
    channel, group, post, _ = await discussed(stage)
    client, bot = await stage.client("ann"), await stage.client("sandbox_bot")
    lonely = await stage.found("Lonely", "ann")
    (alone,) = await stage.publish(lonely["id"], "nobody answers")
    for where, msg_id in ((channel["username"], post + 1), (lonely["username"], alone), (group["username"], 10**6)):
        peer = await client.get_input_entity(where)
        replies = functions.messages.GetRepliesRequest(peer, msg_id, 0, None, 0, 10, 0, 0, 0)
        await refuses(client, errors.MsgIdInvalidError, replies)
        await refuses(client, errors.MsgIdInvalidError, functions.messages.GetDiscussionMessageRequest(peer, msg_id))
    peer = await bot.get_input_entity(channel["username"])
    await refuses(bot, errors.BotMethodInvalidError, functions.messages.GetDiscussionMessageRequest(peer, post))


@case("messages.sendMessage")
async def only_members_write_in_groups(stage: Stage) -> None:
    _, group, _, _ = await discussed(stage)
    ann, boris = await stage.client("ann"), await stage.client("boris")
    peer, own = await boris.get_input_entity(group["username"]), await ann.get_input_entity(group["username"])
    with_text = send(peer, "let me in")
    await refuses(boris, errors.ChatGuestSendForbiddenError, with_text)
    await stage.control.post("/members", channel=group["id"], account="boris", standing="member")
    assert (await boris(with_text)).updates[0].random_id == with_text.random_id
    await refuses(boris, "REPLY_MESSAGE_ID_INVALID", send(peer, "to nothing", reply_to=10**6))
    await refuses(boris, errors.MessageEmptyError, send(peer, ""))
    request = send(own, "once")
    once, again = await ann(request), await ann(request)
    assert once.updates[0].id == again.updates[0].id
