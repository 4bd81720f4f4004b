"""`python -m sandbox` as the daemon starts it: its first line, its end, and what outlives it."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from telethon import TelegramClient
from telethon.crypto import rsa
from telethon.sessions import StringSession

from sandbox.__main__ import main
from sandbox.client import Sandbox
from sandbox.datacentre import shape_row
from sandbox.generate import Shape
from sandbox.state import State, StateError
from tests.sandbox.conftest import hear, signed_in, soon

ROOT = Path(__file__).parents[2]


async def start(*options: str | Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sandbox",
        *map(str, options),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


class Running:
    def __init__(self, process: asyncio.subprocess.Process, place: dict[str, Any], http: aiohttp.ClientSession) -> None:
        self.process = process
        self.dc = place["dc"]
        self.http = http

    async def get(self, path: str) -> Any:
        async with self.http.get(path) as answer:
            return await answer.json()

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        async with self.http.post(path, json=body) as answer:
            return await answer.json()


@asynccontextmanager
async def running(*options: str | Path) -> AsyncIterator[Running]:
    process = await start(*options)
    try:
        async with asyncio.timeout(20):
            line = await process.stdout.readline()
        assert line, (await process.stderr.read()).decode()
        place = json.loads(line)
        async with aiohttp.ClientSession(base_url=place["control"], raise_for_status=True) as http:
            yield Running(process, place, http)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def post(**fields: Any) -> str:
    """A file with one post; `1e999` stands without quotes."""
    row = {"id": 1, "date": "2024-05-01T10:00:00", "text": "x", "media": None, "is_reply": False, **fields}
    return json.dumps({"username": "abcd", "title": "A", "posts": [row]}).replace('"1e999"', "1e999")


def refused(capsys: pytest.CaptureFixture[str], *options: str | Path) -> tuple[int, str]:
    """The exit code and stderr of a start that fails; in this process, since a new one costs a second."""
    status = main([str(option) for option in options])
    told = capsys.readouterr()
    assert told.out == ""
    return status, told.err


async def test_a_restart_on_the_same_state_keeps_keys_and_everything_that_happened(tmp_path: Path) -> None:
    options = ("--state", tmp_path / "state", "--seed", "7", "--channels", "3", "--accounts", "2")
    async with running(*options) as first:
        session = (await first.get("/sessions/ann?key=main"))["session"]
        made = (await first.post("/posts", {"channel": "gorod_news", "count": 3, "text": "kept"}))["ids"]
        await first.post("/edits", {"channel": "gorod_news", "id": made[0], "text": "changed"})
        await first.post("/deletes", {"channel": "gorod_news", "ids": made[1:2]})
        client = TelegramClient(StringSession(session), 1, "hash")
        await client.connect()
        await client.send_message("boris", "remember **me**")
        await client.disconnect()
        world, ledger = await first.get("/world"), await first.get("/ledger")
        first.process.kill()  # nothing is saved at the end: all of it was written when it happened
        await first.process.wait()
    async with running(*options) as second:
        assert second.dc["public_key"] == first.dc["public_key"]
        assert (await second.get("/world"), await second.get("/ledger")) == (world, ledger)
        assert (await second.get("/sessions/ann?key=main"))["auth_key"] == StringSession(session).auth_key.key.hex()
        stored = StringSession(session)
        stored.set_dc(203, second.dc["address"], second.dc["port"])
        client = TelegramClient(stored, 1, "hash")
        await client.connect()
        assert (await client.get_me()).username == "ann"
        assert [(m.message, m.text) for m in await client.get_messages("boris")] == [("remember me", "remember **me**")]
        newest = (await client.get_messages("gorod_news", limit=10))[:4]
        assert [m.id for m in newest[:3]] == [made[3], made[2], made[0]]
        assert newest[2].message == "changed"
        await client.disconnect()
        again = (await second.post("/posts", {"channel": "gorod_news", "text": "next"}))["ids"]
        assert again == [made[-1] + 1]
        second.process.send_signal(signal.SIGTERM)
        assert await second.process.wait() == 0
    state = tmp_path / "state"
    assert state.stat().st_mode & 0o777 == 0o700
    assert (state / "keys.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_state_of_another_shape_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    State.open(tmp_path, shape_row(Shape(seed=7))).close()
    status, told = refused(capsys, "--state", tmp_path, "--seed", "8", "--posts", "10")
    assert status == 2
    assert "made with other options (posts, seed)" in told
    (tmp_path / "shape.json").write_text("{")
    assert "is damaged" in refused(capsys, "--state", tmp_path)[1]


async def test_a_wrong_option_ends_the_process_with_one_line_and_2(tmp_path: Path) -> None:
    process = await start("--posts-dir", tmp_path)
    out, told = await process.communicate()
    assert (process.returncode, out) == (2, b"")
    assert told.decode() == f"sandbox: {tmp_path} holds no *.json file\n"


async def test_a_new_key_is_exchanged_with_the_printed_public_key_and_used_after_a_restart(tmp_path: Path) -> None:
    session = StringSession()
    async with running("--state", tmp_path) as first:
        rsa.add_key(first.dc["public_key"], old=False)
        session.set_dc(first.dc["id"], first.dc["address"], first.dc["port"])
        client = TelegramClient(session, 1, "hash")
        await client.connect()
        await client.send_code_request("+9996620001")
        code = (await first.get("/codes/+9996620001"))["code"]
        assert (await client.sign_in("+9996620001", code)).username == "boris"
        await client.disconnect()
    async with running("--state", tmp_path) as second:
        session.set_dc(second.dc["id"], second.dc["address"], second.dc["port"])
        client = TelegramClient(session, 1, "hash")
        await client.connect()
        assert (await client.get_me()).username == "boris"
        await client.disconnect()


async def test_it_ends_with_its_stdin_and_names_unknown_methods() -> None:
    async with running("--until-eof", "--rate", "200") as sandbox:
        client = TelegramClient(StringSession((await sandbox.get("/sessions/ann"))["session"]), 1, "hash")
        await client.connect()
        assert await client.get_dialogs()
        with pytest.raises(Exception, match="INPUT_METHOD_INVALID"):
            await client.delete_messages("gorod_news", [1])
        await client.disconnect()
        sandbox.process.stdin.close()
        async with asyncio.timeout(5):
            _, told = await sandbox.process.communicate()
        assert sandbox.process.returncode == 0
        assert "unknown methods were asked for: channels.deleteMessages" in told.decode()


async def test_a_steady_rate_publishes_to_generated_channels_only(posts_dir: Path) -> None:
    async with Sandbox(posts_dir=posts_dir, rate=200.0) as dc, signed_in(dc) as client:
        heard = hear(client)
        for _ in range(5):
            assert dc.world.channel((await soon(heard)).chat.id).generated
        assert all(channel.generated for channel in dc.world.channels.values() if channel.moved_at)


async def test_a_state_that_is_in_use_is_waited_for_and_then_refused(tmp_path: Path) -> None:
    held = State.open(tmp_path, {"seed": 1})
    with pytest.raises(StateError, match="another sandbox holds"):
        State.open(tmp_path, {"seed": 1}, patience=0.1)
    held.close()
    State.open(tmp_path, {"seed": 1}, patience=0.1).close()


async def test_a_torn_last_line_of_the_journal_is_forgotten(tmp_path: Path) -> None:
    async with Sandbox(state=tmp_path) as dc:
        await dc.publish("gorod_news", text="whole")
        ledger = dc.ledger()
    with (tmp_path / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"op":"posted","chan')
    async with Sandbox(state=tmp_path) as dc:
        assert dc.ledger() == ledger
        await dc.publish("gorod_news", text="after")
        ledger = dc.ledger()
    async with Sandbox(state=tmp_path) as dc:
        assert dc.ledger() == ledger


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "is no folder"),
        ({}, "holds no *.json file"),
        ({"a.json": "{"}, "a.json: "),
        ({"a.json": "[]"}, "a.json: "),
        ({"a.json": '{"username": "abcd", "title": "A", "posts": [{"id": 1}]}'}, "a.json: a key is missing: 'date'"),
        ({"a.json": '{"username": "a", "title": "A", "posts": 3}'}, "a.json: username must be text"),
        ({"a.json": '{"username": "", "title": "A", "posts": []}'}, "a.json: '' is no username"),
        ({"a.json": post(id=2**31)}, "a.json: post id 2147483648 is not from 1 to 2147483647"),
        ({"a.json": post(id="1e999")}, "a.json: "),
        ({"a.json": post(text="\ud800")}, "a.json: 'utf-8' codec can't encode"),
        ({"a.json": post(date="2050-01-01T00:00:00")}, "a.json: the date 2050-01-01T00:00:00 is not from 1970 to 2038"),
        ({"a.json": "[" * 100_000}, "a.json: "),
        ({"a.json": post(), "b.json": post().replace("abcd", "ABCD")}, "are the same channel"),
        ({"a.json": post().replace("abcd", "boris")}, "has a username that is taken (boris): rename it"),
        ({"a.json": post().replace("abcd", "gorod_news")}, "has a username that is taken (gorod_news): rename it"),
    ],
)
def test_a_bad_folder_of_posts_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: dict[str, str] | None, says: str
) -> None:
    folder = tmp_path / "posts"
    if content is not None:
        folder.mkdir()
        for name, text in content.items():
            (folder / name).write_text(text)
    status, told = refused(capsys, "--posts-dir", folder)
    assert status == 2
    assert says in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--accounts", "0"), "at least 1 user account"),
        (("--posts", "-1"), "can't be negative"),
        (("--rate", "-1"), "a rate of -1.0"),
        (("--rate", "nan"), "a rate of nan"),
    ],
)
def test_numbers_that_no_world_can_have_are_refused(
    capsys: pytest.CaptureFixture[str], options: tuple[str, str], says: str
) -> None:
    status, told = refused(capsys, *options)
    assert (status, told.count("\n")) == (2, 1)
    assert says in told


def test_an_address_beyond_loopback_is_refused_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--listen", "--control"):
        status, told = refused(capsys, option, "0.0.0.0:0")
        assert (status, told.count("\n")) == (2, 1)
        assert "no loopback address" in told
