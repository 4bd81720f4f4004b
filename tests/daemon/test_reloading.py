"""A running daemon is given other settings: by signal, command and HTTP; bad ones change nothing."""

import asyncio
import json
import random
import re
import signal

import aiohttp
import pytest

from config.document import MAX_BYTES
from tests.daemon.store.rows import ask
from tests.postgres import fresh_database
from tests.processes import SIGNED_IN, DaemonProcess, breathe

SANDBOX = "sandbox: {enabled: true, accounts: 3, channels: 4, posts: 40, seed: 7}\n"
BUSY = "sandbox: {enabled: true, accounts: 3, channels: 4, posts: 40, seed: 7, rate: 50}\n"


@pytest.fixture
async def daemon(tmp_path, postgres):
    config = tmp_path / "telewarden.yaml"
    config.write_text(SANDBOX, encoding="utf-8")
    async with fresh_database(postgres) as dsn:
        env = {"TELEWARDEN__DATABASE__DSN": dsn, "TELEWARDEN__LOGGING__LANGUAGE": "en"}
        async with DaemonProcess(tmp_path / "var", env=env, config=config) as daemon:
            daemon.config, daemon.dsn = config, dsn
            await daemon.signed_in(3)
            yield daemon


def write(daemon, text, sandbox=SANDBOX):
    daemon.config.write_text(sandbox + text, encoding="utf-8")


async def schedules(daemon):
    return {
        each["name"]: each["every"] or each["cron"] for each in (await daemon.get("/schedules?next=1"))["schedules"]
    }


def sign_ins(daemon):
    return sum(SIGNED_IN in line for line in daemon.lines)


async def test_settings_come_into_force_by_signal_command_and_http_and_nobody_connects_anew(daemon):
    assert await schedules(daemon) == {"all": "30m"}
    before = sign_ins(daemon)

    # What would change is shown, and nothing does.
    write(daemon, "schedules: [{name: all, every: 1h}, {name: b, cron: '0 5 * * *'}]\ndatabase: {pool_size: 9}\n")
    code, out, err = await daemon.cli("diff")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "database.pool_size: 4 -> 9  (after a restart)"
    assert "schedules[all].every: 30m -> 1h" in out.splitlines()
    assert out.splitlines()[-1] == "To be applied: 2, 1 after a restart"
    assert await schedules(daemon) == {"all": "30m"}

    code, out, err = await daemon.cli("reload")
    assert (code, err, out.splitlines()[-1]) == (0, "", "Applied: 2, 1 after a restart")
    assert await schedules(daemon) == {"all": "1h", "b": "0 5 * * *"}
    assert (await daemon.get("/settings"))["database"]["pool_size"] == 4

    write(daemon, "schedules: [{name: all, every: 2h}]\nlogging: {level: DEBUG}\n")
    at = len(daemon.lines)
    daemon.process.send_signal(signal.SIGHUP)
    await daemon.line("Settings reloaded: 3 changed", after=at)
    assert await schedules(daemon) == {"all": "2h"}
    assert (await daemon.get("/settings"))["logging"]["level"] == "DEBUG"

    code, out, _ = await daemon.cli("reload", "--json")
    assert (code, json.loads(out)) == (
        0,
        {"applied": 0, "needs_restart": 0, "dropped_channels": 0, "dropped": [], "changes": []},
    )
    assert sign_ins(daemon) == before


async def test_a_filter_says_what_it_drops_retention_what_it_lets_go_and_both_hold_at_once(daemon):
    followed = {each["id"]: each["username"] for each in (await daemon.get("/channels"))["channels"]}
    assert len(followed) == 4
    kept = next(name for name in followed.values() if name)
    write(daemon, f"collection: {{follow: listed, channels: ['@{kept}']}}\n")
    code, out, _ = await daemon.cli("diff")
    assert (code, "WARNING: 3 channels are followed no more: " in out) == (0, True)
    at, before = len(daemon.lines), sign_ins(daemon)
    told = await daemon.post("/reload")
    assert (told["dropped_channels"], len(told["dropped"])) == (3, 3)
    await daemon.line("By the new settings 3 channels are collected no more: ", after=at)

    async def subscriptions():
        return sum(each["subscriptions"] > 0 for each in (await daemon.get("/channels"))["channels"])

    async with asyncio.timeout(20):
        while await subscriptions() != 1:
            await breathe()
        write(daemon, "collection: {follow: dialogs}\n")
        assert (await daemon.post("/reload"))["dropped_channels"] == 0
        while await subscriptions() != 4:
            await breathe()
    assert sign_ins(daemon) == before

    assert (await daemon.parse_all())["state"] == "success"
    write(daemon, "retention: [{keep: 3000d}]\n")
    await daemon.post("/reload")
    code, out, _ = await daemon.cli("retention")
    assert (code, len(out.splitlines())) == (0, 4)
    assert all("kept for 428w4d, 0 posts are older" in line for line in out.splitlines()), out
    at = len(daemon.lines)
    write(daemon, "retention: [{keep: 30d}]\n")
    await daemon.post("/reload")
    for _ in range(4):
        at, _ = await daemon.line("posts older than 30 days", after=at)
        at += 1
    assert (await daemon.get("/ledger"))["totals"]["stored"] == 0


def spoilt(rng, good):
    """The text with something in it broken, or something else altogether."""
    kind = rng.randrange(6)
    at = rng.randrange(len(good))
    if kind == 0:
        return good[:at] + rng.choice("\t\0{[&*!|>%@`'\"") * rng.randint(1, 3) + good[at:]
    if kind == 1:
        return good[:at] + "\n  - }\n" + good[at:]
    if kind == 2:
        return good + f"{rng.choice(['schedule', 'x', 'admin.port', 'схемы'])}: {rng.randint(0, 9)}\n"
    if kind == 3:
        return good + f"schedules: [{{every: {rng.choice(['5', '1s', '-1m', '1M', '[1]', '{}', '30 m'])}}}]\n"
    if kind == 4:
        return good + "collection: {start: " + rng.choice(["last", "last -1", "since 2020-13-01", "7"]) + "}\n"
    return bytes(rng.randrange(256) for _ in range(rng.randint(1, 200))).decode("latin-1") + "\n: :"


async def test_a_hundred_bad_files_change_nothing_and_each_says_where(daemon):
    before = await daemon.get("/settings")
    write(daemon, "nonsense: 1\n")
    daemon.process.send_signal(signal.SIGHUP)
    await daemon.line("Settings not reloaded, those in force stay: 1 faults")
    rng = random.Random(11)
    refused = 0
    async with aiohttp.ClientSession() as session:
        for _ in range(100):
            write(daemon, "", sandbox=spoilt(rng, SANDBOX + "schedules: [{name: all, every: 45m}]\n"))
            async with session.post(f"{daemon.url}/reload") as answer:
                document = await answer.json()
                if answer.status == 422:
                    refused += 1
                    assert all(re.match(r".*telewarden\.yaml(:\d+)?$", each["where"]) for each in document["faults"])
                    assert await daemon.get("/settings") == before
                else:
                    # What was broken can still be read, and is right: it is put back.
                    assert answer.status == 200, document
                    write(daemon, "")
                    await daemon.post("/reload")
        daemon.config.unlink()
        async with session.post(f"{daemon.url}/reload") as answer:
            assert (answer.status, "can't be read" in (await answer.json())["faults"][0]["text"]) == (422, True)
        daemon.config.write_bytes(b"#" * (MAX_BYTES + 1))
        code, out, err = await daemon.cli("reload")
        assert (code, out, "is larger than 2 MiB" in err) == (78, "", True)
    assert refused > 80
    assert await daemon.get("/settings") == before


def many(count, every):
    lines = ["schedules:"]
    for n in range(count):
        rule = f"every: {every}h" if n % 2 else f"cron: '{n % 60} {(n + every) % 24} * * *', timezone: Europe/Berlin"
        lines.append(f"  - {{name: s{n}, {rule}, users: [{n + 1}], jitter: 1m, quiet: '23:00-05:00'}}")
    return "\n".join(lines) + "\n"


async def looks(daemon):
    """How many looks at the loop there were, and how many of them came later than 0.1 s and than 0.5 s."""
    text = await daemon.text("/metrics")
    short, long, every = (
        float(re.search(rf'^telewarden_loop_lag_seconds_bucket{{le="{le}"}} (\S+)', text, re.MULTILINE)[1])
        for le in ("0.1", "0.5", r"\+Inf")
    )
    return every, every - short, every - long


async def test_ten_thousand_schedules_are_exchanged_under_load_without_a_stall(tmp_path, postgres):
    config = tmp_path / "telewarden.yaml"
    config.write_text(BUSY, encoding="utf-8")
    async with (
        fresh_database(postgres) as dsn,
        DaemonProcess(tmp_path / "var", env={"TELEWARDEN__DATABASE__DSN": dsn}, config=config) as daemon,
    ):
        await daemon.signed_in(3)
        start = await looks(daemon)
        before = sign_ins(daemon)
        config.write_text(BUSY + many(10_000, 5), encoding="utf-8")
        told = await daemon.post("/reload")
        assert told["applied"] >= 10_000
        every, late, stalled = (after - before for before, after in zip(start, await looks(daemon), strict=True))
        # The machine, on which other tests run beside this one, may stumble itself. Alone it was 0 of 85 in three runs.
        assert late <= every / 20, f"{late:.0f} of {every:.0f} looks came late"
        assert not stalled
        assert sign_ins(daemon) == before
        assert len(await ask(dsn, "SELECT name FROM schedule_marks")) == 10_000
        posts = await ask(dsn, "SELECT count(*) FROM posts")
        assert posts[0][0] > 160


async def test_a_settings_file_that_comes_after_the_start_is_the_one_that_is_read(tmp_path, dsn):
    daemon = DaemonProcess(
        tmp_path / "var", env={"TELEWARDEN__DATABASE__DSN": dsn, "TELEWARDEN__LOGGING__LANGUAGE": "en"}
    )
    daemon.run_in(tmp_path)
    async with daemon:
        assert (await daemon.post("/reload"))["applied"] == 0
        (tmp_path / "telewarden.yaml").write_text("schedules: [{name: night, cron: '0 3 * * *'}]\n")
        assert (await daemon.post("/reload"))["applied"] > 0
        assert await schedules(daemon) == {"night": "0 3 * * *"}
        await daemon.line("schedules[night]")
