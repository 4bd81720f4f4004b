"""Schedules in a whole tree: whose channels they parse, what they do about a run that goes on, and after a restart."""

import logging
from datetime import UTC, datetime, timedelta

import pytest

from actors.messages.ids import AccountId
from actors.messages.jobs import DescribeSchedules
from actors.runs import Fire
from actors.timetable import Firing, Mark
from config.model import Group, Plan, Schedule
from sandbox.client import Sandbox
from tests.actors.test_collection import Tree
from tests.daemon.store.rows import ask
from tests.processes import http

OFTEN = timedelta(hours=1)
JOBS = "SELECT schedule, kind, user_id, state, channels_total, error FROM jobs ORDER BY saved_at"


@pytest.fixture
async def tree(store, caplog):
    caplog.set_level(logging.INFO)
    async with Sandbox(accounts=3, channels=5, posts=60, seed=3) as sandbox:
        tree = Tree(sandbox, store)
        await tree.sign_in()
        yield tree
        await tree.stop()


async def fire(tree, schedule):
    await tree.owner.find("scheduler").send(Fire(firing=Firing(schedule=schedule, due=tree.owner.clock.now())))


async def told(tree, caplog, event, count):
    async def is_told():
        await tree.store.accounts.all()  # others get their turn
        return caplog.messages.count(event) == count

    await tree.until(is_told)
    return [record.fields for record in caplog.records if record.msg == event]


async def test_a_schedule_parses_the_named_users_channels_and_no_more_than_their_plans_allow(tree, store, dsn, caplog):
    first, second, third = (AccountId(user["id"]) for user in tree.users)
    often = timedelta(hours=1)
    schedules = (
        Schedule(name="one", every=often, users=(first, second, third, 404)),
        Schedule(name="two", every=often, users=(first, second)),
    )
    await store.people.set_plan(first, "small")
    await store.people.set_plan(third, "none")
    plans = (Plan(name="default"), Plan(name="small", schedules=1), Plan(name="none", schedules=0))
    tree.start(schedules=schedules, plans=plans)
    await tree.signed_in()
    for schedule in schedules:
        await fire(tree, schedule)
    skipped = await told(tree, caplog, "schedule_skipped", 3)
    assert [(each["schedule"], each["account_id"]) for each in skipped] == [
        ("one", third),
        ("one", 404),
        ("two", first),
    ]
    jobs = await ask(dsn, "SELECT kind, user_id FROM jobs ORDER BY user_id")
    assert jobs == [("schedule", first), ("schedule", second)]


async def test_a_schedule_of_channels_and_groups_parses_those_alone_and_says_whom_it_misses(tree, dsn, caplog):
    one, two, *_ = tree.channels
    schedules = (
        Schedule(name="news", every=OFTEN, channels=(f"https://t.me/{one['username']}",), groups=("ids",)),
        Schedule(name="gone", every=OFTEN, channels=("@nobody_here",)),
    )
    tree.start(schedules=schedules, groups=(Group(name="ids", channels=(f"-100{two['id']}",)),))
    await tree.signed_in()
    for schedule in schedules:
        await fire(tree, schedule)
    finished = await told(tree, caplog, "parse_finished", 2)
    assert sum(each["count"] for each in finished) == len(tree.exists(one["id"])) + len(tree.exists(two["id"]))
    news, gone = sorted(await ask(dsn, JOBS), key=lambda row: -row[4])
    assert news == ("news", "schedule", None, "success", 2, None)
    assert gone == ("gone", "schedule", None, "failed", 0, "nobody_here: no followed channel has that name or id")


async def test_a_firing_passes_or_waits_while_the_run_before_goes_on(tree, dsn, caplog):
    skip = Schedule(name="skip", every=OFTEN)
    wait = Schedule(name="wait", every=OFTEN, overlap="wait")
    fault = {"method": "messages.getPeerDialogs", "delay": 1.0, "count": 1}
    await http("POST", f"{tree.sandbox.control_url}/faults", fault)
    tree.start(schedules=(skip, wait))
    await tree.signed_in()
    for schedule in (skip, skip, wait, wait):
        await fire(tree, schedule)
    overlapped = await told(tree, caplog, "schedule_overlapped", 3)
    assert [each["schedule"] for each in overlapped] == ["skip", "wait", "wait"]
    await told(tree, caplog, "parse_finished", 2)
    assert [(row[0], row[3]) for row in await ask(dsn, JOBS)] == [("skip", "success"), ("wait", "success")]


async def test_a_restart_makes_up_for_a_missed_firing_and_keeps_the_grid_of_the_others(tree, store, dsn, caplog):
    now = datetime.now(UTC)
    missed = Schedule(name="missed", every=OFTEN)
    passed = Schedule(name="passed", every=OFTEN, catch_up="none")
    ahead = Schedule(name="ahead", every=OFTEN)
    ago = {"missed": 90, "passed": 90, "ahead": 10}
    marks = [
        Mark(name=each.name, rule=each.rule, last=now - timedelta(minutes=ago[each.name]))
        for each in (missed, passed, ahead)
    ]
    await store.schedules.save([*marks, Mark(name="dropped", rule="every 1h", last=now)])
    tree.start(schedules=(missed, passed, ahead))
    await tree.signed_in()
    await told(tree, caplog, "parse_finished", 1)
    assert [row[0] for row in await ask(dsn, JOBS)] == ["missed"]
    # The mark is kept after the run was begun.
    kept = await store.schedules.marks()
    assert kept.keys() == ago.keys()
    assert kept["missed"].last == now - timedelta(minutes=30)
    times = {each.name: each.next[0] for each in await tree.owner.find("scheduler").call(DescribeSchedules())}
    assert times == {name: now + timedelta(minutes=30 if name != "ahead" else 50) for name in ago}
