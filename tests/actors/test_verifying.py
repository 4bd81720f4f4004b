"""Verifications against a real data centre and a real database: what was tampered with is found, told and mended."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errand import AwaitErrand, CancelErrand, Difference, Findings, Kinds, StartVerify
from actors.errors import ErrandRuns
from actors.verifying import FIRST, PageVerified, bounds, found_with
from sandbox.client import Sandbox
from tests.actors.telegram.house import fail
from tests.actors.test_collection import Tree
from tests.daemon.store.rows import ask


class Verified(Tree):
    @property
    def channel(self):
        return self.channels[0]["id"]

    async def begin(self, low=None, high=None):
        return await self.owner.find("errands").call(StartVerify(channel_id=self.channel, low=low, high=high))

    async def verify(self, low=None, high=None):
        job = await self.begin(low, high)
        question = AwaitErrand(job_id=job.job_id, wait=timedelta(seconds=25))
        return await self.owner.find("errands").call(question)


@pytest.fixture
async def tree(store):
    """One channel, whole; its 4th and 5th posts were deleted before it was followed."""
    async with Sandbox(accounts=2, channels=1, posts=450, seed=9) as sandbox:
        tree = Verified(sandbox, store)
        await tree.sign_in()
        tree.gone = sorted(tree.exists(tree.channel))[3:5]
        await sandbox.delete(tree.channel, tree.gone)
        tree.start()
        await tree.signed_in()
        assert (await tree.parse()).state == "success"
        yield tree
        await tree.stop()


async def test_nothing_differs_where_nothing_was_touched_at_100_ids_a_call(tree):
    history = tree.calls("messages.getHistory")
    top = (await tree.store.channels.one(tree.channel)).top_id
    job = await tree.verify()
    assert (job.state, job.asked, job.low_id, job.high_id, job.ids_done) == ("success", "all", 1, top, top)
    pages = -(-top // 100)
    assert job.result == Findings(calls=pages)
    assert tree.calls("channels.getMessages") == pages
    assert tree.calls("messages.getHistory") == history


async def test_whatever_was_tampered_with_is_found_told_and_mended(tree, dsn):
    ids = sorted(tree.exists(tree.channel))
    text, entities, media, kind, lost, undeleted = ids[10], ids[20], ids[150], ids[160], ids[300], ids[310]
    there = tree.gone[0]
    for statement, message_id in (
        ("UPDATE posts SET text = 'forged'", text),
        ('UPDATE posts SET entities = \'[{"type": "bold", "length": 1, "offset": 0}]\'', entities),
        ('UPDATE posts SET media = \'{"type": "forged"}\'', media),
        ("UPDATE posts SET kind = 'undecodable'", kind),
        ("DELETE FROM posts", lost),
        ("UPDATE posts SET deleted_at = now()", undeleted),
    ):
        await ask(dsn, f"{statement} WHERE channel_id = $1 AND message_id = $2", tree.channel, message_id)
    await ask(
        dsn,
        "INSERT INTO posts (channel_id, message_id, kind, date, pinned, silent, noforwards, text) "
        "VALUES ($1, $2, 'post', now(), false, false, false, 'gone long ago')",
        tree.channel,
        there,
    )
    job = await tree.verify()
    expected = {
        undeleted: "undeleted", lost: "missing", kind: "kind", media: "media", entities: "entities", text: "text",
        there: "deleted",
    }  # fmt: skip
    assert job.result.first == tuple(Difference(number, what) for number, what in expected.items())
    assert job.result.differences == Kinds(**dict.fromkeys(expected.values(), 1))
    assert (await tree.store.jobs.errand(job.job_id)).result == job.result
    assert job.result.mended == 6  # a deletion is final
    again = await tree.verify()
    assert (again.result.differences, again.result.mended) == (Kinds(undeleted=1), 0)
    held = tree.exists(tree.channel)
    del held[undeleted]
    assert await tree.held(tree.channel) == held


async def test_a_range_is_verified_alone(tree, dsn):
    ids = sorted(tree.exists(tree.channel))
    for number in (ids[5], ids[200]):
        await ask(dsn, "UPDATE posts SET text = 'x' WHERE channel_id = $1 AND message_id = $2", tree.channel, number)
    job = await tree.verify(ids[150], ids[250])
    assert (job.low_id, job.high_id) == (ids[150], ids[250])
    assert job.asked == f"{ids[150]}..{ids[250]}"
    assert job.result.first == (Difference(ids[200], "text"),)
    beyond = await tree.verify(10**9, None)
    assert (beyond.state, beyond.ids_total, beyond.result.calls) == ("success", 0, 0)


async def test_what_happens_meanwhile_is_no_difference(tree):
    fail(tree.sandbox, "channels.getMessages", delay=0.1, count=0)
    ids = sorted(tree.exists(tree.channel))
    job = await tree.begin()
    for number in range(10):
        await tree.sandbox.publish(tree.channel, text=f"new {number}")
        await tree.sandbox.edit(tree.channel, ids[-1 - number * 40], f"changed {number}")
        await tree.sandbox.delete(tree.channel, [ids[-2 - number * 40]])
        await asyncio.sleep(0)
    question = AwaitErrand(job_id=job.job_id, wait=timedelta(seconds=25))
    job = await tree.owner.find("errands").call(question)
    assert (job.state, job.result.differences) == ("success", Kinds())


async def test_one_verification_of_a_channel_runs_at_a_time_and_can_be_cancelled(tree):
    fail(tree.sandbox, "channels.getMessages", delay=30.0, count=0)
    job = await tree.begin()
    assert (await tree.begin()).job_id == job.job_id
    with pytest.raises(ErrandRuns):
        await tree.begin(1, 5)
    assert (await tree.owner.find("errands").call(CancelErrand(job_id=job.job_id))).state == "cancelled"
    assert (await tree.begin(1, 5)).job_id != job.job_id


async def test_a_flood_wait_is_waited_out_with_the_reader(tree):
    fail(tree.sandbox, "channels.getMessages", error=(420, "FLOOD_WAIT_1"))
    job = await tree.verify()
    assert (job.state, job.result.differences) == ("success", Kinds())


# --- plainly ---------------------------------------------------------------------------------------------------------

ids = st.integers(1, 50)


@given(low=st.none() | ids, high=st.none() | ids, top=ids)
def test_what_is_verified_was_asked_for_and_collected(low, high, top):
    covered = ((5, 10), (20, 45))
    span = bounds(covered, top, low, high)
    wanted = [n for n in range(5, 46) if n <= top and n >= (low or 1) and n <= (high or top)]
    assert span == ((wanted[0], wanted[-1]) if wanted else None)
    assert bounds((), top, low, high) is None


def test_a_result_counts_all_and_names_the_first():
    result = Findings()
    for start in (100, 0):
        found = tuple(Difference(start + number, "text" if number % 2 else "media") for number in range(15))
        result = found_with(result, PageVerified(ids=100, calls=2, differences=found, mended=14))
    assert (result.calls, result.mended, result.differences) == (4, 28, Kinds(media=16, text=14))
    assert (result.differences.total, result.differences.words) == (30, "text=14, media=16")
    assert (len(result.first), result.first[0]) == (FIRST, Difference(100, "media"))
