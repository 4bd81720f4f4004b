"""The server as a whole: errors of every kind are problems, it listens, ends and starts again."""

import asyncio
import logging
import socket
from dataclasses import replace
from urllib.parse import quote

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.errors import StoreUnavailable
from daemon.admin.server import AddressUnavailable, AdminServer, authority
from daemon.keys import MasterKeys
from daemon.store.store import open_store
from tests.daemon.admin.conftest import FakeAccount, facing, storeless
from tests.postgres import Wire

WRONG = (
    ("GET", "/", 404),
    ("GET", "/nothing?%00", 404),
    ("GET", "/users/", 404),
    ("POST", "/users", 405),
    ("GET", "/parse/all", 405),
    ("DELETE", "/jobs/1", 405),
    ("PROPFIND", "/users", 405),
    ("GET", "/users?x=1", 400),
    ("GET", "/jobs/none", 404),
    ("GET", "/jobs/%00", 404),
    ("GET", "/jobs/" + "x" * 2000, 404),
    ("GET", "/jobs/%D1%84", 404),
    ("POST", "/parse/user/0", 404),
    ("POST", "/parse/user/-1", 404),
    ("POST", "/parse/user/abc", 404),
    ("POST", "/parse/user/%00", 404),
    ("POST", "/parse/user/%D9%A7", 404),
    ("POST", "/parse/user/9223372036854775807", 404),
    ("POST", "/parse/user/9223372036854775808", 404),
    ("POST", "/parse/user/" + "9" * 5000, 404),
    ("POST", "/parse/all?wait=", 400),
    ("POST", "/parse/all?wait=-1", 400),
    ("POST", "/parse/all?wait=600.1", 400),
    ("POST", "/parse/all?wait=nan", 400),
    ("POST", "/parse/all?wait=inf", 400),
    ("POST", "/parse/all?wait=1e2", 400),
    ("POST", "/parse/all?wait=1&wait=2", 400),
    ("POST", "/parse/all?timeout=1", 400),
    ("GET", "/posts", 400),
    ("GET", "/posts?channel=", 400),
    ("GET", "/posts?channel=%00", 400),
    ("GET", "/posts?channel=nobody", 404),
    ("GET", "/posts?channel=" + "9" * 100, 404),
    ("GET", "/posts?channel=-1009223372036854775808", 404),
    ("GET", "/posts?channel=%F0%9F%98%80", 404),
    ("GET", "/posts?channel=%ff", 404),
    ("GET", "/posts?channel=x&limit=0", 400),
    ("GET", "/posts?channel=x&limit=5001", 400),
    ("GET", "/posts?channel=x&limit=ten", 400),
    ("GET", "/posts?channel=x&after_id=-1", 400),
    ("GET", "/posts?channel=x&after_id=9223372036854775808", 400),
)


async def test_what_is_asked_wrongly_is_told_so(face):
    answers = {}
    for method, path, expected in WRONG:
        code, problem, headers = await face.ask(method, path)
        answers[method, path] = code
        if expected == 405:
            assert headers["Allow"]
        if code == 400 and "=" in path:
            assert problem["parameter"] in path
    assert answers == {(method, path): expected for method, path, expected in WRONG}


_text = st.text(max_size=30)
_values = st.one_of(_text, st.integers().map(str), st.sampled_from(["%00", "%ff", "%2f", "1", "@a", "0x1", "٣"]))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "OPTIONS"]),
    path=st.sampled_from(
        ["/posts", "/jobs/{}", "/parse/user/{}", "/parse/all", "/signin/{}/code", "/sessions", "/signin"]
    ),
    value=_values,
    query=st.dictionaries(st.sampled_from(["channel", "after_id", "limit", "x"]), _values, max_size=3),
    body=st.one_of(st.binary(max_size=40), st.sampled_from([b"{}", b"[]", b'{"phone": 1}', b'{"session": "\\ud800"}'])),
)
async def test_no_input_is_answered_with_5xx(face, method, path, value, query, body):
    path = path.format(quote(value, safe="%"))
    code, *_ = await face.ask(method, path, params=query, data=body)
    assert code < 500


async def test_head_answers_as_get_without_a_body(face):
    for path in ("/users", "/channels", "/livez", "/metrics", "/actors", "/clients"):
        code, body, headers = await face.ask("HEAD", path)
        assert (code, body) == (200, None)
        assert int(headers["Content-Length"]) > 0


@storeless
async def test_an_unknown_expectation_and_a_large_body_are_problems(face):
    assert (await face.post("/parse/all", headers={"Expect": "miracles"}))[0] == 417
    assert (await face.post("/parse/all", expect100=True))[0] == 202
    assert (await face.post("/sessions", data=b"x" * 70_000))[0] == 413
    assert (await face.post("/sessions", data=b"x", headers={"Content-Encoding": "gzip"}))[0] == 400


async def raw(server, request):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


NOT_HTTP = (
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /users HTTP/1.1\r\nHost: localhost\r\nBad Header: 1\r\n\r\n",
    b"GET /users HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
)


@storeless
async def test_what_is_not_http_is_answered_with_a_problem_too(face):
    for request in NOT_HTTP:
        answer = await raw(face.server, request)
        assert answer.split(b" ")[1] == b"400"
        assert b"application/problem+json" in answer
        assert b"nosniff" in answer


@storeless
async def test_a_request_without_host_and_one_with_two_are_refused(face):
    assert b" 403 " in (await raw(face.server, b"GET /users HTTP/1.0\r\n\r\n")).split(b"\r\n")[0]
    two = b"GET /users HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert (await raw(face.server, two)).split(b" ")[1] in {b"400", b"403"}


class Raising:
    """A part of the store that raises."""

    def __init__(self, fault):
        self._fault = fault

    async def all(self):
        raise self._fault


@storeless
async def test_a_defect_is_logged_with_its_traceback_and_answered_without(owner, serve, store, caplog):
    broken = replace(store, accounts=Raising(ZeroDivisionError("a secret detail")))
    with caplog.at_level(logging.ERROR):
        async with facing(owner, serve, broken) as face:
            code, problem, _ = await face.get("/users")
    assert code == 500
    assert "secret" not in str(problem)
    assert any(record.exc_info and record.exc_info[0] is ZeroDivisionError for record in caplog.records)


@storeless
async def test_a_store_that_is_away_is_503_with_the_time_to_come_back(owner, serve, store):
    away = replace(store, accounts=Raising(StoreUnavailable("connection refused")))
    async with facing(owner, serve, away) as face:
        code, problem, headers = await face.get("/users")
    assert code == 503
    assert "database" in problem["detail"]
    assert int(headers["Retry-After"]) > 0


@storeless
async def test_a_port_that_is_taken_is_named_with_the_setting(serve, store, registry):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = serve(store, port=port)
        with pytest.raises(AddressUnavailable, match=rf"127\.0\.0\.1:{port}: address already in use.*admin\.port"):
            await server.start()
    await server.start()
    assert server.port == port
    await server.stop()
    await server.stop()


@storeless
async def test_it_can_be_started_again_with_the_same_registry(serve, store):
    server = serve(store)
    for _ in range(2):
        await server.start()
        async with aiohttp.ClientSession() as session, session.get(server.url + "/livez") as answer:
            assert answer.status == 200
        await server.stop()


class Starter(FakeAccount):
    """An account that also starts a server: a connection that took over its chain of asks couldn't ask it."""

    def on_receive(self, message):
        return message.start() if isinstance(message, AdminServer) else super().on_receive(message)


@storeless
async def test_connections_belong_to_no_chain_of_asks(owner, serve, store):
    server = serve(store)
    await Starter.start(7, owner.loop_id, key="account/7").call(server)
    async with aiohttp.ClientSession() as session, session.get(f"{server.url}/clients") as answer:
        assert (await answer.json())["clients"] == [{"id": 7, "loop": owner.loop_id, "same": True}]
    await server.stop()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "127.0.0.1:1"),
        ("localhost", "localhost:1"),
        ("::1", "[::1]:1"),
        ("0.0.0.0", "127.0.0.1:1"),
        ("::", "[::1]:1"),
    ],
)
def test_the_url_leads_back_to_this_machine(host, expected):
    assert authority(host, 1) == expected


async def test_a_reader_waits_no_longer_for_a_silent_database_than_it_must(serve, dsn, owner, monkeypatch):
    monkeypatch.setattr("daemon.admin.server.ANSWER_WITHIN", 0.3)
    async with Wire(dsn) as wire, await open_store(wire.dsn, pool_size=2, keys=MasterKeys(bytes(32))) as opened:
        server = serve(opened.store)
        await server.start()
        async with aiohttp.ClientSession() as session:

            async def ask(path):
                async with session.get(server.url + path) as answer:
                    return answer.status, await answer.json()

            assert (await ask("/users"))[0] == 200
            wire.silence()
            status, problem = await ask("/users")
            assert (status, "doesn't answer" in problem["detail"]) == (503, True)
            opened.database.cut_off()
        await server.stop()
