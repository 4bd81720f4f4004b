"""messages.*: reading history, both ways, and what is counted below it."""

from datetime import UTC, datetime
from typing import Any

from telethon import errors, functions, types

from tests.conformance.cases import agrees, case
from tests.conformance.stage import Stage, history, refuses

NOW = datetime(2038, 1, 1, tzinfo=UTC)


def page_ids(page: Any) -> list[int]:
    return [message.id for message in page.messages]


async def read_back(client: Any, peer: Any, **fields: Any) -> list[Any]:
    """All pages from the newest message to the oldest."""
    messages, offset = [], 0
    while (page := await client(history(peer, offset_id=offset, **fields))).messages:
        messages += page.messages
        offset = page.messages[-1].id
    return messages


async def read_forth(client: Any, peer: Any, limit: int) -> list[int]:
    """The ids of all pages from the oldest to the newest, as `iter_messages(reverse=True)` asks for them."""
    ids: list[int] = []
    while page := page_ids(
        await client(history(peer, offset_id=ids[-1] + 1 if ids else 1, add_offset=-limit, limit=limit))
    ):
        ids += page[::-1]
    return ids


@case("messages.getHistory")
async def history_is_the_same_read_back_and_forth_in_pages_of_any_size(stage: Stage) -> None:
    client = await stage.client()
    peer = await client.get_input_entity(await stage.channel())
    newest = await client(history(peer, limit=100))
    oldest_of_it = newest.messages[-1].id
    back = await read_back(client, peer, limit=7, min_id=oldest_of_it - 1) if stage.has_control else newest.messages
    assert [message.id for message in back] == page_ids(newest)
    assert page_ids(newest) == sorted(set(page_ids(newest)), reverse=True)
    if stage.has_control:
        ledger = await stage.ledger(await stage.channel())
        assert await read_forth(client, peer, 13) == [row["id"] for row in ledger["posts"]]
        assert (newest.count, newest.pts) == (len(ledger["posts"]), ledger["pts"])
    await agrees(stage, await stage.channel(), back)


@case("messages.getHistory")
async def history_begins_where_it_is_told_to(stage: Stage) -> None:
    client = await stage.client()
    peer = await client.get_input_entity(await stage.channel())
    first = await client(history(peer, limit=20))
    ids, middle = page_ids(first), first.messages[10]
    for fields, expected in (
        ({"offset_id": middle.id, "limit": 5}, ids[11:16]),
        ({"offset_id": middle.id, "add_offset": -3, "limit": 5}, ids[8:13]),
        ({"add_offset": 4, "limit": 3}, ids[4:7]),
        ({"offset_id": ids[0] + 1, "limit": 2}, ids[:2]),
        ({"offset_id": 1}, []),
        ({"limit": 12, "max_id": ids[5]}, ids[6:12]),  # they thin a page out, and don't move it
        ({"limit": 12, "min_id": ids[5]}, ids[:5]),
        ({"offset_date": NOW, "limit": 2}, ids[:2]),
    ):
        assert page_ids(await client(history(peer, **fields))) == expected, fields
    before = await client(history(peer, offset_date=middle.date, limit=100))
    assert all(message.date < middle.date for message in before.messages)
    assert before.messages[0].id == next(m.id for m in first.messages if m.date < middle.date)


@case("messages.getHistory")
async def no_page_is_longer_than_a_hundred(stage: Stage) -> None:
    client = await stage.client()
    row = await stage.found("Long", "ann")
    ids = await stage.publish(row["id"], count=130)
    peer = await client.get_input_entity(row["username"])
    for limit in (101, 10_000, 0):
        page = await client(history(peer, limit=limit))
        assert page_ids(page) == ids[:-101:-1]
        assert page.count == 130
    await agrees(stage, row["id"], page.messages)
    everything = await client.get_messages(peer, limit=None, wait_time=0)
    assert ([message.id for message in everything], everything.total) == (ids[::-1], 130)


@case("messages.getHistory")
async def history_is_read_by_strangers_of_public_channels_only_and_by_no_bot(stage: Stage) -> None:
    row = await stage.found("Closed")
    await stage.publish(row["id"], "for everybody")
    client, bot = await stage.client(), await stage.client("sandbox_bot")
    peer = await client.get_input_entity(row["username"])
    assert [m.message for m in (await client(history(peer))).messages] == ["for everybody"]
    await refuses(bot, errors.BotMethodInvalidError, history(await bot.get_input_entity(row["username"])))
    # Another account's hash, and a channel that nobody has.
    strange = types.InputPeerChannel(peer.channel_id, peer.access_hash ^ 1)
    await refuses(client, errors.ChannelInvalidError, history(strange), history(types.InputPeerChannel(1, 1)))
    await refuses(client, errors.PeerIdInvalidError, history(types.InputPeerUser(1, 1)))
    await stage.control.post(f"/channels/{row['id']}", username="")
    await refuses(client, errors.ChannelPrivateError, history(peer))
    await stage.control.post("/members", channel=row["id"], account="ann", standing="member")
    assert (await client(history(peer))).count == 1


@case("messages.getHistory", "messages.getMessages", "messages.readHistory")
async def private_messages_are_paged_and_named_by_the_account_s_own_ids(stage: Stage) -> None:
    vera, ann = await stage.client("vera"), await stage.client("ann")
    for number in range(12):
        await stage.control.post("/letters", sender="ann", receiver="vera", text=f"letter {number}")
    peer = await vera.get_input_entity("ann")
    back = await read_back(vera, peer, limit=5)
    texts = [message.message for message in back[:12]]
    assert texts == [f"letter {number}" for number in reversed(range(12))]
    assert {(m.out, m.peer_id.user_id, m.from_id.user_id) for m in back[:12]} == {(False, peer.user_id, peer.user_id)}
    assert (await read_forth(vera, peer, 5))[::-1] == [message.id for message in back]
    named = await vera(
        functions.messages.GetMessagesRequest([types.InputMessageID(back[3].id), types.InputMessageID(10**6)])
    )
    assert [type(message) for message in named.messages] == [types.Message, types.MessageEmpty]
    assert named.messages[0].message == "letter 8"
    sent = await ann.get_messages("vera", limit=1)
    assert (sent[0].message, sent[0].out) == ("letter 11", True)
    read = await vera(functions.messages.ReadHistoryRequest(peer, back[0].id))
    assert (type(read), read.pts_count) == (types.messages.AffectedMessages, 0)


@case("messages.getMessages")
async def named_messages_are_limited_and_must_be_named_by_ids(stage: Stage) -> None:
    client = await stage.client()
    ask = functions.messages.GetMessagesRequest
    assert isinstance((await client(ask([types.InputMessageID(2**31 - 1)]))).messages[0], types.MessageEmpty)
    if stage.has_control:  # how much is too much, is the sandbox's own choice
        await refuses(client, errors.MessageIdsEmptyError, ask([]))
        await refuses(client, errors.LimitInvalidError, ask([types.InputMessageID(1)] * 101))
        await refuses(client, errors.MessageIdInvalidError, ask([types.InputMessageCallbackQuery(1, 1)]))


@case("messages.readHistory")
async def reading_is_not_for_bots_and_strange_peers(stage: Stage) -> None:
    bot, client = await stage.client("sandbox_bot"), await stage.client()
    ask = functions.messages.ReadHistoryRequest
    await refuses(bot, errors.BotMethodInvalidError, ask(types.InputPeerSelf(), 1))
    await refuses(client, errors.PeerIdInvalidError, ask(types.InputPeerUser(1, 1), 1))


@case("messages.getMessagesViews")
async def views_are_told_in_the_order_asked_and_counted_once_if_it_s_wished(stage: Stage) -> None:
    client = await stage.client()
    row = await stage.found("Counted", "ann")
    posts = [{"text": "a", "views": 40, "forwards": 3}, {"text": "b", "views": 7}, {"service": "pin"}]
    ids = await stage.publish(row["id"], posts=posts)
    peer = await client.get_input_entity(row["username"])

    async def ask(wanted: list[int], *, increment: bool) -> list[tuple[Any, Any]]:
        answer = await client(functions.messages.GetMessagesViewsRequest(peer, wanted, increment))
        return [(each.views, each.forwards) for each in answer.views]

    wanted = [ids[1], ids[0], 10**6, ids[2]]
    assert await ask(wanted, increment=False) == [(7, 0), (40, 3), (None, None), (None, None)]
    assert await ask(ids[:1], increment=True) == [(41, 3)]
    assert await ask(ids[:1], increment=True) == [(41, 3)]
    assert [post["views"] for post in (await stage.ledger(row["id"]))["posts"][:2]] == [41, 7]
    await refuses(client, errors.LimitInvalidError, functions.messages.GetMessagesViewsRequest(peer, [1] * 101, False))


@case("messages.getMessagesReactions")
async def reactions_come_as_an_update_for_each_post_that_is_there(stage: Stage) -> None:
    client = await stage.client()
    row = await stage.found("Liked", "ann")
    ids = await stage.publish(row["id"], posts=[{"text": "a", "reactions": {"👍": 3, "🔥": 1}}, {"text": "b"}])
    peer = await client.get_input_entity(row["username"])
    ask = functions.messages.GetMessagesReactionsRequest
    answer = await client(ask(peer, [ids[1], ids[0], 10**6]))
    told = [(u.msg_id, {r.reaction.emoticon: r.count for r in u.reactions.results}) for u in answer.updates]
    assert told == [(ids[1], {}), (ids[0], {"👍": 3, "🔥": 1})]
    await refuses(client, errors.LimitInvalidError, ask(peer, [1] * 101))
    bot = await stage.client("sandbox_bot")
    await refuses(bot, errors.BotMethodInvalidError, ask(await bot.get_input_entity(row["username"]), ids))


@case("messages.search")
async def search_finds_what_one_member_wrote(stage: Stage) -> None:
    group = await stage.found("Talk", "ann", group_of=(await stage.found("Press", "ann"))["id"])
    await stage.control.post("/members", channel=group["id"], account="boris", standing="member")
    ann, boris = await stage.client("ann"), await stage.client("boris")
    await ann.send_message(group["username"], "from ann")
    sent = await boris.send_message(group["username"], "from boris")
    found = await ann.get_messages(group["username"], from_user=await ann.get_input_entity("boris"), limit=10)
    assert ([message.id for message in found], found.total) == ([sent.id], 1)


@case("messages.search")
async def search_finds_by_text_filter_and_date_and_counts_all_that_it_finds(stage: Stage) -> None:
    client = await stage.client()
    row = await stage.found("Searched", "ann")
    url = [["url", 0, 19, ""]]
    posts = [
        {"text": "Storm over the bay", "media": "photo"},
        {"text": "calm"},
        {"text": "another STORM", "media": "document"},
        {"text": "https://example.org", "entities": url},
        {"text": "storm", "media": "video"},
    ]
    ids = await stage.publish(row["id"], posts=posts)
    peer = await client.get_input_entity(row["username"])

    async def find(text: str = "", kind: Any = None, **fields: Any) -> Any:
        usual = {"min_date": None, "max_date": None, "offset_id": 0, "add_offset": 0, "limit": 100}
        usual |= {"max_id": 0, "min_id": 0, "hash": 0} | fields
        return await client(
            functions.messages.SearchRequest(peer, text, kind or types.InputMessagesFilterEmpty(), **usual)
        )

    assert page_ids(await find("storm")) == [ids[4], ids[2], ids[0]]
    second = await find("storm", limit=1, offset_id=ids[4])
    assert (page_ids(second), second.count) == ([ids[2]], 3)
    count_only = await find("storm", limit=0)
    assert (page_ids(count_only), count_only.count) == ([], 3)
    for kind, expected in (
        (types.InputMessagesFilterPhotos, ids[:1]),
        (types.InputMessagesFilterVideo, ids[4:]),
        (types.InputMessagesFilterPhotoVideo, [ids[4], ids[0]]),
        (types.InputMessagesFilterDocument, [ids[2]]),
        (types.InputMessagesFilterUrl, [ids[3]]),
    ):
        assert page_ids(await find(kind=kind())) == expected
    assert page_ids(await find("storm", max_date=datetime(2020, 1, 1, tzinfo=UTC))) == []
    assert page_ids(await find("storm", min_date=NOW)) == []
    assert page_ids(await find("nothing like it")) == []
    await refuses(client, errors.InputFilterInvalidError, functions.messages.SearchRequest(
        peer, "", types.InputMessagesFilterGeo(), None, None, 0, 0, 9, 0, 0, 0
    ))  # fmt: skip
