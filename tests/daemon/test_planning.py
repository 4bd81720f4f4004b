"""From rows to a plan, over HTTP and by command."""

import asyncio
import json

import pytest

from actors.messages.alerts import EndAlert, RaiseAlert
from actors.messages.rows import Pace, SessionKey
from config.model import Settings
from daemon.planning import Planned, Wish, gather, older, watch
from tests.actors.telegram.house import Ears
from tests.daemon.admin.conftest import face, owner, registry, serve  # noqa: F401 -- fixtures
from tests.daemon.store.rows import NEWS, SPORT, USER, follow, membership, minute, post, record
from tests.daemon.test_cli import telewarden  # noqa: F401 -- a fixture


@pytest.fixture
async def filled(store):
    """An account that reads NEWS, 144 posts a day, ids 101 to 300 collected; nobody reads SPORT."""
    await follow(store, membership(NEWS, "news"), membership(SPORT))
    key = SessionKey(account_id=USER, dc_id=203, address="127.0.0.1", port=1, auth_key=bytes(256))
    await store.accounts.save_session(key)
    posts = [post(101 + number, date=minute(10 * number)) for number in range(200)]
    await store.posts.record([record(*posts, covered=(101, 300), start_id=101, top_id=300)])
    await store.channels.set_reader(NEWS, USER)
    return store


NOW = minute(2000)


async def test_a_plan_is_made_of_what_the_store_knows(filled):
    planned = Planned.of(Settings())
    assert (await filled.channels.traffic(NOW))[NEWS] == pytest.approx(144)
    found = await gather(filled, planned, NOW, Wish(channel_id=NEWS, posts=None))
    (account,) = found.accounts
    assert (account.account_id, account.channels, found.unread) == (USER, 1, (f"channel {SPORT}",))
    assert [(one.channel, one.messages, one.calls) for one in found.backfills] == [("@news", 100, 1)]
    await filled.accounts.save_pace(USER, "messages.getPeerDialogs", Pace(1, 3600.0))
    assert not (await gather(filled, planned, NOW)).fits


async def test_a_wish_and_a_running_backfill_count_what_is_missing_below_the_start(filled):
    row = await filled.channels.one(NEWS)
    assert older(row, None) == 0
    assert older(row, Wish(channel_id=NEWS, posts=None)) == 100
    assert older(row, Wish(channel_id=NEWS, posts=30)) == 30
    await filled.channels.set_goal(NEWS, 51)
    assert older(await filled.channels.one(NEWS), None) == 50


async def test_a_plan_is_told_over_http_and_for_other_settings(face, filled):  # noqa: F811
    code, answer, _ = await face.get("/plan")
    assert (code, answer["fits"], answer["backfills"]) == (200, True, [])
    hasty = {"schedules": [{"every": "10s"}, {"name": "b", "every": "10s"}, {"name": "c", "every": "10s"}]}
    await filled.accounts.save_pace(USER, "messages.getPeerDialogs", Pace(20, 60.0))
    code, answer, _ = await face.post("/plan", json=hasty)
    assert (code, answer["fits"]) == (200, False)
    code, answer, _ = await face.post("/plan", json={"backfill": {"channel": "@news", "posts": 20}})
    assert [one["messages"] for one in answer["backfills"]] == [20]
    for body, told in (
        ({"schedules": [{"every": "1s"}]}, "schedules.0.every"),
        ({"reread_after": ["1d", "1h"]}, "reread_after"),
        ({"what": 1}, "what"),
        ({"backfill": {"channel": ""}}, "backfill.channel"),
    ):
        code, answer, _ = await face.post("/plan", json=body)
        assert (code, told in answer["detail"]) == (400, True), answer
    assert (await face.post("/plan", json={"backfill": {"channel": "@nobody"}}))[0] == 404


async def test_the_command_goes_by_the_file_and_refuses_what_does_not_fit(telewarden, face, filled, tmp_path):  # noqa: F811
    code, out, _ = await telewarden("plan", "--backfill", "@news", "--url", face.server.url)
    assert code == 0
    assert out.startswith(f"Account {USER}: ")
    assert "messages.getPeerDialogs: at most " in out
    assert "Backfill of @news: 100 posts, 1 calls, ends 20" in out
    assert f"Read by nobody now: channel {SPORT}" in out
    await filled.posts.record([record(covered=(1, 100), road="backfill")])
    code, out, _ = await telewarden("plan", "--backfill", "@news", "--url", face.server.url)
    assert (code, "Backfill of @news: nothing older is missing" in out) == (0, True)
    await filled.accounts.save_pace(USER, "messages.getPeerDialogs", Pace(20, 60.0))
    file = tmp_path / "hasty.yaml"
    file.write_text("schedules: [{every: 10s}, {name: b, every: 10s}, {name: c, every: 10s}]\n")
    code, out, err = await telewarden("plan", "-c", file, "--url", face.server.url)
    assert code == 1
    assert "DOESN'T FIT" in out
    assert "lengthen the schedules" in err
    code, out, _ = await telewarden("plan", "-c", file, "--json", "--url", face.server.url)
    assert (code, json.loads(out)["fits"]) == (1, False)
    assert (await telewarden("plan", "--posts", 5, "--url", face.server.url))[0] == 2


async def test_the_operator_is_told_hourly_of_what_does_not_fit_and_that_it_does(owner, filled, monkeypatch):  # noqa: F811
    monkeypatch.setattr("daemon.planning.LOOK_AFTER", 0)
    monkeypatch.setattr("daemon.planning.LOOK_EVERY", 0)
    heard = asyncio.Queue()
    Ears.start(heard, key="alerts")
    await filled.accounts.save_pace(USER, "messages.getPeerDialogs", Pace(1, 3600.0))
    watching = asyncio.create_task(watch(owner, filled, Settings))

    async def told(kind):
        async with asyncio.timeout(5):
            while not isinstance(alert := await heard.get(), kind) or alert.cause != "messages.getPeerDialogs":
                pass
        return alert

    assert await told(RaiseAlert) == RaiseAlert(kind="overfull", account_id=USER, cause="messages.getPeerDialogs")
    await filled.accounts.save_pace(USER, "messages.getPeerDialogs", Pace(1000, 1.0))
    assert (await told(EndAlert)).account_id == USER
    watching.cancel()
    await asyncio.wait([watching])
