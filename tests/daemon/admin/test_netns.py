"""A peer that isn't on loopback: a network namespace joined by a veth pair, and a call out of it."""

import asyncio
import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.daemon.admin.conftest import TOKEN, storeless

pytestmark = [pytest.mark.needs_root, storeless]

CALL = """
import json, sys, urllib.error, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
for url, headers in json.load(sys.stdin):
    try:
        status = opener.open(urllib.request.Request(url, headers=headers), timeout=10).status
    except urllib.error.HTTPError as error:
        with error:
            status = error.code
    print(status)
"""


def ip(*arguments):
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def veth():
    """(our address, its network, the namespace's name); names and network are this process's own."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip(reason="needs root and the program ip (Debian: iproute2)")
    mark = os.getpid() % 65536
    namespace, ours, theirs = f"tw-test-{mark:x}", f"twa{mark:x}", f"twb{mark:x}"
    # 198.18.0.0/15 is for tests of network gear (RFC 2544): nothing real uses it.
    net = f"198.18.{mark >> 8}.{mark & 0xFC}"
    here, there = (f"{net.rpartition('.')[0]}.{(mark & 0xFC) + nth}" for nth in (1, 2))
    probe = subprocess.run(["ip", "netns", "add", namespace], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        pytest.skip(reason=f"network namespaces can't be made here: {probe.stderr.strip()}")
    try:
        ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", namespace)
        ip("addr", "add", f"{here}/30", "dev", ours)
        ip("link", "set", ours, "up")
        ip("-n", namespace, "addr", "add", f"{there}/30", "dev", theirs)
        ip("-n", namespace, "link", "set", theirs, "up")
        ip("-n", namespace, "link", "set", "lo", "up")
        yield here, f"{net}/30", namespace
    finally:
        subprocess.run(["ip", "link", "del", ours], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)


async def statuses(namespace, *calls):
    process = await asyncio.create_subprocess_exec(
        "ip", "netns", "exec", namespace, sys.executable, "-c", CALL,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate(json.dumps(calls).encode())
    assert process.returncode == 0, err.decode()
    return [int(line) for line in out.split()]


async def test_a_peer_beyond_loopback_needs_the_token_or_a_trusted_network(veth, serve, store):
    address, network, namespace = veth
    bearer, foreign = {"Authorization": f"Bearer {TOKEN}"}, {"Host": "evil.example"}
    server = serve(store, host=address)
    await server.start()
    livez = f"{server.url}/livez"
    called = await statuses(namespace, (livez, {}), (livez, bearer), (livez, foreign), (livez, {**bearer, **foreign}))
    await server.stop()
    assert called == [401, 200, 401, 200]

    server = serve(store, host=address, trusted=(network,), allowed_hosts=("telethon",))
    await server.start()
    livez = f"{server.url}/livez"
    called = await statuses(namespace, (livez, {}), (livez, foreign), (livez, {"Host": "telethon:8010"}))
    await server.stop()
    assert called == [200, 403, 200]


async def test_a_peer_reaches_nothing_while_only_loopback_is_bound(veth, serve, store):
    _, _, namespace = veth
    server = serve(store)
    await server.start()
    with pytest.raises(AssertionError, match=r"refused|unreachable"):
        await statuses(namespace, (f"http://{veth[0]}:{server.port}/livez", {}))
    await server.stop()
