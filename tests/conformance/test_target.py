"""The guard, the environment that points elsewhere, and what is left of the suite on a server without a control."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest
from telethon.sessions import StringSession

from sandbox.client import Sandbox
from sandbox.ledger import describe
from tests.conformance.independent import OUTSIDE, ROOT
from tests.conformance.raw import RawClient
from tests.conformance.stage import Stage
from tests.conformance.target import PREFIX, OutsideRefused, Target, TargetError

PEM = "-----BEGIN RSA PUBLIC KEY-----\n"


def said(**variables: str) -> dict[str, str]:
    return {f"{PREFIX}{name}": text for name, text in variables.items()}


def elsewhere(address: str, port: int = 443) -> StringSession:
    session = StringSession()
    session.set_dc(2, address, port)
    return session


async def test_the_guard_lets_a_client_go_to_the_target_alone(stage: Stage) -> None:
    # An empty session is one that Telethon would lead to the real service.
    for session in (StringSession(), elsewhere(OUTSIDE), elsewhere("2001:db8::1"), elsewhere("outside.invalid")):
        client = stage.telethon(session, use_ipv6=":" in (session.server_address or ""))
        with pytest.raises(OutsideRefused):
            await client.connect()
    with pytest.raises(OutsideRefused):
        RawClient(elsewhere(OUTSIDE), stage.target)


def test_a_named_target_opens_the_guard_for_its_own_place_and_for_no_other() -> None:
    target = Target(address=OUTSIDE, port=443)
    assert target.lets_pass(OUTSIDE, 443)
    assert target.lets_pass("127.0.0.1", 1)
    for host, port in ((OUTSIDE, 80), ("192.0.2.2", 443), ("outside.invalid", 443)):
        assert not target.lets_pass(host, port)


def test_the_environment_names_a_server(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text(PEM, encoding="ascii")
    assert Target.of_environment({"PATH": "/bin"}) is None
    bare = Target.of_environment(said(ADDRESS="127.0.0.1:4430"))
    assert bare == Target(address="127.0.0.1", port=4430)
    named = Target.of_environment(
        said(ADDRESS="[::1]:443", DC="2", KEY=str(key), CONTROL="http://[::1]:1/", SESSION="1x", CHANNEL="@news")
    )
    assert named is not None
    assert named.key is not None
    assert (named.address, named.port, named.dc_id, named.key()) == ("::1", 443, 2, PEM)
    assert (named.control, named.session, named.channel, named.is_own) == ("http://[::1]:1", "1x", "news", False)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"ADDRESS": "example.org:443"}, "IP address"),
        ({"ADDRESS": "127.0.0.1"}, "IP address"),
        ({"ADDRESS": "127.0.0.1:https"}, "a port"),
        ({"ADDRESS": "127.0.0.1:1", "DC": "two"}, "a number"),
        ({"KEY": "key.pem"}, "IP address"),
        ({"ADDRESS": "127.0.0.1:1", "KEY": "/nowhere/key.pem"}, "No such file"),
        ({"ADDRESS": "127.0.0.1:1", "KEY": str(ROOT / "Makefile")}, "PKCS#1"),
        ({"ADDRESS": "127.0.0.1:1", "ADRESS": "1"}, "ADRESS is not known"),
    ],
)
def test_an_environment_that_names_none_is_refused_in_clear_words(variables: dict[str, str], says: str) -> None:
    with pytest.raises(TargetError, match=says):
        Target.of_environment(said(**variables))


async def pointed_at(dc: Sandbox, *arguments: str, **variables: str) -> tuple[int, str]:
    """Exit code and output of this suite in a process that is told of a sandbox by the environment alone."""
    here = said(ADDRESS=f"{dc.address}:{dc.port}", **variables)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-p", "no:xdist", *arguments),
        cwd=ROOT,
        env={name: text for name, text in os.environ.items() if not name.startswith(("PYTEST_", PREFIX))} | here,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, out.decode()


def state_of(dc: Sandbox) -> tuple[object, ...]:
    letters = {owner: len(box.letters) for owner, box in dc.world.boxes.items()}
    return dc.ledger(), describe(dc.world), letters


async def test_the_suite_reads_from_another_server_and_leaves_it_as_it_was(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    files = (
        "tests/conformance/test_methods.py",
        "tests/conformance/test_mtproto.py",
        "tests/conformance/test_worlds.py",
    )
    async with Sandbox(channels=2) as dc:
        key.write_text(dc.public_key, encoding="ascii")
        before = state_of(dc)
        code, out = await pointed_at(dc, *files, KEY=str(key), SESSION=dc.session("ann"), CHANNEL="gorod_news")
        assert code == 0, out
        passed, skipped = (int(re.findall(rf"(\d+) {word}", out)[-1]) for word in ("passed", "skipped"))
        assert (passed >= 60, skipped >= 60) == (True, True), out
        assert set(re.findall(r"needs .*", out)) == {"needs a control interface: TELEWARDEN_CONFORMANCE_CONTROL"}
        assert state_of(dc) == before
        asked = dc.requests()
        assert asked["by_account"][str(dc.world.account("ann").id)]["messages.getHistory"] > 5
        assert not {"messages.sendMessage", "channels.joinChannel"} & {
            m for row in asked["by_account"].values() for m in row
        }
        assert asked["unknown"] == ["0x12345678"]  # sent on purpose
