"""Roles, plans, invites and removals over HTTP and by command."""

import json

import pytest

from actors.errors import UserUnknown
from actors.messages.content import Profile
from actors.messages.ids import AccountId
from actors.messages.people import Removed
from actors.messages.signin import DisableUser, EnableUser, RemoveUser, SignOut
from actors.runtime.actor import TaskActor
from tests.daemon.admin.conftest import TOKEN, storeless
from tests.daemon.test_cli import Telewarden, telewarden  # noqa: F401 -- a fixture

USER = AccountId(7)


class Doorkeeper(TaskActor):
    """Stands where ``signin`` stands; Telegram confirms the end of the first session alone."""

    def on_receive(self, message):
        match message:
            case DisableUser(account_id=7) | EnableUser(account_id=7):
                return None
            case SignOut(account_id=7):
                return True
            case RemoveUser(account_id=7, posts=posts):
                return Removed(user_id=USER, signed_out=False, channels=2, posts=40 if posts else 0)
            case _:
                raise UserUnknown(message.account_id)


@pytest.fixture
async def people(face, store):
    await store.accounts.save_profile(Profile(account_id=USER, username="ann", first_name="Ann", last_name=None))
    Doorkeeper.start(key="signin")
    face.session.headers["Authorization"] = f"Bearer {TOKEN}"
    return face


async def test_a_user_gets_a_role_and_a_plan(people):
    assert (await people.ask("PUT", "/users/7/role", json={"role": "admin"}))[1]["role"] == "admin"
    answer = (await people.ask("PUT", "/users/7/plan", json={"plan": "default"}))[1]
    assert (answer["role"], answer["plan"]) == ("admin", "default")
    for path, body, status in (
        ("/users/7/role", {"role": "king"}, 400),
        ("/users/7/plan", {"plan": "unknown"}, 400),
        ("/users/8/role", {"role": "admin"}, 404),
        ("/users/x/role", {"role": "admin"}, 404),
    ):
        assert (await people.ask("PUT", path, json=body))[0] == status


async def test_an_invite_is_made_listed_without_its_code_and_revoked(people, store):
    status, made, _ = await people.ask("POST", "/invites", json={"role": "admin", "uses": 2, "expires": "12h"})
    assert (status, made["role"], made["uses_left"]) == (201, "admin", 2)
    code = made.pop("code")
    assert len(code) >= 20
    (listed,) = (await people.get("/invites"))[1]["invites"]
    assert listed == made
    later = [(await people.ask("POST", "/invites", json={}))[1]["id"] for _ in range(2)]
    pages, before = [], ""
    while before is not None:
        page = (await people.get(f"/invites?limit=2{before}"))[1]
        pages.append([each["id"] for each in page["invites"]])
        before = page["next_before_id"] and f"&before_id={page['next_before_id']}"
    assert pages == [[later[1], later[0]], [made["id"]]]
    assert (await people.ask("DELETE", f"/invites/{made['id']}"))[0] == 200
    assert (await people.get("/invites"))[1]["invites"][-1]["revoked_at"] is not None
    for wrong in ("404", "x", "9" * 30):
        assert (await people.ask("DELETE", f"/invites/{wrong}"))[0] == 404


@storeless
@pytest.mark.parametrize(
    "wish",
    [{"role": "king"}, {"plan": "unknown"}, {"uses": 0}, {"uses": True}, {"uses": "1"}, {"expires": "never"},
     {"expires": "53w"}, {"expires": "0s"}, {"expires": 7}, {"colour": "red"}, []],
)  # fmt: skip
async def test_a_wrong_wish_for_an_invite_is_refused_by_its_field(face, wish):
    status, answer, _ = await face.ask("POST", "/invites", json=wish)
    assert status == 400
    assert not wish or answer["field"] == next(iter(wish))


async def test_a_user_is_signed_out_and_removed(people):
    assert (await people.post("/users/7/logout"))[:2] == (200, {"id": 7, "signed_out": True})
    assert (await people.post("/users/8/logout"))[0] == 404
    status, answer, _ = await people.ask("DELETE", "/users/7?posts=1")
    assert (status, answer) == (200, {"user_id": 7, "signed_out": False, "channels": 2, "posts": 40})
    assert (await people.ask("DELETE", "/users/7?posts=2"))[0] == 400


async def test_a_user_is_disabled_and_enabled(people):
    for verb in ("disable", "enable"):
        assert (await people.post(f"/users/7/{verb}"))[1]["id"] == 7
        assert (await people.post(f"/users/8/{verb}"))[0] == 404


async def test_the_commands_do_the_same(people, telewarden):  # noqa: F811
    (telewarden.folder / "token").write_text(TOKEN)
    url = ("--url", people.server.url, "--token-file", "token")
    assert await telewarden("user", "role", "7", "owner", *url) == (0, "User 7: role=owner, plan=default\n", "")
    assert await telewarden("user", "plan", "7", "default", *url) == (0, "User 7: role=owner, plan=default\n", "")
    for verb in ("disable", "enable"):
        assert await telewarden("user", verb, "7", *url) == (0, "User 7: signed_out\n", "")
    code, out, _ = await telewarden("invite", "create", "--uses", "3", "--json", *url)
    assert (code, json.loads(out)["uses"]) == (0, 3)
    code, out, _ = await telewarden("invite", "list", *url)
    assert (code, "left=3/3" in out) == (0, True)
    assert await telewarden("invite", "revoke", "1", *url) == (0, "Invite 1: revoked\n", "")
    assert (await telewarden("invite", "revoke", "9", *url))[0] == 1
    assert await telewarden("user", "logout", "7", *url) == (0, "User 7: signed out\n", "")
    assert (await telewarden("user", "remove", "7", *url, stdin="n\n"))[0] == 1
    code, out, err = await telewarden("user", "remove", "7", "--posts", "--yes", *url)
    assert (code, out) == (0, "User 7: removed; channels without a follower=2, posts deleted=40\n")
    assert "Settings > Devices" in err
