"""`login` and `session import`, through a daemon and without one, against a real data centre on loopback."""

import asyncio
import base64
import json
import sqlite3
import struct

import pytest
from telethon.sessions import SQLiteSession, StringSession

from actors.telegram.login import read_session
from daemon.keys import load_master_keys
from daemon.session_file import NotASession, session_text
from daemon.store.store import open_store
from tests.daemon.admin.conftest import (  # noqa: F401 -- fixtures
    face,
    owner,
    registry,
    serve,
)
from tests.daemon.admin.test_signin import CODE, PASSWORD, PHONE, SESSION, signing  # noqa: F401 -- a fixture
from tests.daemon.test_cli import Telewarden, here, telewarden  # noqa: F401 -- a fixture
from tests.processes import SandboxProcess

KEY = bytes(range(256))


# --- through the daemon --------------------------------------------------------------------------------------------


async def test_login_asks_the_daemon_and_forgives_a_wrong_entry(telewarden, signing):  # noqa: F811
    url = ("--url", signing.server.url)
    code, out, err = await telewarden("login", "--phone", PHONE, *url, stdin=f"0\n{CODE}\nwrong\n{PASSWORD}\n")
    assert (code, out) == (0, "User 7: signed in\n")
    assert err.splitlines() == ["The code is wrong: enter it again", "The password is wrong: enter it again"]
    code, out, _ = await telewarden("login", "--phone", PHONE, "--code", CODE, "--json", *url, stdin=f"{PASSWORD}\n")
    assert (code, json.loads(out)) == (0, {"id": 7, "authenticated": True})


async def test_login_shows_each_qr_code_until_one_is_scanned(telewarden, signing):  # noqa: F811
    code, out, err = await telewarden("login", "--qr", "--url", signing.server.url, stdin=f"{PASSWORD}\n")
    assert (code, out) == (0, "User 7: signed in\n")
    assert err.count("scan this code") == 3
    assert err.count("█") > 100
    for options in ((), ("--qr", "--phone", PHONE)):
        assert here("login", *options, "--url", signing.server.url)[0] == 2


async def test_a_login_that_fails_says_why(telewarden, signing):  # noqa: F811
    async def try_(phone, stdin, word):
        code, out, err = await telewarden("login", "--phone", phone, "--url", signing.server.url, stdin=stdin)
        assert (code, out) == (1, "")
        last = err.splitlines()[-1]
        assert last.startswith("telewarden: ")
        assert word in last
        assert phone not in err

    await asyncio.gather(
        try_("+49 000000", "", "This is no phone number"),
        try_(PHONE, "1\n2\n3\n4\n", "code is wrong"),
        try_(PHONE, f"{CODE}\n", "password is needed"),
    )


async def test_a_session_is_imported_by_the_daemon(telewarden, signing):  # noqa: F811
    url = ("--url", signing.server.url)
    code, out, err = await telewarden("session", "import", *url, stdin=SESSION)
    assert (code, out) == (0, "User 7: signed in\n")
    assert "nowhere else" in err
    (telewarden.folder / "text").write_text("2other\n")
    code, out, err = await telewarden("session", "import", "text", *url)
    assert (code, out) == (1, "")
    assert err.startswith("telewarden: This is no session of Telethon's")


async def test_a_named_daemon_that_is_away_is_not_replaced_by_the_store(telewarden):  # noqa: F811
    for command in (("login", "--phone", PHONE), ("session", "import")):
        assert (await telewarden(*command, "--url", "http://127.0.0.1:1", stdin=SESSION))[0] == 69
    assert not (telewarden.folder / "var").exists()


async def test_without_credentials_nothing_is_started(telewarden):  # noqa: F811
    code, _, err = await telewarden("login", "--phone", PHONE, TELEWARDEN__ADMIN__PORT="1")
    assert code == 78
    assert "telegram.api_id" in err
    assert not (telewarden.folder / "var").exists()


# --- session files -------------------------------------------------------------------------------------------------


def test_a_session_file_of_telethon_becomes_the_text_that_telethon_makes_of_it(tmp_path):
    from telethon.crypto import AuthKey

    for address in ("149.154.167.51", "2001:67c:4e8:f002::a"):
        path = tmp_path / f"{len(address)}.session"
        file = SQLiteSession(str(path))
        file.set_dc(2, address, 443)
        file.auth_key = AuthKey(KEY)
        file.save()
        text = session_text(path.read_bytes())
        assert text == StringSession.save(file)
        file.close()
        assert session_text(f"  {text}\n".encode()) == text
        assert read_session(text) == read_session(path.read_bytes())


def database(*statements):
    with sqlite3.connect(":memory:") as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        raw = connection.serialize()
    connection.close()
    return raw


TABLE = "CREATE TABLE sessions (dc_id, server_address, port, auth_key)"


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"  \n", b"two words", b"\xff" * 300, b"x" * 5000, b"SQLite format 3\0",
        b"SQLite format 3\0" + b"x" * 5000,
        database("CREATE TABLE other (x)"), database(TABLE),
        database(TABLE, "INSERT INTO sessions VALUES (2, '149.154.167.51', 443, NULL)"),
        database(TABLE, "INSERT INTO sessions VALUES (2, '149.154.167.51', 443, x'00')"),
        database(TABLE, "INSERT INTO sessions VALUES (2, 'nowhere', 443, zeroblob(256))"),
        database(TABLE, "INSERT INTO sessions VALUES (2, NULL, 443, zeroblob(256))"),
        database(TABLE, "INSERT INTO sessions VALUES (2, '1.1.1.1', 70000, zeroblob(256))"),
        database(TABLE, "INSERT INTO sessions VALUES ('two', '1.1.1.1', 443, zeroblob(256))"),
    ],
)  # fmt: skip
def test_what_holds_no_session_is_refused(raw):
    with pytest.raises(NotASession):
        session_text(raw)


# --- on its own ----------------------------------------------------------------------------------------------------


@pytest.fixture
async def sandbox():
    async with SandboxProcess("--accounts", 2, "--channels", 0) as process:
        yield process


def user_session(session):
    """The sandbox's answer as Telethon's text."""
    packed = bytes(map(int, session["address"].split(".")))
    key = struct.pack(">B4sH256s", session["dc_id"], packed, session["port"], bytes.fromhex(session["auth_key"]))
    return "1" + base64.urlsafe_b64encode(key).decode()


async def test_without_a_daemon_a_session_goes_straight_into_the_store(telewarden, sandbox, dsn):  # noqa: F811
    user, _ = (user for user in (await sandbox.get("/world"))["accounts"] if user["phone"])
    environment = {
        "TELEWARDEN__DATABASE__DSN": dsn,
        "TELEWARDEN__TELEGRAM__DATACENTER": json.dumps(sandbox.dc),
        "TELEWARDEN__ADMIN__PORT": "1",
        "TELEWARDEN__STATE_DIR": "state",
    }
    session = user_session(await sandbox.get(f"/sessions/{user['id']}"))
    code, out, err = await telewarden("session", "import", "-", "--json", stdin=session, **environment)
    assert (code, json.loads(out)) == (0, {"id": user["id"], "authenticated": True}), err

    broken = session[:60] + ("A" if session[60] != "A" else "B") + session[61:]
    code, out, err = await telewarden("session", "import", stdin=broken, **environment)
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith("telewarden: ")

    keys = load_master_keys(telewarden.folder / "state", None)
    async with await open_store(dsn, pool_size=2, keys=keys) as opened:
        rows = {row.account_id: row for row in await opened.store.accounts.all()}
        assert set(rows) == {user["id"]}
        assert rows[user["id"]].has_session
        assert (await opened.store.accounts.session(user["id"])).auth_key == read_session(session).auth_key
