"""What befalls calls: errors and delays by rule, limits, connections that end, keys that are revoked."""

import asyncio
import time
from contextlib import suppress
from typing import Any

import pytest
from telethon import errors, events, functions, types

from tests.conformance.stage import Stage, hear, history, refuses, soon

CUT_OFF = (ConnectionError, asyncio.IncompleteReadError)
NEAREST = functions.help.GetNearestDcRequest()
STATE = functions.updates.GetStateRequest()


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        (420, "FLOOD_WAIT_33", errors.FloodWaitError),
        (420, "FLOOD_PREMIUM_WAIT_7", errors.FloodPremiumWaitError),
        (400, "CHANNEL_PRIVATE", errors.ChannelPrivateError),
        (400, "CHANNEL_INVALID", errors.ChannelInvalidError),
        (401, "AUTH_KEY_UNREGISTERED", errors.AuthKeyUnregisteredError),
        (401, "SESSION_REVOKED", errors.SessionRevokedError),
        (401, "USER_DEACTIVATED_BAN", errors.UserDeactivatedBanError),
        (403, "CHAT_WRITE_FORBIDDEN", errors.ChatWriteForbiddenError),
        (406, "AUTH_KEY_DUPLICATED", errors.AuthKeyDuplicatedError),
        (400, "NOBODY_KNOWS_THIS_ONE", errors.BadRequestError),
    ],
)
async def test_a_rule_answers_with_any_error(stage: Stage, code: int, message: str, error: type[Exception]) -> None:
    client = await stage.client()
    peer = await client.get_input_entity(await stage.channel())
    await stage.fault("messages.getHistory", message, code)
    await refuses(client, error, history(peer))
    again = await stage.client()
    assert (await again(history(await again.get_input_entity(await stage.channel())))).messages


async def test_the_seconds_of_a_flood_wait_are_told(stage: Stage) -> None:
    client = await stage.client()
    await stage.fault("help.getNearestDc", "FLOOD_WAIT_33", 420)
    with pytest.raises(errors.FloodWaitError) as caught:
        await client(NEAREST)
    assert caught.value.seconds == 33


async def test_a_rule_strikes_after_its_skips_as_often_as_it_counts_whom_it_names(stage: Stage) -> None:
    ann, boris = await stage.client("ann"), await stage.client("boris")
    row, other = await stage.found("Struck"), await stage.found("Spared")
    struck, spared = await ann.get_input_entity(row["username"]), await ann.get_input_entity(other["username"])
    same = await boris.get_input_entity(row["username"])
    where = {"account": "ann", "channel": row["username"]}
    await stage.fault("messages.getHistory", "CHANNEL_PRIVATE", skip=1, count=2, **where)
    assert (await ann(history(struck))).messages == []
    for _ in range(2):
        assert (await boris(history(same))).count == (await ann(history(spared))).count == 0
        await refuses(ann, errors.ChannelPrivateError, history(struck))
    assert (await ann(history(struck))).messages == []
    assert [rule["hits"] for rule in (await stage.control.get("/faults"))["faults"]] == [2]
    await stage.fault("*", "CHANNEL_INVALID", count=0)
    await refuses(boris, errors.ChannelInvalidError, NEAREST, STATE, history(same))
    await stage.control.delete("/faults")
    assert (await boris(NEAREST)).this_dc


async def test_a_500_is_told_as_it_is(stage: Stage) -> None:
    raw = await stage.raw()
    for message in ("RPC_CALL_FAIL", "INTERDC_2_CALL_ERROR", "WORKER_BUSY_TOO_LONG_RETRY"):
        await stage.fault("help.getNearestDc", message, 500)
        told = await raw.ask(NEAREST)
        assert (told.error_code, told.error_message) == (500, message)
    assert isinstance(await raw.ask(NEAREST), types.NearestDc)


async def test_telethon_itself_asks_again_after_a_500(stage: Stage) -> None:
    client = await stage.client()
    await stage.fault("help.getNearestDc", "RPC_CALL_FAIL", 500)
    assert (await client(NEAREST)).this_dc == stage.target.dc_id  # two seconds later, by its own choice
    assert await stage.asked("help.getNearestDc") == 2


async def test_a_slow_answer_is_overtaken_by_others(stage: Stage) -> None:
    client = await stage.client()
    await stage.fault("help.getNearestDc", delay=0.15)
    begun = time.monotonic()
    slow = asyncio.create_task(client(NEAREST))
    await client(STATE)
    assert not slow.done()
    assert (await slow).this_dc == stage.target.dc_id
    assert time.monotonic() - begun >= 0.15


async def test_a_call_whose_connection_ends_before_it_is_sent_again_and_carried_out_once(stage: Stage) -> None:
    client = await stage.client("ann")
    peer = await client.get_input_entity("boris")
    before = (await client.get_messages(peer, limit=1)).total
    await stage.fault("messages.sendMessage", drop=True)
    sent = await client.send_message(peer, "through a drop")
    assert await stage.asked("messages.sendMessage") == 2
    after = await client.get_messages(peer, limit=1)
    assert (after.total, after[0].id, after[0].message) == (before + 1, sent.id, "through a drop")


async def test_a_call_whose_answer_is_lost_was_carried_out_and_is_not_carried_out_again(stage: Stage) -> None:
    ann, boris = await stage.client("ann"), await stage.client("boris")
    await stage.fault("messages.sendMessage", lose=True)
    await ann.send_message("boris", "answer lost")
    assert await stage.asked("messages.sendMessage") == 2
    texts = [message.message for message in await boris.get_messages("ann", limit=2)]
    assert texts.count("answer lost") == 1


async def test_rules_act_by_their_schedule(stage: Stage) -> None:
    client = await stage.client()
    await stage.fault("help.getNearestDc", "TIMEOUT_HERE", after=2, lasts=3, every=10)
    hit, now = [], 0.0
    for seconds in (0.0, 1.5, 2.5, 4.5, 5.5, 11.5, 12.5, 14.5, 15.5):
        await stage.control.post("/clock", leap=seconds - now)
        now = seconds
        try:
            await client(NEAREST)
        except errors.BadRequestError:
            hit.append(seconds)
    assert hit == [2.5, 4.5, 12.5, 14.5]


async def test_the_same_seed_strikes_the_same_calls(stage: Stage) -> None:
    client = await stage.client()

    async def struck(seed: int) -> list[int]:
        await stage.control.delete("/faults")
        await stage.fault("help.getNearestDc", "UNLUCKY", share=0.4, seed=seed)
        hit = []
        for number in range(30):
            try:
                await client(NEAREST)
            except errors.BadRequestError:
                hit.append(number)
        return hit

    first, again, other = await struck(7), await struck(7), await struck(8)
    assert first == again != other
    assert 4 < len(first) < 22


async def flooded(stage: Stage, request: Any) -> int:
    """The seconds that a call must wait; 0 when it passes. A new client: each remembers its waits."""
    client = await stage.client("ann")
    try:
        await client(request)
    except errors.FloodWaitError as error:
        return int(error.seconds)
    return 0


async def test_limits_answer_with_waits_that_grow_and_pass(stage: Stage) -> None:
    await stage.control.post("/limits", enforce={"help.getNearestDc": [[2, 5]]})
    assert [await flooded(stage, NEAREST) for _ in range(2)] == [0, 0]
    first = await flooded(stage, NEAREST)
    assert first in (4, 5)
    assert [await flooded(stage, NEAREST) for _ in range(2)] == [first * 2, first * 4]
    boris = await stage.client("boris")
    assert (await boris(NEAREST)).this_dc  # waits are an account's own
    await stage.control.post("/clock", leap=first * 4 + 1)
    assert await flooded(stage, NEAREST) == 0
    ann = str((await stage.account("ann"))["id"])
    assert (await stage.control.get("/requests"))["floods"] == {ann: {"help.getNearestDc": 3}}


async def test_the_usual_limits_let_thirty_pages_pass_in_thirty_seconds(stage: Stage) -> None:
    await stage.control.post("/limits", enforce="usual")
    assert (await stage.control.get("/limits"))["enforce"]["messages.getHistory"] == [[30, 30]]
    client = await stage.client("ann")
    peer = await client.get_input_entity(await stage.channel())
    for _ in range(30):
        await client(history(peer, limit=1))
    with pytest.raises(errors.FloodWaitError) as caught:
        await client(history(peer, limit=1))
    assert 25 <= caught.value.seconds <= 30
    await stage.control.post("/limits", enforce="none")
    assert await flooded(stage, history(peer, limit=1)) == 0


async def test_a_server_that_is_down_refuses_everybody_until_it_is_back(stage: Stage) -> None:
    client = await stage.client(auto_reconnect=False, connection_retries=1)
    await client(NEAREST)
    assert (await stage.control.post("/drop", down=0.2))["dropped"] == 1
    with pytest.raises(CUT_OFF):
        await client(NEAREST)
    refused = 0
    async with asyncio.timeout(10):
        while not client.is_connected():
            with suppress(*CUT_OFF):
                await client.connect()
            refused += not client.is_connected()
    assert refused
    assert (await client(NEAREST)).this_dc == stage.target.dc_id


async def test_telethon_comes_back_by_itself_after_a_drop(stage: Stage) -> None:
    client = await stage.client()
    assert (await stage.control.post("/drop"))["dropped"] == 1
    assert (await client(NEAREST)).this_dc == stage.target.dc_id


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("AUTH_KEY_UNREGISTERED", errors.AuthKeyUnregisteredError),
        ("AUTH_KEY_DUPLICATED", errors.AuthKeyDuplicatedError),
        ("SESSION_REVOKED", errors.SessionRevokedError),
        ("SESSION_EXPIRED", errors.SessionExpiredError),
        ("USER_DEACTIVATED", errors.UserDeactivatedError),
        ("USER_DEACTIVATED_BAN", errors.UserDeactivatedBanError),
    ],
)
async def test_a_revoked_session_is_refused_for_good_and_hears_no_more(
    stage: Stage, message: str, error: type[Exception]
) -> None:
    client, name = await stage.client("ann"), await stage.channel()
    heard = hear(client, events.NewMessage)
    revoked = await stage.control.delete("/sessions/ann", error=message)
    assert revoked["revoked"] >= 1
    await stage.publish(name, "unheard")
    for _ in range(2):
        await refuses(client, error, STATE)
    assert heard.empty()
    fresh = await stage.client("ann")
    assert (await fresh(STATE)).pts > 0


async def test_only_the_session_of_a_name_is_revoked(stage: Stage) -> None:
    named = await stage.session("ann", key="reader")
    assert named == await stage.session("ann", key="reader")
    one, other = await stage.client(session=named), await stage.client("ann")
    assert (await stage.control.delete("/sessions/ann", key="reader"))["revoked"] == 1
    await refuses(one, errors.SessionRevokedError, STATE)
    assert (await other(STATE)).pts > 0
    assert named != await stage.session("ann", key="reader")


async def test_a_key_that_calls_over_two_connections_is_killed_where_that_is_the_rule(stage: Stage) -> None:
    await stage.control.post("/limits", one_connection_per_key=True)
    session = await stage.session("ann")
    first, second = await stage.client(session=session), stage.telethon(session)
    with pytest.raises(errors.AuthKeyDuplicatedError):
        await second.connect()
    await refuses(first, errors.AuthKeyDuplicatedError, STATE)
    third = await stage.client("ann")
    await third.disconnect()
    await third.connect()  # one after the other is no fault
    assert (await third(STATE)).pts > 0


async def test_requests_of_one_key_beside_each_other_are_counted_where_they_are_allowed(stage: Stage) -> None:
    session = await stage.session("ann")
    ann = str((await stage.account("ann"))["id"])
    one = await stage.client(session=session)
    await one(STATE)
    assert (await stage.control.get("/requests"))["parallel"] == {}
    other = await stage.client(session=session)
    for client in (one, other, one):
        assert (await client(STATE)).pts > 0
    assert (await stage.control.get("/requests"))["parallel"][ann] >= 2


async def test_clients_that_send_no_updates_are_still_answered(stage: Stage) -> None:
    deaf, ann = await stage.client("ann", receive_updates=False), await stage.client("ann")
    unheard, heard = hear(deaf, events.NewMessage), hear(ann, events.NewMessage)
    await stage.publish(await stage.channel(), "hello")
    assert (await soon(heard)).message.message == "hello"
    assert (await deaf(STATE)).pts > 0
    assert unheard.empty()
