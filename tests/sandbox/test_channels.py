"""Channels as stock Telethon meets them: joining and leaving, invites, comments, figures, search."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telethon import errors, events, functions, types
from telethon.extensions import BinaryReader

from sandbox.channels import Channel
from sandbox.client import Sandbox
from sandbox.codec.entities import ENTITY_KINDS, entities_in
from sandbox.codec.files import file_origin, reference_fault
from sandbox.codec.posts import message
from sandbox.posts import Entity, File, Post
from sandbox.switches import Switches
from sandbox.world import Account, World
from tests.sandbox.conftest import Connect, hear, signed_in, soon


def private_of(dc: Sandbox) -> Channel:
    return next(channel for channel in dc.world.channels.values() if channel.username is None)


def outsider(dc: Sandbox, channel: Channel) -> Account:
    return next(a for a in dc.world.accounts.values() if a.id not in channel.members and not a.is_bot)


def drafts(*posts: dict):
    """Posts with these fields, for `publish_drafts`."""
    return [lambda post_id, fields=fields: Post(id=post_id, date=1_780_000_000, **fields) for fields in posts]


# Joining and leaving


async def test_joining_and_leaving_a_public_channel_changes_what_is_followed(dc: Sandbox, connect: Connect) -> None:
    client, ann = await connect(), dc.world.account("ann")
    channel = dc.world.channel("morning_markets")
    peer = await client.get_input_entity("morning_markets")
    with pytest.raises(errors.UserNotParticipantError):
        await client(functions.channels.LeaveChannelRequest(peer))
    with pytest.raises(errors.UserNotParticipantError):
        await client(functions.channels.GetParticipantRequest(peer, "me"))
    for _ in range(2):  # once more is no fault
        joined = await client(functions.channels.JoinChannelRequest(peer))
        assert [(type(each), each.channel_id) for each in joined.updates] == [(types.UpdateChannel, channel.id)]
        assert (joined.chats[0].id, joined.chats[0].left, joined.chats[0].access_hash) == (
            channel.id,
            False,
            peer.access_hash,
        )
    assert ann.id in channel.members
    assert channel.id in {dialog.entity.id for dialog in await client.get_dialogs()}
    own = await client(functions.channels.GetParticipantRequest(peer, "me"))
    assert (type(own.participant), own.participant.user_id) == (types.ChannelParticipantSelf, ann.id)
    left = await client(functions.channels.LeaveChannelRequest(peer))
    assert left.chats[0].left
    assert channel.id not in {dialog.entity.id for dialog in await client.get_dialogs()}
    assert dc.requests()["unknown"] == []


async def test_only_the_accounts_other_sessions_are_told_of_a_move(dc: Sandbox, connect: Connect) -> None:
    client, other = await connect(), await connect()
    heard, own = hear(other, events.Raw(types.UpdateChannel)), hear(client, events.Raw(types.UpdateChannel))
    await other.get_me()
    peer = await client.get_input_entity("morning_markets")
    await client(functions.channels.JoinChannelRequest(peer))
    assert (await soon(heard)).channel_id == peer.channel_id
    await client(functions.channels.LeaveChannelRequest(peer))
    assert (await soon(heard)).channel_id == peer.channel_id
    assert dc.dc.hub.pushed == 2
    assert own.empty()


async def test_members_are_pushed_to_and_those_who_left_are_not(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    heard = hear(client)
    peer = await client.get_input_entity("morning_markets")
    await client(functions.channels.JoinChannelRequest(peer))
    await dc.publish("morning_markets", text="for members")
    assert (await soon(heard)).text == "for members"
    await client(functions.channels.LeaveChannelRequest(peer))
    await dc.publish("morning_markets", text="unheard")
    await dc.publish("gorod_news", text="heard")
    assert (await soon(heard)).text == "heard"


async def test_an_account_joins_only_so_many_channels() -> None:
    async with Sandbox(switches=Switches(max_joined=6)) as dc, signed_in(dc) as client:
        ann = dc.world.account("ann")
        free = [channel for channel in dc.world.channels.values() if ann.id not in channel.members]
        more = [dc.dc.found("More", name) for name in ("more_one", "more_two", "more_three", "more_four")]
        room = 6 - (6 - len(free))
        for channel in more[:room]:
            await client(functions.channels.JoinChannelRequest(channel.username))
        assert len(dc.world.channels_of(ann.id)) == 6
        with pytest.raises(errors.ChannelsTooMuchError):
            await client(functions.channels.JoinChannelRequest(more[room].username))
        with pytest.raises(errors.ChannelsTooMuchError):
            await client(functions.messages.ImportChatInviteRequest(more[room].invite))
        assert not more[room].members


async def test_the_banned_are_told_that_a_channel_is_private(dc: Sandbox, connect: Connect) -> None:
    client, ann = await connect(), dc.world.account("ann")
    heard = hear(client, events.Raw(types.UpdateChannel))
    peer, channel = await client.get_input_entity("gorod_news"), dc.world.channel("gorod_news")
    dc.dc.move(channel, ann, "banned")
    update = await soon(heard)
    assert update.channel_id == channel.id
    assert isinstance(next(iter(update._entities.values())), types.ChannelForbidden)
    for request in (
        functions.channels.JoinChannelRequest(peer),
        functions.channels.GetFullChannelRequest(peer),
        functions.messages.GetHistoryRequest(peer, 0, None, 0, 10, 0, 0, 0),
    ):
        with pytest.raises(errors.ChannelPrivateError):
            await client(request)
    with pytest.raises(errors.InviteHashExpiredError):
        await client(functions.messages.ImportChatInviteRequest(channel.invite))
    found = await client(functions.contacts.ResolveUsernameRequest("gorod_news"))
    assert isinstance(found.chats[0], types.ChannelForbidden)
    dc.dc.move(channel, ann, "member")
    assert await client.get_messages(peer, limit=1)


async def test_members_of_a_group_are_named_and_those_of_a_channel_are_not(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    group = dc.dc.found("Talk", "news_talk", group_of=dc.world.channel("gorod_news"))
    dc.dc.move(group, dc.world.account("boris"), "member")
    found = await client(functions.channels.GetParticipantRequest("news_talk", "boris"))
    assert (found.participant.user_id, found.users[0].username) == (dc.world.account("boris").id, "boris")
    with pytest.raises(errors.UserNotParticipantError):
        await client(functions.channels.GetParticipantRequest("news_talk", "vera"))
    with pytest.raises(errors.ChatAdminRequiredError):
        await client(functions.channels.GetParticipantRequest("gorod_news", "boris"))


async def test_a_channel_says_which_group_it_is_linked_to(dc: Sandbox, connect: Connect) -> None:
    client, channel = await connect(), dc.world.channel("gorod_news")
    group = dc.dc.found("Talk", "news_talk", group_of=channel)
    for one, other in ((channel, group), (group, channel)):
        full = await client(functions.channels.GetFullChannelRequest(one.username))
        assert full.full_chat.linked_chat_id == other.id
        assert [chat.id for chat in full.chats] == [one.id, other.id]
    assert full.chats[0].megagroup


# Invites


async def test_an_invite_opens_a_private_channel(dc: Sandbox) -> None:
    channel = private_of(dc)
    account = outsider(dc, channel)
    async with signed_in(dc, account.id) as client:
        seen = await client(functions.messages.CheckChatInviteRequest(channel.invite))
        assert (seen.title, seen.about, seen.broadcast, seen.public, seen.request_needed) == (
            channel.title,
            channel.about,
            True,
            False,
            False,
        )
        assert seen.participants_count == len(channel.members)
        joined = await client(functions.messages.ImportChatInviteRequest(channel.invite))
        assert (joined.chats[0].id, joined.chats[0].username) == (channel.id, None)
        assert len(await client.get_messages(joined.chats[0], limit=60)) == 50
        already = await client(functions.messages.CheckChatInviteRequest(channel.invite))
        assert (type(already), already.chat.id) == (types.ChatInviteAlready, channel.id)
        with pytest.raises(errors.UserAlreadyParticipantError):
            await client(functions.messages.ImportChatInviteRequest(channel.invite))
        left = await client(functions.channels.LeaveChannelRequest(joined.chats[0]))
        assert isinstance(left.chats[0], types.ChannelForbidden)


@pytest.mark.parametrize(
    "kind", [functions.messages.CheckChatInviteRequest, functions.messages.ImportChatInviteRequest]
)
async def test_bad_invites_are_told_apart(dc: Sandbox, connect: Connect, kind: type) -> None:
    client, channel = await connect(), private_of(dc)
    before = channel.invite
    dc.dc.renew_invite(channel)
    for invite, error in (
        ("", errors.InviteHashEmptyError),
        ("no hash", errors.InviteHashInvalidError),
        (before, errors.InviteHashExpiredError),
        ("AAAAAAAAAAAAAAAA", errors.InviteHashExpiredError),
    ):
        with pytest.raises(error):
            await client(kind(invite))


async def test_each_new_invite_differs_from_all_before(dc: Sandbox) -> None:
    channel = private_of(dc)
    invites = [channel.invite, *(dc.dc.renew_invite(channel) for _ in range(5))]
    assert len(set(invites)) == 6
    assert [invite for invite in invites if dc.world.invited(invite)] == invites[-1:]


@pytest.mark.parametrize("public", [True, False])
async def test_who_must_be_approved_waits_until_he_is(dc: Sandbox, *, public: bool) -> None:
    channel = dc.world.channel("gorod_news") if public else private_of(dc)
    account = outsider(dc, channel) if not public else dc.world.account("vera")
    dc.dc.move(channel, account, "left")
    dc.dc.alter(channel, approval=True)
    if public:
        request = functions.channels.JoinChannelRequest(channel.username)
    else:
        request = functions.messages.ImportChatInviteRequest(channel.invite)
    async with signed_in(dc, account.id) as client:
        heard = hear(client, events.Raw(types.UpdateChannel))
        assert (await client(functions.messages.CheckChatInviteRequest(channel.invite))).request_needed
        for _ in range(2):
            with pytest.raises(errors.InviteRequestSentError):
                await client(request)
        assert (channel.waiting, account.id in channel.members) == ({account.id}, False)
        assert heard.empty()
        dc.dc.move(channel, account, "member")
        assert (await soon(heard)).channel_id == channel.id
        assert channel.id in {dialog.entity.id for dialog in await client.get_dialogs()}


async def test_bots_neither_join_nor_search(dc: Sandbox) -> None:
    async with signed_in(dc, "sandbox_bot") as client:
        peer = await client.get_input_entity("gorod_news")
        for request in (
            functions.channels.JoinChannelRequest(peer),
            functions.messages.ImportChatInviteRequest(dc.world.channel("gorod_news").invite),
            functions.messages.SearchRequest(peer, "", types.InputMessagesFilterEmpty(), None, None, 0, 0, 9, 0, 0, 0),
        ):
            with pytest.raises(errors.BotMethodInvalidError):
                await client(request)


# Names


async def test_a_username_changes_hands_and_vanishes(dc: Sandbox, connect: Connect) -> None:
    client, channel = await connect("vera"), dc.world.channel("morning_markets")
    dc.dc.move(channel, dc.world.account("vera"), "left")
    peer = await client.get_input_entity("morning_markets")
    dc.dc.alter(channel, username="evening_markets")
    with pytest.raises(errors.UsernameNotOccupiedError):
        await client(functions.contacts.ResolveUsernameRequest("morning_markets"))
    found = await client(functions.contacts.ResolveUsernameRequest("Evening_Markets"))
    assert (found.peer.channel_id, found.chats[0].access_hash) == (channel.id, peer.access_hash)
    heir = dc.dc.found("Heir", "morning_markets")
    assert (await client(functions.contacts.ResolveUsernameRequest("morning_markets"))).peer.channel_id == heir.id
    assert await client.get_messages(peer, limit=1)  # the handle outlives the name
    dc.dc.alter(channel, username="")
    with pytest.raises(errors.UsernameNotOccupiedError):
        await client(functions.contacts.ResolveUsernameRequest("evening_markets"))
    with pytest.raises(errors.ChannelPrivateError):
        await client.get_messages(peer, limit=1)


async def test_restricted_posts_say_so_from_the_moment_it_is_set(dc: Sandbox, connect: Connect) -> None:
    client, channel = await connect(), dc.world.channel("gorod_news")
    assert not any(message.noforwards for message in await client.get_messages("gorod_news", limit=5))
    dc.dc.alter(channel, noforwards=True)
    found = await client.get_messages("gorod_news", limit=5)
    assert all(message.noforwards for message in found)
    assert found[0].chat.noforwards


async def test_ids_of_a_new_channel_start_where_it_was_told(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    channel = dc.dc.found("Late", "late_start", first_id=70_000)
    await dc.publish("late_start", texts=["one", "two"])
    await dc.delete("late_start", [70_000])
    await dc.publish("late_start", text="three")
    assert [m.id async for m in client.iter_messages("late_start", reverse=True, wait_time=0)] == [70_001, 70_002]
    assert channel.top == 70_002


# Albums, forwards, replies, service messages


async def test_posts_of_every_kind_reach_a_reader_whole(dc: Sandbox, connect: Connect) -> None:
    client, channel = await connect(), dc.dc.found("Kinds", "all_kinds")
    dc.dc.move(channel, dc.world.account("ann"), "member")
    source = dc.world.channel("morning_markets")
    heard = hear(client)
    ids = dc.dc.publish_drafts(
        channel,
        drafts(
            {"media": "photo", "grouped_id": 77, "text": "album"},
            {"media": "photo", "grouped_id": 77},
            {"text": "forward", "forwarded_post": (source.id, source.ids[3])},
            {"text": "of somebody", "forwarded_from": "A. Nonymous"},
            {"text": "answer", "reply_to": 1, "author": "Editor"},
            {"service": "pin", "reply_to": 1},
            {"text": "liked", "views": 90, "forwards": 4, "reactions": (("👍", 3), ("🔥", 1))},
            {"media": "voice"},
        ),
    )
    pushed = {(event := await soon(heard)).message.id: event.message for _ in ids if _ != ids[5]}
    read = {message.id: message for message in await client.get_messages(channel.username, limit=10)}
    for found in (pushed, read):
        one, two, forward, named, answer, liked, voice = (found[i] for i in (*ids[:5], *ids[6:]))
        assert (one.grouped_id, two.grouped_id, one.text, two.text) == (77, 77, "album", "")
        assert (forward.fwd_from.from_id.channel_id, forward.fwd_from.channel_post) == (source.id, source.ids[3])
        assert forward.forward.chat.username == "morning_markets"
        assert int(forward.fwd_from.date.timestamp()) == source.posts.dates[3]
        assert (named.fwd_from.from_name, named.fwd_from.from_id) == ("A. Nonymous", None)
        assert (answer.reply_to.reply_to_msg_id, answer.post_author, answer.from_id) == (1, "Editor", None)
        assert [(row.reaction.emoticon, row.count) for row in liked.reactions.results] == [("👍", 3), ("🔥", 1)]
        assert (liked.views, liked.forwards) == (90, 4)
        assert (voice.voice is not None, voice.text) == (True, "")
    assert isinstance(read[ids[5]].action, types.MessageActionPinMessage)
    assert read[ids[5]].reply_to.reply_to_msg_id == 1


async def test_a_forward_from_what_one_may_not_read_names_it_all_the_same(dc: Sandbox, connect: Connect) -> None:
    source = private_of(dc)
    account = outsider(dc, source)
    channel = dc.dc.found("Leaks", "leaked_posts")
    dc.dc.publish_drafts(channel, drafts({"text": "leak", "forwarded_post": (source.id, 5)}))
    client = await connect(account.username)
    (found,) = await client.get_messages("leaked_posts")
    assert isinstance(found.forward.chat, types.ChannelForbidden)
    assert found.forward.chat.title == source.title


# Figures


async def test_figures_are_asked_for_without_changing_them(dc: Sandbox, connect: Connect) -> None:
    client, channel = await connect(), dc.world.channel("gorod_news")
    peer = await client.get_input_entity("gorod_news")
    posts = [post for post in channel.posts.values() if not post.service][:3]
    hole = channel.top + 5
    dc.dc.count(channel, posts[0].id, reactions=(("👍", 9),), views=1000, forwards=12)
    before = dc.ledger("gorod_news")
    ids = [posts[0].id, hole, posts[2].id]
    answer = await client(functions.messages.GetMessagesViewsRequest(peer, ids, increment=False))
    assert [(row.views, row.forwards) for row in answer.views] == [
        (1000, 12),
        (None, None),
        (posts[2].views, posts[2].forwards),
    ]
    answer = await client(functions.messages.GetMessagesReactionsRequest(peer, ids))
    assert [each.msg_id for each in answer.updates] == [ids[0], ids[2]]
    (row,) = answer.updates[0].reactions.results
    assert (row.reaction.emoticon, row.count) == ("👍", 9)
    assert dc.ledger("gorod_news") == before
    with pytest.raises(errors.LimitInvalidError):
        await client(functions.messages.GetMessagesViewsRequest(peer, list(range(1, 102)), increment=False))


async def test_an_incrementing_reader_is_counted_once(dc: Sandbox, connect: Connect) -> None:
    ann, vera = await connect("ann"), await connect("vera")
    post = next(post for post in dc.world.channel("gorod_news").posts.values() if not post.service)
    for client, expected in ((ann, 1), (ann, 1), (vera, 2)):
        answer = await client(functions.messages.GetMessagesViewsRequest("gorod_news", [post.id], increment=True))
        assert answer.views[0].views == post.views + expected


async def test_growing_figures_are_pushed_and_move_no_pts(dc: Sandbox, connect: Connect) -> None:
    client, channel = await connect(), dc.world.channel("gorod_news")
    kinds = (types.UpdateChannelMessageViews, types.UpdateChannelMessageForwards, types.UpdateMessageReactions)
    heard = hear(client, events.Raw(kinds))
    await client.get_me()
    pts = channel.pts
    dc.dc.count(channel, channel.top, views=5_000, forwards=50, reactions=(("❤", 2),))
    assert [type(await soon(heard)) for _ in kinds] == list(kinds)
    assert channel.pts == pts


async def test_requests_that_mark_as_read_are_counted(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    ann = str(dc.world.account("ann").id)
    await client.get_messages("gorod_news", limit=5)
    assert not any("readHistory" in method for method in dc.requests()["by_account"][ann])
    assert await client.send_read_acknowledge("gorod_news")
    assert await client(functions.messages.ReadHistoryRequest("boris", 0))
    counts = dc.requests()["by_account"][ann]
    assert (counts["channels.readHistory"], counts["messages.readHistory"]) == (1, 1)


# Comments


async def test_comments_stand_below_their_post(dc: Sandbox, connect: Connect) -> None:
    channel = dc.world.channel("gorod_news")
    group = dc.dc.found("Talk", "news_talk", group_of=channel)
    dc.dc.move(group, dc.world.account("ann"), "member")
    old, (post,) = channel.top, await dc.publish("gorod_news", text="discuss this")
    ann, vera = await connect("ann"), await connect("vera")
    with pytest.raises(errors.MsgIdInvalidError):
        await ann(functions.messages.GetDiscussionMessageRequest("gorod_news", old))

    first = await ann.send_message("gorod_news", "first!", comment_to=post)
    second = await ann.send_message("news_talk", "and more", reply_to=first.id)
    assert (first.peer_id.channel_id, first.out, first.sender.username) == (group.id, True, "ann")
    root = group.roots[post]
    assert (first.reply_to.reply_to_msg_id, first.reply_to.reply_to_top_id) == (root, None)
    assert (second.reply_to.reply_to_msg_id, second.reply_to.reply_to_top_id) == (first.id, root)

    found = await vera.get_messages("gorod_news", reply_to=post, limit=10)
    assert [(m.id, m.text, m.sender.username, m.out) for m in found] == [
        (second.id, "and more", "ann", False),
        (first.id, "first!", "ann", False),
    ]
    assert found.total == 2
    back = [m.text async for m in vera.iter_messages("gorod_news", reply_to=post, reverse=True, wait_time=0)]
    assert back == ["first!", "and more"]
    about = await vera(functions.messages.GetDiscussionMessageRequest("gorod_news", post))
    assert (about.messages[0].id, about.max_id, {chat.id for chat in about.chats}) == (
        root,
        second.id,
        {group.id, channel.id},
    )
    head = about.messages[0]
    assert (head.from_id.channel_id, head.fwd_from.saved_from_msg_id, head.message) == (
        channel.id,
        post,
        "discuss this",
    )
    (message,) = await vera.get_messages("gorod_news", ids=[post])
    replies = message.replies
    assert (replies.comments, replies.replies, replies.channel_id, replies.max_id) == (True, 2, group.id, second.id)
    assert [peer.user_id for peer in replies.recent_repliers] == [dc.world.account("ann").id]
    await dc.delete("news_talk", [second.id])
    (message,) = await vera.get_messages("gorod_news", ids=[post])
    assert (message.replies.replies, message.replies.max_id) == (1, first.id)
    assert dc.requests()["unknown"] == []


async def test_comments_are_pushed_to_the_group_with_their_writer(dc: Sandbox, connect: Connect) -> None:
    channel = dc.world.channel("gorod_news")
    group = dc.dc.found("Talk", "news_talk", group_of=channel)
    for name in ("ann", "boris"):
        dc.dc.move(group, dc.world.account(name), "member")
    (post,) = await dc.publish("gorod_news", text="discuss this")
    ann, boris = await connect("ann"), await connect("boris")
    heard, own = hear(boris), hear(ann)
    await boris.get_me()
    sent = await ann.send_message("gorod_news", "a comment", comment_to=post)
    event = await soon(heard)
    assert (event.message.id, event.text, (await event.get_sender()).username) == (sent.id, "a comment", "ann")
    assert own.empty()


async def test_the_same_random_id_is_one_comment(dc: Sandbox, connect: Connect) -> None:
    group = dc.dc.found("Talk", "news_talk", group_of=dc.world.channel("gorod_news"))
    dc.dc.move(group, dc.world.account("ann"), "member")
    client = await connect()
    request = functions.messages.SendMessageRequest("news_talk", "once", random_id=42)
    first, second = await client(request), await client(request)
    assert [each.updates[0].id for each in (first, second)] == [1, 1]
    assert len(group.posts) == 1


async def test_who_may_not_write_is_told_why(dc: Sandbox, connect: Connect) -> None:
    channel = dc.world.channel("gorod_news")
    group = dc.dc.found("Talk", "news_talk", group_of=channel)
    (post,) = await dc.publish("gorod_news", text="discuss this")
    client = await connect()
    with pytest.raises(errors.ChatWriteForbiddenError):
        await client.send_message("gorod_news", "me too")
    with pytest.raises(errors.ChatGuestSendForbiddenError):
        await client.send_message("gorod_news", "me too", comment_to=post)
    dc.dc.move(group, dc.world.account("ann"), "member")
    with pytest.raises(errors.BadRequestError, match="REPLY_MESSAGE_ID_INVALID"):
        await client.send_message("news_talk", "to nothing", reply_to=999)
    with pytest.raises(errors.MessageEmptyError):
        await client(functions.messages.SendMessageRequest("news_talk", "", random_id=1))


async def test_service_messages_have_no_comments(dc: Sandbox) -> None:
    channel = dc.world.channel("gorod_news")
    group = dc.dc.found("Talk", "news_talk", group_of=channel)
    ids = dc.dc.publish_drafts(channel, drafts({"service": "pin", "reply_to": 2}, {"text": "after"}))
    assert list(group.roots) == ids[1:]
    dc.dc.publish_drafts(group, drafts({"text": "again", "forwarded_post": (channel.id, ids[1])}))
    assert group.roots[ids[1]] == group.ids[0]  # a member's forward of the same post is no root


# Search and private messages


async def test_posts_are_searched_by_text_and_kind(dc: Sandbox, connect: Connect) -> None:
    client, channel = await connect(), dc.world.channel("gorod_news")
    ids = await dc.publish("gorod_news", texts=[f"Needle {n}" for n in range(130)])
    found = await client.get_messages("gorod_news", search="nEEDLE", limit=1000)
    assert ([m.id for m in found], found.total) == (ids[::-1], 130)
    assert [m.id async for m in client.iter_messages("gorod_news", search="Needle 12", reverse=True, wait_time=0)] == [
        ids[12],
        *ids[120:130],
    ]
    for kind, media in ((types.InputMessagesFilterPhotos, "photo"), (types.InputMessagesFilterDocument, "document")):
        expected = [post.id for post in channel.posts.values() if post.media == media]
        assert expected
        assert [
            m.id async for m in client.iter_messages("gorod_news", filter=kind, reverse=True, wait_time=0)
        ] == expected
        assert (await client.get_messages("gorod_news", 0, filter=kind)).total == len(expected)
    assert not await client.get_messages("gorod_news", search="nowhere to be found")


async def test_private_messages_are_found_by_id_and_text(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    ann, boris = dc.world.account("ann"), dc.world.account("boris")
    first = dc.dc.write(boris, ann, "hello there").receiver_message
    second = (await client.send_message("boris", "well met")).id
    found = await client.get_messages(None, ids=[second, 99, first])
    assert [m and (m.text, m.out) for m in found] == [("well met", True), None, ("hello there", False)]
    assert [m.id async for m in client.iter_messages("boris", search="HELLO", wait_time=0)] == [first]
    assert not await client.get_messages("boris", filter=types.InputMessagesFilterPhotos)
    dialogs = await client.get_dialogs()
    assert (dialogs[0].name, dialogs[0].message.text) == ("Boris Lindt", "well met")


# What is written can be read


def _entity(kind: str) -> Entity:
    return (
        kind,
        0,
        2,
        {"custom_emoji": "5300", "mention_name": "7100000001", "text_url": "https://example.org"}.get(kind, ""),
    )


MEDIA = (
    "",
    "photo",
    "document",
    "video",
    "animation",
    "audio",
    "voice",
    "sticker",
    "poll",
    "webpage",
    "geo",
    "unsupported",
)
POSTS = st.builds(
    Post,
    id=st.integers(1, 2**31 - 1),
    date=st.integers(1_400_000_000, 2_000_000_000),
    text=st.sampled_from(("", "Текст 🌧", "plain text")),
    entities=st.lists(st.sampled_from(sorted(ENTITY_KINDS)).map(_entity), max_size=4).map(tuple),
    media=st.sampled_from(MEDIA),
    file=st.none()
    | st.builds(File, width=st.integers(0, 5000), height=st.integers(0, 5000), size=st.integers(0, 2**32)),
    service=st.sampled_from(("", "", "", "create", "title", "pin", "photo", "join", "something else")),
    edited=st.integers(0, 2_000_000_000),
    edit_hidden=st.booleans(),
    reply_to=st.integers(0, 2**31 - 1),
    grouped_id=st.integers(0, 2**63 - 1),
    views=st.integers(0, 2**31 - 1),
    forwards=st.integers(0, 2**31 - 1),
    forwarded_from=st.sampled_from(("", "Somebody")),
    forwarded_post=st.none() | st.tuples(st.integers(1, 2**40), st.integers(1, 2**31 - 1)),
    author=st.sampled_from(("", "Editor")),
    sender=st.sampled_from((0, 7_100_000_001)),
    thread=st.integers(0, 3),
    reactions=st.lists(st.tuples(st.sampled_from(("👍", "🔥")), st.integers(0, 10**6)), max_size=2).map(tuple),
)


@given(post=POSTS, broadcast=st.booleans(), channel_id=st.sampled_from((1, 1_500_000_000, 2_300_000_000, 2**39)))
def test_telethon_reads_whatever_a_post_can_be(post: Post, channel_id: int, *, broadcast: bool) -> None:
    channel = Channel(id=channel_id, username="anything", title="Anything", broadcast=broadcast)
    channel.fill([post])
    world = World(1, [], [channel])
    raw = message(world, channel, post.id)
    reader = BinaryReader(raw)
    found = reader.tgread_object()
    assert reader.tell_position() == len(raw)
    assert (found.id, found.peer_id.channel_id, found.post) == (post.id, channel_id, broadcast)
    if post.service:
        assert isinstance(found, types.MessageService)
        return
    assert (found.message, found.grouped_id or 0) == (post.text, post.grouped_id)
    assert entities_in(found.entities) == post.entities
    assert (found.views, found.forwards) == ((post.views, post.forwards) if broadcast else (None, None))
    assert (found.media is None) == (not post.media)
    file = getattr(found.media, "photo", None) or getattr(found.media, "document", None)
    if file:
        assert file_origin(world, file.id) == (channel, post)
        assert reference_fault(world, file.id, file.file_reference) == ""
