"""Floods and budgets of a real account over HTTP and by command, and the list of jobs."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from actors.account import Account
from actors.messages.content import Profile
from actors.messages.jobs import Job
from actors.messages.rows import Pace
from config.model import Settings
from tests.actors.telegram.house import account_ids, fail, key_of, open_sandbox, place_of
from tests.daemon.test_cli import Telewarden, telewarden  # noqa: F401 -- a fixture
from tests.processes import breathe

METHOD = "messages.getDialogs"


@pytest.fixture
async def reader(face, store, owner, request):
    async with open_sandbox() as dc:
        me = account_ids(dc)[0]
        await store.accounts.save_profile(Profile(account_id=me, username="a", first_name=None, last_name=None))
        await store.accounts.save_session(key_of(dc, me))
        if request.param == "flooded":
            fail(dc, METHOD, (420, "FLOOD_WAIT_60"), count=1)
        Account.start(
            account_id=me, store=store, settings=Settings(), datacenter=place_of(dc), loopback_only=True,
            key=f"account/{me}",
        )  # fmt: skip
        yield me


async def until(face, path, condition):
    while True:
        code, answer, _ = await face.get(path)
        if code == 200 and condition(answer):
            return answer
        await breathe()


@pytest.mark.parametrize("reader", ["flooded"], indirect=True)
@pytest.mark.timeout(60)
async def test_a_wait_is_listed_counted_and_forgotten_on_request(face, store, reader, telewarden):  # noqa: F811
    answer = await until(face, "/floods", lambda answer: answer["floods"])
    (flood,) = answer["floods"]
    assert (flood["account_id"], flood["method"]) == (reader, METHOD)
    assert timedelta(50) > datetime.fromisoformat(flood["until"]) - datetime.now(UTC) > timedelta(seconds=30)
    code, out, _ = await telewarden("floods", "--url", face.server.url)
    assert re.fullmatch(rf"User {reader}: {METHOD} until \S+ \S+Z\n|User {reader}: {METHOD} until \S+Z\n", out)
    await store.accounts.save_pace(reader, METHOD, Pace(1, 3600.0))
    code, out, err = await telewarden("floods", "--forget", reader, METHOD, "--url", face.server.url)
    assert (code, out, err) == (0, f"User {reader}, {METHOD}: forgotten\n", "")
    assert (await face.get("/floods"))[1] == {"floods": []}
    assert await store.accounts.paces(reader) == {}
    code, out, _ = await telewarden("floods", "--forget", reader, METHOD, "--url", face.server.url)
    assert "there was neither" in out
    assert (await face.ask("DELETE", f"/users/404/floods/{METHOD}"))[0] == 404
    assert (await face.ask("DELETE", f"/users/{reader}/floods/%20"))[0] == 404
    assert (await face.get("/users/404/budget"))[0] == 404


@pytest.mark.parametrize("reader", ["well"], indirect=True)
@pytest.mark.timeout(60)
async def test_a_budget_tells_what_an_account_has_called_and_may(face, store, reader, telewarden):  # noqa: F811
    path = f"/users/{reader}/budget"
    answer = await until(face, path, lambda answer: METHOD in {each["method"] for each in answer["methods"]})
    (dialogs,) = (each for each in answer["methods"] if each["method"] == METHOD)
    assert (dialogs["calls"], dialogs["made"] >= 1, dialogs["ready_in"]) == (None, True, 0)
    code, out, _ = await telewarden("floods", "--budget", reader, "--url", face.server.url)
    assert (code, f"{METHOD}: {dialogs['made']} of no known limit" in out) == (0, True)
    assert (await face.ask("DELETE", f"/users/{reader}/floods/{METHOD}"))[1]["forgotten"] is False


async def test_jobs_are_listed_by_pages_and_by_state_and_kind(face, store, telewarden):  # noqa: F811
    for number in range(5):
        state, kind = ("failed", "schedule") if number % 2 else ("success", "all")
        error = "no" if state == "failed" else None
        await store.jobs.save(Job(job_id=f"j{number}", kind=kind, user_id=None, state=state, error=error))
    code, first, _ = await face.get("/jobs?limit=2")
    assert (code, [each["job_id"] for each in first["jobs"]]) == (200, ["j4", "j3"])
    _, rest, _ = await face.get(f"/jobs?limit=3&before={first['next_before']}")
    assert ([each["job_id"] for each in rest["jobs"]], rest["next_before"]) == (["j2", "j1", "j0"], None)
    _, failed, _ = await face.get("/jobs?state=failed&kind=schedule")
    assert [each["job_id"] for each in failed["jobs"]] == ["j3", "j1"]
    assert (await face.get("/jobs?state=lost"))[0] == 400
    code, out, _ = await telewarden("jobs", "--limit", 2, "--url", face.server.url)
    assert out.splitlines() == [
        "Job j3, schedule: failed, posts_added=0: no",
        "Job j4, all: success, posts_added=0",
    ]
