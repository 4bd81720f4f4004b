"""What is read over HTTP: users, clients, channels, posts, health, metrics, actors."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from actors.alerts import KEY, Alerts
from actors.messages.alerts import RaiseAlert
from actors.messages.content import Membership, Post, Profile
from actors.messages.ids import AccountId, ChannelId
from actors.messages.recorder import Record
from actors.metrics import Metrics
from actors.runtime.supervision import Backoff, ChildSpec, StartChild, Supervisor
from tests.daemon.admin.conftest import FakeAccount, storeless

USER = AccountId(8124731874)
OTHER = AccountId(5)
CHANNEL = ChannelId(1001)
PRIVATE = ChannelId(1002)
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def post(message_id, **more):
    return Post(channel_id=CHANNEL, message_id=message_id, date=NOON, text=f"Пост {message_id} ✅", **more)


def membership(account_id, channel_id, username, title):
    return Membership(
        account_id=account_id, channel_id=channel_id, access_hash=1, username=username, title=title, top_id=None
    )


@pytest.fixture
async def filled(store):
    """Two users, a bot, a public channel with posts 1, 2 and 5 of 1 to 6 covered but 6, and a private empty one."""
    for account_id, bot in ((USER, False), (OTHER, False), (AccountId(99), True)):
        name = {"username": f"u{account_id}", "first_name": "Анна", "last_name": None}
        await store.accounts.save_profile(Profile(account_id=account_id, bot=bot, **name))
    await store.accounts.set_state(USER, "flooded", None)
    await store.accounts.set_state(OTHER, "revoked", "AUTH_KEY_UNREGISTERED")
    public = membership(USER, CHANNEL, "Channel1", "Первый канал")
    private = membership(USER, PRIVATE, None, "Закрытый")
    await store.channels.save_memberships(USER, [public, private], complete=True)
    await store.channels.save_memberships(
        OTHER, [membership(OTHER, CHANNEL, "Channel1", "Первый канал")], complete=True
    )
    posts = (
        post(1, views=10, entities=b'[{"type": "bold", "offset": 0, "length": 4}]'),
        post(
            2,
            edited_at=NOON,
            media=b'{"type": "photo"}',
            grouped_id=77,
            reply_to_id=1,
            author="Я",
            pinned=True,
            reply='{"quote_text": "«»"}'.encode(),
            sender=b'{"type": "user", "id": 5}',
            discussion_id=9,
            results=b'{"voters": 3}',
            details=b'{"ttl": 5}',
        ),
        post(5, reactions=b'[{"emoji": "\xf0\x9f\x91\x8d", "count": 3}]', replies=2, forwards=1, silent=True),
    )
    await store.posts.record(
        [Record(channel_id=CHANNEL, road="catchup", posts=posts, covered=(1, 5), start_id=1, top_id=6)]
    )
    await store.channels.set_reader(CHANNEL, USER)
    return store


async def test_users_are_listed_without_the_bot(face, filled):
    code, answer, _ = await face.get("/users")
    assert code == 200
    assert answer["total"] == 2
    users = {user.pop("id"): user for user in answer["users"]}
    assert datetime.now(UTC) - datetime.fromisoformat(users[OTHER].pop("state_since")) < timedelta(minutes=5)
    assert users[OTHER] == {
        "username": "u5", "first_name": "Анна", "last_name": None, "state": "revoked", "is_authenticated": False,
        "is_active": False, "channels": 1, "cause": "AUTH_KEY_UNREGISTERED", "role": "user", "plan": "default",
    }  # fmt: skip
    assert (users[USER]["state"], users[USER]["is_active"], users[USER]["channels"]) == ("flooded", True, 2)


async def test_json_is_utf8_unescaped(face, filled):
    async with face.session.get(face.server.url + "/channels") as answer:
        assert "Первый канал".encode() in await answer.read()


async def test_channels_tell_whether_they_are_complete(face, filled):
    answer = (await face.get("/channels"))[1]
    assert answer["total"] == 2
    channels = {channel.pop("id"): channel for channel in answer["channels"]}
    assert channels[CHANNEL] == {
        "username": "Channel1", "title": "Первый канал", "state": "active", "subscriptions": 2, "reader": USER,
        "posts": 3, "top_id": 6, "start_id": 1, "complete": False, "missing": 1,
        "migrated_from": None,
    }  # fmt: skip
    assert (channels[PRIVATE]["complete"], channels[PRIVATE]["missing"]) == (False, None)
    await filled.posts.record([Record(channel_id=CHANNEL, road="catchup", covered=(6, 6))])
    channel = next(one for one in (await face.get("/channels"))[1]["channels"] if one["id"] == CHANNEL)
    assert (channel["complete"], channel["missing"]) == (True, 0)


async def test_a_posts_figures_are_told_as_they_grew(face, filled):
    code, answer, _ = await face.get("/channels/channel1/posts/1/stats")
    now = {"views": 10, "forwards": None, "replies": None, "reactions": None}
    about = {"channel_id": CHANNEL, "id": 1, "date": "2026-11-23T12:00:00Z", "deleted_at": None}
    assert (code, answer) == (200, about | now | {"series": []})
    more = post(1, views=90, reactions=b'{"x": 2}')
    await filled.posts.record([Record(channel_id=CHANNEL, road="catchup", posts=(more,), series=True)])
    answer = (await face.get("/channels/1001/posts/1/stats"))[1]
    (point,) = answer["series"]
    assert {"views": 90, "reactions": {"x": 2}}.items() <= answer.items()
    assert {"views": 90, "forwards": None, "replies": None, "reactions": {"x": 2}}.items() <= point.items()
    assert point["age_s"] > 0
    for unknown in ("3", "0", "x", "99999999999", "4294967297"):
        code, problem, _ = await face.get(f"/channels/channel1/posts/{unknown}/stats")
        assert (code, unknown in problem["detail"]) == (404, True)


async def test_a_ledger_tells_every_id_of_a_channel_by_any_form_of_its_name(face, filled):
    for name in ("channel1", "@CHANNEL1", "t.me%2Fchannel1", "1001", "-1000000001001"):
        code, answer, _ = await face.get(f"/channels/{name}/ledger")
        assert code == 200, name
        assert answer == {
            "channel_id": 1001, "top_id": 6, "start_id": 1, "goal_id": None, "stored": 3, "restricted": 0, "deleted": 0,
            "service": 0, "undecodable": 0, "empty": 2, "unknown": 1, "missing": 1, "awaited": 0, "unasked": 0,
            "doubted": 0, "doubt_since": None, "doubt_why": None,
        }  # fmt: skip
    assert (await face.get("/channels/nobody/ledger"))[0] == 404
    assert (await face.get(f"/channels/{2**64}/ledger"))[0] == 404
    assert (await face.get(f"/channels/{'x' * 201}/ledger"))[0] == 400


async def test_the_ledger_of_all_names_what_isn_t_whole_and_why(face, filled):
    doubt = Record(channel_id=CHANNEL, road="catchup", covered=(6, 6), doubt=(2, 2), doubt_why="a gap")
    await filled.posts.record([doubt])
    code, answer, _ = await face.get("/ledger")
    assert code == 200
    assert (answer["totals"]["covered"], answer["totals"]["missing"], answer["totals"]["channels_in_doubt"]) == (
        5,
        1,
        1,
    )
    channels = {one["id"]: one for one in answer["channels"]}
    assert (channels[CHANNEL]["missing"], channels[CHANNEL]["doubt_why"]) == (1, "a gap")
    assert channels[PRIVATE]["missing"] is None
    await filled.posts.record([Record(channel_id=CHANNEL, road="catchup", covered=(2, 2))])
    assert [one["id"] for one in (await face.get("/ledger"))[1]["channels"]] == [PRIVATE]


async def test_posts_are_found_by_any_form_of_the_name(face, filled):
    for name in ("channel1", "@CHANNEL1", "t.me/channel1", "https://t.me/channel1", "1001", "-1000000001001"):
        code, answer, _ = await face.get("/posts", params={"channel": name})
        assert code == 200, name
        assert [one["id"] for one in answer["posts"]] == [1, 2, 5]
        assert answer["next_after_id"] is None


async def test_a_post_has_the_shape_of_the_contract(face, filled):
    answer = (await face.get("/posts?channel=channel1&after_id=1&limit=1"))[1]
    assert answer == {
        "posts": [
            {
                "id": 2, "channel_id": 1001, "channel": "Channel1", "date": "2026-11-23T12:00:00Z",
                "edited_at": "2026-11-23T12:00:00Z", "text": "Пост 2 ✅", "entities": None, "media": {"type": "photo"},
                "forward": None, "reply_to_id": 1, "reply": {"quote_text": "«»"}, "grouped_id": 77, "author": "Я",
                "sender": {"type": "user", "id": 5}, "discussion_id": 9, "views": None, "forwards": None,
                "reactions": None, "replies": None, "results": {"voters": 3},
                "details": {"ttl": 5}, "pinned": True, "silent": False, "noforwards": False,
            }
        ],
        "next_after_id": 2,
    }  # fmt: skip


async def test_pages_lead_to_the_last_post_and_no_further(face, filled):
    seen, after = [], 0
    while after is not None:
        answer = (await face.get("/posts", params={"channel": "channel1", "after_id": after, "limit": 1}))[1]
        seen += [one["id"] for one in answer["posts"]]
        after = answer["next_after_id"]
    assert seen == [1, 2, 5]
    last = (await face.get("/posts?channel=channel1&after_id=9223372036854775807"))[1]
    assert last == {"posts": [], "next_after_id": None}


@storeless
async def test_clients_in_memory_name_their_loop(face, owner):
    FakeAccount.start(9, owner.loop_id, key="account/9")
    FakeAccount.start(3, 12345, key="account/3")
    FakeAccount.start(4, None, key="account/4")
    assert (await face.get("/clients"))[1] == {
        "loop": owner.loop_id,
        "clients": [{"id": 3, "loop": 12345, "same": False}, {"id": 9, "loop": owner.loop_id, "same": True}],
    }


@storeless
async def test_it_lives(face, owner):
    for path in ("/livez", "/healthz"):
        assert (await face.get(path))[:2] == (200, {"status": "ok", "loop": owner.loop_id})


@storeless
async def test_it_is_ready_when_every_part_is(face):
    assert (await face.get("/readyz"))[:2] == (200, {"status": "ready"})
    checks = {"schema": "ok", "database": "ok"}
    assert (await face.get("/readyz?verbose"))[:2] == (200, {"status": "ready", "checks": checks})
    face.checks["database"] = "connection refused"
    code, problem, headers = await face.get("/readyz")
    assert code == 503
    assert "database: connection refused" in problem["detail"]
    assert problem["checks"] == {"schema": "ok", "database": "connection refused"}
    assert headers["Retry-After"]


ACCEPTS = (
    ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
    ("text/plain;version=1.0.0;q=0.5", "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"),
    ("application/openmetrics-text;version=1.0.0", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ("application/openmetrics-text;version=bad", "text/plain; version=0.0.4"),
    ("text/plain;version=1.0.0;escaping=bogus", "text/plain; version="),
    ("application/openmetrics-text;version=99.1\t", "application/openmetrics-text"),
)


async def test_metrics_come_in_the_form_that_is_asked_for(face):
    await face.get("/users")
    for accept, kind in ACCEPTS:
        code, text, headers = await face.get("/metrics", headers={"Accept": accept})
        assert code == 200
        assert headers["Content-Type"].startswith(kind), (accept, headers["Content-Type"])
        assert re.search(r'telewarden_http_request_seconds_count\{method="GET",route="/users"\} 1.0', text)
        assert text.endswith("# EOF\n") == ("openmetrics" in headers["Content-Type"])


@storeless
async def test_actors_are_shown_as_the_owner_sees_them(face, owner):
    answer = (await face.get("/actors"))[1]
    assert answer["loop"] == owner.loop_id
    assert "scheduler" in {actor["key"] for actor in answer["actors"]}


async def test_actors_stand_in_a_tree_with_those_that_are_absent(face, owner):
    root = Supervisor.start(policy=Backoff(), key="root")
    branch = ChildSpec(key="branch", factory=lambda: Supervisor.start(policy=Backoff(first=60.0), key="branch"))
    below = await root.call(StartChild(spec=branch))
    for key in ("well", "ill"):
        leaf = ChildSpec(key=key, factory=lambda key=key: FakeAccount.start(USER, owner.loop_id, key=key))
        await below.call(StartChild(spec=leaf))
    owner.find("ill").tell("nothing that it knows")
    assert await owner.find("ill").wait_stopped(5)
    answer = (await face.get("/actors"))[1]
    assert answer["total"] == 5
    top = {actor["key"]: actor for actor in answer["actors"]}
    assert set(top) == {"scheduler", "root"}
    (shown,) = top["root"]["children"]
    assert (shown["key"], shown["parent"], shown["state"]) == ("branch", "root", "idle")
    leaves = {leaf["key"]: leaf for leaf in shown["children"]}
    assert (leaves["well"]["state"], leaves["well"]["last_failure"]) == ("idle", None)
    assert leaves["ill"]["state"] == "waiting"
    assert leaves["ill"]["last_failure"].startswith("AssertionError")
    assert set(leaves["well"]) == {
        "key", "parent", "class_name", "state", "mailbox_depth", "age_s", "restarts", "last_failure", "job",
        "job_age_s", "children",
    }  # fmt: skip


async def test_alerts_that_aren_t_over_come_first_and_an_operator_closes_them(face, filled):
    await filled.alerts.raise_alert(RaiseAlert(kind="refused", account_id=USER, cause="messages.getHistory: X"))
    await filled.alerts.raise_alert(RaiseAlert(kind="channel_private", channel_id=CHANNEL, cause="gone"))
    Alerts.start(store=filled.alerts, metrics=Metrics(CollectorRegistry()), key=KEY)
    code, answer, _ = await face.get("/alerts")
    assert code == 200
    assert [(one["kind"], one["account_id"], one["channel_id"], one["count"]) for one in answer["alerts"]] == [
        ("channel_private", None, CHANNEL, 1),
        ("refused", USER, None, 1),
    ]
    number = answer["alerts"][0]["alert_id"]
    code, closed, _ = await face.post(f"/alerts/{number}/close")
    assert (code, closed["kind"]) == (200, "channel_private")
    assert closed["ended_at"] is not None
    assert [one["kind"] for one in (await face.get("/alerts"))[1]["alerts"]] == ["refused"]
    every = (await face.get("/alerts?ended=true"))[1]["alerts"]
    assert [one["kind"] for one in every] == ["refused", "channel_private"]
    # The same by pages of one, though what was met again has moved to the front.
    await filled.alerts.raise_alert(RaiseAlert(kind="frozen", account_id=USER, cause="appeal"))
    await filled.alerts.raise_alert(RaiseAlert(kind="refused", account_id=USER, cause="messages.getHistory: X"))
    pages, after = [], ""
    while after is not None:
        page = (await face.get(f"/alerts?ended=true&limit=1{after}"))[1]
        pages.append([one["kind"] for one in page["alerts"]])
        after = page["next_after"] and f"&after={page['next_after']}"
    assert pages == [["refused"], ["frozen"], ["channel_private"], []]
    assert (await face.get("/alerts?after=999"))[0] == 404
    for unknown in ("0", "999", "x", "9" * 30, "²"):
        assert (await face.post(f"/alerts/{unknown}/close"))[0] == 404
    for bad in ("ended=yes", "after=0", "limit=0", "limit=1001", "kind=x"):
        assert (await face.get(f"/alerts?{bad}"))[0] == 400
