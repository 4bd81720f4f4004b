"""Kurigram, which nobody here wrote, is content with the sandbox, and can't reach anything else."""

import json
import sys

import pytest
from telethon.tl.alltlobjects import LAYER

from sandbox.world import DC_ID, OTHER_DC_ID
from tests.conformance.independent import (
    OUTSIDE,
    PASSWORD,
    POSTS,
    account_of,
    channel_of,
    judge,
    judge_file,
    place,
    run,
    target,
    truth,
    use,
    world,
)
from tests.sandbox.conftest import fresh_telethon  # noqa: F401 -- a fixture, used everywhere

CLIENT = (sys.executable, "-m", "tests.conformance.kurigram_client")
DOORS = {
    "connect": f"socket.create_connection(('{OUTSIDE}', 443), 1)",
    "connect_ex": f"socket.socket().connect_ex(('{OUTSIDE}', 443))",
    "IPv6": "socket.socket(socket.AF_INET6).connect(('2001:db8::1', 443))",
    "sendto": f"socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('{OUTSIDE}', 443))",
    "sendmsg": f"socket.socket(type=socket.SOCK_DGRAM).sendmsg([b''], [], 0, ('{OUTSIDE}', 443))",
    "a name": "socket.getaddrinfo('outside.invalid', 443)",
    "an old look-up": "socket.gethostbyname('outside.invalid')",
    "asyncio": f"asyncio.run(asyncio.open_connection('{OUTSIDE}', 443))",
    "http": f"urllib.request.urlopen('http://{OUTSIDE}/', timeout=1)",
}


async def test_kurigram_signs_in_reads_everything_and_is_pushed_to():
    async with world(POSTS) as dc:
        before = truth(dc)
        told = await use(dc, CLIENT, "--download")
        judge(dc, told, before)
        await judge_file(dc, told["file"])
        history = dc.requests()["history"][str(channel_of(dc).id)]
        assert history == {str(account_of(dc).id): POSTS // 100 + 1}  # an empty page ends it
    assert len(told["posts"]) == POSTS
    assert told["layer"] == LAYER


async def test_kurigram_signs_in_with_a_password():
    async with world() as dc:
        dc.dc.secure(account_of(dc), password=PASSWORD)
        before = truth(dc)
        judge(dc, await use(dc, CLIENT, "--password", PASSWORD), before)


async def test_kurigram_is_refused_with_another_password():
    async with world() as dc:
        dc.dc.secure(account_of(dc), password=PASSWORD)
        code, out, err = await run([*CLIENT, *target(dc), "--password", "another"])
        assert (code, out) == (1, "")
        assert "PASSWORD_HASH_INVALID" in err


async def test_kurigram_downloads_from_the_other_data_centre():
    async with world() as dc:
        dc.world.move_files(OTHER_DC_ID)
        before = truth(dc)
        told = await use(dc, CLIENT, "--download")
        judge(dc, told, before)
        dc.world.move_files(DC_ID)
        await judge_file(dc, told["file"])


@pytest.mark.parametrize("door", DOORS, ids=str)
async def test_the_guard_lets_nothing_out(door):
    script = (
        "import asyncio, socket, urllib.request\n"
        "from tests.conformance import guard\n"
        "guard.shut()\n"
        "try:\n"
        f"    {DOORS[door]}\n"
        "except guard.OutsideRefused:\n"
        "    print(len(guard.refused))\n"
    )
    assert await run([sys.executable, "-c", script]) == (0, "1\n", "")


async def test_the_guard_lets_loopback_pass():
    script = (
        "import socket\n"
        "from tests.conformance import guard\n"
        "guard.shut()\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(server.getsockname()).close()\n"
        "socket.getaddrinfo('localhost', 1)\n"
        "socket.getaddrinfo(None, 1)\n"
        "print(guard.refused)\n"
    )
    assert await run([sys.executable, "-c", script]) == (0, "[]\n", "")


async def test_kurigram_sent_elsewhere_is_refused_before_it_connects():
    async with world() as dc:
        there = place(dc)
        there["dc"]["address"] = OUTSIDE
        code, out, err = await run([*CLIENT, "--place", json.dumps(there), "--phone", "1", "--channel", "any"])
        assert (code, out) == (1, "")
        assert err.rstrip().endswith(f"OutsideRefused: socket.connect {OUTSIDE}")
        assert dc.requests()["total"] == 0
