"""Signing in to the sandbox over a socket, with the rows in PostgreSQL."""

import asyncio
import sqlite3
from dataclasses import replace

import pytest
from telethon.crypto import AuthKey
from telethon.sessions import StringSession

from actors.errors import StoreUnavailable
from actors.messages.alerts import RaiseAlert
from actors.messages.content import Profile
from actors.messages.ids import AccountId, SignInId
from actors.messages.signin import AccountSignedIn, CancelSignIn, EnterCode, EnterPassword, ImportSession, StartSignIn
from actors.signin import SignIn, import_session, sign_in
from actors.telegram.login import SignInRefused, read_session, save
from config.model import Settings
from tests.actors.telegram.house import Ears, account_ids, fail, place_of


@pytest.fixture
def phone(dc):
    return "+" + dc.world.account(account_ids(dc)[0]).phone


@pytest.fixture
async def told(owner):
    heard = asyncio.Queue()
    Ears.start(heard, key="accounts")
    return heard


@pytest.fixture
async def ref(dc, store, owner, told):
    return SignIn.start(store=store, settings=Settings(), datacenter=place_of(dc), loopback_only=True, key="signin")


def wrong(code):
    return code[:-1] + ("1" if code[-1] == "0" else "0")


async def test_a_phone_and_its_code_become_a_stored_session(ref, dc, store, told, phone):
    step = await ref.call(StartSignIn(phone=phone))
    assert (step.state, step.error) == ("code_needed", None)
    done = await ref.call(EnterCode(sign_in_id=step.sign_in_id, code=dc.code(phone)))
    account_id = account_ids(dc)[0]
    assert (done.state, done.account_id, done.error) == ("done", account_id, None)
    assert await told.get() == AccountSignedIn(account_id=account_id)
    row = await store.accounts.one(account_id)
    assert (row.state, row.has_session, row.first_name) == ("connecting", True, dc.world.account(account_id).first_name)
    key = await store.accounts.session(account_id)
    assert (key.dc_id, len(key.auth_key)) == (203, 256)


@pytest.mark.parametrize(
    ("method", "error", "text"),
    [
        ("auth.sendCode", (420, "FLOOD_WAIT_90"), "wait 90 s"),
        ("auth.sendCode", (400, "PHONE_NUMBER_BANNED"), "banned"),
        ("auth.sendCode", (406, "PHONE_PASSWORD_FLOOD"), "tomorrow"),
        ("auth.sendCode", (400, "API_ID_INVALID"), "api_id"),
        ("auth.sendCode", (400, "SOMETHING_NEW"), "SOMETHING_NEW"),
    ],
)
async def test_a_refusal_is_told_in_a_sentence_without_the_number(ref, dc, phone, method, error, text, caplog):
    caplog.set_level("DEBUG")
    fail(dc, method, error)
    step = await ref.call(StartSignIn(phone=phone))
    assert step.state == "failed"
    assert text in step.error
    assert phone[1:] not in step.error + caplog.text


async def test_an_unknown_number_fails_only_after_its_code(ref, dc, store):
    step = await ref.call(StartSignIn(phone="+79990001122"))
    step = await ref.call(EnterCode(sign_in_id=step.sign_in_id, code=dc.code("+79990001122")))
    assert step.state == "failed"
    assert "no account" in step.error
    assert await store.accounts.all() == ()


async def test_two_step_verification_is_asked_for_and_a_wrong_password_forgiven(ref, dc, phone):
    step = await ref.call(StartSignIn(phone=phone))
    fail(dc, "auth.signIn", (401, "SESSION_PASSWORD_NEEDED"))
    step = await ref.call(EnterCode(sign_in_id=step.sign_in_id, code=dc.code(phone)))
    assert (step.state, step.error) == ("password_needed", None)
    fail(dc, "account.getPassword", (400, "PASSWORD_HASH_INVALID"))
    step = await ref.call(EnterPassword(sign_in_id=step.sign_in_id, password="guess"))
    assert (step.state, step.error) == ("password_needed", "the password is wrong")
    same = await ref.call(EnterCode(sign_in_id=step.sign_in_id, code="12345"))
    assert same.state == "password_needed"


async def test_one_who_is_expected_is_shown_as_signing_in_until_it_ends(ref, dc, store, owner, phone):
    me = AccountId(account_ids(dc)[0])
    await store.accounts.save_profile(Profile(account_id=me, username=None, first_name="A", last_name=None))
    await store.accounts.set_state(me, "revoked", "SESSION_REVOKED")

    async def shown():
        row = await store.accounts.one(me)
        return row.state, row.cause

    step = await ref.call(StartSignIn(phone=phone, expected=me))
    assert await shown() == ("signing_in", None)
    await ref.call(CancelSignIn(sign_in_id=step.sign_in_id))
    assert await shown() == ("revoked", "SESSION_REVOKED")

    step = await ref.call(StartSignIn(phone=phone, expected=me))
    await ref.call(EnterCode(sign_in_id=step.sign_in_id, code=dc.code(phone)))
    assert await shown() == ("connecting", None)
    await store.accounts.wipe_session(me)
    await store.accounts.set_state(me, "signing_in", None)  # as a killed process leaves it
    await ref.stop(block=False)
    again = SignIn.start(store=store, settings=Settings(), datacenter=place_of(dc), loopback_only=True, key="signin")
    await again.call(CancelSignIn(sign_in_id=SignInId("nobody")))
    assert await shown() == ("signed_out", "the sign-in didn't come to its end")


async def test_attempts_do_not_wait_for_each_other(ref, dc):
    fail(dc, "auth.sendCode", delay=30.0)
    phones = ["+" + dc.world.account(each).phone for each in account_ids(dc)]
    asking = [asyncio.create_task(ref.call(StartSignIn(phone=phone))) for phone in phones]
    done, slow = await asyncio.wait(asking, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    assert [task.result().state for task in done] == ["code_needed"]
    assert len(slow) == 1
    slow.pop().cancel()


async def test_a_cancelled_or_expired_sign_in_is_over(ref, dc, phone, monkeypatch):
    step = await ref.call(StartSignIn(phone=phone))
    cancelled = await ref.call(CancelSignIn(sign_in_id=step.sign_in_id))
    assert (cancelled.state, cancelled.error) == ("failed", "cancelled")
    monkeypatch.setattr("actors.signin.LIFETIME", 0.0)
    step = await ref.call(StartSignIn(phone=phone))
    assert step.state == "code_needed"
    late = await ref.call(EnterCode(sign_in_id=step.sign_in_id, code="1"))
    assert late.state == "failed"
    unknown = await ref.call(EnterCode(sign_in_id=SignInId("nobody"), code="1"))
    assert unknown.state == "failed"


async def test_a_store_that_is_away_leaves_nothing_half_done(dc, store, owner, told, phone):
    class Away:
        async def all(self):
            raise StoreUnavailable

        async def one(self, account_id):
            raise StoreUnavailable

    ref = SignIn.start(
        store=replace(store, accounts=Away()), settings=Settings(), datacenter=place_of(dc), loopback_only=True
    )
    step = await ref.call(StartSignIn(phone=phone))
    step = await ref.call(EnterCode(sign_in_id=step.sign_in_id, code=dc.code(phone)))
    assert (step.state, step.account_id) == ("failed", None)
    assert dc.requests()["by_account"][str(account_ids(dc)[0])]["auth.logOut"] == 1
    assert told.empty()


async def test_a_session_of_telethons_is_imported_when_it_works(ref, dc, store, told, tmp_path):
    account_id = account_ids(dc)[1]
    text = dc.session(account_id)
    step = await ref.call(ImportSession(session=f" {text}\n"))
    assert (step.state, step.account_id) == ("done", account_id)
    assert (await told.get()).account_id == account_id
    ready = StringSession(text)
    assert (await store.accounts.session(account_id)).auth_key == ready.auth_key.key
    path = tmp_path / "a.session"
    with sqlite3.connect(path) as database:
        database.execute("create table sessions (dc_id, server_address, port, auth_key, takeout_id, tmp_auth_key)")
        row = (ready.dc_id, ready.server_address, ready.port, ready.auth_key.key)
        database.execute("insert into sessions values (?, ?, ?, ?, null, null)", row)
    database.close()
    profile, key = await import_session(
        path.read_bytes(), settings=Settings(), datacenter=place_of(dc), loopback_only=True
    )
    assert (profile.account_id, key.account_id, key.auth_key) == (account_id, account_id, ready.auth_key.key)


@pytest.mark.parametrize(
    "source", ["", "1", "2abc", "nonsense", b"\xff\xfe", b"SQLite format 3\0rubbish", "1" + "A" * 352]
)
def test_what_is_no_session_is_refused_in_a_sentence(source):
    with pytest.raises(SignInRefused, match="no session"):
        read_session(source)


async def test_a_session_of_nobody_is_refused(dc, ref, store):
    ready = StringSession(dc.session(account_ids(dc)[0], "gone"))
    fail(dc, "users.getUsers", (401, "SESSION_REVOKED"))
    step = await ref.call(ImportSession(session=ready.save()))
    assert (step.state, step.error) == ("failed", "nobody is signed in with this session")
    assert await store.accounts.all() == ()


async def test_a_session_from_elsewhere_is_refused_in_sandbox_mode(ref):
    elsewhere = StringSession()
    elsewhere.set_dc(2, "192.0.2.1", 443)
    elsewhere.auth_key = AuthKey(bytes(range(256)))
    step = await ref.call(ImportSession(session=elsewhere.save()))
    assert (step.state, "loopback" in step.error) == ("failed", True)


async def test_signing_in_works_without_a_daemon(dc, store, phone):
    entries = []

    async def ask_code(mistake):
        entries.append(mistake)
        return dc.code(phone) if mistake else wrong(dc.code(phone))

    profile, key = await sign_in(
        phone,
        settings=Settings(),
        datacenter=place_of(dc),
        loopback_only=True,
        ask_code=ask_code,
        ask_password=ask_code,
    )
    assert entries == [None, "the code is wrong"]
    await save(store.accounts, profile, key)
    assert (await store.accounts.one(profile.account_id)).has_session


async def test_while_keys_die_in_numbers_nobody_signs_in(ref, dc, store, phone):
    await store.alerts.raise_alert(RaiseAlert(kind="key_incident", cause="3 accounts lost their keys within 300 s"))
    step = await ref.call(StartSignIn(phone=phone))
    assert step.state == "failed"
    assert "key_incident" in step.error
    step = await ref.call(ImportSession(session=dc.session(account_ids(dc)[0])))
    assert step.state == "failed"
    assert "auth.sendCode" not in dc.requests()["by_account"].get("0", {})
    (alert,) = await store.alerts.page(ended=False, limit=1)
    await store.alerts.close_alert(alert.alert_id)
    assert (await ref.call(StartSignIn(phone=phone))).state == "code_needed"
