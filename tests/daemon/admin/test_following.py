"""What a user follows, over HTTP and by command, through a real account."""

import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import aiohttp
import pytest

from sandbox.client import Sandbox
from tests.actors.test_collection import Tree
from tests.daemon.admin.conftest import Face, serve  # noqa: F401 -- a fixture
from tests.daemon.test_cli import Telewarden, telewarden  # noqa: F401 -- a fixture
from tests.processes import breathe


@pytest.fixture
def owner():
    """The tree brings its own."""


@asynccontextmanager
async def reading_from(store, serve, *, down=False):  # noqa: F811
    """A server beside a tree with one account, and its two channels, of which one isn't a dialog."""
    async with Sandbox(accounts=1, channels=2, posts=10) as sandbox:
        tree = Tree(sandbox, store)
        (me,) = (each for each in sandbox.dc.world.accounts.values() if not each.is_bot)
        first, second = sandbox.dc.world.channels.values()
        for channel, standing in ((first, "member"), (second, "left")):
            if (me.id in channel.members) != (standing == "member"):
                sandbox.dc.move(channel, me, standing, silent=True)
        await tree.sign_in()
        if down:
            tree.sandbox = SimpleNamespace(address="127.0.0.1", port=1)
        tree.start()
        if not down:
            await tree.signed_in()
        server = serve(store)
        server._owner = tree.owner
        await server.start()
        try:
            async with aiohttp.ClientSession() as session:
                face = Face(server, tree.owner, session, {}, [])
                face.me, face.first, face.second, face.sandbox = me.id, first, second, sandbox
                yield face
        finally:
            await server.stop()
            await tree.stop()


@pytest.fixture
async def reading(store, serve, registry):  # noqa: F811
    async with reading_from(store, serve) as face:
        yield face


async def test_a_channel_is_followed_and_dropped(reading):
    path = f"/users/{reading.me}/channels"
    status, answer, _ = await reading.post(path, json={"channel": f"@{reading.second.username}"})
    assert (status, answer["state"], answer["channel_id"]) == (200, "followed", reading.second.id)
    status, answer, _ = await reading.get(path)
    assert {each["id"] for each in answer["channels"]} == {reading.first.id, reading.second.id}
    assert (answer["total"], answer["limit"]) == (2, None)
    status, answer, _ = await reading.ask("DELETE", f"{path}/{reading.second.username}")
    assert (status, answer) == (200, {"channel_id": reading.second.id, "unfollowed": True})
    for body, wrong in (({"channel": "a b"}, "channel"), ({}, "channel"), ({"channel": "@news", "join": 1}, "join")):
        status, answer, _ = await reading.post(path, json=body)
        assert (status, answer["field"]) == (400, wrong)
    assert (await reading.post(path, json={"channel": "@nobody_bears_this"}))[0] == 422
    assert (await reading.post("/users/404/channels", json={"channel": "@news"}))[0] == 404
    assert (await reading.post(path, json={"colour": "red"}))[0] == 400


async def test_of_an_account_that_isn_t_connected_nothing_can_be_asked_just_now(store, serve, registry):  # noqa: F811
    async with reading_from(store, serve, down=True) as reading:
        path = f"/users/{reading.me}/import"
        # Until the account's actor is there, the user isn't known or isn't signed in.
        while "isn't connected just now" not in (answer := await reading.post(path, json={}))[1]["detail"]:
            assert answer[0] in {404, 409}, answer
            await breathe()
        assert (answer[0], answer[2]["Retry-After"]) == (409, "5")


async def test_a_folder_is_taken_over_by_command(reading, telewarden):  # noqa: F811
    reading.sandbox.dc.file(reading.sandbox.dc.world.account(reading.me), 3, "News", (reading.first,))
    url, me = ("--url", reading.server.url), str(reading.me)
    assert await telewarden("unfollow", me, reading.first.username, *url) == (
        0, f"Channel {reading.first.username}: not followed any more\n", "",
    )  # fmt: skip
    assert await telewarden("import", me, "--folder", "News", *url) == (0, "Channels: followed=1, already=0\n", "")
    code, _, err = await telewarden("import", me, "--folder", "Old", *url)
    assert (code, "'News'" in err) == (1, True)
    code, out, _ = await telewarden("follow", me, reading.second.username, "--join", "--json", *url)
    assert (code, json.loads(out)["state"]) == (0, "followed")
    assert reading.me in reading.second.members
    code, _, err = await telewarden("follow", me, "@nobody_bears_this", *url)
    assert (code, "nobody bears this name" in err) == (1, True)
