"""The commands as processes, against a real server over a real store."""

import asyncio
import json
import os
import re
import sys

import pytest
from click.testing import CliRunner
from prometheus_client import CollectorRegistry

from actors.alerts import KEY, Alerts
from actors.messages.alerts import RaiseAlert
from actors.messages.content import Membership, Post, Profile
from actors.messages.ids import AccountId, ChannelId
from actors.messages.recorder import Record
from actors.metrics import Metrics
from tests.daemon.admin.conftest import (  # noqa: F401 -- fixtures
    NOW,
    TOKEN,
    Face,
    FakeAccount,
    face,
    owner,
    registry,
    serve,
    storeless,
)
from tests.processes import ROOT

HEAVY = ("telethon", "asyncpg", "aiohttp", "pykka", "prometheus_client", "orjson")
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith(("TELEWARDEN", "DEBUG_LOGS"))}


class Telewarden:
    """`telewarden …` in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder

    async def begin(self, *arguments, **environment):
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "daemon", *map(str, arguments), cwd=self.folder,
            env={**ENVIRONMENT, "PYTHONPATH": str(ROOT), "LC_ALL": "C", **environment},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def __call__(self, *arguments, stdin="", **environment):
        """(exit code, stdout, stderr)"""
        process = await self.begin(*arguments, **environment)
        out, err = await process.communicate(stdin.encode())
        assert "Traceback" not in err.decode(), err.decode()
        return process.returncode, out.decode(), err.decode()


def here(*arguments):
    """The same without the cost of a process, for what ends before anything is asked."""
    from daemon.cli import cli

    done = CliRunner().invoke(cli, arguments, prog_name="telewarden")
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def telewarden(tmp_path):
    return Telewarden(tmp_path)


def membership(account_id, channel_id, username):
    return Membership(
        account_id=AccountId(account_id), channel_id=ChannelId(channel_id), access_hash=1, username=username, title="Т"
    )


@pytest.fixture
async def filled(store):
    profile = Profile(account_id=AccountId(7), username="seven", first_name="Семь", last_name=None)
    await store.accounts.save_profile(profile)
    await store.channels.save_memberships(
        AccountId(7), [membership(7, 1001, "name"), membership(7, 1002, None)], complete=True
    )
    posts = tuple(
        Post(
            channel_id=ChannelId(1001),
            message_id=n,
            date=NOW,
            text=f"Пост {n} ✅\nдальше",
        )
        for n in (1, 2)
    )
    await store.posts.record([Record(channel_id=ChannelId(1001), road="catchup", posts=posts, covered=(1, 2))])
    return store


# --- without a daemon ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["users", "parse --all"])
async def test_without_a_daemon_every_question_ends_with_69_and_says_how_to_start_it(telewarden, command):
    code, out, err = await telewarden(*command.split(), TELEWARDEN__ADMIN__PORT="1")
    assert (code, out) == (69, "")
    assert err == (
        "telewarden: the daemon at http://127.0.0.1:1 can't be reached: connection refused; "
        "start it with 'telewarden run'\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        "nonsense", "users x", "parse", "parse --all 7", "parse seven", "parse 0", "parse --all --wait 601", "posts",
        "posts x --limit 0", "posts x --after-id -1", "users --url ftp://x", "users --url http://", "users --url http://x:0",
        "users --token-file nowhere", "users --url http://127.0.0.1:99999", "session", "session import --no", "login",
    ],
)  # fmt: skip
def test_wrong_usage_ends_with_2(arguments):
    code, out, err = here(*arguments.split())
    assert (code, out) == (2, "")
    assert err


def test_every_command_explains_itself_and_its_options():
    code, out, _ = here("--help")
    assert code == 0
    commands = re.findall(r"^  ([a-z-]+) ", out.partition("Commands:")[2], re.MULTILINE)
    assert set(commands) == {
        "run", "sandbox", "users", "channels", "clients", "login", "session", "parse", "posts", "check", "health",
        "alerts", "backfill", "cancel", "ledger", "plan", "probe", "stats", "verify", "version",
        "invite", "keys", "user", "follow", "unfollow", "import", "schedule", "doctor", "diff", "reload",
            "token", "audit", "floods", "jobs", "install-service", "backup", "restore", "retention",
    }  # fmt: skip
    groups = {"session", "invite", "keys", "user", "token"}
    inside = {"session import", "keys rotate", "invite create", "invite list", "invite revoke"}
    inside |= {"user role", "user plan", "user logout", "user remove", "user disable", "user enable"}
    for name in {*commands, *inside} - {"sandbox"}:
        code, out, _ = here(*name.split(), "--help")
        assert code == 0
        assert len(out.split("\n\n")) >= 3, name
        assert ("--json" in out) == (name not in {*groups, "install-service"}), name


async def test_wrong_settings_end_with_78_and_name_every_fault(telewarden):
    (telewarden.folder / "telewarden.yaml").write_text("admin:\n  port: many\n  colour: red\n")
    for code, out, err in await asyncio.gather(*map(telewarden, ("check", "run", "users"))):
        assert (code, out) == (78, "")
        lines = err.splitlines()
        assert len(lines) == 2
        assert lines[0].startswith("telewarden.yaml:2: admin.port: ")
        assert lines[1].startswith("telewarden.yaml:3: admin.colour: ")
    code, out, _ = await telewarden("check", "--json")
    assert code == 78
    answer = json.loads(out)
    assert (answer["valid"], [fault["path"] for fault in answer["faults"]]) == (False, ["admin.port", "admin.colour"])


async def test_check_shows_what_is_effective_and_no_secret(telewarden):
    (telewarden.folder / "other.yaml").write_text("admin: {port: 18010}\nbot: {token: '123:topsecret'}\n")
    named = telewarden("check", "-c", "other.yaml"), telewarden("check", TELEWARDEN_CONFIG="other.yaml")
    for code, out, _ in await asyncio.gather(*named):
        assert code == 0
        assert "other.yaml: the settings are valid" in out
        for line in (
            "admin.port: 18010",
            "schedules[0].every: 30m",
            "collection.start: last 100",
            "logging.debug: false",
        ):
            assert f"  {line}\n" in out
        assert "topsecret" not in out
    code, out, _ = await telewarden("check", "-c", "other.yaml", "--json")
    assert json.loads(out)["settings"]["admin"]["port"] == 18010
    assert "topsecret" not in out


async def test_version_and_the_sandbox_s_own_help(telewarden):
    assert re.fullmatch(r"telewarden \d+\.\d+\.\d+\n", (await telewarden("version"))[1])
    assert json.loads((await telewarden("version", "--json"))[1])["telewarden"]
    code, out, _ = await telewarden("sandbox", "--help")
    assert code == 0
    assert "--posts-dir" in out


async def test_asking_the_daemon_imports_nothing_heavy(telewarden):
    code, _, err = await telewarden("users", PYTHONPROFILEIMPORTTIME="1", TELEWARDEN__ADMIN__PORT="1")
    assert code == 69
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in err.splitlines() if "import time" in line}
    assert "click" in imported
    assert not imported & set(HEAVY)


async def test_an_unforeseen_failure_is_one_line_and_a_hint():
    source = """if True:
        import sys
        from daemon import __main__, cli
        cli.show = None
        sys.argv = ["telewarden", "version", "--json"]
        sys.exit(__main__.main())
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", source, cwd=ROOT, env=ENVIRONMENT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 1
    assert out == b""
    assert err.startswith(b"telewarden: failed unexpectedly: TypeError")
    assert b"DEBUG_LOGS=true" in err
    assert b"Traceback" not in err


# --- with one ------------------------------------------------------------------------------------------------------


async def test_users_channels_and_clients_in_the_contract_s_words(telewarden, face, filled, owner):  # noqa: F811
    FakeAccount.start(8124731874, owner.loop_id, key="account/8124731874")
    url = ("--url", face.server.url)
    told = await asyncio.gather(*(telewarden(name, *url) for name in ("users", "channels", "clients")))
    assert [answer[0] for answer in told] == [0, 0, 0]
    assert told[0][1] == "User 7: authenticated=False, channels=2\n"
    assert sorted(told[1][1].splitlines()) == ["Channel 1002: subscriptions=1", "Channel @name: subscriptions=1"]
    assert told[2][1] == f"Client 8124731874: loop={owner.loop_id}, same=True\n"
    names = ("users", "channels", "clients")
    told = await asyncio.gather(*(telewarden(name, "--json", *url) for name in names))
    for name, (code, out, err) in zip(names, told, strict=True):
        assert (code, err) == (0, "")
        assert json.loads(out) == (await face.get(f"/{name}"))[1]


@storeless
async def test_the_address_comes_from_the_settings(telewarden, face):  # noqa: F811
    environment = {
        "TELEWARDEN__ADMIN__PORT": str(face.server.port),
        "TELEWARDEN__ADMIN__HOST": "0.0.0.0",
        "http_proxy": "http://127.0.0.1:1",
        "ALL_PROXY": "http://127.0.0.1:1",
    }
    assert (await telewarden("health", **environment))[:2] == (0, "ok\n")
    code, _, err = await telewarden("health", TELEWARDEN__ADMIN__PORT="0")
    assert code == 2
    assert "--url" in err


@storeless
async def test_parse_starts_waits_and_tells_how_it_ended(telewarden, face):  # noqa: F811
    url = ("--url", face.server.url)
    code, out, _ = await telewarden("parse", "7", *url)
    assert code == 0
    assert re.match(r"Job j1: running, channels=0/0, posts_added=0", out)
    code, out, err = await telewarden("parse", "7", "--wait", "0.1", "--json", *url)
    assert code == 1
    assert json.loads(out)["state"] == "running"
    assert "isn't done after 0.1 s" in err
    waiting = asyncio.create_task(telewarden("parse", "--all", "--wait", "60", *url))
    while not face.waiting or len(face.waiting) < 2:
        await asyncio.sleep(0.01)
    face.owner.find("scheduler").tell("finish")
    code, out, _ = await waiting
    assert code == 0
    assert "success" in out
    assert "posts_added=47" in out


@storeless
@pytest.mark.parametrize(("user", "word"), [("1", "no user 1"), ("8", "revoked")])
async def test_a_refusal_is_told_in_the_daemon_s_words(telewarden, face, user, word):  # noqa: F811
    code, out, err = await telewarden("parse", user, "--url", face.server.url)
    assert (code, out) == (1, "")
    assert err.startswith("telewarden: ")
    assert word in err
    assert err.count("\n") == 1


async def test_posts_are_one_line_each_and_lead_on(telewarden, face, filled):  # noqa: F811
    code, out, err = await telewarden("posts", "@NAME", "--limit", "1", "--url", face.server.url)
    assert (code, out) == (0, "1\t2026-11-23T12:00:00Z\tПост 1 ✅\n")
    assert err == "There are more: --after-id 1\n"
    code, out, err = await telewarden("posts", "@name", "--after-id", "1", "--json", "--url", face.server.url)
    assert (code, err) == (0, "")
    assert [post["id"] for post in json.loads(out)["posts"]] == [2]


@storeless
async def test_a_token_is_sent_where_the_daemon_asks_for_one(telewarden, serve, store):  # noqa: F811
    server = serve(store, trusted=())
    await server.start()
    environment = {"TELEWARDEN__ADMIN__PORT": str(server.port)}
    code, _, err = await telewarden("health", **environment)
    assert code == 1
    assert "token" in err
    (telewarden.folder / "var").mkdir()
    (telewarden.folder / "var" / "admin-token").write_text(TOKEN + "\n")
    assert (await telewarden("health", **environment))[0] == 0
    (telewarden.folder / "token").write_text(TOKEN)
    assert (await telewarden("health", "--url", server.url, "--token-file", "token"))[0] == 0
    (telewarden.folder / "token").write_text(TOKEN + "x")
    code, _, err = await telewarden("health", "--url", server.url, "--token-file", "token")
    assert code == 1
    assert "isn't known" in err
    await server.stop()


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", b""])
async def test_what_is_not_telewarden_counts_as_not_reachable(telewarden, answer):
    async def speak(_, writer):
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    code, out, err = await telewarden("users", "--url", f"http://127.0.0.1:{port}")
    assert (code, out) == (69, "")
    assert err.count("\n") == 1
    server.close()


async def test_a_ledger_is_told_for_one_channel_and_for_all(telewarden, face, filled):  # noqa: F811
    doubt = {"doubt": (2, 2), "doubt_why": "too much happened to be told"}
    more = Record(channel_id=ChannelId(1001), road="catchup", covered=(3, 3), start_id=1, top_id=4, **doubt)
    await filled.posts.record([more])
    code, out, _ = await telewarden("ledger", "@name", "--url", face.server.url)
    assert code == 0
    assert out.startswith(
        "Channel @name: top=4, stored=2, deleted=0, service=0, undecodable=0, empty=1, missing=2, awaited=0, "
        "unasked=0, restricted=0, in doubt since "
    )
    assert out.endswith("Z (too much happened to be told)\n")
    code, out, _ = await telewarden("ledger", "--url", face.server.url)
    lines = out.splitlines()
    assert code == 0
    assert lines[0].startswith("All: covered=2, missing=2, awaited=0, unasked=0, stored=2, deleted=0, ")
    assert lines[1].startswith("Channel @name: missing=2, in doubt since ")
    assert lines[2] == "Channel 1002: missing=unknown"
    code, out, _ = await telewarden("ledger", "t.me/name", "--json", "--url", face.server.url)
    assert (code, json.loads(out)["doubted"]) == (0, 1)
    code, out, err = await telewarden("ledger", "nobody", "--url", face.server.url)
    assert (code, out) == (1, "")
    assert "GET /channels" in err


async def test_a_posts_figures_are_shown_as_they_grew(telewarden, face, filled):  # noqa: F811
    more = Post(channel_id=ChannelId(1001), message_id=1, date=NOW, text="x", views=70, reactions=b'{"x": 2}')
    await filled.posts.record([Record(channel_id=ChannelId(1001), road="catchup", posts=(more,), series=True)])
    code, out, _ = await telewarden("stats", "@name", 1, "--url", face.server.url)
    assert code == 0
    then, now = out.splitlines()
    assert then.endswith("Z\tviews=70 reactions=x:2")
    assert now == "now\tviews=70 reactions=x:2"
    assert (await telewarden("stats", "@name", 99, "--url", face.server.url))[0] == 1


async def test_alerts_are_listed_and_closed(telewarden, face, filled):  # noqa: F811
    code, out, _ = await telewarden("alerts", "--url", face.server.url)
    assert (code, out) == (0, "No alerts.\n")
    await filled.alerts.raise_alert(RaiseAlert(kind="flood_wait", account_id=AccountId(7), cause="messages.getHistory"))
    Alerts.start(store=filled.alerts, metrics=Metrics(CollectorRegistry()), key=KEY)
    code, out, _ = await telewarden("alerts", "--url", face.server.url)
    number, _, rest = out.partition(": ")
    assert code == 0
    assert rest.startswith("flood_wait account 7: messages.getHistory (1 times since ")
    code, out, _ = await telewarden("alerts", "--close", number, "--url", face.server.url)
    assert code == 0
    assert out.startswith(f"Alert {number} is over since ")
    code, out, _ = await telewarden("alerts", "--ended", "--json", "--url", face.server.url)
    assert [one["cause"] for one in json.loads(out)["alerts"]] == ["messages.getHistory"]
    assert (await telewarden("alerts", "--close", "99", "--url", face.server.url))[0] == 1
