"""The line before a client: what is next, and what waits for its pace."""

import asyncio

import pytest

from actors.messages.account import FetchDifference, FetchHistory, FetchIds, PeekChannels
from actors.messages.ids import ChannelId
from actors.runtime.clock import ManualClock
from actors.runtime.reply import Later
from actors.telegram.line import BACKFILL_TURN, CatchUp, Line, Task

ONE = ChannelId(1)
HISTORY = FetchHistory(channel_id=ONE, offset_id=0)
OLDER = FetchHistory(channel_id=ONE, offset_id=0, road="backfill")
NEWS = FetchDifference(channel_id=ONE, pts=1)
HEADS = PeekChannels(channel_ids=(ONE,))
IDS = FetchIds(channel_id=ONE, span=(1, 2))


class Paces:
    """Until when each method isn't to be called."""

    def __init__(self):
        self.until = {}

    def ready_at(self, method, now):
        return max(now, self.until.get(method, 0.0))


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def paces():
    return Paces()


@pytest.fixture
def line(clock, paces):
    return Line(clock, paces.ready_at)


def put(line, *requests):
    for nth, request in enumerate(requests):
        line.put(Task(request=request, since=float(nth)))


async def taken(line, count):
    return [(await line.next()).request for _ in range(count)]


async def test_what_waits_longest_is_next_whatever_it_calls(line):
    put(line, NEWS, HEADS, HISTORY, NEWS)
    assert await taken(line, 4) == [NEWS, HEADS, HISTORY, NEWS]


async def test_the_accounts_own_tasks_come_before_all_and_stand_in_line_once(line):
    put(line, NEWS)
    own = CatchUp(tell=True)
    for _ in range(3):
        line.put(Task(request=own, since=9.0), first=True)
    assert len(line) == 2
    assert await taken(line, 2) == [own, NEWS]


async def test_backfill_and_rereading_give_way_yet_have_one_turn_of_five(line):
    put(line, OLDER, IDS, *[NEWS] * 12)
    order = await taken(line, 14)
    at = [nth for nth, request in enumerate(order) if request in (OLDER, IDS)]
    assert at == [BACKFILL_TURN - 1, 2 * BACKFILL_TURN - 1]


async def test_one_method_that_rests_holds_up_no_other(line, paces, clock):
    paces.until["updates.getChannelDifference"] = clock.monotonic() + 30.0
    put(line, NEWS, HEADS)
    assert await taken(line, 1) == [HEADS]
    waiting = asyncio.create_task(line.next())
    await clock.run_for(29.0)
    assert not waiting.done()
    await clock.run_for(2.0)
    assert (await waiting).request == NEWS


async def test_one_that_waits_for_a_pace_is_overtaken_by_what_comes_meanwhile(line, paces, clock):
    paces.until["updates.getChannelDifference"] = clock.monotonic() + 30.0
    put(line, NEWS)
    waiting = asyncio.create_task(line.next())
    await clock.run_for(1.0)
    put(line, HEADS)
    async with asyncio.timeout(1):
        assert (await waiting).request == HEADS


async def test_while_there_is_no_room_for_posts_only_other_calls_are_made(line):
    line.admit(posts=False)
    put(line, HISTORY, NEWS, IDS, OLDER, HEADS)
    assert await taken(line, 1) == [HEADS]
    waiting = asyncio.create_task(line.next())
    await asyncio.wait([waiting], timeout=0)
    assert not waiting.done()
    line.admit(posts=True)
    assert (await waiting).request == HISTORY


async def test_who_is_turned_away_is_answered(line):
    later = Later()
    line.put(Task(request=NEWS, since=0.0, later=later))
    line.put(Task(request=HEADS, since=0.0))
    line.turn_away(ValueError)
    assert len(line) == 0
    assert later.done
