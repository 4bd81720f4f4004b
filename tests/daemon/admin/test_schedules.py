"""When schedules fire next, asked of the actor that fires them."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from actors.metrics import Metrics
from actors.scheduler import Scheduler
from config.model import Plan, Schedule
from tests.daemon.test_cli import Telewarden, telewarden  # noqa: F401 -- a fixture

SCHEDULES = (
    Schedule(name="often", every=timedelta(minutes=30)),
    Schedule(name="mornings", cron="0 8 * * *", timezone="Europe/Moscow", users=(7, 8)),
)


@pytest.fixture
async def url(serve, store, owner):
    metrics = Metrics(CollectorRegistry())
    Scheduler.start(
        store=store,
        schedules=SCHEDULES,
        plans=(Plan(name="default"),),
        metrics=metrics,
        rng=random.Random(1),
        key="scheduler",
    )
    server = serve(store)
    await server.start()
    yield server.url
    await server.stop()


async def get(url, path):
    async with aiohttp.ClientSession() as session, session.get(url + path) as answer:
        return answer.status, await answer.json()


async def test_each_schedule_is_told_with_its_next_firings(url):
    before = datetime.now(UTC)
    status, answer = await get(url, "/schedules?next=4")
    assert status == 200
    often, mornings = answer["schedules"]
    assert (often["name"], often["every"], often["cron"], often["users"]) == ("often", "30m", None, [])
    assert (mornings["cron"], mornings["timezone"], mornings["users"]) == ("0 8 * * *", "Europe/Moscow", [7, 8])
    for schedule, between in ((often, timedelta(minutes=30)), (mornings, timedelta(days=1))):
        times = [datetime.fromisoformat(time) for time in schedule["next"]]
        assert len(times) == 4
        assert before < times[0] <= before + between + timedelta(minutes=1)
        assert {later - earlier for earlier, later in pairwise(times)} == {between}
    assert mornings["next"][0][11:19] == "05:00:00", "Moscow has no daylight saving"
    assert len((await get(url, "/schedules"))[1]["schedules"][0]["next"]) == 3
    for query, names, more in (
        ("limit=1", ["often"], "often"),
        ("limit=1&after=often", ["mornings"], None),
        ("after=mornings", [], None),
    ):
        page = (await get(url, f"/schedules?{query}"))[1]
        assert ([each["name"] for each in page["schedules"]], page["next_after"]) == (names, more)
    assert (await get(url, "/schedules?after=nobody"))[0] == 404
    for wrong in ("0", "101", "x"):
        assert (await get(url, f"/schedules?next={wrong}"))[0] == 400


async def test_the_command_lists_them(url, telewarden):  # noqa: F811
    code, out, err = await telewarden("schedule", "--next", "1", "--url", url)
    assert (code, err) == (0, "")
    often, mornings = out.splitlines()
    assert often.startswith("Schedule often: every 30m; next 20")
    assert mornings.startswith("Schedule mornings: 0 8 * * * (Europe/Moscow), users 7, 8; next 20")
    assert mornings.endswith("05:00:00")
