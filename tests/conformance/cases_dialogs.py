"""messages.getDialogs and getPeerDialogs: the list of chats, which costs a collector nothing when nothing moved."""

from typing import Any

from telethon import errors, functions, types, utils

from tests.conformance.cases import case
from tests.conformance.stage import Stage, refuses


def places(page: Any) -> list[int]:
    return [getattr(row.peer, "channel_id", 0) or row.peer.user_id for row in page.dialogs]


async def dialogs(client: Any, **fields: Any) -> Any:
    usual = {"offset_date": None, "offset_id": 0, "offset_peer": types.InputPeerEmpty(), "limit": 100, "hash": 0}
    return await client(functions.messages.GetDialogsRequest(**usual | fields))


@case("messages.getDialogs")
async def dialogs_carry_top_and_pts_of_all_that_is_followed_the_most_recent_first(stage: Stage) -> None:
    client = await stage.client("ann")
    row = await stage.found("Recent", "ann")
    ids = await stage.publish(row["id"], "just now", "and again")
    page = await dialogs(client)
    world = await stage.world()
    ann = next(account["id"] for account in world["accounts"] if account["username"] == "ann")
    followed = world["memberships"][str(ann)]
    assert sorted(id_ for id_ in places(page) if id_ in followed) == sorted(followed)
    for dialog in page.dialogs:
        if isinstance(dialog.peer, types.PeerChannel):
            true = await stage.ledger(dialog.peer.channel_id)
            assert (dialog.top_message, dialog.pts) == (true["top"], true["pts"])
    assert page.dialogs[places(page).index(row["id"])].top_message == ids[-1]
    assert {chat.id for chat in page.chats} >= set(followed)
    dates = [message.date for message in page.messages]
    assert dates == sorted(dates, reverse=True)


@case("messages.getDialogs")
async def dialogs_are_paged_by_date_id_and_peer(stage: Stage) -> None:
    client = await stage.client("ann")
    await stage.found("Empty", "ann")
    for title in ("One", "Two", "Three"):
        await stage.publish((await stage.found(title, "ann"))["id"], "in one and the same second")
    await stage.control.post("/letters", sender="boris", receiver="ann", text="between them")
    everything = places(await dialogs(client))
    assert len(everything) == len(set(everything)) >= 4
    paged: list[int] = []
    offset: dict[str, Any] = {}
    while (page := await dialogs(client, limit=2, **offset)).dialogs:
        assert getattr(page, "count", len(everything)) == len(everything)
        paged += places(page)
        last = page.dialogs[-1]
        about = {"offset_peer": utils.get_input_peer(chats_of(page)[places(page)[-1]])}
        if top := next((m for m in page.messages if (m.id, m.peer_id) == (last.top_message, last.peer)), None):
            about |= {"offset_id": top.id, "offset_date": top.date}
        offset = about  # a channel without posts has a peer alone
    assert paged == everything
    assert [dialog.entity.id for dialog in await client.get_dialogs()] == everything


def chats_of(page: Any) -> dict[int, Any]:
    return {chat.id: chat for chat in (*page.chats, *page.users)}


@case("messages.getDialogs")
async def other_folders_are_empty_and_bots_have_no_dialogs(stage: Stage) -> None:
    client, bot = await stage.client("ann"), await stage.client("sandbox_bot")
    assert (await dialogs(client, folder_id=1)).dialogs == []
    with_bot = functions.messages.GetDialogsRequest(None, 0, types.InputPeerEmpty(), 10, 0)
    await refuses(bot, errors.BotMethodInvalidError, with_bot)


@case("messages.getDialogs")
async def a_page_of_dialogs_describes_all_that_it_names(stage: Stage) -> None:
    client = await stage.client()
    page = await dialogs(client, limit=20)
    named = {row.peer.channel_id for row in page.dialogs if isinstance(row.peer, types.PeerChannel)}
    assert named <= {chat.id for chat in page.chats}
    tops = {(row.top_message, getattr(row.peer, "channel_id", 0)) for row in page.dialogs if row.top_message}
    assert tops <= {(message.id, getattr(message.peer_id, "channel_id", 0)) for message in page.messages}


def peer_dialogs(*peers: Any) -> Any:
    return functions.messages.GetPeerDialogsRequest([types.InputDialogPeer(peer) for peer in peers])


@case("messages.getPeerDialogs")
async def named_dialogs_come_in_the_order_asked_with_the_account_s_state(stage: Stage) -> None:
    client = await stage.client("ann")
    names = [(await stage.found(title, "ann"))["username"] for title in ("One", "Two")]
    await stage.publish(names[0], "news")
    peers = [await client.get_input_entity(name) for name in (*names, "boris")]
    answer = await client(peer_dialogs(*peers))
    assert places(answer) == [peers[0].channel_id, peers[1].channel_id, peers[2].user_id]
    for dialog, name in zip(answer.dialogs, names, strict=False):
        true = await stage.ledger(name)
        assert (dialog.top_message, dialog.pts) == (true["top"], true["pts"])
    assert answer.state.pts == (await client(functions.updates.GetStateRequest())).pts


@case("messages.getPeerDialogs")
async def one_unreachable_peer_fails_the_batch(stage: Stage) -> None:
    client, bot = await stage.client("ann"), await stage.client("sandbox_bot")
    row = await stage.found("Hidden")
    good = await client.get_input_entity(await stage.channel())
    hidden = await client.get_input_entity(row["username"])
    await stage.control.post(f"/channels/{row['id']}", username="")
    await refuses(client, errors.ChannelPrivateError, peer_dialogs(good, hidden))
    await refuses(client, errors.ChannelInvalidError, peer_dialogs(types.InputPeerChannel(1, 1), good))
    await refuses(client, errors.PeerIdInvalidError, peer_dialogs(types.InputPeerUser(1, 1)))
    await refuses(bot, errors.BotMethodInvalidError, peer_dialogs(types.InputPeerSelf()))
