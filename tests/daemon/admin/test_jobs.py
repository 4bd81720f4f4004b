"""Parses over HTTP: accepted, waited for, refused, and answered when the server ends."""

import asyncio
import time

from tests.daemon.admin.conftest import SIGNED_IN, SIGNED_OUT, storeless

pytestmark = storeless

SHAPE = {
    "job_id", "kind", "user_id", "state", "schedule", "channels_total", "channels_done", "posts_added", "posts_edited",
    "error", "started_at", "finished_at",
}  # fmt: skip


async def waiter_is_there(face):
    """Until the scheduler holds an ``AwaitJob``."""
    scheduler = face.owner.find("scheduler")
    for _ in range(1000):
        if face.waiting:
            return scheduler
        await asyncio.sleep(0.002)
    raise AssertionError("nobody waits")


async def test_a_parse_is_accepted_with_its_job(face):
    code, job, headers = await face.post(f"/parse/user/{SIGNED_IN}")
    assert code == 202
    assert set(job) == SHAPE
    assert (job["kind"], job["user_id"], job["state"]) == ("user", SIGNED_IN, "running")
    assert job["started_at"] == "2026-11-23T12:00:00Z"
    assert headers["Location"] == f"/jobs/{job['job_id']}"
    assert (await face.get(headers["Location"]))[:2] == (200, job)


async def test_a_running_parse_is_answered_with_its_own_job(face):
    first = (await face.post("/parse/all"))[1]
    assert (await face.post("/parse/all"))[1] == first
    assert (await face.post(f"/parse/user/{SIGNED_IN}"))[1]["job_id"] != first["job_id"]


async def test_waiting_answers_200_when_done(face):
    asked = asyncio.create_task(face.post("/parse/all?wait=30.5"))
    (await waiter_is_there(face)).tell("finish")
    code, job, headers = await asked
    assert (code, job["state"], job["posts_added"]) == (200, "success", 47)
    assert "Location" not in headers


async def test_waiting_answers_202_when_time_is_up(face):
    for wait in ("0", "0.05", "0.000000001"):
        code, job, _ = await face.post(f"/parse/all?wait={wait}")
        assert (code, job["state"]) == (202, "running")


async def test_a_cancelled_parse_answers_who_waits_and_frees_its_place(face):
    asked = asyncio.create_task(face.post("/parse/all?wait=60"))
    await waiter_is_there(face)
    job = (await face.post("/parse/all"))[1]
    code, ended, _ = await face.post(f"/jobs/{job['job_id']}/cancel")
    assert (code, ended["state"]) == (200, "cancelled")
    assert (await asked)[:2] == (200, ended)
    assert (await face.post(f"/jobs/{job['job_id']}/cancel"))[1] == ended
    assert (await face.get(f"/jobs/{job['job_id']}"))[1] == ended
    assert (await face.post("/parse/all"))[1]["job_id"] != job["job_id"]
    for unknown in ("none", "%00", "a" * 65):
        assert (await face.post(f"/jobs/{unknown}/cancel"))[0] == 404


async def test_an_unknown_user_is_404_and_one_not_signed_in_409_with_the_state(face):
    assert (await face.post("/parse/user/1"))[0] == 404
    code, problem, _ = await face.post(f"/parse/user/{SIGNED_OUT}")
    assert (code, problem["state"]) == (409, "revoked")
    assert "revoked" in problem["detail"]
    assert "telewarden login" in problem["detail"]


async def test_a_scheduler_that_is_away_is_503_with_the_time_to_come_back(face):
    await face.owner.find("scheduler").stop(block=False)
    for path in ("/parse/all", f"/parse/user/{SIGNED_IN}"):
        code, _, headers = await face.post(path)
        assert code == 503
        assert int(headers["Retry-After"]) > 0


async def test_the_end_of_the_server_answers_who_waits_within_two_seconds(face):
    asked = asyncio.create_task(face.post("/parse/all?wait=600"))
    await waiter_is_there(face)
    began = time.monotonic()
    await face.server.stop()
    assert time.monotonic() - began < 2
    code, job, _ = await asked
    assert (code, job["state"]) == (202, "running")
