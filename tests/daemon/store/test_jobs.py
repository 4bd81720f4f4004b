import asyncio
from dataclasses import replace

import pytest

from actors.messages.ids import AccountId, JobId
from actors.messages.jobs import Job
from daemon.store.errors import ChannelMissing
from tests.daemon.store.rows import DAY, NEWS, SPORT, USER, follow, membership, minute, post, record

JOB = Job(job_id=JobId("j1"), kind="user", user_id=USER, state="running", channels_total=3, started_at=DAY)


async def counts(store, account_id, channel_id=NEWS):
    summary = await store.jobs.summarize(account_id, channel_id)
    return summary.added, summary.edited


@pytest.fixture
async def followed(store):
    await follow(store, membership(NEWS), membership(SPORT))
    await store.posts.record([record(post(1), post(2)), record(post(9), road="backfill")])
    return store


async def test_a_job_is_saved_and_replaced(store):
    await store.jobs.save(JOB)
    done = replace(JOB, state="success", channels_done=3, posts_added=5, posts_edited=1, finished_at=minute(5))
    await store.jobs.save(done)
    assert await store.jobs.one(JOB.job_id) == done
    assert await store.jobs.one(JobId("other")) is None


async def test_what_an_earlier_process_left_unfinished_is_failed(store):
    await store.jobs.save(JOB)
    await store.jobs.save(replace(JOB, job_id=JobId("j2"), state="queued"))
    await store.jobs.save(replace(JOB, job_id=JobId("j3"), state="cancelled"))
    assert await store.jobs.end_interrupted(minute(9)) == 2
    assert await store.jobs.end_interrupted(minute(10)) == 0
    ended = await store.jobs.one(JobId("j2"))
    assert (ended.state, ended.error, ended.finished_at) == ("failed", "interrupted by a restart", minute(9))
    assert (await store.jobs.one(JobId("j3"))).state == "cancelled"


async def test_the_first_summary_counts_all_but_backfill_and_the_next_what_came_since(followed):
    assert await counts(followed, None) == (2, 0)
    assert await counts(followed, None) == (0, 0)
    await followed.posts.record([record(post(1, "new", edited=1), post(3), road="catchup")])
    assert await counts(followed, None) == (1, 1)
    assert await counts(followed, None, SPORT) == (0, 0)


async def test_each_user_has_a_mark_of_its_own(followed):
    assert await counts(followed, None) == (2, 0)
    assert await counts(followed, USER) == (2, 0)
    assert await counts(followed, AccountId(8)) == (2, 0)
    assert await counts(followed, USER) == (0, 0)


async def test_of_summaries_at_once_one_reports_the_posts(followed):
    told = await asyncio.gather(*(counts(followed, None) for _ in range(4)))
    assert sorted(told) == [(0, 0), (0, 0), (0, 0), (2, 0)]


async def test_edits_by_backfill_are_not_summed_up(followed):
    await followed.posts.record([record(post(1, "new", edited=1), road="backfill")])
    assert await counts(followed, None) == (2, 0)


async def test_a_channel_without_a_row_has_no_summary(store):
    with pytest.raises(ChannelMissing):
        await store.jobs.summarize(None, NEWS)
