"""What the doctor finds, and that it changes nothing."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from actors.messages.content import Profile
from actors.messages.rows import SessionKey
from daemon.doctor import (
    CLOCK_OFF,
    DISK_FULL,
    DISK_LOW,
    judge_clock,
    judge_disk,
    judge_folder,
    judge_owner,
    judge_schema,
    judge_sessions,
)
from daemon.store.inspection import Inspection
from daemon.store.owner import Claim, Holder
from sandbox.client import Sandbox
from tests.daemon.admin.conftest import storeless
from tests.daemon.store.rows import DAY, USER, ask
from tests.daemon.test_cli import Telewarden, face, owner, registry, serve, telewarden  # noqa: F401 -- fixtures

FOUND = Inspection(version="15.4", schema=12, newest=12, clock_ahead=0.0, owner=None, sessions=3, closed=())
HELD = Holder(claim=Claim(host="there", boot_id="b", pid=7, state="1:1"), heartbeat_at=DAY, released=False)


def level(finding):
    return finding.level


def test_a_full_disk_is_told_before_it_is_full(tmp_path):
    free = (DISK_LOW, DISK_LOW - 1, DISK_FULL, DISK_FULL - 1)
    assert [level(judge_disk(tmp_path, each)) for each in free] == ["ok", "warn", "warn", "bad"]


def test_a_clock_that_is_off_either_way_is_told():
    assert [level(judge_clock(ahead)) for ahead in (0, CLOCK_OFF, -CLOCK_OFF, CLOCK_OFF + 1, -CLOCK_OFF - 1)] == [
        "ok", "ok", "ok", "warn", "warn",
    ]  # fmt: skip


def test_a_folder_that_others_may_open_or_that_cant_be_made_is_told(tmp_path):
    assert "made at the first start" in judge_folder(tmp_path / "a" / "b").text
    tmp_path.chmod(0o700)
    assert level(judge_folder(tmp_path)) == "ok"
    tmp_path.chmod(0o750)
    assert (level(judge_folder(tmp_path)), "chmod 700" in judge_folder(tmp_path).text) == ("warn", True)


def test_a_schema_from_the_future_is_bad_and_an_older_one_is_brought_on():
    assert level(judge_schema(FOUND)) == "ok"
    assert "brings it to 12" in judge_schema(replace(FOUND, schema=11)).text
    assert level(judge_schema(replace(FOUND, schema=13))) == "bad"


def test_an_owner_that_went_without_a_word_is_told_with_the_way_out():
    now = DAY + timedelta(seconds=30)
    assert level(judge_owner(None, now)) == "ok"
    assert "holds the database" in judge_owner(HELD, now).text
    assert level(judge_owner(replace(HELD, released=True), DAY + timedelta(days=9))) == "ok"
    gone = judge_owner(HELD, DAY + timedelta(days=9))
    assert (gone.level, "--take-over" in gone.text) == ("warn", True)


def test_sessions_that_no_key_opens_are_counted_and_named():
    assert level(judge_sessions(FOUND)) == "ok"
    some = judge_sessions(replace(FOUND, sessions=9, closed=tuple(range(1, 8))))
    assert (some.level, "7 of 9" in some.text, "1, 2, 3, 4, 5 …" in some.text) == ("bad", True, True)


async def examined(telewarden, **environment):  # noqa: F811
    code, out, err = await telewarden("doctor", "--json", TELEWARDEN__ADMIN__PORT="1", **environment)
    answer = json.loads(out)
    assert (code, err) == (0 if answer["healthy"] else 1, "")
    return {each["about"]: (each["level"], each["text"]) for each in answer["findings"]}


@pytest.mark.parametrize("key", [bytes(range(32)), bytes(32)], ids=["the key", "another key"])
async def test_it_looks_at_everything_and_changes_nothing(telewarden, dsn, store, key):  # noqa: F811
    import base64

    await store.accounts.save_profile(Profile(account_id=USER, username=None, first_name="A", last_name=None))
    session = SessionKey(account_id=USER, dc_id=2, address="127.0.0.1", port=1, auth_key=bytes(256))
    await store.accounts.save_session(session)
    state = telewarden.folder / "mine"
    state.mkdir(mode=0o700)
    (state / "master.key").touch(mode=0o600)
    (state / "master.key").write_text(base64.b64encode(key).decode())
    before = await ask(dsn, "SELECT * FROM owner, sessions")
    async with Sandbox(accounts=1, channels=0) as dc:
        place = {"id": 203, "address": dc.address, "port": dc.port, "public_key": dc.public_key}
        found = await examined(
            telewarden,
            TELEWARDEN__STATE_DIR="mine",
            TELEWARDEN__DATABASE__DSN=dsn,
            TELEWARDEN__TELEGRAM__DATACENTER=json.dumps(place),
        )
        assert dc.requests()["total"] == 0
    opens = key == bytes(range(32))
    assert found["sessions"][0] == ("ok" if opens else "bad")
    assert {about: told[0] for about, told in found.items() if about != "sessions"} == {
        "settings": "ok", "state_dir": "ok", "disk": "ok", "master key": "ok", "database": "ok", "clock": "ok",
        "owner": "ok", "data centre": "ok", "daemon": "warn",
    }  # fmt: skip
    assert await ask(dsn, "SELECT * FROM owner, sessions") == before
    assert sorted(path.name for path in state.iterdir()) == ["master.key"]


async def test_what_is_wrong_is_told_with_what_to_do_and_nothing_is_made(telewarden):  # noqa: F811
    found = await examined(
        telewarden,
        TELEWARDEN__STATE_DIR="state",
        TELEWARDEN__DATABASE__DSN="postgresql://me:canary@127.0.0.1:1/telewarden",
        TELEWARDEN__KEYS__MASTER_KEY_FILE="nowhere.key",
        TELEWARDEN__TELEGRAM__DATACENTER=json.dumps({"id": 2, "address": "127.0.0.1", "port": 1}),
        TELEWARDEN__TELEGRAM__PROXIES__0__ACCOUNTS__0="7",
        TELEWARDEN__TELEGRAM__PROXIES__0__URL="socks5://me:canary@127.0.0.1:9",
    )
    for about, words in (
        ("master key", "keys.master_key_file"),
        ("database", "database.dsn"),
        ("data centre", "firewall"),
        ("proxy", "127.0.0.1:9"),
    ):
        assert found[about][0] == "bad"
        assert words in found[about][1]
    assert "canary" not in str(found)
    assert found["daemon"][0] == "warn"
    assert list(telewarden.folder.iterdir()) == []


async def test_before_accounts_can_sign_in_telegram_isnt_connected_to(telewarden):  # noqa: F811
    found = await examined(telewarden)
    assert found["data centre"] == ("ok", "not looked at before accounts can sign in")
    assert (found["settings"][0], "my.telegram.org" in found["settings"][1]) == ("warn", True)


async def test_without_a_database_of_ones_own_the_embedded_one_is_looked_for(telewarden):  # noqa: F811
    code, out, err = await telewarden("doctor", TELEWARDEN__SANDBOX__ENABLED="true", TELEWARDEN__ADMIN__PORT="1")
    assert (code, err) == (0, "")
    assert "ok   database: the embedded PostgreSQL starts with the daemon" in out
    assert "ok   data centre: the sandbox's own" in out
    assert "WARN daemon: " in out
    assert list(telewarden.folder.iterdir()) == []


@storeless
async def test_a_daemon_of_another_installation_is_not_taken_for_this_one(telewarden, face):  # noqa: F811
    port = {"TELEWARDEN__ADMIN__PORT": str(face.server.port), "TELEWARDEN__SANDBOX__ENABLED": "true"}
    for environment, words in (
        ({"TELEWARDEN__STATE_DIR": "mine"}, "its state_dir is var, not mine"),
        ({"TELEWARDEN__DATABASE__DSN": "postgresql://me@127.0.0.1:1/x"}, "its database is another"),
        ({}, "there is no "),
    ):
        code, out, _ = await telewarden("doctor", "--json", **port, **environment)
        told = {each["about"]: each for each in json.loads(out)["findings"]}["daemon"]
        assert (code, told["level"], words in told["text"]) == (1, "bad", True), told
    (telewarden.folder / "var").mkdir(mode=0o700)
    code, out, _ = await telewarden("doctor", **port)
    assert (code, f"ok   daemon: {face.server.url} is ready" in out) == (0, True)
