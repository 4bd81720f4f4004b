"""Jobs about one channel over HTTP and by command: real actors over a real store, with nobody to read the channel."""

import json
import random

import aiohttp
import pytest
import pytest_asyncio

from actors.errand import Difference, ErrandRow, Findings, Kinds, described
from actors.errands import Errands
from actors.messages.ids import ChannelId
from actors.messages.recorder import Record
from actors.metrics import Metrics
from actors.runtime.actor import TaskActor
from actors.scheduler import Scheduler
from config.model import Settings
from tests.daemon.admin.conftest import NOW, Face
from tests.daemon.store.rows import NEWS, SPORT, follow, membership
from tests.daemon.test_cli import Telewarden
from tests.processes import breathe


class Told(TaskActor):
    """Errands of which one is done already."""

    def __init__(self, errand):
        super().__init__()
        self._errand = errand

    def on_receive(self, message):
        return self._errand


@pytest_asyncio.fixture
async def face(owner, serve, registry, store):
    """Channel ``news`` began at id 500 of 600; of ``sport`` nothing is known yet."""
    await follow(store, membership(NEWS, "news"), membership(SPORT, "sport"))
    begun = Record(channel_id=NEWS, road="catchup", covered=(500, 600), start_id=500, top_id=600, channel_pts=7)
    await store.posts.record([begun])
    metrics = Metrics(registry)
    Scheduler.start(
        store=store, schedules=(), plans=Settings().plans, metrics=metrics, rng=random.Random(1), key="scheduler"
    )
    Errands.start(store=store, metrics=metrics, rng=random.Random(1), key="errands")
    server = serve(store, {})
    await server.start()
    async with aiohttp.ClientSession() as session:
        yield Face(server, owner, session, {}, [])
    await server.stop()


async def cover(store, low, high):
    await store.posts.record([Record(channel_id=NEWS, road="backfill", covered=(low, high))])


async def until_running(face, job):
    while job["state"] == "queued":
        await breathe()
        job = (await face.get(f"/jobs/{job['job_id']}"))[1]
    return job


async def test_a_backfill_is_begun_watched_and_done_when_the_channel_covers_it(face, store):
    code, job, headers = await face.post("/channels/@news/backfill", json={"all": True})
    assert code == 202
    assert headers["Location"] == f"/jobs/{job['job_id']}"
    assert (job["kind"], job["channel_id"], job["asked"], job["state"]) == ("backfill", NEWS, "all", "queued")
    job = await until_running(face, job)
    assert (job["state"], job["low_id"], job["high_id"], job["ids_total"]) == ("running", 1, 499, 499)
    assert (await store.channels.one(NEWS)).goal_id == 1
    await cover(store, 300, 499)
    while job["ids_done"] == 0:
        job = (await face.get(f"/jobs/{job['job_id']}"))[1]
    assert (job["ids_done"], job["percent"], job["finished_at"]) == (200, 40.1, None)
    await cover(store, 1, 299)
    code, job, _ = await face.post("/channels/news/backfill?wait=20", json={"all": True})
    assert (code, job["state"], job["percent"]) == (200, "success", 100.0)


async def test_a_second_wish_is_refused_and_a_cancelled_one_keeps_what_it_brought(face, store):
    job = (await face.post("/channels/news/backfill", json={"all": True}))[1]
    await until_running(face, job)
    assert (await face.post("/channels/news/backfill", json={"all": True}))[1]["job_id"] == job["job_id"]
    code, problem, _ = await face.post("/channels/news/backfill", json={"posts": 5})
    assert (code, problem["job_id"]) == (409, job["job_id"])
    await cover(store, 420, 499)
    await cover(store, 100, 200)
    code, ended, _ = await face.post(f"/jobs/{job['job_id']}/cancel")
    assert (code, ended["state"]) == (200, "cancelled")
    assert (await store.channels.one(NEWS)).goal_id == 420
    assert (await face.post(f"/jobs/{job['job_id']}/cancel"))[1]["state"] == "cancelled"
    assert (await face.get(f"/jobs/{job['job_id']}"))[1]["state"] == "cancelled"


async def test_a_backfill_outlives_its_actor_and_waits_for_a_start_that_isn_t_known(face, store, owner, registry):
    job = (await face.post("/channels/sport/backfill", json={"all": True}))[1]
    ref = owner.get("errands")
    ref.stop(block=False)
    assert await ref.wait_stopped(5)
    Errands.start(store=store, metrics=Metrics(type(registry)()), rng=random.Random(2), key="errands")
    code, same, _ = await face.get(f"/jobs/{job['job_id']}")
    assert (code, same["state"], same["ids_total"], same["percent"]) == (200, "queued", None, None)
    begun = Record(channel_id=SPORT, road="catchup", covered=(3, 9), start_id=3, top_id=9, channel_pts=7)
    await store.posts.record([begun])
    assert (await until_running(face, same))["ids_total"] == 2


@pytest.mark.parametrize(
    "body",
    [
        "", "[]", "{}", '{"all": false}', '{"all": true, "posts": 1}', '{"posts": 0}', '{"posts": true}',
        '{"since": "yesterday"}', '{"since": 5}', '{"posts": 100000001}', '{"until": "2024-01-31"}',
    ],
)  # fmt: skip
async def test_a_wish_that_can_t_be_understood_is_refused_and_nothing_begins(face, store, body):
    assert (await face.post("/channels/news/backfill", data=body))[0] == 400
    assert await store.jobs.unfinished_errands() == ()


async def test_unknown_channels_and_jobs_are_404(face):
    assert (await face.post("/channels/nobody/backfill", json={"all": True}))[0] == 404
    assert (await face.post("/jobs/nothing/cancel"))[0] == 404


async def test_ids_in_the_wrong_order_and_bodies_that_nobody_reads_are_refused(face, store):
    code, problem, _ = await face.post("/channels/news/verify?from=10&to=5")
    assert (code, problem["parameter"]) == (400, "from")
    for body in (b'{"from": 1}', b"zzz", b"[]"):
        code, problem, _ = await face.post("/channels/news/verify", data=body)
        assert (code, "takes no body" in problem["detail"]) == (400, True)
    assert await store.jobs.unfinished_errands() == ()
    assert (await face.post("/channels/news/verify", data=b" {}\n"))[0] == 202


async def test_the_commands_begin_tell_and_cancel(face, store, tmp_path):
    telewarden, url = Telewarden(tmp_path), ("--url", face.server.url)
    code, out, err = await telewarden("backfill", "@news", "--since", "2024-01-31", "--wait", "0.1", *url)
    assert code == 1
    assert out.startswith("Job ")
    assert out.endswith(": queued, ids=0/unknown, posts_added=0\n")
    assert "goes on in the daemon" in err
    job_id = out.split()[1].rstrip(":")
    code, out, _ = await telewarden("cancel", job_id, *url)
    assert (code, out) == (0, f"Job {job_id}: cancelled, ids=0/unknown, posts_added=0\n")
    assert await telewarden("jobs", job_id, *url) == (code, out, "")
    await cover(store, 1, 499)
    code, out, _ = await telewarden("backfill", "news", "--all", "--wait", "20", "--json", *url)
    assert (code, json.loads(out)["state"]) == (0, "success")
    code, _, err = await telewarden("backfill", "news", "--all", "--posts", "5", *url)
    assert (code, "give one of" in err) == (2, True)


async def test_a_restart_ends_parses_and_leaves_backfills(face, store):
    job = (await face.post("/channels/news/backfill", json={"all": True}))[1]
    await store.jobs.end_interrupted(face.owner.clock.now())
    (row,) = await store.jobs.unfinished_errands()
    assert (row.job_id, row.channel_id) == (job["job_id"], ChannelId(NEWS))


# --- verification: nobody can read the channel here, so that only an empty range comes to its end ---------------------


async def test_a_verification_takes_a_range_and_ends_at_once_where_nothing_is_collected(face):
    code, job, headers = await face.post("/channels/news/verify?from=550&to=560")
    assert code == 202
    assert headers["Location"] == f"/jobs/{job['job_id']}"
    assert (job["kind"], job["asked"], job["low_id"], job["high_id"]) == ("verify", "550..560", 550, 560)
    code, problem, _ = await face.post("/channels/news/verify")
    assert (code, problem["job_id"]) == (409, job["job_id"])
    code, job, _ = await face.post("/channels/sport/verify?wait=20")
    assert (code, job["state"]) == (200, "success")
    assert job["result"] == {
        "calls": 0, "mended": 0, "first": [],
        "differences": {
            "missing": 0, "deleted": 0, "undeleted": 0, "kind": 0, "text": 0, "entities": 0, "media": 0,
        },
    }  # fmt: skip
    for bad in ("from=0", "to=x", f"to={2**31}", "since=1", "wait=601"):
        assert (await face.post(f"/channels/news/verify?{bad}"))[0] == 400, bad
    assert (await face.post("/channels/nobody/verify"))[0] == 404


async def test_a_verification_that_a_restart_met_has_failed(face, store, owner, registry):
    job = (await face.post("/channels/news/verify"))[1]
    ref = owner.get("errands")
    ref.stop(block=False)
    assert await ref.wait_stopped(5)
    Errands.start(store=store, metrics=Metrics(type(registry)()), rng=random.Random(3), key="errands")
    while (found := (await face.get(f"/jobs/{job['job_id']}"))[1])["state"] == "running":
        await breathe()
    assert (found["state"], found["error"]) == ("failed", "interrupted by a restart")


async def test_the_command_verify_ends_with_0_where_nothing_differed(face, tmp_path):
    code, out, err = await Telewarden(tmp_path)("verify", "@sport", "--url", face.server.url)
    assert (code, err) == (0, "")
    assert out == "Channel @sport: ids=0, calls=0, differences: none, mended=0\n"


async def test_the_command_verify_ends_with_1_and_names_what_differed(face, store, tmp_path):
    row = (await face.post("/channels/sport/verify?wait=20"))[1]
    found = Findings(calls=2, differences=Kinds(text=1), mended=1, first=(Difference(7, "text"),))
    running = ErrandRow(
        job_id=row["job_id"], kind="verify", channel_id=SPORT, asked="all", state="success", low_id=1, high_id=150,
        ids_done=150, result=found,
    )  # fmt: skip
    face.owner.get("errands").stop(block=False)
    await face.owner.get("errands").wait_stopped(5)
    Told.start(described(running, None, NOW), key="errands")
    code, out, err = await Telewarden(tmp_path)("verify", "sport", "--url", face.server.url)
    assert (code, err) == (1, "telewarden: something differed\n")
    assert out == "Channel sport: ids=150, calls=2, differences: text=1, mended=1\n  7: text\n"
