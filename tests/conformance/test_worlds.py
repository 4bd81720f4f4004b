"""Switches, and what happens to channels and to those in them."""

from typing import Any

import pytest
from telethon import errors, events, functions, types

from tests.conformance.cases_dialogs import peer_dialogs, places
from tests.conformance.cases_invites import CHECK, IMPORT, private
from tests.conformance.cases_updates import since
from tests.conformance.stage import SWITCHES, Stage, channel_difference, hear, history, refuses, soon

RESOLVE = functions.contacts.ResolveUsernameRequest
STATE = functions.updates.GetStateRequest()


async def moved(stage: Stage, *texts: str) -> tuple[Any, Any, int, list[int]]:
    """Ann's client, a channel that moved since a pts, that pts, and the new ids."""
    row = await stage.found("Moved", "ann")
    await stage.publish(row["id"], "before")
    pts = (await stage.ledger(row["id"]))["pts"]
    ids = await stage.publish(row["id"], *texts, silent=True)
    client = await stage.client("ann")
    return client, await client.get_input_entity(row["username"]), pts, ids


async def test_the_switches_are_shown_and_numbers_out_of_range_refused(stage: Stage) -> None:
    switches = await stage.control.get("/switches")
    assert switches | SWITCHES == switches
    for wrong in ({"too_long_above": 0}, {"too_long_above": 201}, {"max_joined": -1}, {"unknown": 1}):
        assert await stage.control.refuses("/switches", **wrong) == 400
    assert await stage.control.get("/switches") == switches


@pytest.mark.parametrize("own", [True, False])
async def test_updates_in_a_difference_carry_their_own_pts_or_its_end(stage: Stage, *, own: bool) -> None:
    await stage.control.post("/switches", difference_pts=own)
    client, peer, pts, ids = await moved(stage, "a", "b", "c")
    for text, post in (("A", ids[0]), ("B", ids[1])):
        await stage.control.post("/edits", channel=peer.channel_id, id=post, text=text)
    answer = await client(channel_difference(peer, pts))
    told = [update.pts for update in answer.other_updates]
    assert told == ([pts + 4, pts + 5] if own else [pts + 5, pts + 5])
    assert answer.pts == pts + 5


async def test_what_is_too_long_a_difference_is_a_switch(stage: Stage) -> None:
    await stage.control.post("/switches", too_long_above=3)
    client, peer, pts, _ = await moved(stage, "a", "b", "c", "d")
    assert isinstance(await client(channel_difference(peer, pts)), types.updates.ChannelDifferenceTooLong)
    assert len((await client(channel_difference(peer, pts + 1))).new_messages) == 3


async def test_a_pts_that_is_too_old_can_be_too_long_a_difference(stage: Stage) -> None:
    client, peer, pts, _ = await moved(stage, "a")
    await stage.control.post("/switches", too_long_after=20)
    assert len((await client(channel_difference(peer, pts))).new_messages) == 1
    await stage.control.post("/clock", leap=25)
    assert isinstance(await client(channel_difference(peer, pts)), types.updates.ChannelDifferenceTooLong)


async def test_what_comes_after_a_leap_is_young(stage: Stage) -> None:
    await stage.control.post("/clock", leap=100)
    client, peer, pts, _ = await moved(stage, "a")
    await stage.control.post("/switches", too_long_after=20)
    assert isinstance(await client(channel_difference(peer, pts)), types.updates.ChannelDifference)


async def test_an_unreachable_peer_can_be_left_out_of_a_batch(stage: Stage) -> None:
    client = await stage.client("ann")
    good = await client.get_input_entity(await stage.channel())
    batch = peer_dialogs(types.InputPeerChannel(1, 1), good)
    await refuses(client, errors.ChannelInvalidError, batch)
    await stage.control.post("/switches", peer_batch_fails=False)
    assert places(await client(batch)) == [good.channel_id]


async def test_who_missed_too_many_letters_is_told_so(stage: Stage) -> None:
    client = await stage.client("ann")
    state = await client(STATE)
    for number in range(3):
        await stage.control.post("/letters", sender="boris", receiver="ann", text=f"letter {number}")
    await stage.control.post("/switches", account_too_long_above=2)
    answer = await client(since(state))
    assert (type(answer), answer.pts) == (types.updates.DifferenceTooLong, state.pts + 3)
    await stage.control.post("/switches", account_too_long_above=3)
    assert len((await client(since(state))).new_messages) == 3


async def test_a_username_changes_hands_and_vanishes_and_the_handle_outlives_it(stage: Stage) -> None:
    client, row = await stage.client("ann"), await stage.found("Named", "ann")
    old, new = row["username"], f"{row['username']}_new"
    peer = await client.get_input_entity(old)
    await stage.control.post(f"/channels/{row['id']}", username=new)
    await refuses(client, errors.UsernameNotOccupiedError, RESOLVE(old))
    assert (await client(RESOLVE(new))).peer.channel_id == row["id"]
    heir = await stage.control.post("/channels", title="Heir", username=old)
    assert (await client(RESOLVE(old))).peer.channel_id == heir["id"]
    await stage.control.post(f"/channels/{row['id']}", username="")
    await refuses(client, errors.UsernameNotOccupiedError, RESOLVE(new))
    assert (await client(functions.channels.GetChannelsRequest([peer]))).chats[0].username is None


@pytest.mark.parametrize(("standing", "is_shut"), [("banned", True), ("left", False)])
async def test_who_is_thrown_out_is_told_and_hears_no_more(stage: Stage, standing: str, *, is_shut: bool) -> None:
    client, row = await stage.client("ann"), await stage.found("Shrinking", "ann")
    heard, told = hear(client, events.NewMessage), hear(client, events.Raw(types.UpdateChannel))
    peer = await client.get_input_entity(row["username"])
    await stage.control.post("/members", channel=row["id"], account="ann", standing=standing)
    assert (await soon(told)).channel_id == row["id"]
    await stage.publish(row["id"], "unheard")
    await stage.publish(await stage.channel(), "heard")
    assert (await soon(heard)).message.message == "heard"
    if is_shut:
        await refuses(client, errors.ChannelPrivateError, history(peer))
        assert isinstance((await client(RESOLVE(row["username"]))).chats[0], types.ChannelForbidden)
    else:
        assert (await client(history(peer))).messages[0].message == "unheard"  # it is public
    await stage.control.post("/members", channel=row["id"], account="ann", standing="member")
    assert (await soon(told)).channel_id == row["id"]
    assert (await client(history(peer))).messages[0].message == "unheard"


async def test_a_silent_move_is_told_to_nobody(stage: Stage) -> None:
    client, row, other = await stage.client("ann"), await stage.found("Quiet", "ann"), await stage.found("Loud", "ann")
    told = hear(client, events.Raw(types.UpdateChannel))
    for each, silent in ((row, True), (other, False)):
        await stage.control.post("/members", channel=each["id"], account="ann", standing="banned", silent=silent)
    assert (await soon(told)).channel_id == other["id"]
    peer = types.InputPeerChannel(row["id"], (await client.get_input_entity(row["username"])).access_hash)
    await refuses(client, errors.ChannelPrivateError, history(peer))


async def test_a_renewed_invite_makes_the_one_before_void(stage: Stage) -> None:
    client = await stage.client("ann")
    row, old = await private(stage)
    renewed = await stage.control.post(f"/channels/{row['id']}", new_invite=True)
    new = renewed["invite"].rpartition("+")[2]
    assert new != old
    await refuses(client, errors.InviteHashExpiredError, CHECK(old), IMPORT(old))
    assert [chat.id for chat in (await client(IMPORT(new))).chats] == [row["id"]]


async def test_who_asks_to_join_waits_until_he_is_let_in(stage: Stage) -> None:
    client = await stage.client("ann")
    row, invite = await private(stage)
    await stage.control.post(f"/channels/{row['id']}", approval=True)
    told = hear(client, events.Raw(types.UpdateChannel))
    assert (await client(CHECK(invite))).request_needed
    await refuses(client, errors.InviteRequestSentError, IMPORT(invite), IMPORT(invite))
    ann = (await stage.account("ann"))["id"]
    waits = await stage.channel_row(row["id"])
    assert (waits["waiting"], waits["members"]) == ([ann], [])
    await stage.control.post("/members", channel=row["id"], account="ann", standing="member")
    assert (await soon(told)).channel_id == row["id"]
    assert isinstance(await client(CHECK(invite)), types.ChatInviteAlready)
    assert row["id"] in [dialog.entity.id for dialog in await client.get_dialogs()]


async def test_restricted_posts_say_so(stage: Stage) -> None:
    client, row = await stage.client("ann"), await stage.found("Restricted", "ann")
    await stage.publish(row["id"], "not to be forwarded")
    peer = await client.get_input_entity(row["username"])
    assert not (await client(history(peer))).messages[0].noforwards
    await stage.control.post(f"/channels/{row['id']}", noforwards=True)
    page = await client(history(peer))
    assert (page.messages[0].noforwards, page.chats[0].noforwards) == (True, True)
