"""A POST that is repeated with its Idempotency-Key is done once."""

import asyncio

from tests.daemon.admin.conftest import TOKEN
from tests.daemon.store.rows import ask

ADMIN = {"Authorization": f"Bearer {TOKEN}"}


async def invite(face, key, wish=None, headers=None):
    return await face.post("/invites", json=wish or {}, headers={"Idempotency-Key": key, **(headers or {})})


async def test_a_repeated_request_is_done_once_and_answered_alike(face, dsn):
    code, first, headers = await invite(face, "a")
    again = await invite(face, "a")
    assert (code, again[0], again[1]) == (201, 201, first)
    assert ("Idempotent-Replayed" in headers, again[2]["Idempotent-Replayed"]) == (False, "true")
    assert again[2]["Content-Type"] == headers["Content-Type"]
    assert (await invite(face, "b"))[1]["code"] != first["code"]
    assert len(await ask(dsn, "SELECT 1 FROM invites")) == 2


async def test_a_key_belongs_to_one_request_of_one_caller(face, dsn):
    await invite(face, "a")
    for wish in ({"uses": 2}, {"uses": 3}):
        code, problem, _ = await invite(face, "a", wish)
        assert (code, "another request" in problem["detail"]) == (422, True)
    code, _, headers = await invite(face, "a", headers=ADMIN)
    assert (code, "Idempotent-Replayed" in headers) == (201, False)
    assert len(await ask(dsn, "SELECT 1 FROM invites")) == 2


async def test_of_requests_at_once_one_is_done_and_the_others_hear_so(face, dsn):
    answers = await asyncio.gather(*(invite(face, "a") for _ in range(8)))
    codes = sorted(code for code, _, _ in answers)
    assert set(codes) <= {201, 409}
    assert len(await ask(dsn, "SELECT 1 FROM invites")) == 1
    assert len({answer["code"] for code, answer, _ in answers if code == 201}) == 1


async def test_what_was_refused_may_be_sent_again_and_a_key_must_be_one(face):
    code, _, _ = await invite(face, "a", {"role": "king"})
    assert code == 400
    assert (await invite(face, "a"))[0] == 201
    for key in ("with blank", "x" * 256):
        assert (await invite(face, key))[0] == 400
    # Reading needs none, and isn't hindered by one.
    assert (await face.get("/users", headers={"Idempotency-Key": "a"}))[0] == 200
