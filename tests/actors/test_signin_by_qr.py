"""Signing in by QR code: shown anew until it is scanned by the account's own app, then a password where one is set."""

import asyncio
import base64
from datetime import timedelta

import pytest
from telethon.tl import types

from actors.messages.content import Profile
from actors.messages.rows import SessionKey
from actors.messages.signin import (
    AccountSignedIn,
    CancelSignIn,
    DescribeSignIn,
    StartQrSignIn,
    StartSignIn,
)
from actors.signin import SignIn
from actors.telegram.login import wanted_instead
from config.model import Settings
from tests.actors.telegram.house import Ears, account_ids, fail, place_of


@pytest.fixture
async def told(owner):
    heard = asyncio.Queue()
    Ears.start(heard, key="accounts")
    return heard


@pytest.fixture
async def ref(dc, store, owner, told):
    return SignIn.start(store=store, settings=Settings(), datacenter=place_of(dc), loopback_only=True, key="signin")


@pytest.fixture
def ann(dc):
    return dc.world.account(account_ids(dc)[0])


def token_of(step):
    text = step.qr_link.removeprefix("tg://login?token=")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def changed(ref, step):
    """The sign-in's next step."""
    return await ref.call(DescribeSignIn(sign_in_id=step.sign_in_id, wait=timedelta(seconds=20)), timeout=30)


async def test_a_scanned_code_becomes_a_stored_session(ref, dc, store, told, ann):
    step = await ref.call(StartQrSignIn())
    assert (step.state, step.error, step.account_id) == ("scan_needed", None, None)
    assert step.qr_link not in repr(step)
    waiting = asyncio.create_task(changed(ref, step))
    await ref.call(DescribeSignIn(sign_in_id=step.sign_in_id))
    dc.dc.accept_token(token_of(step), ann)
    done = await waiting
    assert (done.state, done.account_id, done.qr_link, done.qr_expires_at) == ("done", ann.id, None, None)
    assert await told.get() == AccountSignedIn(account_id=ann.id)
    assert (await store.accounts.one(ann.id)).state == "connecting"
    assert len((await store.accounts.session(ann.id)).auth_key) == 256


async def test_an_account_that_is_active_here_is_not_offered(ref, dc, store, ann):
    await store.accounts.save_profile(Profile(account_id=ann.id, username=None, first_name="A", last_name=None))
    key = SessionKey(account_id=ann.id, dc_id=203, address="127.0.0.1", port=1, auth_key=bytes(256))
    await store.accounts.save_session(key)
    await store.accounts.set_state(ann.id, "active", None)
    step = await ref.call(StartQrSignIn())
    with pytest.raises(Exception, match="AUTH_TOKEN_EXCEPTION"):
        dc.dc.accept_token(token_of(step), ann)


async def test_a_cancelled_code_lets_nobody_in(ref, dc, store, ann):
    step = await ref.call(StartQrSignIn())
    assert (await ref.call(CancelSignIn(sign_in_id=step.sign_in_id))).state == "failed"
    over = await ref.call(DescribeSignIn(sign_in_id=step.sign_in_id, wait=timedelta(seconds=20)))
    assert (over.state, over.qr_link) == ("failed", None)
    dc.dc.accept_token(token_of(step), ann)
    assert await store.accounts.all() == ()


async def test_an_unknown_sign_in_is_told_as_such(ref):
    step = await ref.call(DescribeSignIn(sign_in_id="nobody"))
    assert (step.state, "no such sign-in" in step.error) == ("failed", True)


def code_of(kind):
    return types.auth.SentCode(type=kind, phone_code_hash="h")


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (code_of(types.auth.SentCodeTypeApp(5)), None),
        (code_of(types.auth.SentCodeTypeSms(5)), None),
        (code_of(types.auth.SentCodeTypeEmailCode(email_pattern="a*b", length=5)), None),
        (code_of(types.auth.SentCodeTypeSetUpEmailRequired()), "e-mail"),
        (code_of(types.auth.SentCodeTypeFirebaseSms(length=5)), "official apps"),
        (types.auth.SentCodePaymentRequired("p", "h", "e", "s", 1, "USD", 1), "paid"),
        (types.auth.SentCodeSuccess(authorization=None), "something else"),
    ],
)
def test_what_telegram_wants_instead_of_a_code_is_said_in_words(sent, words):
    said = wanted_instead(sent)
    assert (said is None) == (words is None)
    assert words is None or (words in said and "QR code" in said)


async def test_a_program_that_is_too_old_is_told_so_in_words(ref, dc, ann):
    fail(dc, "auth.sendCode", (406, "UPDATE_APP_TO_LOGIN"))
    step = await ref.call(StartSignIn(phone="+" + ann.phone))
    assert (step.state, "newer program" in step.error) == ("failed", True)
