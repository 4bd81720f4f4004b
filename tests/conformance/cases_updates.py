"""updates.*: the state, and what was missed since one."""

from datetime import UTC, datetime
from typing import Any

from telethon import errors, functions, types

from tests.conformance.cases import case
from tests.conformance.stage import Stage, channel_difference, refuses


@case("updates.getState")
async def the_state_has_a_pts_and_the_server_s_time(stage: Stage) -> None:
    client = await stage.client()
    state = await client(functions.updates.GetStateRequest())
    assert state.pts > 0  # clients take 0 for 'unknown'
    assert abs((state.date - datetime.now(UTC)).total_seconds()) < 60
    if stage.has_control:
        await stage.control.post("/letters", sender="boris", receiver="ann", text="moves it by one")
        assert (await client(functions.updates.GetStateRequest())).pts == state.pts + 1


def since(state: Any, **fields: Any) -> Any:
    return functions.updates.GetDifferenceRequest(state.pts, state.date, state.qts, **fields)


@case("updates.getState", "updates.getDifference")
async def nothing_is_missed_since_now(stage: Stage) -> None:
    client = await stage.client()
    state = await client(functions.updates.GetStateRequest())
    answer = await client(since(state))
    named = [
        update for update in getattr(answer, "other_updates", []) if isinstance(update, types.UpdateChannelTooLong)
    ]
    assert not getattr(answer, "new_messages", [])
    if stage.target.is_own:  # dates are whole seconds, and elsewhere something may have moved in this one
        assert named == []


@case("updates.getDifference")
async def a_difference_names_the_followed_channels_that_moved(stage: Stage) -> None:
    client = await stage.client("ann")
    followed, stranger = await stage.found("Followed", "ann"), await stage.found("Stranger")
    state = await client(functions.updates.GetStateRequest())
    for row in (followed, stranger):
        await stage.publish(row["id"], "missed", silent=True)
    answer = await client(since(state))
    named = {update.channel_id: update.pts for update in answer.other_updates if hasattr(update, "pts")}
    assert named[followed["id"]] == (await stage.ledger(followed["id"]))["pts"]
    assert stranger["id"] not in named
    assert named.keys() == {chat.id for chat in answer.chats}


@case("updates.getDifference")
async def missed_letters_come_in_slices_with_their_writers(stage: Stage) -> None:
    client = await stage.client("ann")
    state = await client(functions.updates.GetStateRequest())
    for number in range(5):
        await stage.control.post("/letters", sender="boris", receiver="ann", text=f"letter {number}")
    first = await client(since(state, pts_limit=2))
    assert isinstance(first, types.updates.DifferenceSlice)
    second = await client(since(first.intermediate_state, pts_limit=100))
    assert second.state.pts == state.pts + 5
    assert [m.message for m in (*first.new_messages, *second.new_messages)] == [f"letter {n}" for n in range(5)]
    assert "boris" in {user.username for user in first.users}
    state.pts = 0
    await refuses(client, errors.PersistentTimestampEmptyError, since(state))


@case("updates.getChannelDifference")
async def a_channel_difference_is_paged_and_ends_with_what_exists(stage: Stage) -> None:
    client, row = await stage.client("ann"), await stage.found("Lively", "ann")
    peer = await client.get_input_entity(row["username"])
    await stage.publish(row["id"], "before")
    begin = pts = (await stage.ledger(row["id"]))["pts"]
    ids = await stage.publish(row["id"], *(f"post {n}" for n in range(25)), silent=True)
    await stage.control.post("/edits", channel=row["id"], id=ids[3], text="edited since")
    await stage.control.post("/deletes", channel=row["id"], ids=ids[5:7])
    new, deleted, edited, pages = [], [], [], 0
    while True:
        page = await client(channel_difference(peer, pts, 10))
        assert pts < page.pts <= pts + 10
        new += page.new_messages
        deleted += [u.messages for u in page.other_updates if isinstance(u, types.UpdateDeleteChannelMessages)]
        edited += [u for u in page.other_updates if isinstance(u, types.UpdateEditChannelMessage)]
        pts, pages = page.pts, pages + 1
        if page.final:
            break
    assert (pts, pages) == (begin + 28, 3)
    assert pts == (await stage.ledger(row["id"]))["pts"]
    assert [message.id for message in new] == [id_ for id_ in ids if id_ not in ids[5:7]]
    assert (new[3].message, [u.message.id for u in edited], deleted) == ("edited since", [ids[3]], [ids[5:7]])
    empty = await client(channel_difference(peer, pts))
    assert (type(empty), empty.final) == (types.updates.ChannelDifferenceEmpty, True)


@case("updates.getChannelDifference")
async def a_channel_that_did_not_move_has_an_empty_difference(stage: Stage) -> None:
    client = await stage.client()
    peer = await client.get_input_entity(await stage.channel())
    full = await client(functions.channels.GetFullChannelRequest(peer))
    answer = await client(channel_difference(peer, full.full_chat.pts))
    if stage.has_control:
        assert isinstance(answer, types.updates.ChannelDifferenceEmpty)
    assert answer.final


@case("updates.getChannelDifference")
async def who_missed_too_much_is_sent_to_the_history(stage: Stage) -> None:
    client, row = await stage.client("ann"), await stage.found("Busy", "ann")
    await stage.publish(row["id"], "before")
    pts = (await stage.ledger(row["id"]))["pts"]
    ids = await stage.publish(row["id"], count=101, silent=True)
    peer = await client.get_input_entity(row["username"])
    answer = await client(channel_difference(peer, pts))
    true = await stage.ledger(row["id"])
    assert (type(answer), answer.final) == (types.updates.ChannelDifferenceTooLong, True)
    assert (answer.dialog.pts, answer.dialog.top_message) == (true["pts"], true["top"])
    assert [message.id for message in answer.messages] == ids[: -len(answer.messages) - 1 : -1]
    assert len((await client(channel_difference(peer, pts + 1))).new_messages) == 100


@case("updates.getChannelDifference")
async def a_pts_that_can_t_be_is_refused_as_is_a_channel_that_can_t_be_read(stage: Stage) -> None:
    client, row = await stage.client("ann"), await stage.found("Shut")
    await stage.publish(row["id"], "one", "two")
    pts = (await stage.ledger(row["id"]))["pts"]
    peer = await client.get_input_entity(row["username"])
    await refuses(client, errors.PersistentTimestampEmptyError, channel_difference(peer, 0))
    await refuses(client, errors.PersistentTimestampInvalidError, channel_difference(peer, pts + 1))
    await refuses(client, errors.ChannelInvalidError, channel_difference(types.InputChannel(1, 1), 1))
    await stage.control.post(f"/channels/{row['id']}", username="")
    await refuses(client, errors.ChannelPrivateError, channel_difference(peer, pts))
