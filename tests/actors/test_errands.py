"""Backfills from wish to row, with a real data centre and a real database; and how fast they say they go."""

from datetime import UTC, date, datetime, timedelta

import pytest

from actors.coverage import missing
from actors.errand import AwaitErrand, CancelErrand, DescribeErrand, ErrandRow, Pace, Sample, StartBackfill, described
from actors.errors import ChannelUnknown, ErrandRuns, JobUnknown
from actors.messages.ids import JobId
from config.model import Start
from sandbox.client import Sandbox
from tests.actors.telegram.house import fail
from tests.actors.test_collection import Tree

LAST = Start(policy="last", count=10)
ALL = Start(policy="all")


class Older(Tree):
    """A tree that has begun with the newest 10 posts of one channel."""

    @property
    def channel(self):
        return self.channels[0]["id"]

    async def begin(self, wish):
        return await self.owner.find("errands").call(StartBackfill(channel_id=self.channel, wish=wish))

    async def done(self, job_id):
        question = AwaitErrand(job_id=job_id, wait=timedelta(seconds=25))
        return await self.owner.find("errands").call(question)

    async def backfilled(self, wish):
        return await self.done((await self.begin(wish)).job_id)

    async def row(self):
        return await self.store.channels.one(self.channel)

    def ids(self):
        return sorted(self.exists(self.channel))


@pytest.fixture
async def older(store):
    async with Sandbox(accounts=2, channels=1, posts=700, seed=5) as sandbox:
        tree = Older(sandbox, store)
        await tree.sign_in()
        tree.start(LAST)
        await tree.signed_in()
        assert (await tree.parse()).state == "success"
        yield tree
        await tree.stop()


async def test_all_older_posts_come_and_are_counted_apart(older):
    before = await older.row()
    assert len(await older.held(older.channel)) < 20
    job = await older.backfilled(ALL)
    assert (job.state, job.asked, job.low_id, job.high_id) == ("success", "all", 1, before.start_id - 1)
    assert (job.ids_done, job.ids_total, job.percent) == (before.start_id - 1, before.start_id - 1, 100.0)
    assert await older.held(older.channel) == older.exists(older.channel)
    after = await older.row()
    assert job.posts_added == after.backfilled == len(older.exists(older.channel)) - before.posts
    assert after.start_id == before.start_id
    parse = await older.parse()
    assert parse.posts_added == 0, "older posts are counted apart"
    told = await older.store.channels.ledger(older.channel)
    assert (told.unknown, told.stored) == (0, after.posts)
    assert (await older.store.jobs.errand(job.job_id)).state == "success"


async def test_a_number_of_posts_is_counted_from_what_is_wanted_already(older):
    ids = older.ids()
    held = len(await older.held(older.channel))
    assert (await older.backfilled(Start(policy="last", count=150))).state == "success"
    row = await older.row()
    first = sorted(await older.held(older.channel))
    # 150 messages, of which some may be service messages
    assert 140 <= len(first) - held <= 150
    assert first == ids[-len(first) :]
    again = await older.backfilled(Start(policy="last", count=100))
    assert again.high_id == row.start_id - 1
    assert (await older.row()).goal_id < row.goal_id
    more = sorted(await older.held(older.channel))
    assert more == ids[-len(more) :]
    assert 90 <= len(more) - len(first) <= 100


async def test_a_day_is_reached_and_no_further(older):
    posts = [post for post in older.sandbox.ledger(older.channel)["channels"][0]["posts"] if not post["service"]]
    day = datetime.fromisoformat(posts[len(posts) // 2]["date"]).astimezone(UTC).date()
    job = await older.backfilled(Start(policy="since", since=day))
    assert job.state == "success"
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    wanted = {post["id"] for post in posts if datetime.fromisoformat(post["date"]) >= midnight}
    assert set(await older.held(older.channel)) == wanted
    assert wanted != set(older.ids())


async def test_what_is_there_already_costs_nothing_and_is_done_at_once(older):
    calls = older.calls("messages.getHistory")
    job = await older.backfilled(Start(policy="since", since=date(2100, 1, 1)))
    assert (job.state, job.ids_total, job.percent) == ("success", 0, 100.0)
    assert older.calls("messages.getHistory") <= calls + 1
    assert (await older.row()).goal_id is None


async def test_the_same_wish_is_one_job_and_another_is_refused_until_it_ends(older):
    fail(older.sandbox, "messages.getHistory", delay=0.5, count=0)
    job = await older.begin(ALL)
    assert (await older.begin(ALL)).job_id == job.job_id
    with pytest.raises(ErrandRuns, match=job.job_id):
        await older.begin(Start(policy="last", count=5))

    async def begun():
        return (await older.row()).backfilled > 0

    await older.until(begun)
    cancelled = await older.owner.find("errands").call(CancelErrand(job_id=job.job_id))
    assert cancelled.state == "cancelled"
    assert (await older.owner.find("errands").call(DescribeErrand(job_id=job.job_id))).state == "cancelled"
    # what it has brought stays wanted, and the rest isn't asked for any more
    row = await older.row()
    assert 1 < row.goal_id < row.start_id
    assert not missing(row.covered, row.goal_id, row.top_id)
    # what was on its way when it was cancelled may lie below; nothing more is asked for after it
    assert (await older.parse()).state == "success"
    calls = older.calls("messages.getHistory")
    assert (await older.parse()).state == "success"
    assert older.calls("messages.getHistory") == calls
    assert min(await older.held(older.channel)) > 1
    assert (await older.begin(Start(policy="last", count=5))).job_id != job.job_id


async def test_unknown_channels_and_jobs_are_refused(older):
    with pytest.raises(ChannelUnknown):
        await older.owner.find("errands").call(StartBackfill(channel_id=12345, wish=ALL))
    for question in (DescribeErrand, CancelErrand):
        with pytest.raises(JobUnknown):
            await older.owner.find("errands").call(question(job_id=JobId("nothing")))


# --- how fast --------------------------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ROW = ErrandRow(
    job_id=JobId("j"), kind="backfill", channel_id=1, asked="all", state="running", low_id=1, high_id=1000, ids_done=250
)


def test_pace_and_expected_end_are_those_of_the_last_minute():
    pace = Pace()
    for at, ids in ((0, 0), (100, 50), (110, 150), (120, 250)):
        pace.take(Sample(at=at, ids=ids, posts=ids // 2))
    told = described(ROW, pace, NOW)
    assert (told.percent, told.posts_per_second) == (25.0, 5.0)
    assert told.expected_at == NOW + timedelta(seconds=75)


def test_while_nothing_moves_no_end_is_expected():
    pace = Pace()
    assert described(ROW, pace, NOW).expected_at is None
    for at in (0, 10):
        pace.take(Sample(at=at, ids=250, posts=100))
    told = described(ROW, pace, NOW)
    assert (told.posts_per_second, told.expected_at) == (0.0, None)
