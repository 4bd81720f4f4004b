"""The probe against sandboxes that differ: what it sees is how they are, what it writes holds no content.

A trace of the real service would go the same way: ``sandbox --trace`` takes it over, and ``compare`` says what is left.
"""

import asyncio
import base64
import json
import os
import pty
import re
import sys
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest

from actors.errors import LoopbackViolated
from actors.messages.ids import AccountId
from actors.runtime.clock import ManualClock
from actors.telegram.client import SettingsIncomplete
from actors.telegram.probe import SWITCHES, ProbeRefused, Wish, probe
from actors.telegram.probe_asker import Pace
from actors.telegram.probe_differences import DIFFERENCE, TOO_LONG, find_edge
from actors.telegram.probe_trace import (
    FORMAT,
    KIND,
    PLAN,
    Difference,
    Finding,
    Record,
    Trace,
    TraceInvalid,
    TraceLeaks,
    compare,
)
from config.model import Telegram
from daemon.keys import load_master_keys
from daemon.store.state_lock import StateLock
from daemon.store.store import open_store
from sandbox.client import Sandbox
from sandbox.faults import Rule
from sandbox.generate import ShapeError
from sandbox.switches import MAX_TOO_LONG_ABOVE, Switches
from sandbox.traces import TraceError, read
from tests.actors.telegram.house import fail, key_of
from tests.daemon.test_cli import ENVIRONMENT, telewarden  # noqa: F401 -- a fixture
from tests.processes import ROOT, http
from tests.sandbox.conftest import fresh_telethon  # noqa: F401 -- a fixture, used everywhere
from tests.sandbox.test_process import refused

CHANNEL = "gorod_news"
STEPS = 260
"""The channel moves so often: further than any sandbox tells."""
FAST = 1000.0
CANARY = "Canary9Text"


@asynccontextmanager
async def lived_in(**options):
    """A sandbox whose first channel has a past of posts, edits and deletions, a second apart each."""
    async with Sandbox(accounts=3, channels=5, posts=600, **options) as dc:
        await live(dc)
        yield dc


async def live(dc):
    channel = dc.world.channel(CHANNEL)
    clock, steps = dc.dc.clock, 0
    while steps < STEPS:
        clock.skew = float(steps - STEPS - 10)
        (new,) = await dc.publish(CHANNEL, text=f"{CANARY} {steps}")
        steps += 1
        if steps % 3 == 0:
            await dc.edit(CHANNEL, new, f"{CANARY} {steps} edited")
            steps += 1
        if steps % 50 == 0:
            steps += len(await dc.delete(CHANNEL, channel.ids[-5:-3]))
    clock.skew = 0.0
    for number in range(8):
        dc.dc.write(dc.world.account("boris"), dc.world.account("ann"), f"{CANARY} private {number}")


async def probed(dc, who="ann", **wish):
    wanted = Wish(**{"channel": CHANNEL, "pace": FAST} | wish)
    return await probe(key_of(dc, who), wanted, settings=Telegram(), loopback_only=True)


def values(findings):
    return {name: found.value for name, found in findings.items()}


def answers(trace):
    return {record.step: record.answer or record.error["name"] for record in trace.records}


# --- what it sees --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "switches",
    [
        Switches(),
        Switches(difference_pts=False),
        Switches(too_long_above=40),
        Switches(too_long_above=MAX_TOO_LONG_ABOVE, peer_batch_fails=False),
        Switches(too_long_above=1),
        Switches(difference_pts=False, too_long_above=57, peer_batch_fails=False, account_too_long_above=3),
    ],
    ids=str,
)
async def test_the_switches_that_a_probe_sees_are_those_of_the_data_centre(switches, tmp_path):
    async with lived_in(switches=switches) as dc:
        first = (await probed(dc)).trace
    seen = {name: value for name, value in values(first.switches).items() if value is not None}
    real = asdict(switches)
    assert seen == {name: real[name] for name in seen}
    expected = {"too_long_above", "peer_batch_fails"}
    if switches.too_long_above > 1:  # a difference of one step holds one update at most
        expected.add("difference_pts")
    if switches.account_too_long_above:
        expected.add("account_too_long_above")
    assert set(seen) == expected

    # The trace makes a sandbox of the same kind, and the two can't be told apart.
    path = tmp_path / "trace.jsonl"
    path.write_text(first.dump(), encoding="utf-8")
    async with lived_in(trace=path) as again:
        assert asdict(again.dc.switches) == asdict(Switches()) | seen
        second = (await probed(again)).trace
    assert compare(Trace.load(path), second) == []
    assert answers(first) == answers(second)


async def test_other_switches_are_differences_that_name_themselves():
    async with lived_in() as dc, lived_in(switches=Switches(difference_pts=False, too_long_above=40)) as other:
        left, right = (await probed(dc)).trace, (await probed(other)).trace
    told = compare(left, right)
    assert Difference("switches.difference_pts", True, False) in told
    assert Difference("switches.too_long_above", 100, 40) in told
    places = " ".join(each.place for each in told)
    assert "channel_difference/behind_50 (updates.getChannelDifference): answer" in places
    assert "channel_difference/behind_5 (updates.getChannelDifference): updates_pts" in places
    assert str(told[0]) == "switches.difference_pts: true | false"
    # Nothing but what hangs on them differs.
    assert all("switches." in each.place or "difference" in each.place or "limit" in each.place for each in told)


async def test_every_switch_of_the_sandbox_has_a_place_in_a_trace():
    assert set(asdict(Switches())) <= set(SWITCHES)


async def test_a_channel_without_edits_leaves_the_switch_unknown():
    async with Sandbox(accounts=2, channels=3, posts=60) as dc:
        await dc.publish(CHANNEL, count=20)
        trace = (await probed(dc)).trace
    assert trace.switches["difference_pts"] == Finding(value=None, evidence="no difference held two edits or deletions")
    assert trace.switches["too_long_above"].value is None
    assert "gave no occasion for more" in trace.switches["too_long_above"].evidence


async def test_the_trace_of_an_ordinary_sandbox_is_one_that_a_sandbox_takes(tmp_path):
    async with Sandbox() as dc:
        trace = (await probed(dc)).trace
    (tmp_path / "trace.jsonl").write_text(trace.dump())
    assert read(tmp_path / "trace.jsonl").switches == Switches()


async def test_a_past_that_is_not_told_for_its_age_leaves_the_switch_unknown():
    async with lived_in(switches=Switches(too_long_after=5, too_long_above=150)) as dc:
        dc.dc.clock.leap += 60
        found = (await probed(dc)).trace.switches["too_long_above"]
    assert (found.value, "0 steps are told" in found.evidence) == (None, True)


async def test_refusals_that_say_nothing_of_a_switch_leave_it_unknown():
    async with lived_in(switches=Switches(peer_batch_fails=False)) as dc:
        fail(dc, "messages.getPeerDialogs", (400, "PEER_ID_INVALID"), count=0)
        fail(dc, "updates.getChannelDifference", (400, "CHANNEL_PRIVATE"), count=0)
        trace = (await probed(dc)).trace
    assert trace.switches["peer_batch_fails"].value is None
    assert not {"difference_above_is_refused", "difference_pts_0_is_refused"} & trace.assumptions.keys()


async def test_a_bot_and_a_channel_without_a_name_are_refused():
    async with Sandbox(accounts=1, channels=1) as dc:
        with pytest.raises(ProbeRefused, match="give a user's session"):
            await probed(dc, "sandbox_bot")
        asked = dc.requests()["total"]
        for empty in ("", "@", " https://t.me/ "):
            with pytest.raises(ProbeRefused, match="--channel is empty"):
                await probed(dc, channel=empty)
        assert dc.requests()["total"] == asked


async def test_a_wait_of_days_ends_the_probe_and_not_the_trace():
    async with lived_in() as dc:
        fail(dc, "messages.getHistory", (420, "FLOOD_WAIT_172800"))
        found = await probed(dc)
    assert found.trace.stopped["error"]["wait"] < 172800
    assert found.flood == ("messages.getHistory", timedelta(seconds=172800))


async def test_a_channel_that_goes_on_living_is_measured_by_what_its_answers_say():
    async with lived_in(switches=Switches(too_long_above=40)) as dc:
        channel, lines = dc.world.channel(CHANNEL), []

        def post_now_and_then(line):
            lines.append(line)
            if len(lines) % 3 == 0:
                dc.dc.publish(channel, ["more"])

        trace = (await probed(dc, tell=post_now_and_then)).trace
    assert trace.switches["too_long_above"].value == 40


async def test_an_account_of_one_channel_is_told_a_peer_of_its_own_with_a_wrong_hash():
    for fails in (True, False):
        async with Sandbox(accounts=1, channels=1, posts=30, switches=Switches(peer_batch_fails=fails)) as dc:
            trace = (await probed(dc)).trace
        assert trace.switches["peer_batch_fails"].value is fails
        assert "peer_dialogs/several" in trace.skipped


async def test_other_channels_that_are_named_and_not_found_are_told():
    async with Sandbox(accounts=1, channels=6, posts=60) as dc:
        ann = dc.world.account("ann").id
        *_, last = (channel for channel in dc.world.channels_of(ann) if channel.id != dc.world.channel(CHANNEL).id)
        assert "other_channels" not in (await probed(dc, others=(f"-100{last.id}",))).trace.skipped
        assert "other_channels" in (await probed(dc, others=("nobody_of_this_name",))).trace.skipped


async def test_a_channel_outside_the_dialogs_is_found_by_its_name_with_one_call():
    async with Sandbox(accounts=3, channels=6, posts=60) as dc:
        ann = dc.world.account("ann")
        channel = dc.world.channel(CHANNEL)
        dc.dc.move(channel, ann, "left")
        trace = (await probed(dc, channel=f"https://t.me/{CHANNEL}")).trace
        assert answers(trace)["resolve"] == "contacts.resolvedPeer"
        assert dc.requests()["by_account"][str(ann.id)]["contacts.resolveUsername"] == 1
        for name, word in ((str(channel.id), "first 100 dialogs"), ("nobody_of_this_name", "can see")):
            with pytest.raises(ProbeRefused, match=word):
                await probed(dc, channel=name)


@pytest.mark.parametrize(("edge", "most"), [(1, 250), (57, 250), (100, 250), (250, 250), (999, 5000)])
async def test_an_edge_is_found_in_few_calls(edge, most):
    asked = []

    async def ask(behind):
        asked.append(behind)
        return (DIFFERENCE if behind <= edge else TOO_LONG, behind)

    low, high = await find_edge(ask, 1, None, most=most)
    assert (low, high) == ((edge, None) if edge >= most else (edge, edge + 1)) or len(asked) == 12
    assert len(asked) <= 12


# --- what it leaves behind -----------------------------------------------------------------------------------------


async def test_nothing_is_changed_and_nothing_is_asked_beyond_the_plan():
    async with lived_in() as dc:
        before, requests, admit = dc.ledger(), [], dc.dc.dispatcher.admit
        dc.dc.dispatcher.admit = lambda call, request: requests.append(request) or admit(call, request)
        trace = (await probed(dc)).trace
        ann = str(dc.world.account("ann").id)
        asked = dc.requests()["by_account"][ann]
        assert dc.ledger() == before
    assert [each.increment for each in requests if hasattr(each, "increment")] == [False]
    most = {method: number for method, number, _ in PLAN}
    assert {method: number for method, number in asked.items() if number > most.get(method, 0)} == {}
    assert len(trace.records) == sum(asked.values()) - 1  # connecting asks for the config too


def disguises(secret):
    """A secret as it might stand in a file."""
    if isinstance(secret, int):
        signed = secret if secret >= 0 else secret + 2**64
        bytes_ = signed.to_bytes(8, "little")
        return {str(secret), str(signed), f"{signed:x}", f"{signed:X}", bytes_.hex(), base64.b64encode(bytes_).decode()}
    raw = secret.encode()
    return {secret, secret.lower(), raw.hex(), base64.b64encode(raw).decode(), json.dumps(secret)[1:-1]}


async def test_a_trace_holds_nothing_of_what_the_answers_held(tmp_path):
    async with lived_in() as dc:
        channel, ann, world = dc.world.channel(CHANNEL), dc.world.account("ann"), dc.world
        dc.dc.alter(channel, title="Canary7Title", username="canary8name")
        dc.dc.edit(channel, channel.ids[-1], "Canary6Post", entities=(("text_url", 0, 6, "https://canary.invalid/5"),))
        done = await probed(dc, channel="canary8name")
        text = done.trace.dump()
        secrets = {
            "Canary",
            "canary",
            "canary.invalid",
            dc.address,
            str(dc.port),
            ann.phone,
            ann.username,
            ann.first_name,
        }
        secrets |= {each.username for each in world.accounts.values()} | {
            each.title for each in world.channels.values()
        }
        secrets |= {each.username for each in world.channels.values() if each.username}
        numbers = {ann.id, *world.accounts, *world.channels, int(ann.phone)}
        numbers |= {world.access_hash(ann.id, "channel", each) for each in world.channels}
        numbers |= {world.access_hash(ann.id, "user", each) for each in world.accounts}
        numbers |= {*channel.ids[-200:], *channel.posts.dates[-200:], channel.pts, channel.date}
        secrets |= {datetime.fromtimestamp(date, UTC).strftime("%Y-%m-%d") for date in channel.posts.dates[-200:]}
        auth_key = key_of(dc, "ann", "probe").auth_key
    # Ids and pts of three digits or less can't be told from counts; the others stand nowhere.
    looked_for = {
        word for secret in secrets | {n for n in numbers if abs(n) > 999} for word in disguises(secret) if len(word) > 3
    }
    assert len(looked_for) > 500
    # Short names stand in longer words ("vera" in "several"): they are looked for as words.
    words = set(re.findall(r"\w+", text))
    assert {word for word in looked_for if word in (text if len(word) > 5 else words)} == set()
    assert auth_key.hex() not in text
    numbers_written = {n for line in text.splitlines() for n in integers(json.loads(line))}
    assert not numbers_written & {n for n in numbers if n > 300}


def integers(value):
    match value:
        case bool():
            return
        case int():
            yield value
        case dict():
            for inner in value.values():
                yield from integers(inner)
        case list():
            for inner in value:
                yield from integers(inner)


@pytest.mark.parametrize(
    "content", ["two words", "Пост", "a" * 65, 1_500_000_001, -(2**40), b"bytes", "id1500000001", "new\nline"]
)
def test_a_record_that_holds_content_is_never_written(content):
    record = Record(step="history/newest", method="messages.getHistory", ask={}, facts={"came": [content]})
    with pytest.raises(TraceLeaks) as leak:
        empty(records=[record]).dump()
    assert str(content) not in str(leak.value)


# --- how it behaves ------------------------------------------------------------------------------------------------


async def test_a_probe_never_exceeds_its_pace():
    clock, called = ManualClock(), []
    pace = Pace(2.0, clock)

    async def call():
        for _ in range(5):
            await pace()
            called.append(clock.monotonic())

    task = asyncio.create_task(call())
    await clock.run_for(10)
    await task
    assert called == [0.0, 0.5, 1.0, 1.5, 2.0]


async def test_time_that_was_not_used_is_not_made_up_for():
    clock = ManualClock()
    pace = Pace(1.0, clock)
    await pace()
    clock.advance(10)
    await pace()
    task = asyncio.create_task(pace())
    await clock.run_for(0.9)
    assert not task.done()
    await clock.run_for(0.2)
    await task


async def test_a_flood_wait_ends_the_probe_and_is_told(tmp_path):
    async with lived_in() as dc:
        dc.dc.dispatcher.faults.rules.append(
            Rule(method="messages.getHistory", skip=3, count=0, error=(420, "FLOOD_WAIT_33"))
        )
        done = await probed(dc)
        ann = str(dc.world.account("ann").id)
        asked = dc.requests()["by_account"][ann]
    assert done.flood == ("messages.getHistory", timedelta(seconds=33))
    assert done.trace.stopped == {
        "step": done.trace.records[-1].step,
        "error": {"code": 420, "name": "FLOOD_WAIT_X", "wait": 33},
    }
    assert asked["messages.getHistory"] == 4
    assert "updates.getChannelDifference" not in asked
    assert done.trace.switches["peer_batch_fails"].value is True
    assert done.trace.switches["too_long_above"].value is None
    path = tmp_path / "trace.jsonl"
    path.write_text(done.trace.dump(), encoding="utf-8")
    assert Trace.load(path) == done.trace


@pytest.mark.parametrize(
    ("error", "last"),
    [((401, "AUTH_KEY_UNREGISTERED"), True), ((406, "AUTH_KEY_DUPLICATED"), True), ((400, "PEER_ID_INVALID"), False)],
)
async def test_a_lost_session_ends_the_probe_and_a_refusal_does_not(error, last):
    async with lived_in() as dc:
        dc.dc.dispatcher.faults.rules.append(Rule(method="channels.getMessages", error=error))
        trace = (await probed(dc)).trace
    assert (trace.records[-1].step == "messages") is last
    assert (trace.stopped is not None) is last
    assert answers(trace)["messages"] == error[1]


async def test_three_failures_of_the_service_are_enough():
    async with lived_in() as dc:
        dc.dc.dispatcher.faults.rules.append(
            Rule(method="messages.getHistory", count=0, skip=1, error=(500, "RPC_CALL_FAIL"))
        )
        trace = (await probed(dc)).trace
    assert [record.error and record.error["code"] for record in trace.records[-4:]] == [None, 500, 500, 500]


async def test_a_line_that_breaks_ends_the_probe():
    async with lived_in() as dc:
        dc.dc.dispatcher.faults.rules.append(Rule(method="messages.getPeerDialogs", count=0, drop=True))
        trace = (await probed(dc)).trace
        asked = dc.requests()["by_account"][str(dc.world.account("ann").id)]
    # Telethon would reconnect and send it again.
    assert asked["messages.getPeerDialogs"] == 1
    assert trace.stopped["step"] == "peer_dialogs/one"
    assert trace.stopped["error"]["code"] is None


async def test_what_waits_for_the_end_of_a_flood_is_not_asked():
    async with lived_in() as dc:
        until = datetime.now(UTC) + timedelta(hours=1)
        trace = (await probed(dc, waits={"messages.getHistory": until})).trace
        assert "messages.getHistory" not in dc.requests()["by_account"][str(dc.world.account("ann").id)]
    assert trace.skipped["history/newest"] == "a flood wait of before isn't over"
    assert trace.switches["too_long_above"].value == 100


async def test_another_machine_is_refused_in_sandbox_mode_and_never_hurried():
    async with Sandbox(accounts=1, channels=1) as dc:
        key = replace(key_of(dc, "ann"), address="149.154.167.51", dc_id=2)
        wish = Wish(channel=CHANNEL)
        with pytest.raises(LoopbackViolated):
            await probe(key, wish, settings=Telegram(), loopback_only=True)
        with pytest.raises(SettingsIncomplete):
            await probe(key, wish, settings=Telegram())
        with pytest.raises(ProbeRefused, match="at most 1 call"):
            await probe(key, replace(wish, pace=1.5), settings=Telegram(api_id=1, api_hash="x"))
        assert dc.requests()["total"] == 0


# --- traces as files -----------------------------------------------------------------------------------------------


def empty(**fields):
    return Trace(**{"layer": 1, "telethon": "1.45.0", "telewarden": "0.1.0", "target": "other", "pace": 1.0} | fields)


def header(**changes):
    return json.loads(empty().dump()) | changes


def finding(value):
    return {"value": value, "evidence": "seen"}


RECORD = {"step": "state", "method": "updates.getState", "ask": {}, "answer": "updates.state"}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([""], ":1: "),
        (["{"], ":1: "),
        (["[]"], ":1: "),
        ([{"trace": "other"}], ":1: "),
        ([header(format=FORMAT + 1)], ":1: "),
        ([header(switches={"difference_pts": {"value": "maybe", "evidence": ""}})], ":1: switches.difference_pts"),
        ([header(), RECORD, "nonsense"], ":3: "),
        ([header(), {**RECORD, "step": 5}], ":2: step: "),
        ([header(), RECORD, {"step": "x"}], ":3: method: "),
    ],
)
def test_a_file_that_is_no_trace_is_refused_with_its_line(lines, words, tmp_path):
    path = tmp_path / "trace.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    with pytest.raises(TraceInvalid) as ours:
        Trace.load(path)
    with pytest.raises(TraceError) as sandboxes:
        read(path)
    for refusal in (ours, sandboxes):
        assert str(refusal.value).startswith(f"{path}{words}")


@pytest.mark.parametrize(
    ("switches", "words"),
    [
        ({"difference_pts": finding(3)}, "difference_pts: 3 is no value"),
        ({"too_long_above": finding(True)}, "too_long_above: true is no value"),
        ({"too_long_above": finding(0)}, "too_long_above: a number from 1"),
    ],
)
def test_a_switch_that_cannot_be_set_so_is_refused(switches, words, tmp_path, capsys):
    path = tmp_path / "trace.jsonl"
    path.write_text(json.dumps(header(switches=switches)))
    with pytest.raises(TraceError, match=words):
        read(path)
    status, told = refused(capsys, "--trace", path)
    assert status == 2
    assert told.startswith(f"sandbox: {path}:1: {words}")


def test_what_the_sandbox_cannot_do_is_noted(tmp_path):
    path = tmp_path / "trace.jsonl"
    switches = {"too_long_above": finding(1000), "difference_pts": finding("unknown"), "weather": finding(True)}
    path.write_text(json.dumps(header(switches=switches)))
    trace = read(path)
    assert trace.switches == Switches(too_long_above=MAX_TOO_LONG_ABOVE)
    notes = " / ".join(trace.notes)
    for word in ("layer 1", "difference_pts wasn't seen", "no switch weather", f"1000 there, and {MAX_TOO_LONG_ABOVE}"):
        assert word in notes
    assert read_missing(tmp_path)


def read_missing(folder):
    with pytest.raises(TraceError):
        read(folder / "missing")
    return True


def test_a_trace_and_switches_are_two_wishes(tmp_path):
    with pytest.raises(ShapeError):
        Sandbox(trace=tmp_path / "trace.jsonl", switches=Switches())


def test_both_readers_mean_the_same_format():
    assert header()["trace"] == KIND == "telewarden probe"
    assert header()["format"] == FORMAT == 1


def test_what_one_side_could_not_see_is_no_difference():
    state = Record(step="state", method="updates.getState", ask={}, answer="updates.state", facts={"a": None, "b": 1})
    other = replace(state, facts={"a": True, "b": 1}, latency="<1s")
    edge = replace(state, step="edge/channel_difference/behind_7")
    left = empty(records=[state, edge], skipped={"views": "too few"}, switches={"x": Finding(value=None, evidence="")})
    right = empty(records=[other, replace(state, step="views")], switches={"x": Finding(value=True, evidence="")})
    assert compare(left, right) == []
    assert compare(left, empty(stopped={"step": "config", "error": {}})) == []
    assert [each.place for each in compare(empty(records=[state]), empty())] == ["state"]
    refusal = {"code": 400, "name": "NO", "wait": None}
    failed = replace(state, answer=None, error=refusal, facts={})
    assert [str(each) for each in compare(empty(records=[state]), empty(records=[failed]))] == [
        'state (updates.getState): error: null | "400 NO"'
    ]
    longer = replace(failed, error=refusal | {"wait": 9})
    assert compare(empty(records=[failed]), empty(records=[longer])) == []


# --- the commands --------------------------------------------------------------------------------------------------


async def test_an_operator_probes_compares_and_starts_a_sandbox_of_the_kind(telewarden, capsys):  # noqa: F811
    chosen = Switches(difference_pts=False, too_long_above=40)
    place = {"TELEWARDEN__SANDBOX__ENABLED": "true"}
    async with lived_in(switches=chosen) as dc:
        (telewarden.folder / "ann").write_text(dc.session("ann"))
        options = ("--channel", CHANNEL, "--out", "one.jsonl", "--pace", FAST)
        code, _, err = await telewarden("probe", "--session", "ann", *options, **place)
        assert (code, "give --yes" in err) == (2, True)
        assert not (telewarden.folder / "one.jsonl").exists()
        code, out, err = await telewarden("probe", "--session", "ann", *options, "--yes", "--json", **place)
        assert code == 0, err
        told = json.loads(out)
        assert told["stopped"] is None
        assert (told["switches"]["difference_pts"], told["switches"]["too_long_above"]) == (False, 40)
        assert err.splitlines()[0] == "config: help.getConfig"
        code, _, err = await telewarden("probe", "--session", "ann", *options, "--yes", **place)
        assert (code, "is there already" in err) == (2, True)

    started = await telewarden.begin("sandbox", "--trace", "one.jsonl", "--until-eof")
    control = json.loads(await started.stdout.readline())["control"]
    assert await http("GET", f"{control}/switches") == asdict(chosen)
    await started.communicate(b"")
    assert started.returncode == 0

    async with lived_in() as other:
        code, out, err = await telewarden(
            "probe", "--session", "-", "--channel", CHANNEL, "--out", "two.jsonl", "--pace", FAST, "--yes",
            stdin=other.session("ann"), **place,
        )  # fmt: skip
        assert code == 0, err
        assert "too_long_above: 100 (with limit 100: 100 steps are told, 101 are too long)" in out
    assert await telewarden("probe", "--compare", "one.jsonl", "one.jsonl") == (0, "", "")
    code, out, _ = await telewarden("probe", "--compare", "one.jsonl", "two.jsonl")
    assert code == 1
    assert out.splitlines()[0] == "switches.difference_pts: false | true"
    (telewarden.folder / "three.jsonl").write_text("{}")
    code, _, err = await telewarden("probe", "--compare", "one.jsonl", "three.jsonl")
    assert (code, err) == (2, "telewarden: three.jsonl:1: this isn't the header of a telewarden probe\n")


async def test_who_is_asked_and_says_no_has_made_no_call(telewarden):  # noqa: F811
    async with Sandbox(accounts=1, channels=1) as dc:
        (telewarden.folder / "ann").write_text(dc.session("ann"))
        ours, theirs = pty.openpty()
        os.write(ours, b"n\n")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "daemon", "probe", "--session", "ann", "--channel", CHANNEL, "--out", "out",
            cwd=telewarden.folder, env={**ENVIRONMENT, "PYTHONPATH": str(ROOT), "TELEWARDEN__SANDBOX__ENABLED": "true"},
            stdin=theirs, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, err = await process.communicate()
        os.close(ours)
        os.close(theirs)
        assert dc.requests()["total"] == 0
    told = err.decode()
    assert process.returncode == 1
    assert all(f"{most:3} {method}" in told for method, most, _ in PLAN)
    for words in ("no joins, no sends, nothing is marked as read", "must have agreed", "Make these calls?"):
        assert words in told
    assert not (telewarden.folder / "out").exists()


async def test_a_stored_session_is_probed_while_no_daemon_runs_and_its_flood_is_kept(telewarden, dsn):  # noqa: F811
    async with lived_in() as dc:
        ann = AccountId(dc.world.account("ann").id)
        place = {"id": 203, "address": dc.address, "port": dc.port, "public_key": dc.public_key}
        environment = {
            "TELEWARDEN__DATABASE__DSN": dsn,
            "TELEWARDEN__TELEGRAM__DATACENTER": json.dumps(place),
            "TELEWARDEN__ADMIN__PORT": "1",
            "TELEWARDEN__STATE_DIR": "state",
        }
        options = ("probe", "--account", ann, "--channel", CHANNEL, "--out", "out.jsonl", "--pace", FAST, "--yes")
        code, _, err = await telewarden(*options, **environment)
        assert (code, f"user {ann} isn't signed in here" in err) == (1, True)
        assert not (telewarden.folder / "out.jsonl").exists()
        code, _, err = await telewarden("session", "import", "-", stdin=dc.session("ann"), **environment)
        assert code == 0, err
        dc.dc.dispatcher.faults.rules.append(Rule(method="updates.getState", count=0, error=(420, "FLOOD_WAIT_3000")))
        code, _, err = await telewarden(*options, **environment)
        assert code == 1
        assert err.splitlines()[-1].startswith("telewarden: it stopped at state: FLOOD_WAIT_X")
        assert Trace.load(telewarden.folder / "out.jsonl").stopped["step"] == "state"
        with StateLock(telewarden.folder / "state"):
            keys = load_master_keys(telewarden.folder / "state", None)
            async with await open_store(dsn, pool_size=2, keys=keys) as opened:
                assert set(await opened.store.accounts.floods(ann)) == {"updates.getState"}


async def test_what_cannot_be_probed_is_refused_before_anything_is_asked(telewarden):  # noqa: F811
    (telewarden.folder / "nothing").write_text("two words")
    options = ("--channel", CHANNEL, "--out", "out", "--yes")

    async def try_(word, status, *arguments, **environment):
        code, _, err = await telewarden("probe", *arguments, **environment)
        assert (code, word in err) == (status, True), err

    sandboxed = {"TELEWARDEN__SANDBOX__ENABLED": "true"}
    await asyncio.gather(
        try_("either --session or --account", 2, *options),
        try_("api_id", 78, "--account", 7, *options),
        try_("only with its daemon", 69, "--account", 7, *options, **sandboxed),
        try_("neither the text", 1, "--session", "nothing", *options, **sandboxed),
    )
    assert not (telewarden.folder / "out").exists()
