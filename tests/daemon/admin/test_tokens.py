"""Tokens, what each role may do at each route, the audit, and the Unix socket."""

import asyncio
import os
import re
import stat
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from config.model import Admin
from daemon.admin.access import Access, Caller, Role, Who
from daemon.admin.first import FirstLink
from daemon.admin.problem import Problem
from daemon.admin.routes import ROUTE_OF
from tests.daemon.admin.conftest import TOKEN
from tests.daemon.store.rows import ask
from tests.daemon.test_cli import Telewarden, telewarden  # noqa: F401 -- a fixture
from tests.processes import breathe

BEARER = {"Authorization": f"Bearer {TOKEN}"}


async def make(face, name, **wish):
    code, made, _ = await face.post("/tokens", json={"name": name, **wish}, headers=BEARER)
    assert code == 201, made
    return made


def bearing(made):
    return {"Authorization": f"Bearer {made['token']}"}


async def test_a_token_is_made_used_listed_and_revoked(face, store, dsn):
    made = await make(face, "grafana", role="viewer", expires="90d")
    assert re.fullmatch(r"tw_[A-Za-z0-9_-]{43}", made["token"])
    assert (made["role"], made["created_by"]) == ("viewer", "the token of admin.token_file")
    assert (await face.get("/users", headers=bearing(made)))[0] == 200
    code, problem, _ = await face.post("/parse/all", headers=bearing(made))
    assert (code, "operator's token" in problem["detail"]) == (403, True)
    code, listed, _ = await face.get("/tokens", headers=BEARER)
    (told,) = listed["tokens"]
    assert "token" not in told
    assert told["last_used_at"] is not None
    code, problem, _ = await face.post("/tokens", json={"name": "grafana"}, headers=BEARER)
    assert (code, "already" in problem["detail"]) == (409, True)
    assert (await face.ask("DELETE", f"/tokens/{made['id']}", headers=BEARER))[0] == 200
    code, problem, _ = await face.get("/users", headers=bearing(made))
    assert (code, "revoked" in problem["detail"]) == (401, True)
    # Its name is free again, and nothing but a digest was ever stored.
    again = await make(face, "grafana")
    rows = await ask(dsn, "SELECT to_jsonb(tokens)::text FROM tokens")
    assert not any(each["token"][3:] in row for each in (made, again) for (row,) in rows)


async def test_a_token_that_was_revoked_elsewhere_or_ends_is_refused_within_a_second(face, store, dsn):
    made, ending = await make(face, "a"), await make(face, "b", expires="1d")
    for each in (made, ending):
        assert (await face.get("/users", headers=bearing(each)))[0] == 200
    await ask(dsn, "UPDATE tokens SET revoked_at = now() WHERE name = 'a' RETURNING id")
    await ask(dsn, "UPDATE tokens SET expires_at = now() WHERE name = 'b' RETURNING id")
    began = asyncio.get_running_loop().time()
    for each, word in ((made, "revoked"), (ending, "expired")):
        while (answer := await face.get("/users", headers=bearing(each)))[0] == 200:
            await breathe()
        assert (answer[0], word in answer[1]["detail"]) == (401, True)
    assert asyncio.get_running_loop().time() - began < 1.5


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 61}, "name"),
        ({"name": "a\n"}, "name"),
        ({"name": "a", "role": "king"}, "role"),
        ({"name": "a", "role": 1}, "role"),
        ({"name": "a", "expires": "soon"}, "expires"),
        ({"name": "a", "expires": "0s"}, "expires"),
        ({"name": "a", "expires": 5}, "expires"),
        ({"name": "a", "more": 1}, "more"),
    ],
)
async def test_a_wish_for_a_token_that_makes_no_sense_is_refused(face, wish, field):
    code, problem, _ = await face.post("/tokens", json=wish, headers=BEARER)
    assert (code, problem["field"]) == (400, field)


def filled(path):
    return re.sub(r"\{[^}]+\}", "1", path)


async def test_each_route_serves_each_role_as_it_says_and_nobody_else(face, dsn):
    tokens = {
        Role.VIEWER: await make(face, "viewer", role="viewer"),
        Role.OPERATOR: await make(face, "operator", role="operator"),
        Role.ADMIN: await make(face, "admin", role="admin"),
    }
    revoked, expired = (
        await make(face, "revoked", role="admin"),
        await make(face, "expired", role="admin", expires="1d"),
    )
    await face.ask("DELETE", f"/tokens/{revoked['id']}", headers=BEARER)
    await ask(dsn, "UPDATE tokens SET expires_at = now() WHERE name = 'expired' RETURNING id")
    face.server._access._networks = ()  # nobody is trusted without a token
    app = face.server._runner.app
    wrong, seen = [], 0
    for route, declared in app[ROUTE_OF].items():
        wanted = declared.role
        # What a guest may see, and the page for the first token, are no documents; they have tests of their own.
        if wanted is Role.GUEST or route.method == "HEAD" or "/first-token/" in route.resource.canonical:
            continue
        path = filled(route.resource.canonical)
        asked = [({}, 401), (bearing(revoked), 401), (bearing(expired), 401), ({"Authorization": "Bearer tw_x"}, 401)]
        # Who may is answered by whatever the route has to say; that isn't asked where it would do something.
        asked += [(bearing(made), 403) for role, made in tokens.items() if role < wanted]
        if route.method == "GET":
            asked += [(bearing(made), None) for role, made in tokens.items() if role >= wanted]
        for headers, expected in asked:
            code, _, _ = await face.ask(route.method, path, headers=headers)
            seen += 1
            if code != expected if expected else code in {401, 403}:
                wrong.append((route.method, path, headers, code, expected))
    assert not wrong
    assert seen > 300


async def test_whatever_is_to_change_something_is_audited_with_who_and_what_came_of_it(face, dsn):
    made = await make(face, "n8n", role="operator")
    await face.post("/parse/all", headers=bearing(made))
    await face.post("/parse/user/404", headers=bearing(made))
    await face.post("/tokens", json={"name": "mine", "role": "admin"}, headers=bearing(made))
    await face.post("/parse/all")
    await face.get("/users", headers=bearing(made))
    await face.post("/jobs/%00/cancel?x=secret")
    _, answer, _ = await face.get("/audit?limit=10", headers=BEARER)
    told = [(each["who"], each["method"], each["path"], each["status"]) for each in reversed(answer["audit"])]
    name = f"token {made['id']} n8n"
    assert told == [
        ("the token of admin.token_file", "POST", "/tokens", 201),
        (name, "POST", "/parse/all", 202),
        (name, "POST", "/parse/user/404", 404),
        ("peer 127.0.0.1", "POST", "/parse/all", 202),
        ("peer 127.0.0.1", "POST", "/jobs/%00/cancel", told[-1][3]),
    ]
    first = answer["audit"][0]
    assert datetime.now(UTC) - datetime.fromisoformat(first["at"]) < timedelta(minutes=1)
    _, older, _ = await face.get(f"/audit?before_id={answer['audit'][1]['audit_id']}&limit=2", headers=BEARER)
    assert [each["path"] for each in older["audit"]] == ["/parse/user/404", "/parse/all"]
    assert older["next_before_id"] == older["audit"][-1]["audit_id"]
    assert (await face.get("/audit"))[0] == 403, "who asks by the loopback alone doesn't see it"
    metrics = await (await face.session.get(face.server.url + "/metrics")).text()
    assert 'telewarden_http_refused_total{status="403"}' in metrics


async def test_the_commands_make_list_and_revoke_tokens_and_show_the_audit(face, telewarden):  # noqa: F811
    (telewarden.folder / "token").write_text(TOKEN)
    url = ("--url", face.server.url, "--token-file", "token")
    code, token, err = await telewarden("token", "create", "grafana", "--expires", "30d", *url)
    assert (code, token[:3], err) == (0, "tw_", "")
    assert (await face.get("/users", headers={"Authorization": f"Bearer {token.strip()}"}))[0] == 200
    code, out, _ = await telewarden("token", "list", *url)
    assert re.fullmatch(r"Token \d+ grafana: viewer, last used \S+Z, until \S+Z\n", out)
    number = out.split()[1]
    assert await telewarden("token", "revoke", number, *url) == (0, f"Token {number} grafana: revoked\n", "")
    code, out, _ = await telewarden("audit", *url)
    assert [line.split(": ", 1)[1] for line in out.splitlines()] == ["POST /tokens 201", f"DELETE /tokens/{number} 200"]
    # Beside the daemon no option is needed: the commands read the token file when they are asked for a token.
    (telewarden.folder / "var").mkdir()
    (telewarden.folder / "var" / "admin-token").write_text(TOKEN + "\n")
    code, out, _ = await telewarden("token", "list", TELEWARDEN__ADMIN__PORT=str(face.server.port))
    assert (code, "REVOKED" in out) == (0, True)


async def test_the_socket_serves_its_owner_and_root_as_admin(serve, store, owner, tmp_path, telewarden):  # noqa: F811
    path = tmp_path / "admin.sock"
    path.touch()  # what a crash leaves is a socket: any other file is left alone, and named
    server = serve(store, socket=path)
    with pytest.raises(Exception, match=r"admin\.socket"):
        await server.start()
    path.unlink()
    await server.start()
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session:
        async with session.get("http://any.name.will.do/tokens") as answer:
            assert (answer.status, await answer.json()) == (200, {"tokens": [], "next_after_id": None})
        async with session.get("http://x/tokens", headers={"Authorization": "Bearer tw_wrong"}) as answer:
            assert answer.status == 401
    environment = {"TELEWARDEN__ADMIN__SOCKET": str(path), "TELEWARDEN__ADMIN__PORT": "1"}
    code, out, err = await telewarden("audit", **environment)
    assert (code, out, err) == (0, "", "")
    await server.stop()
    assert (await telewarden("audit", **environment))[0] == 69


def test_a_stranger_at_the_socket_needs_a_token():
    rules = Access(Admin(), TOKEN)
    assert rules.recognise(Caller(peer=None, local=None, host=None, uid=os.geteuid())) == Who(
        role=Role.ADMIN, name=f"uid {os.geteuid()}"
    )
    with pytest.raises(Problem) as refused:
        rules.recognise(Caller(peer=None, local=None, host=None, uid=os.geteuid() + 1))
    assert refused.value.status == 401


async def test_the_first_token_is_shown_once_to_who_has_the_link_from_the_terminal(serve, store, dsn, tmp_path, caplog):
    caplog.set_level("DEBUG")
    made = Access.load(Admin(), tmp_path)
    assert Access.load(Admin(), tmp_path).made is None, "only the start that makes the file shows it"
    token = (tmp_path / "admin-token").read_text().strip()
    server = serve(store)
    server.first_link = FirstLink(made.made)
    await server.start()
    url = server.url + server.first_link.path
    async with aiohttp.ClientSession() as session:

        async def page(method, address):
            async with session.request(method, address) as answer:
                return answer.status, await answer.text(), answer.headers

        assert (await page("GET", server.url + "/first-token/wrong"))[0] == 410
        for _ in range(2):
            status, text, headers = await page("GET", url)
            assert (status, token in text, headers["Cache-Control"]) == (200, False, "no-store")
            assert "default-src 'none'" in headers["Content-Security-Policy"]
        status, text, _ = await page("POST", url)
        assert (status, token in text) == (200, True)
        for method in ("POST", "GET"):
            status, text, _ = await page(method, url)
            assert (status, token in text) == (410, False)
        # Who is refused at the door is told of in the log, and its key, which may still work, isn't.
        for path in (server.first_link.path, f"/{server.first_link.path}/", "/login/abcdefgh"):
            async with session.get(server.url + path, headers={"Host": "evil.example"}) as answer:
                assert answer.status in {403, 404, 410}
    await server.stop()
    assert "/first-token/… refused" in caplog.text
    code = server.first_link.path.rpartition("/")[2]
    assert code not in caplog.text
    assert not [path for (path,) in await ask(dsn, "SELECT path FROM audit") if code in path]


async def test_no_route_serves_another_site_s_page_or_a_name_that_dns_may_rebind(face):
    app, passed = face.server._runner.app, []
    for route, declared in app[ROUTE_OF].items():
        if declared.role is Role.GUEST or route.method == "HEAD":
            continue
        path = filled(route.resource.canonical)
        for headers in (
            {"Host": "evil.example"},
            {"Host": "127.0.0.1.evil.example"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            code, _, _ = await face.ask(route.method, path, headers=headers)
            if code != 403:
                passed.append((route.method, path, headers, code))
    assert not passed
