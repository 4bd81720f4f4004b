"""Signing in over HTTP: each step and each refusal."""

import itertools
from typing import Any

import pytest

from actors.messages.content import Profile
from actors.messages.ids import AccountId, SignInId
from actors.messages.signin import (
    DescribeSignIn,
    EnterCode,
    EnterPassword,
    ImportSession,
    SignInStep,
    StartQrSignIn,
    StartSignIn,
)
from actors.runtime.actor import TaskActor
from actors.runtime.reply import Later
from tests.daemon.admin.conftest import NOW, TOKEN, storeless

LINK = "tg://login?token=abc"
PHONE, CODE, PASSWORD, SESSION = "+49 30 123456", "12345", " blank first", "1session"
USER = AccountId(7)


class FakeSignIn(TaskActor):
    """One account, with a password, and one session of it. Its second QR code is scanned."""

    looks = 0

    def on_receive(self, message: Any) -> object:
        match message:
            case StartQrSignIn():
                return step("scan_needed", qr_link=f"{LINK}0", qr_expires_at=NOW)
            case DescribeSignIn(sign_in_id="s1"):
                self.looks += 1
                if self.looks > 2:
                    return step("password_needed")
                return step("scan_needed", qr_link=f"{LINK}{self.looks}", qr_expires_at=NOW)
            case StartSignIn(phone=phone):
                if phone == "+49 000000":
                    return step("failed", error="this is no phone number")
                return Later() if phone == "+49 111111" else step("code_needed")
            case EnterCode(sign_in_id="s1", code=code):
                return step("password_needed") if code == CODE else step("code_needed", error="the code is wrong")
            case EnterPassword(sign_in_id="s1", password=password):
                good = password == PASSWORD
                return step("done") if good else step("password_needed", error="the password is wrong")
            case ImportSession(session=text):
                return step("done") if text == SESSION else step("failed", error="this is no session of Telethon's")
            case _:
                return step("failed", error="there is no such sign-in, or its time is over: begin again")


def step(state, **more):
    return SignInStep(sign_in_id=SignInId("s1"), state=state, account_id=USER if state == "done" else None, **more)


@pytest.fixture
async def signing(face, store):
    await store.accounts.save_profile(Profile(account_id=USER, username="seven", first_name="Семь", last_name=None))
    FakeSignIn.start(key="signin")
    return face


async def test_a_user_signs_in_by_phone_code_and_password(signing):
    code, answer, headers = await signing.post("/signin", json={"phone": PHONE})
    assert code == 201
    assert answer == {
        "sign_in_id": "s1",
        "state": "code_needed",
        "account_id": None,
        "error": None,
        "qr_link": None,
        "qr_expires_at": None,
    }
    assert headers["Location"] == "/signin/s1"
    code, answer, _ = await signing.post("/signin/s1/code", json={"code": CODE})
    assert (code, answer["state"]) == (200, "password_needed")
    code, answer, _ = await signing.post("/signin/s1/password", json={"password": PASSWORD})
    assert (code, answer["state"], answer["account_id"]) == (200, "done", USER)


async def test_a_user_signs_in_by_qr_code(signing):
    code, answer, headers = await signing.post("/signin/qr")
    assert (code, answer["state"], answer["qr_link"]) == (201, "scan_needed", f"{LINK}0")
    assert headers["Location"] == "/signin/s1"
    code, answer, _ = await signing.get("/signin/s1?wait=1")
    assert (code, answer["qr_link"], answer["qr_expires_at"]) == (200, f"{LINK}1", "2026-11-23T12:00:00Z")
    async with signing.session.get(signing.server.url + "/signin/s1/qr.svg") as picture:
        assert (picture.status, picture.content_type) == (200, "image/svg+xml")
        assert picture.headers["Cache-Control"] == "no-store"
        assert b"<svg" in await picture.read()
    code, problem, _ = await signing.get("/signin/s1/qr.svg")
    assert (code, "password needed" in problem["detail"]) == (404, True)
    code, problem, _ = await signing.get("/signin/gone")
    assert (code, problem["state"]) == (422, "failed")
    assert (await signing.get("/signin/s1?wait=601"))[0] == 400
    assert (await signing.post("/signin/qr?user=7"))[0] == 201
    assert (await signing.post("/signin/qr?user=seven"))[0] == 400


async def test_a_wrong_entry_says_that_it_may_be_entered_again(signing):
    code, problem, _ = await signing.post("/signin/s1/code", json={"code": "1"})
    assert (code, problem["state"], problem["sign_in_id"]) == (422, "code_needed", "s1")
    assert problem["detail"] == "The code is wrong: enter it again"
    code, problem, _ = await signing.post("/signin/s1/password", json={"password": PASSWORD.strip()})
    assert (code, problem["state"]) == (422, "password_needed")


async def test_what_can_not_go_on_is_told(signing):
    for path, body in (("/signin", {"phone": "+49 000000"}), ("/signin/gone/code", {"code": CODE})):
        code, problem, _ = await signing.post(path, json=body)
        assert (code, problem["state"]) == (422, "failed")
    assert (await signing.post("/signin/%00/code", json={"code": CODE}))[0] == 404


async def test_a_session_is_taken_over_as_a_user(signing):
    code, user, _ = await signing.post("/sessions", json={"session": SESSION})
    assert code == 201
    assert user == (await signing.get("/users"))[1]["users"][0]
    assert (await signing.post("/sessions", json={"session": "2"}))[:1] == (422,)


BODIES = (
    b"", b"[]", b"null", b'"text"', b"{", b"\xff", b"{}", b"[" * 10_000,
    b'{"%s": 1}', b'{"%s": ""}', b'{"%s": " "}', b'{"%s": null}', b'{"%s": "\\ud800"}', b'{"%s": "a\\u0000"}',
    b'{"%s": "secret", "more": "secret"}', b'{"other": "secret"}',
)  # fmt: skip


async def test_a_body_that_is_not_what_is_asked_for_is_refused_and_not_repeated(signing):
    fields = {"/signin": "phone", "/signin/s1/code": "code", "/signin/s1/password": "password", "/sessions": "session"}
    for (path, field), body in itertools.product(fields.items(), BODIES):
        code, problem, _ = await signing.post(path, data=body.replace(b"%s", field.encode()))
        assert code == 400, (path, body)
        assert field in problem["detail"]
        assert "secret" not in str(problem)


async def test_only_an_operator_signs_in(signing):
    for headers in ({"Origin": "https://evil.example"}, {"Authorization": f"Bearer {TOKEN}x"}):
        assert (await signing.post("/signin", json={"phone": PHONE}, headers=headers))[0] in {401, 403}


@storeless
async def test_without_the_sign_in_actor_it_is_503(face):
    assert (await face.post("/signin", json={"phone": PHONE}))[0] == 503
