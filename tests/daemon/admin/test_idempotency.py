"""A POST that is repeated with its Idempotency-Key is done once."""

import asyncio
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from actors.messages.access import Asked
from daemon.keys import MasterKeys
from daemon.store.repeats import StoredRepeats
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


async def test_a_restart_forgets_nothing_and_the_answers_lie_sealed(face, dsn):
    code, first, _ = await invite(face, "a")
    await face.server.stop()
    await face.server.start()
    again = await invite(face, "a")
    assert (again[0], again[1], again[2]["Idempotent-Replayed"]) == (code, first, "true")
    assert len(await ask(dsn, "SELECT 1 FROM invites")) == 1
    ((asked, sealed),) = await ask(dsn, "SELECT asked, sealed FROM repeats")
    assert first["code"].encode() not in sealed
    # A body may hold a password: what is kept of it confirms no guess.
    assert sha256(b"/invites\n{}").digest() not in asked


async def test_what_was_being_done_when_the_daemon_ended_isn_t_done_again(face, store, dsn):
    assert await store.repeats.begin("peer 127.0.0.1", "a", b"/invites\n{}", datetime.now(UTC)) is None
    code, problem, _ = await invite(face, "a")
    assert (code, "GET /jobs" in problem["detail"]) == (409, True)
    assert await ask(dsn, "SELECT 1 FROM invites") == []
    assert (await invite(face, "a", {"uses": 2}))[0] == 422


async def test_after_the_master_key_was_replaced_nothing_is_done_twice(store, dsn):
    now, former = datetime.now(UTC), MasterKeys(bytes(32))
    elsewhere = StoredRepeats(store.repeats._database, former)
    assert await elsewhere.begin("who", "a", b"one", now) is None
    await elsewhere.end("who", "a", b"answer")
    for asked in (b"one", b"other"):
        assert (await store.repeats.begin("who", "a", asked, now)).same, "nobody can tell"
    former.adopt(bytes([1] * 32))
    assert [(await elsewhere.begin("who", "a", asked, now)).same for asked in (b"one", b"other")] == [True, False]
    former.forget_former()
    assert (await elsewhere.begin("who", "a", b"other", now)).same


async def test_an_answer_that_no_key_opens_is_neither_told_nor_made_anew(face, dsn):
    await invite(face, "a")
    await ask(dsn, "UPDATE repeats SET sealed = overlay(sealed PLACING 'x' FROM 30) RETURNING 1")
    code, problem, _ = await invite(face, "a")
    assert (code, "master key" in problem["detail"]) == (409, True)
    assert len(await ask(dsn, "SELECT 1 FROM invites")) == 1


async def test_a_key_is_new_again_after_a_day(store):
    now = datetime.now(UTC)
    repeats, one, other = store.repeats, b"one", b"other"
    assert await repeats.begin("who", "old", one, now - timedelta(days=1, seconds=1)) is None
    await repeats.end("who", "old", b"answer")
    assert await repeats.begin("who", "young", one, now - timedelta(hours=23)) is None
    await repeats.end("who", "young", b"answer")
    known = await repeats.begin("who", "young", other, now)
    assert not known.same
    assert repeats.open("who", "young", known.sealed) == b"answer"
    assert await repeats.begin("who", "old", other, now) is None
    assert await repeats.begin("who", "old", other, now) == Asked(same=True, sealed=None)
    assert await repeats.begin("who", "third", one, now - timedelta(days=2)) is None
    assert (await repeats.forget(now), await repeats.forget(now)) == (1, 0)
