"""What is pushed, and what befalls it on the way."""

import asyncio
from datetime import datetime
from typing import Any

import pytest
from telethon import events, functions, types
from telethon.tl.core import RpcResult

from tests.conformance.cases import agrees
from tests.conformance.stage import Row, Stage, channel_difference, hear, soon, until

STATE = functions.updates.GetStateRequest()


async def listening(stage: Stage, *kinds: Any) -> tuple[Any, Row, list[asyncio.Queue[Any]]]:
    """Ann's client, a channel that she follows, and what her handlers hear."""
    row = await stage.found("Heard", "ann", "boris")
    await stage.publish(row["id"], "before")
    client = await stage.client("ann")
    await client.get_dialogs()
    return client, row, [hear(client, kind) for kind in kinds or (events.NewMessage,)]


async def test_posts_edits_and_deletions_are_pushed_with_their_steps_of_pts(stage: Stage) -> None:
    _, row, (heard,) = await listening(stage, events.Raw)
    pts = (await stage.ledger(row["id"]))["pts"]
    ids = await stage.publish(row["id"], "one", "two", "three")
    await stage.control.post("/edits", channel=row["id"], id=ids[0], text="edited")
    await stage.control.post("/deletes", channel=row["id"], ids=ids[1:])
    found = [await soon(heard) for _ in range(5)]
    assert [(type(u).__name__, u.pts - pts, u.pts_count) for u in found] == [
        ("UpdateNewChannelMessage", 1, 1),
        ("UpdateNewChannelMessage", 2, 1),
        ("UpdateNewChannelMessage", 3, 1),
        ("UpdateEditChannelMessage", 4, 1),
        ("UpdateDeleteChannelMessages", 6, 2),
    ]
    assert (found[3].message.message, found[3].message.edit_date is not None) == ("edited", True)
    assert found[4].messages == ids[1:]
    assert (await stage.ledger(row["id"]))["deleted"] == ids[1:]
    await agrees(stage, row["id"], [found[3].message])


async def test_only_members_are_pushed_to_each_with_his_own_access_hash(stage: Stage) -> None:
    ann, row, (heard,) = await listening(stage)
    boris, vera = await stage.client("boris"), await stage.client("vera")
    his, unheard = hear(boris, events.NewMessage), hear(vera, events.NewMessage(chats=row["id"]))
    await boris.get_dialogs()
    await stage.publish(row["id"], "to members")
    hashes = [(await (await soon(each)).get_input_chat()).access_hash for each in (heard, his)]
    assert len(set(hashes)) == 2
    assert hashes[0] == (await ann.get_input_entity(row["username"])).access_hash
    await vera(STATE)
    assert unheard.empty()


async def test_figures_are_pushed_and_move_no_pts(stage: Stage) -> None:
    _, row, (heard,) = await listening(stage, events.Raw)
    (post,) = await stage.publish(row["id"], "read by many")
    await soon(heard)
    before = await stage.ledger(row["id"])
    await stage.control.post("/figures", channel=row["id"], id=post, views=90, forwards=4, reactions={"👍": 3})
    views, forwards, reactions = [await soon(heard) for _ in range(3)]
    assert (views.id, views.views, forwards.forwards) == (post, 90, 4)
    assert [(each.reaction.emoticon, each.count) for each in reactions.reactions.results] == [("👍", 3)]
    after = await stage.ledger(row["id"])
    assert (after["pts"], after["top"]) == (before["pts"], before["top"])
    assert after["posts"][-1] | {"views": 90, "forwards": 4, "reactions": {"👍": 3}} == after["posts"][-1]


async def test_silent_changes_are_never_pushed_and_found_by_a_difference(stage: Stage) -> None:
    client, row, (heard,) = await listening(stage, events.Raw)
    other = await stage.found("Loud", "ann")
    pts = (await stage.ledger(row["id"]))["pts"]
    (post,) = await stage.publish(row["id"], "silent", silent=True)
    await stage.control.post("/edits", channel=row["id"], id=post, text="silently edited", silent=True)
    await stage.control.post("/figures", channel=row["id"], id=post, views=5)
    await stage.publish(other["id"], "loud")
    kinds = [type(await soon(heard)) for _ in range(2)]
    assert kinds == [types.UpdateChannelMessageViews, types.UpdateNewChannelMessage]
    peer = await client.get_input_entity(row["username"])
    missed = await client(channel_difference(peer, pts))
    assert (missed.pts, [message.message for message in missed.new_messages]) == (pts + 2, ["silently edited"])


async def test_a_silent_channel_is_never_pushed(stage: Stage) -> None:
    client, row, (heard,) = await listening(stage)
    await stage.control.post(f"/channels/{row['id']}", silent=True)
    await stage.publish(row["id"], "unheard")
    loud = await stage.found("Loud", "ann")
    await stage.publish(loud["id"], "heard")
    assert [event.message.message for event in await until(heard, lambda event: event.message.message == "heard")] == []
    assert (await client.get_messages(row["username"], limit=1))[0].message == "unheard"
    await stage.control.post(f"/channels/{row['id']}", silent=False)
    await stage.publish(row["id"], "heard again")
    # The gap that the silence left is made good first.
    assert [(await soon(heard)).message.message for _ in range(2)] == ["unheard", "heard again"]


async def test_private_letters_are_pushed_and_a_reader_of_channels_ignores_them(stage: Stage) -> None:
    _, row, (private, of_channel) = await listening(
        stage, events.NewMessage(func=lambda event: event.is_private), events.NewMessage(func=lambda e: e.is_channel)
    )
    await stage.control.post("/letters", sender="boris", receiver="ann", text="just between us")
    await stage.publish(row["id"], "to everybody")
    assert (await soon(private)).message.message == "just between us"
    assert (await soon(of_channel)).message.message == "to everybody"
    assert private.empty()
    assert of_channel.empty()


async def sequence(stage: Stage, heard: asyncio.Queue[Any], row: Row, **storm: Any) -> list[int]:
    """The numbers of twenty pushes as they arrive. They are views: without a pts nothing puts them in order."""
    (post,) = (await stage.ledger(row["id"]))["posts"][-1:]
    await stage.control.post("/pushes", channel=row["username"], **storm)
    for number in range(1, 21):
        await stage.control.post("/figures", channel=row["id"], id=post["id"], views=number)
    await stage.control.post("/pushes")
    await stage.control.post("/figures", channel=row["id"], id=post["id"], views=999)
    return [update.views for update in await until(heard, lambda update: update.views == 999)]


async def test_the_same_seed_loses_doubles_and_reorders_the_same_pushes(stage: Stage) -> None:
    _, row, (heard,) = await listening(stage, events.Raw(types.UpdateChannelMessageViews))
    calm = await sequence(stage, heard, row)
    assert calm == list(range(1, 21))
    storm = {"loss": 0.2, "double": 0.2, "reorder": 0.2}
    first, again = (
        await sequence(stage, heard, row, seed=5, **storm),
        await sequence(stage, heard, row, seed=5, **storm),
    )
    other = await sequence(stage, heard, row, seed=6, **storm)
    assert first == again != other
    assert set(first) < set(calm)  # some were lost
    assert len(first) > len(set(first))  # some came twice
    assert first != sorted(first)  # some came late


@pytest.mark.parametrize("fate", ["loss", "double", "reorder", "too_long"])
async def test_each_fate_of_pushes_is_counted_and_made_good_by_telethon(stage: Stage, fate: str) -> None:
    _, row, (heard,) = await listening(stage)
    await stage.control.post("/pushes", channel=row["username"], account="ann", **{fate: 1})
    await stage.publish(row["id"], "one")
    await stage.publish(row["id"], "two")
    counted = (await stage.control.get("/requests"))["pushes"]
    assert counted[fate] >= 1
    await stage.control.post("/pushes")
    await stage.publish(row["id"], "three")
    assert sorted([(await soon(heard)).message.message for _ in range(3)]) == ["one", "three", "two"]
    await stage.publish(row["id"], "four")
    assert (await soon(heard)).message.message == "four"  # nothing came twice


async def test_a_private_letter_that_is_lost_is_made_good_by_a_difference(stage: Stage) -> None:
    _, _, (heard,) = await listening(stage)
    await stage.control.post("/pushes", loss=1)
    await stage.control.post("/letters", sender="boris", receiver="ann", text="lost")
    await stage.control.post("/pushes")
    await stage.control.post("/letters", sender="boris", receiver="ann", text="next")
    assert [(await soon(heard)).message.message for _ in range(2)] == ["lost", "next"]


async def test_more_pushes_than_are_all_lost_are_refused(stage: Stage) -> None:
    assert await stage.control.refuses("/pushes", loss=0.6, double=0.6) == 400


async def test_what_was_missed_offline_is_caught_up(stage: Stage) -> None:
    client, row, (heard,) = await listening(stage)
    await stage.publish(row["id"], "missed", silent=True)
    await client.catch_up()
    assert (await soon(heard)).message.message == "missed"


async def test_a_client_that_comes_back_is_told_that_its_session_is_new_and_pushed_to_after_it_asked(
    stage: Stage,
) -> None:
    row = await stage.found("Heard", "ann")
    session = await stage.session("ann")
    first = await stage.raw(session=session)
    assert types.NewSessionCreated in [type(each) for each in first.first]
    await stage.control.post("/drop")
    second = await stage.raw(session=session, init=False)
    second.state.salt = first.state.salt
    await second.ask(functions.PingRequest(1))
    assert [type(each) for each in second.first] == [types.NewSessionCreated]
    await stage.publish(row["id"], "to nobody")
    await second.ask(functions.PingRequest(2))  # what was pushed would have come before its answer
    assert len(second.first) == 1
    await second.ask(STATE)  # the layer was told before the drop: it belongs to the key
    await stage.publish(row["id"], "to who asked")
    pushed = await second.read()
    assert [update.message.message for update in pushed.updates] == ["to who asked"]


async def test_stock_telethon_is_pushed_to_again_after_a_drop(stage: Stage) -> None:
    client, row, (heard,) = await listening(stage)
    await stage.control.post("/drop")
    await client(STATE)  # sent again by Telethon over its new connection
    await stage.publish(row["id"], "after the drop")
    assert (await soon(heard)).message.message == "after the drop"


async def test_pushes_have_ids_of_their_kind(stage: Stage) -> None:
    row, raw = await stage.found("Heard", "ann"), await stage.raw("ann")
    await raw.ask(STATE)
    await stage.publish(row["id"], "pushed")
    pushed = await raw.read()
    assert isinstance(pushed, types.Updates)
    assert raw.ids[-1] % 4 == 3
    assert isinstance(pushed.date, datetime)
    number, message = raw.message(bytes(STATE))
    raw.send(message)
    while not isinstance(await raw.read(), RpcResult):
        pass
    assert raw.ids[-1] % 4 == 1
    assert number % 4 == 0
