import asyncio
import contextlib

import pytest
from telethon import TelegramClient, errors
from telethon.tl import functions, types

from sandbox.client import Sandbox
from sandbox.faults import Faults, Rule, Turbulence
from sandbox.limits import LONGEST, USUAL, Limit, Limits

from .conftest import Connect, hear, signed_in, soon

NEAREST = functions.help.GetNearestDcRequest()


def rule(**fields) -> Rule:
    return Rule(method="a.b", error=(500, "X"), **fields)


def struck(made: Rule, *times: float) -> list[bool]:
    faults = Faults([made])
    return [faults.strike("a.b", 1, 0, now) is not None for now in times]


def test_a_rule_acts_by_its_schedule_only() -> None:
    assert struck(rule(count=0, after=5, lasts=2), 4.9, 5, 6.9, 7, 100) == [False, True, True, False, False]
    assert struck(rule(count=0, after=5, lasts=2, every=10), 4, 5, 8, 15, 16.9, 17, 25) == [
        False, True, False, True, True, False, True,
    ]  # fmt: skip
    assert struck(rule(count=2, after=1), 0, 1, 2, 3) == [False, True, True, False]
    assert struck(rule(count=1, skip=2, born=100), 99, 100, 101, 102, 103) == [False, False, False, True, False]


def test_a_share_of_calls_suffers_the_same_ones_for_the_same_seed() -> None:
    runs = [struck(rule(count=0, share=0.3, seed=seed), *range(1000)) for seed in (7, 7, 8)]
    assert runs[0] == runs[1] != runs[2]
    assert 230 < sum(runs[0]) < 370


def test_the_first_rule_that_strikes_wins_and_the_others_are_as_before() -> None:
    first, second = rule(account=2), rule(count=1)
    faults = Faults([first, second])
    assert faults.strike("a.b", 1, 0, 0) is second
    assert faults.strike("a.b", 2, 0, 0) is first
    assert faults.strike("a.b", 2, 0, 0) is None
    assert (first.hits, second.hits) == (1, 1)


def test_a_limit_lets_so_many_pass_and_waits_grow_for_who_asks_again() -> None:
    limits = Limits()
    assert limits.ask(1, "a.b", 0) == 0
    limits.enforce({"a.b": [Limit(3, 10)]})
    assert [limits.ask(1, "a.b", now) for now in (0, 1, 2)] == [0, 0, 0]
    assert limits.ask(2, "a.b", 2) == limits.ask(1, "other", 2) == 0
    assert limits.ask(1, "a.b", 3) == 7
    assert limits.ask(1, "a.b", 9) == 14
    assert limits.ask(1, "a.b", 22) == 28
    assert limits.ask(1, "a.b", 50) == 0


def test_a_wait_that_is_kept_is_the_last_one() -> None:
    limits = Limits()
    limits.enforce({"a.b": [Limit(1, 10)]})
    now = 0.0
    for _ in range(20):
        assert limits.ask(1, "a.b", now) == 0
        wait = limits.ask(1, "a.b", now + 1)
        assert wait == 9
        now += 1 + wait


def test_no_wait_is_longer_than_a_day() -> None:
    limits = Limits()
    limits.enforce({"a.b": [Limit(1, 60)]})
    assert limits.ask(1, "a.b", 0) == 0
    assert max(limits.ask(1, "a.b", 1) for _ in range(30)) == LONGEST


def test_the_usual_limits_let_a_day_of_resolving_pass_200_times_and_no_more() -> None:
    limits = Limits()
    limits.enforce(USUAL)
    passed = [limits.ask(1, "contacts.resolveUsername", minute * 60) == 0 for minute in range(1000)]
    assert sum(passed[:200]) == 200
    assert not any(passed[200:])


@pytest.mark.parametrize(("calls", "seconds"), [(0, 1), (1, 0), (1, LONGEST + 1), (100_001, 1)])
def test_a_limit_out_of_range_is_refused(calls: int, seconds: int) -> None:
    with pytest.raises(ValueError, match="a limit is"):
        Limit(calls, seconds)


async def test_a_reader_that_is_too_fast_is_told_to_wait_and_one_that_asks_again_longer(
    dc: Sandbox, connect: Connect
) -> None:
    client = await connect()
    dc.dc.dispatcher.limits.enforce(USUAL)
    peer = await client.get_input_entity("gorod_news")
    page = functions.messages.GetHistoryRequest(peer, 0, None, 0, 1, 0, 0, 0)
    waits = []
    for _ in range(33):
        client._flood_waited_requests.clear()
        try:
            await client(page)
        except errors.FloodWaitError as error:
            waits.append(error.seconds)
    assert len(waits) == 3
    assert waits[0] in (29, 30)
    assert waits[1:] == [waits[0] * 2, waits[0] * 4]
    assert dc.requests()["floods"] == {str(dc.world.account("ann").id): {"messages.getHistory": 3}}


async def test_an_answer_that_is_lost_was_carried_out(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    dc.dc.dispatcher.faults.rules.append(Rule(method="messages.sendMessage", lose=True))
    bot = await client.get_input_entity("sandbox_bot")
    # Telethon asks again with the same random_id over its new connection: it must be one message.
    await client.send_message(bot, "once")
    assert [message.text for message in await client.get_messages(bot)] == ["once"]
    assert dc.requests()["by_account"][str(dc.world.account("ann").id)]["messages.sendMessage"] == 2


async def test_a_service_that_is_down_refuses_connections_until_it_is_back(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    assert dc.dc.drop_connections(down=0.2) == 1
    with contextlib.suppress(ConnectionError):
        await client(NEAREST)
    async with asyncio.timeout(10):
        while not client.is_connected():
            with contextlib.suppress(ConnectionError):
                await client.connect()
    assert (await client(NEAREST)).this_dc == 203


async def test_a_clock_that_is_wrong_is_found_out_by_the_client(dc: Sandbox) -> None:
    for skew in (-200.0, 200.0, -4000.0, 4000.0):
        dc.dc.clock.skew = skew
        async with signed_in(dc) as client:
            state = await client(functions.updates.GetStateRequest())
            assert abs(state.date.timestamp() - dc.dc.clock.now()) < 3


async def texts(heard: asyncio.Queue, count: int) -> list[str]:
    return [(await soon(heard)).message.text for _ in range(count)]


async def test_pushes_are_lost_doubled_and_reordered_as_the_seed_says(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    raw: asyncio.Queue = asyncio.Queue()

    async def hear_raw(update: object) -> None:
        if isinstance(update, types.UpdateNewMessage):
            raw.put_nowait(update.message.message)

    client.add_event_handler(hear_raw)
    vera = dc.world.account("vera")
    ann = dc.world.account("ann")
    dc.dc.hub.turbulence = Turbulence(reorder=1.0)
    dc.dc.write(vera, ann, "held until a push follows, or for a moment")
    assert await asyncio.wait_for(raw.get(), 5)
    assert dc.requests()["pushes"]["reorder"] == 1


def test_the_fates_of_pushes_come_from_the_seed() -> None:
    parts = {"loss": 0.2, "double": 0.1, "reorder": 0.1, "too_long": 0.1}
    runs = [[Turbulence(seed=seed, **parts).fate(1, 2) for seed in range(500)] for _ in range(2)]
    assert runs[0] == runs[1]
    storm = Turbulence(**parts)
    fates = [storm.fate(1, 2) for _ in range(5000)]
    for name, part in parts.items():
        assert abs(fates.count(name) / 5000 - part) < 0.03
        assert storm.happened[name] == fates.count(name)
    assert Turbulence(loss=1, account=3).fate(1, 2) == Turbulence(loss=1, channel=3).fate(1, 2) == ""
    assert Turbulence(too_long=1).fate(1, 0) == ""
    with pytest.raises(ValueError, match="at most 1"):
        Turbulence(loss=0.6, double=0.5)


def test_a_part_of_the_pushes_comes_bare() -> None:
    storm = Turbulence(bare=0.3, account=1)
    stripped = sum(storm.strips(1, 2) for _ in range(5000))
    assert abs(stripped / 5000 - 0.3) < 0.03
    assert storm.happened["bare"] == stripped
    assert not storm.strips(2, 2)
    assert not Turbulence().strips(1, 2)
    with pytest.raises(ValueError, match="bare"):
        Turbulence(bare=1.5)


@pytest.mark.parametrize("bare", [0.0, 1.0])
async def test_a_bare_push_names_nobody(dc: Sandbox, connect: Connect, bare: float) -> None:
    client = await connect("ann")
    pushes: asyncio.Queue = asyncio.Queue()
    put = client._updates_queue.put_nowait
    client._updates_queue.put_nowait = lambda update: (pushes.put_nowait(update), put(update))
    await client.get_me()
    dc.dc.hub.turbulence = Turbulence(bare=bare)
    await dc.publish("gorod_news", text="bare or not")
    while not isinstance(push := await asyncio.wait_for(pushes.get(), 5), types.Updates):
        pass
    assert push.updates[0].message.message == "bare or not"
    assert [chat.username for chat in push.chats] == ([] if bare else ["gorod_news"])


async def test_lost_and_too_long_pushes_are_made_good_by_a_difference(dc: Sandbox, connect: Connect) -> None:
    client = await connect()
    await client.get_dialogs()
    heard = hear(client)
    dc.dc.hub.turbulence = Turbulence(loss=1.0)
    await dc.publish("gorod_news", text="lost")
    dc.dc.hub.turbulence = Turbulence(too_long=1.0)
    await dc.publish("gorod_news", text="hinted at")
    dc.dc.hub.turbulence = Turbulence(double=1.0)
    await dc.publish("gorod_news", text="twice")
    assert await texts(heard, 3) == ["lost", "hinted at", "twice"]
    assert heard.empty()


async def test_a_silent_channel_is_never_pushed(dc: Sandbox, connect: Connect) -> None:
    client: TelegramClient = await connect()
    heard = hear(client)
    dc.dc.alter(dc.world.channel("gorod_news"), silent=True)
    await dc.publish("gorod_news", text="unheard")
    followed = next(c for c in dc.world.channels_of(dc.world.account("ann").id) if c.username != "gorod_news")
    await dc.publish(followed.id, text="heard")
    assert await texts(heard, 1) == ["heard"]
