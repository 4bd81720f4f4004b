"""Who is served: the matrix of peers, tokens, hosts and origins, as decisions and over real HTTP."""

import os
import stat

import pytest
from aiohttp import web

from config.model import Admin
from daemon.admin.access import Access, Caller, Role, TokenFileInvalid, Who
from daemon.admin.problem import Problem
from daemon.admin.routes import ROUTE_OF, Route, add_routes, check_roles
from tests.daemon.admin.conftest import TOKEN, facing, ip_network, storeless

LOOPBACK = {"peer": "127.0.0.1", "local": "127.0.0.1", "host": "localhost:8010"}
BRIDGE = {"peer": "172.20.0.1", "local": "172.20.0.2", "host": "telethon:8010"}
STRANGER = {"peer": "203.0.113.9", "local": "192.0.2.1", "host": "192.0.2.1:8010"}


def access(trusted=("127.0.0.0/8", "::1/128"), hosts=()):
    return Access(Admin(trusted_peers=tuple(ip_network(net) for net in trusted), allowed_hosts=hosts), TOKEN)


def status(rules, **caller):
    try:
        found = rules.recognise(Caller(**caller))
    except Problem as problem:
        return problem.status
    if not isinstance(found, Who):
        return 401  # a token that the store may know
    by_token = caller.get("authorization", "").lower().startswith("bearer")
    assert found.role is (Role.ADMIN if by_token else Role.OPERATOR)
    return 200


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        (LOOPBACK, 200),
        ({**LOOPBACK, "host": "127.0.0.1:8010"}, 200),
        ({**LOOPBACK, "host": "127.0.0.1"}, 200),
        ({**LOOPBACK, "host": "LOCALHOST."}, 200),
        ({**LOOPBACK, "host": "[::1]:8010"}, 200),
        ({"peer": "::1", "local": "::1", "host": "[::1]"}, 200),
        ({"peer": "::ffff:127.0.0.1", "local": "::ffff:127.0.0.1", "host": "localhost"}, 200),
        ({**LOOPBACK, "host": "evil.example"}, 403),
        ({**LOOPBACK, "host": "localhost.evil.example"}, 403),
        ({**LOOPBACK, "host": "127.0.0.1.evil.example"}, 403),
        ({**LOOPBACK, "host": "evil@localhost"}, 403),
        ({**LOOPBACK, "host": "localhost:8010:1"}, 403),
        ({**LOOPBACK, "host": ""}, 403),
        ({**LOOPBACK, "host": None}, 403),
        ({**LOOPBACK, "host": "192.0.2.1"}, 403),
        ({**LOOPBACK, "origin": "http://localhost:8010"}, 200),
        ({**LOOPBACK, "origin": "https://evil.example"}, 403),
        ({**LOOPBACK, "origin": "http://localhost:3000"}, 403),
        ({**LOOPBACK, "origin": "null"}, 403),
        ({**LOOPBACK, "fetch_site": "cross-site"}, 403),
        ({**LOOPBACK, "fetch_site": "same-site"}, 403),
        ({**LOOPBACK, "fetch_site": "same-origin"}, 200),
        ({**LOOPBACK, "fetch_site": "none"}, 200),
        (
            {**LOOPBACK, "authorization": f"Bearer {TOKEN}", "host": "evil.example", "origin": "https://evil.example"},
            200,
        ),
        ({**LOOPBACK, "authorization": "Bearer wrong"}, 401),
        ({**LOOPBACK, "authorization": "Bearer"}, 401),
        ({**LOOPBACK, "authorization": "Basic dXNlcjpwYXNz"}, 200),
        (STRANGER, 401),
        ({**STRANGER, "authorization": f"bearer {TOKEN}"}, 200),
        ({**STRANGER, "authorization": f"Bearer {TOKEN}x"}, 401),
        ({**STRANGER, "authorization": f"Bearer {TOKEN[:-1]}"}, 401),
        ({**STRANGER, "authorization": "Bearer \udcff"}, 401),
        ({**STRANGER, "authorization": TOKEN}, 401),
        ({**STRANGER, "peer": None}, 401),
        ({**STRANGER, "peer": "/run/socket"}, 401),
    ],
)
def test_without_settings_only_loopback_and_the_token_are_served(caller, expected):
    assert status(access(), **caller) == expected


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        (BRIDGE, 200),
        ({**BRIDGE, "host": "TELETHON"}, 200),
        ({**BRIDGE, "peer": "::ffff:172.20.0.1", "local": "::ffff:172.20.0.2", "host": "172.20.0.2:8010"}, 200),
        ({**BRIDGE, "host": "172.20.0.2:8010"}, 200),
        ({**BRIDGE, "host": "172.20.0.3:8010"}, 403),
        ({**BRIDGE, "host": "localhost:8010"}, 200),
        ({**BRIDGE, "host": "telethon.evil.example"}, 403),
        ({**BRIDGE, "peer": "172.21.0.1"}, 401),
        ({**BRIDGE, "origin": "http://telethon:8010"}, 200),
        ({**BRIDGE, "host": "telethon", "origin": "https://telethon"}, 200),
        ({**BRIDGE, "peer": "fe80::1%eth0", "local": "fe80::2%eth0", "host": "[fe80::2]:8010"}, 200),
        (LOOPBACK, 401),
    ],
)
def test_trusted_networks_and_allowed_names_are_served_beside(caller, expected):
    rules = access(trusted=("172.20.0.0/16", "fe80::/64"), hosts=("Telethon",))
    assert status(rules, **caller) == expected


def test_a_refusal_of_a_peer_says_what_to_send():
    with pytest.raises(Problem, match=r"Authorization: Bearer .*admin\.trusted_peers") as refused:
        access().recognise(Caller(**STRANGER))
    assert refused.value.headers["WWW-Authenticate"].startswith("Bearer ")


def test_the_first_start_makes_a_token_that_only_its_owner_reads(tmp_path):
    folder = tmp_path / "state"
    before = os.umask(0)
    try:
        Access.load(Admin(), folder)
    finally:
        os.umask(before)
    path = folder / "admin-token"
    token = path.read_text().strip()
    assert token.startswith("tw_")
    assert len(token) >= 46
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = Access.load(Admin(), folder)
    assert path.read_text().strip() == token
    assert status(again, **STRANGER, authorization=f"Bearer {token}") == 200


def test_an_empty_token_file_left_by_a_crash_is_made_anew(tmp_path):
    (tmp_path / "admin-token").touch()
    Access.load(Admin(), tmp_path)
    assert (tmp_path / "admin-token").read_text().startswith("tw_")


@pytest.mark.parametrize("content", [b"short", b"two words " * 10, b"\xff" * 40, "ключ".encode() * 20])
def test_a_token_file_that_holds_no_secret_is_refused(tmp_path, content):
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(TokenFileInvalid, match=r"admin\.token_file"):
        Access.load(Admin(token_file=path), tmp_path)
    assert path.read_bytes() == content


def test_a_token_file_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TokenFileInvalid, match="file/token"):
        Access.load(Admin(token_file=tmp_path / "file" / "token"), tmp_path)


@storeless
async def test_over_http_a_wrong_token_a_foreign_host_and_a_foreign_page_are_refused(face):
    assert (await face.get("/actors"))[0] == 200
    assert (await face.get("/actors", headers={"Authorization": f"Bearer {TOKEN}"}))[0] == 200
    code, body, headers = await face.get("/actors", headers={"Authorization": "Bearer tw_wrong"})
    assert (code, headers["WWW-Authenticate"]) == (401, 'Bearer realm="telewarden", error="invalid_token"')
    assert "token" in body["detail"]
    assert (await face.get("/actors", headers={"Host": "evil.example"}))[0] == 403
    assert (await face.post("/parse/all", headers={"Origin": "https://evil.example"}))[0] == 403
    assert (await face.get("/livez", headers={"Sec-Fetch-Site": "cross-site"}))[0] == 403
    assert (await face.ask("OPTIONS", "/parse/all", headers={"Origin": "https://evil.example"}))[0] == 403


@storeless
async def test_a_peer_that_is_not_trusted_learns_nothing_but_how_to_ask(owner, serve, store):
    async with facing(owner, serve, store, trusted=("192.0.2.0/24",)) as face:
        for path, allowed in (
            ("/actors", 200),
            ("/livez", 200),
            ("/metrics", 200),
            ("/nothing", 404),
            ("/parse/all", 405),
        ):
            assert (await face.get(path))[0] == 401
            assert (await face.get(path, headers={"Authorization": f"Bearer {TOKEN}"}))[0] == allowed


def test_a_route_without_a_role_fails_at_start():
    app = web.Application()
    app[ROUTE_OF] = {}

    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    class Durations:
        def labels(self, **_):
            return self

    add_routes(app, [Route("GET", "/well", handler, Role.VIEWER)], Durations())
    check_roles(app)
    app.router.add_get("/naked", handler)
    with pytest.raises(RuntimeError, match=r"/naked.* declares no role"):
        check_roles(app)
