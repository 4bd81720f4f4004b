"""mtcute, which nobody here wrote, is content with the sandbox, and can't reach anything else."""

import json
import shutil
from pathlib import Path

import pytest

from sandbox.world import DC_ID, OTHER_DC_ID
from tests.conformance.independent import (
    OUTSIDE,
    PASSWORD,
    POSTS,
    account_of,
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

HOME = Path(__file__).parent / "mtcute"
NODE = ("node", "--require", "./guard.cjs")
CLIENT = (*NODE, "client.mjs")
DOORS = {
    "net.connect": f"net.connect(443, '{OUTSIDE}')",
    "net.connect of options": f"net.connect({{ port: 443, host: '{OUTSIDE}' }})",
    "a socket": f"new net.Socket().connect(443, '{OUTSIDE}')",
    "IPv6": "net.connect(443, '2001:db8::1')",
    "a name": "net.connect(443, 'outside.invalid')",
    "tls": f"tls.connect(443, '{OUTSIDE}')",
    "tls of options": f"tls.connect({{ port: 443, host: '{OUTSIDE}' }})",
    "http": f"http.get('http://{OUTSIDE}/')",
    "https": f"https.get('https://{OUTSIDE}/')",
    "fetch": f"await fetch('http://{OUTSIDE}/').catch((error) => {{ throw error.cause ?? error }})",
    "dns.lookup": "dns.lookup('outside.invalid', () => {})",
    "dns.resolve4": "dns.resolve4('outside.invalid', () => {})",
    "dns.promises": "await dns.promises.lookup('outside.invalid')",
    "a function of dns": "const { lookup } = await import('node:dns'); lookup('outside.invalid', () => {})",
    "a resolver": "new dns.Resolver().resolve4('outside.invalid', () => {})",
    "datagrams": f"dgram.createSocket('udp4').send('x', 443, '{OUTSIDE}')",
    "datagrams connected": f"dgram.createSocket('udp4').connect(443, '{OUTSIDE}')",
}

pytestmark = [
    pytest.mark.npm,
    pytest.mark.skipif(
        shutil.which("node") is None or not (HOME / "node_modules").is_dir(),
        reason="node or the client is missing: make conformance",
    ),
]


async def test_mtcute_signs_in_reads_everything_is_pushed_to_and_downloads():
    async with world(POSTS) as dc:
        before = truth(dc)
        told = await use(dc, CLIENT, "--download", cwd=HOME)
        judge(dc, told, before)
        await judge_file(dc, told["file"])
        # It reckons pts by itself, and would ask for the difference if a push had come with the wrong ones.
        assert "updates.getChannelDifference" not in dc.requests()["by_account"][str(account_of(dc).id)]
    assert len(told["posts"]) == POSTS


async def test_mtcute_signs_in_with_a_password():
    async with world() as dc:
        dc.dc.secure(account_of(dc), password=PASSWORD)
        before = truth(dc)
        judge(dc, await use(dc, CLIENT, "--password", PASSWORD, cwd=HOME), before)


async def test_mtcute_is_refused_with_another_password():
    async with world() as dc:
        dc.dc.secure(account_of(dc), password=PASSWORD)
        code, out, err = await run([*CLIENT, *target(dc), "--password", "another"], cwd=HOME)
        assert (code, out) == (1, "")
        assert "Provided password was invalid" in err
        assert dc.requests()["by_account"]["0"]["auth.checkPassword"] == 1


async def test_mtcute_downloads_from_the_other_data_centre():
    async with world() as dc:
        dc.world.move_files(OTHER_DC_ID)
        before = truth(dc)
        told = await use(dc, CLIENT, "--download", cwd=HOME)
        judge(dc, told, before)
        dc.world.move_files(DC_ID)
        await judge_file(dc, told["file"])


@pytest.mark.parametrize("door", DOORS, ids=str)
async def test_the_guard_of_node_lets_nothing_out(door):
    names = ("dgram", "dns", "http", "https", "net", "tls")
    script = "".join(f"import {name} from 'node:{name}'\n" for name in names) + (
        f"try {{ {DOORS[door]} }} catch (error) {{\n"
        "    console.log(error.message.split(':')[0], globalThis.refusedAddresses.length)\n"
        "    process.exit(0)\n"
        "}\n"
    )
    code, out, err = await run([*NODE, "--input-type=module", "--eval", script], cwd=HOME)
    assert (code, out, err) == (0, "outside refused 1\n", "")


async def test_the_guard_of_node_lets_loopback_pass():
    script = (
        "import net from 'node:net'\n"
        "const server = net.createServer((socket) => socket.end('in'))\n"
        "server.listen(0, '127.0.0.1', () => {\n"
        "    net.connect(server.address().port, 'localhost').on('data', (data) => {\n"
        "        console.log(String(data), globalThis.refusedAddresses)\n"
        "        server.close()\n"
        "    })\n"
        "})\n"
    )
    assert await run([*NODE, "--input-type=module", "--eval", script], cwd=HOME) == (0, "in []\n", "")


async def test_mtcute_doesnt_start_without_its_guard():
    code, out, err = await run(["node", "client.mjs"], cwd=HOME)
    assert (code, out) == (1, "")
    assert "start this with --require ./guard.cjs" in err


async def test_mtcute_sent_elsewhere_is_refused_before_it_connects():
    async with world() as dc:
        there = place(dc)
        there["dc"]["address"] = OUTSIDE
        code, out, err = await run(
            [*CLIENT, "--place", json.dumps(there), "--phone", "1", "--channel", "any"], cwd=HOME
        )
        assert (code, out) == (1, "")
        assert f"outside refused: connect {OUTSIDE}" in err
        assert dc.requests()["total"] == 0
