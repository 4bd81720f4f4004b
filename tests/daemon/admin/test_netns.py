"""A peer that isn't on loopback: a network namespace joined by a veth pair, and a call out of it."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from ipaddress import ip_network

import pytest
import yaml

from tests.daemon.admin.conftest import TOKEN, storeless
from tests.processes import ROOT, SIGNED_IN, DaemonProcess

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
pytestmark = pytest.mark.needs_root

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


@storeless
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


@storeless
async def test_a_peer_reaches_nothing_while_only_loopback_is_bound(veth, serve, store):
    _, _, namespace = veth
    server = serve(store)
    await server.start()
    with pytest.raises(AssertionError, match=r"refused|unreachable"):
        await statuses(namespace, (f"http://{veth[0]}:{server.port}/livez", {}))
    await server.stop()


@pytest.fixture
def compose_networks():
    """Namespaces as compose has them: ``telethon`` and ``n8n`` on the network api, the host its gateway, a stranger."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip(reason="needs root and the program ip (Debian: iproute2)")
    subnet = ip_network(COMPOSE["networks"]["api"]["ipam"]["config"][0]["subnet"])
    mark = f"{os.getpid() % 65536:x}"
    names = {each: f"tw-{each}-{mark}" for each in ("host", "telethon", "n8n", "stranger")}
    made = []
    try:
        for name in names.values():
            probe = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
            if probe.returncode != 0:
                pytest.skip(reason=f"network namespaces can't be made here: {probe.stderr.strip()}")
            made.append(name)
            ip("-n", name, "link", "set", "lo", "up")
        host = names["host"]
        ip("-n", host, "link", "add", "api", "type", "bridge")
        ip("-n", host, "addr", "add", f"{subnet[1]}/{subnet.prefixlen}", "dev", "api")
        ip("-n", host, "link", "set", "api", "up")
        for number, each in enumerate(("telethon", "n8n"), 2):
            join(host, names[each], f"{subnet[number]}/{subnet.prefixlen}", master="api")
            ip("-n", names[each], "route", "add", "default", "via", str(subnet[1]))
        # Somebody else's network, which the host routes as Docker would if it were let.
        join(host, names["stranger"], "198.18.7.2/24", ours="198.18.7.1/24")
        ip("-n", names["stranger"], "route", "add", "default", "via", "198.18.7.1")
        ip("netns", "exec", host, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        yield names, str(subnet[2])
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def join(host, guest, address, *, master=None, ours=None):
    """A cable between two namespaces; its end at the host in a bridge, or with an address of its own."""
    ip("-n", host, "link", "add", f"to-{guest[3:7]}", "type", "veth", "peer", "name", "eth0", "netns", guest)
    if master is not None:
        ip("-n", host, "link", "set", f"to-{guest[3:7]}", "master", master)
    else:
        ip("-n", host, "addr", "add", ours, "dev", f"to-{guest[3:7]}")
    ip("-n", host, "link", "set", f"to-{guest[3:7]}", "up")
    ip("-n", guest, "addr", "add", address, "dev", "eth0")
    ip("-n", guest, "link", "set", "eth0", "up")


@pytest.mark.timeout(90)
async def test_as_compose_has_it_the_host_and_n8n_need_no_token_and_a_stranger_is_refused(compose_networks, tmp_path):
    names, address = compose_networks
    environ = {
        name: value
        for name, value in COMPOSE["services"]["telethon"]["environment"].items()
        if name.startswith("TELEWARDEN__ADMIN__")
    }
    config = tmp_path / "telewarden.yaml"
    config.write_text("sandbox: {enabled: true, accounts: 1, channels: 1, posts: 5}\n", encoding="utf-8")
    daemon = DaemonProcess(tmp_path / "var", env={**environ, "TELEWARDEN__ADMIN__PORT": "8010"}, config=config)
    daemon.run_as("ip", "netns", "exec", names["telethon"])
    async with daemon:
        await daemon.line(SIGNED_IN)
        token = (tmp_path / "var" / "admin-token").read_text().strip()
        users = f"http://{address}:8010/users"
        # What Docker publishes on the host's loopback arrives from the gateway; a container is called by its name.
        assert await statuses(names["host"], (users, {"Host": "localhost:8010"})) == [200]
        assert await statuses(names["n8n"], (users, {"Host": "telethon:8010"}), (users, {"Host": "evil.example"})) == [
            200,
            403,
        ]
        bearer = {"Authorization": f"Bearer {token}"}
        stranger = await statuses(names["stranger"], (users, {"Host": "telethon:8010"}), (users, bearer))
        assert stranger == [401, 200]
