"""A process that stood still sends nothing before it knows that the accounts are still its own."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
from telethon.tl import functions, types

from actors.errors import OwnershipLost, StoreUnavailable
from actors.telegram import fence as fences
from actors.telegram.client import fenced
from actors.telegram.fence import CONFIRM_EVERY, HAND_OVER, STOOD_STILL, Fence, boot_time
from tests.actors.telegram.house import account_ids, calls, open_client

SELF = functions.users.GetUsersRequest([types.InputUserSelf()])


class Owner:
    """Answers as it is told to; each question waits for its answer."""

    def __init__(self):
        self.now = 1000.0
        self.lost = []
        self.asked = asyncio.Event()
        self._answers = asyncio.Queue()
        self.fence = Fence(self.confirm, on_lost=self.lost.append, now=lambda: self.now)

    async def confirm(self):
        self.asked.set()
        answer = await self._answers.get()
        if answer is not None:
            raise answer

    def answer(self, error=None):
        self.asked.clear()
        self._answers.put_nowait(error)

    @asynccontextmanager
    async def watching(self):
        watching = asyncio.create_task(self.fence.watch())
        try:
            yield watching
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    def stand_still(self, seconds=STOOD_STILL + 0.1):
        self.now += seconds


@pytest.fixture
async def owner(monkeypatch):
    monkeypatch.setattr(fences, "RETRY", 0.0)
    return Owner()


async def blocked(waiting):
    """Whether it waits still, after all that could go on has gone on."""
    for _ in range(20):
        await asyncio.sleep(0)
    return not waiting.done()


async def test_a_process_that_runs_sends_at_once(owner):
    for _ in range(100):
        owner.stand_still(STOOD_STILL - 0.1)
        assert not owner.fence.shut
        await owner.fence.passed()


async def test_after_a_standstill_it_sends_when_the_database_has_confirmed(owner):
    async with owner.watching():
        owner.stand_still()
        sending = asyncio.create_task(owner.fence.passed())
        await owner.asked.wait()
        assert await blocked(sending)
        owner.answer()
        await sending
        assert not owner.fence.shut


async def test_a_standstill_is_noticed_by_looking_too(owner, monkeypatch):
    monkeypatch.setattr(fences, "LOOK_EVERY", 0.0)
    looking = asyncio.create_task(owner.fence.look())
    async with owner.watching():
        owner.stand_still()
        await owner.asked.wait()
    looking.cancel()
    assert owner.fence.shut


async def test_an_answer_from_before_another_standstill_is_worth_nothing(owner):
    async with owner.watching():
        owner.stand_still()
        sending = asyncio.create_task(owner.fence.passed())
        await owner.asked.wait()
        owner.answer()
        owner.stand_still()
        await owner.asked.wait()
        assert await blocked(sending)
        owner.answer()
        await sending


async def test_while_the_database_is_away_it_sends_nothing_and_goes_on_asking(owner):
    async with owner.watching():
        owner.stand_still()
        sending = asyncio.create_task(owner.fence.passed())
        for _ in range(3):
            await owner.asked.wait()
            assert await blocked(sending)
            owner.answer(StoreUnavailable("away"))
        await owner.asked.wait()
        owner.answer()
        await sending


async def test_a_database_that_is_away_keeps_nobody_from_sending_who_never_stood_still(owner):
    async with owner.watching():
        await owner.asked.wait()
        owner.answer(StoreUnavailable("away"))
        await owner.asked.wait()
        assert not owner.fence.shut
        await owner.fence.passed()


async def test_who_lost_the_accounts_sends_nothing_more_and_is_told_once(owner):
    async with owner.watching() as watching:
        owner.stand_still()
        sending = asyncio.create_task(owner.fence.passed())
        await owner.asked.wait()
        owner.answer(OwnershipLost("gone"))
        await watching
        with pytest.raises(ConnectionError, match="another daemon owns the accounts"):
            await sending
    owner.stand_still()
    assert owner.fence.shut
    assert [str(lost) for lost in owner.lost] == ["gone"]


def test_one_who_takes_over_waits_longer_than_the_former_owner_needs_to_notice():
    assert STOOD_STILL + CONFIRM_EVERY < HAND_OVER


def test_the_clock_counts_what_the_machine_slept():
    assert boot_time() <= boot_time()


async def test_a_client_sends_nothing_while_the_fence_is_shut(owner, dc):
    me = account_ids(dc)[0]
    async with open_client(dc, me) as client:
        with fenced(owner.fence):
            owner.stand_still()
            asking = asyncio.create_task(client.ask(SELF))
            assert await blocked(asking)
            assert "users.getUsers" not in calls(dc, me)
            async with owner.watching():
                await owner.asked.wait()
                owner.answer()
                (user,) = await asking
                assert user.id == me


async def test_what_a_connection_was_handed_before_the_standstill_isnt_sent_after_it(owner, dc):
    me = account_ids(dc)[0]
    async with open_client(dc, me) as client:
        with fenced(owner.fence):
            connection = client._sender._connection
            await connection.send(b"handed over, and not yet written")
            owner.stand_still()
            with pytest.raises(ConnectionError, match="stood still"):
                connection._send(connection._send_queue.get_nowait())


async def test_a_new_connection_isnt_begun_while_the_fence_is_shut(owner, dc, monkeypatch):
    monkeypatch.setattr("actors.telegram.client.RETRY_DELAY", 0.0)
    with fenced(owner.fence):
        owner.stand_still()
        async with owner.watching():
            await owner.asked.wait()
            owner.answer(OwnershipLost("gone"))
            with pytest.raises(ConnectionError):
                async with open_client(dc, account_ids(dc)[0]):
                    pytest.fail("it connected")
    assert dc.requests()["total"] == 0
