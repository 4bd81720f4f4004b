"""The control interface over real HTTP, and the faults it sets."""

import json
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from telethon import errors, functions, types

from sandbox.client import Sandbox
from sandbox.control import Control
from sandbox.doors import NotLoopbackError
from tests.sandbox.conftest import Connect, hear, soon


@pytest.fixture
async def http(dc: Sandbox) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(base_url=dc.control_url, raise_for_status=False) as session:
        yield session


async def ask(http: aiohttp.ClientSession, method: str, path: str, body=None, **options):
    async with http.request(method, path, json=body, **options) as answer:
        return answer.status, await answer.json(content_type=None) if answer.status != 204 else None


async def test_posts_edits_and_deletes_are_pushed_and_stand_in_the_ledger(dc: Sandbox, connect: Connect, http) -> None:
    heard = hear(await connect())
    top = dc.world.channel("gorod_news").top
    status, made = await ask(http, "POST", "/posts", {"channel": "gorod_news", "text": "by hand"})
    assert (status, made) == (201, {"channel": dc.world.channel("gorod_news").id, "ids": [top + 1]})
    assert (await soon(heard)).message.text == "by hand"
    status, made = await ask(
        http, "POST", "/posts", {"channel": made["channel"], "posts": [{"text": "a"}, {"text": "b"}]}
    )
    assert (status, made["ids"]) == (201, [top + 2, top + 3])
    status, made = await ask(http, "POST", "/posts", {"channel": "@gorod_news", "count": 3, "silent": True})
    assert (status, made["ids"]) == (201, [top + 4, top + 5, top + 6])
    assert (await ask(http, "POST", "/edits", {"channel": "gorod_news", "id": top + 2, "text": "A"}))[0] == 201
    status, gone = await ask(http, "POST", "/deletes", {"channel": "gorod_news", "ids": [top + 3, top + 9]})
    assert (status, gone["ids"]) == (201, [top + 3])
    status, ledger = await ask(http, "GET", "/ledger", params={"channel": "gorod_news"})
    (channel,) = ledger["channels"]
    assert (status, channel["top"], channel["pts"], channel["deleted"]) == (200, top + 6, 50 + 8, [top + 3])
    posts = {post["id"]: post for post in channel["posts"]}
    assert list(posts)[-5:] == [top + 1, top + 2, top + 4, top + 5, top + 6]
    assert (posts[top + 2]["text"], posts[top + 2]["edited"] is not None) == ("A", True)
    assert posts[top + 1].keys() >= {"id", "date", "text", "edited", "media", "service"}
    assert [(await soon(heard)).message.text for _ in range(2)] == ["a", "b"]
    assert heard.empty()
    assert len((await ask(http, "GET", "/ledger"))[1]["channels"]) == 6


async def test_requests_are_counted_per_account_and_history_per_channel(dc: Sandbox, connect: Connect, http) -> None:
    client = await connect()
    ann, channel = dc.world.account("ann").id, dc.world.channel("gorod_news").id
    await client.get_messages("gorod_news", limit=10)
    await client.get_messages("gorod_news", limit=10)
    counts = (await ask(http, "GET", "/requests"))[1]
    assert counts["by_account"][str(ann)]["messages.getHistory"] == 2
    assert counts["by_account"][str(ann)]["contacts.resolveUsername"] == 1
    assert counts["history"] == {str(channel): {str(ann): 2}}
    assert counts["total"] == sum(sum(methods.values()) for methods in counts["by_account"].values())
    assert counts["unknown"] == []
    assert (await ask(http, "DELETE", "/requests"))[0] == 204
    assert (await ask(http, "GET", "/requests"))[1]["total"] == 0


async def test_a_session_from_http_is_ready_to_use(dc: Sandbox, connect: Connect, http) -> None:
    status, found = await ask(http, "GET", "/sessions/vera")
    assert (status, found["dc_id"], found["address"], found["port"]) == (200, 203, dc.address, dc.port)
    assert len(bytes.fromhex(found["auth_key"])) == 256
    assert (await (await connect(session=found["session"])).get_me()).id == found["account"]
    other = (await ask(http, "GET", f"/sessions/{found['account']}"))[1]
    assert other["auth_key"] != found["auth_key"]
    named = [(await ask(http, "GET", "/sessions/+9996620002", params={"key": "a"}))[1]["auth_key"] for _ in range(2)]
    assert named[0] == named[1]


async def test_the_world_and_sign_in_codes_are_shown(dc: Sandbox, connect: Connect, http) -> None:
    world = (await ask(http, "GET", "/world"))[1]
    assert [account["username"] for account in world["accounts"]] == ["ann", "boris", "vera", "sandbox_bot"]
    assert [account["bot"] for account in world["accounts"]] == [False, False, False, True]
    assert world["accounts"][3]["token"].startswith(f"{world['accounts'][3]['id']}:")
    assert all(channel["members"] and channel["generated"] for channel in world["channels"])
    ann = str(world["accounts"][0]["id"])
    assert world["memberships"][ann] == [c["id"] for c in world["channels"] if int(ann) in c["members"]]
    assert (await ask(http, "GET", "/codes/+9996620000"))[0] == 404
    client = await connect(None)
    await client.send_code_request("+9996620000")
    status, code = await ask(http, "GET", "/codes/+9996620000")
    assert (status, code) == (200, {"phone": "9996620000", "code": dc.code("9996620000")})


async def test_a_drop_over_http_cuts_every_client_off(dc: Sandbox, connect: Connect, http) -> None:
    client = await connect()
    assert (await ask(http, "POST", "/drop"))[1] == {"dropped": 1}
    assert (await client.get_me()).username == "ann"


async def test_a_fault_strikes_after_its_skips_as_often_as_it_counts(dc: Sandbox, connect: Connect, http) -> None:
    ann, boris = await connect("ann"), await connect("boris")
    fault = {
        "method": "messages.getHistory",
        "account": "ann",
        "channel": "gorod_news",
        "skip": 1,
        "count": 2,
        "error": {"code": 420, "message": "FLOOD_WAIT_33"},
    }
    status, made = await ask(http, "POST", "/faults", fault)
    assert (status, made["account"], made["hits"]) == (201, dc.world.account("ann").id, 0)
    peer = await ann.get_input_entity("gorod_news")
    page = functions.messages.GetHistoryRequest(peer, 0, None, 0, 1, 0, 0, 0)
    await ann(page)
    with pytest.raises(errors.FloodWaitError) as caught:
        await ann(page)
    assert caught.value.seconds == 33
    await boris.get_messages("gorod_news", limit=1)
    ann._flood_waited_requests.clear()
    with pytest.raises(errors.FloodWaitError):
        await ann(page)
    ann._flood_waited_requests.clear()
    assert len((await ann(page)).messages) == 1
    assert (await ask(http, "GET", "/faults"))[1]["faults"][0]["hits"] == 2
    assert (await ask(http, "DELETE", "/faults"))[0] == 204
    assert (await ask(http, "GET", "/faults"))[1] == {"faults": []}


async def test_a_fault_can_delay_an_answer_or_drop_the_connection(dc: Sandbox, connect: Connect, http) -> None:
    client = await connect()
    await ask(http, "POST", "/faults", {"method": "users.getUsers", "delay": 0.2})
    before = time.monotonic()
    assert (await client.get_me()).username == "ann"
    assert time.monotonic() - before >= 0.2
    await ask(http, "POST", "/faults", {"method": "help.getNearestDc", "drop": True})
    assert (await client(functions.help.GetNearestDcRequest())).this_dc == 203
    assert dc.dc.dispatcher.faults.rules[1].hits == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("POST", "/posts", {"channel": "nowhere", "count": 1}, 404, "no channel 'nowhere'"),
        ("POST", "/posts", {"channel": "gorod_news", "count": -1}, 400, "count: Input should be greater"),
        ("POST", "/posts", {"channel": "gorod_news", "count": 0}, 400, "nothing to publish"),
        ("POST", "/posts", {"channel": "gorod_news", "posts": ["a"]}, 400, "posts.0: Input should be an object"),
        (
            "POST",
            "/posts",
            {"channel": "gorod_news", "txet": "a"},
            400,
            "txet: is not known here; PostsBody has channel, text",
        ),
        ("POST", "/posts", [1], 400, "the body: Input should be an object"),
        ("POST", "/edits", {"channel": "gorod_news", "id": 10**9, "text": "a"}, 404, "has no post"),
        ("POST", "/deletes", {"channel": "gorod_news", "ids": ["a"]}, 400, "ids.0: Input should be a valid integer"),
        ("POST", "/faults", {"method": "messages.getHistory"}, 400, "needs a delay"),
        (
            "POST",
            "/faults",
            {"method": "x", "error": {"code": "a"}},
            400,
            "error.code: Input should be a valid integer",
        ),
        ("GET", "/sessions/nobody", None, 404, "no account 'nobody'"),
        ("GET", "/ledger?channel=99", None, 404, "no channel '99'"),
        ("GET", "/nothing", None, 404, "docs/sandbox.md"),
        ("PUT", "/posts", None, 405, "Method Not Allowed"),
    ],
)
async def test_a_refusal_says_what_to_do(http, method: str, path: str, body, status: int, says: str) -> None:
    async with http.request(method, path, json=body) as answer:
        assert (answer.status, answer.content_type) == (status, "application/problem+json")
        problem = await answer.json(content_type=None)
    assert problem["status"] == status
    assert says in problem["detail"]


async def test_a_body_that_is_no_json_is_refused(http) -> None:
    async with http.post("/posts", data=b"{") as answer:
        assert (answer.status, answer.content_type) == (400, "application/problem+json")


async def test_a_foreign_host_name_is_refused(http) -> None:
    for host, status in (("evil.example", 403), ("evil.example:80", 403), ("localhost:1", 200), ("127.0.0.1", 200)):
        async with http.get("/world", headers={"Host": host}) as answer:
            assert answer.status == status


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "example.org", "::"])
async def test_nothing_listens_beyond_loopback(dc: Sandbox, host: str) -> None:
    with pytest.raises(NotLoopbackError, match="no loopback address"):
        await dc.dc.open(host)
    control = Control(dc.dc)
    with pytest.raises(NotLoopbackError):
        await control.open(host)
    await control.close()


async def test_any_loopback_address_serves_under_its_own_name() -> None:
    async with Sandbox(channels=1, control=("127.0.0.9", 0)) as dc, aiohttp.ClientSession(dc.control_url) as http:
        assert (await ask(http, "GET", "/clock"))[0] == 200
        assert (await ask(http, "GET", "/clock", headers={"Host": "LOCALHOST:1"}))[0] == 200
        assert (await ask(http, "GET", "/clock", headers={"Host": "[2001:db8::1]:1"}))[0] == 403


async def test_the_ledger_over_http_is_the_one_in_process(dc: Sandbox, http) -> None:
    await dc.publish("gorod_news", text="«кавычки» и 🌧")
    status, told = await ask(http, "GET", "/ledger")
    assert (status, told) == (200, dc.ledger())


async def test_counts_begin_at_zero_again_and_what_is_unknown_is_told_at_the_end(
    dc: Sandbox, connect: Connect, http
) -> None:
    client = await connect()
    await client.get_me()
    await dc.publish("gorod_news", text="pushed")
    with pytest.raises(errors.RPCError):
        await client(functions.account.GetAccountTTLRequest())
    assert (await ask(http, "DELETE", "/requests"))[0] == 204
    counts = (await ask(http, "GET", "/requests"))[1]
    assert (counts["total"], counts["published"], counts["pushes"]["sent"], counts["unknown"]) == (0, 0, 0, [])
    assert list(dc.dc.dispatcher.strangers) == ["account.getAccountTTL"]


async def test_a_body_that_would_spoil_a_channel_is_refused(dc: Sandbox, connect: Connect, http) -> None:
    wrong = {"text": "x", "media": "audio", "file": {"duration": "1e400"}}
    body = json.dumps({"channel": "gorod_news", "posts": [wrong]}).replace('"1e400"', "1e400")
    async with http.post("/posts", data=body) as answer:
        assert (answer.status, "duration" in (await answer.json(content_type=None))["detail"]) == (400, True)
    status, told = await ask(
        http, "POST", "/posts", {"channel": "gorod_news", "posts": [{"service": "pin", "text": "x"}]}
    )
    assert (status, "a service message has no text" in told["detail"]) == (400, True)
    made = (await ask(http, "POST", "/channels", {"title": "Full", "username": "full_one", "first_id": 2**31 - 2}))[1]
    await ask(http, "POST", "/members", {"channel": made["id"], "account": "ann", "standing": "member"})
    assert (await ask(http, "POST", "/posts", {"channel": "full_one", "text": "last but one"}))[0] == 201
    assert (await ask(http, "POST", "/posts", {"channel": "full_one", "text": "x", "count": 1}))[0] == 400
    assert (await ask(http, "POST", "/posts", {"channel": "full_one", "text": "the last"}))[0] == 201
    for body in ({"text": "one more"}, {"count": 1}):
        status, told = await ask(http, "POST", "/posts", {"channel": "full_one", **body})
        assert (status, "has no ids left" in told["detail"]) == (400, True)
    client = await connect()
    assert [message.text for message in await client.get_messages("full_one", limit=9)] == ["the last", "last but one"]
    assert made["id"] in [dialog.entity.id for dialog in await client.get_dialogs()]


async def test_a_request_is_refused_whole_or_carried_out_whole(http, tmp_path) -> None:
    content = {"username": "loaded", "title": "Loaded", "posts": []}
    (tmp_path / "a.json").write_text(json.dumps(content))
    async with Sandbox(channels=1, posts_dir=tmp_path) as dc, aiohttp.ClientSession(dc.control_url) as loaded:
        status, told = await ask(loaded, "POST", "/posts", {"channel": "loaded", "text": "x", "count": 1})
        assert (status, "give its new posts a text" in told["detail"]) == (400, True)
        assert dc.ledger("loaded")["channels"][0]["posts"] == []
    status, told = await ask(http, "POST", "/channels", {"title": "Twice", "username": "gorod_news"})
    assert (status, told["detail"]) == (400, "the username gorod_news is taken")


async def test_a_rule_for_no_method_is_refused(http) -> None:
    for path, body in (
        ("/faults", {"method": "messages.nothing", "drop": True}),
        ("/limits", {"enforce": {"messages.nothing": [[1, 1]]}}),
    ):
        status, told = await ask(http, "POST", path, body)
        assert (status, told["detail"].startswith("messages.nothing: no method has this name")) == (400, True)
    for method in ("*", "account.getAccountTTL"):  # one that isn't here can fail too
        assert (await ask(http, "POST", "/faults", {"method": method, "drop": True}))[0] == 201


async def test_a_channels_fault_strikes_by_whatever_a_call_names_it(dc: Sandbox, connect: Connect, http) -> None:
    client, channel = await connect(), dc.world.channel("gorod_news")
    peer = await client.get_input_entity("gorod_news")
    named, other = types.InputChannel(peer.channel_id, peer.access_hash), await client.get_input_entity("boris")
    body = {"method": "*", "channel": "gorod_news", "count": 0, "error": {"code": 400, "message": "CHANNEL_PRIVATE"}}
    await ask(http, "POST", "/faults", body)
    for request in (
        functions.contacts.ResolveUsernameRequest("gorod_news"),
        functions.channels.GetChannelsRequest([named]),
        functions.channels.GetFullChannelRequest(named),
        functions.messages.GetPeerDialogsRequest([types.InputDialogPeer(peer)]),
        functions.messages.ForwardMessagesRequest(peer, [1], other, random_id=[1]),
        functions.messages.CheckChatInviteRequest(channel.invite),
        functions.messages.GetHistoryRequest(peer, 0, None, 0, 1, 0, 0, 0),
    ):
        with pytest.raises(errors.ChannelPrivateError):
            await client(request)
    assert await client.get_messages("nauka_bez_vody", limit=1)
