"""The second factor, QR codes, and account.*: who is signed in where, takeouts."""

import asyncio
from typing import Any

import pytest
from telethon import errors, events, functions, types
from telethon.password import compute_check

from tests.conformance.cases import case
from tests.conformance.cases_auth import OTHER_DC, code
from tests.conformance.stage import Stage, hear, refuses, soon

PASSWORD = "correct horse, батарея"
GET_PASSWORD = functions.account.GetPasswordRequest()


@case("account.getPassword", "auth.checkPassword", "auth.signIn")
async def an_account_with_a_password_needs_the_right_one_too(stage: Stage) -> None:
    ann = await stage.account("ann")
    await stage.control.post("/accounts/ann", password=PASSWORD)
    client = await stage.new_client()
    await client.send_code_request(ann["phone"])
    right = await code(stage, ann["phone"])
    with pytest.raises(errors.SessionPasswordNeededError):
        await client.sign_in(ann["phone"], right)
    await refuses(client, errors.SessionPasswordNeededError, functions.updates.GetStateRequest())
    asked = await client(GET_PASSWORD)
    assert (asked.has_password, asked.srp_id is None) == (True, False)
    wrong = functions.auth.CheckPasswordRequest(compute_check(asked, "wrong"))
    await refuses(client, errors.PasswordHashInvalidError, wrong)
    # Each challenge is good for one attempt.
    await refuses(client, errors.SrpIdInvalidError, wrong)
    assert (await client.sign_in(password=PASSWORD)).id == ann["id"]
    assert (await client(functions.updates.GetStateRequest())).pts > 0


@case("account.getPassword", "auth.checkPassword")
async def an_account_without_a_password_says_so(stage: Stage) -> None:
    client = await stage.client("ann")
    asked = await client(GET_PASSWORD)
    assert (asked.has_password, asked.current_algo, asked.srp_id) == (False, None, None)
    # PASSWORD_HASH_INVALID, as there is nothing to prove.
    check = functions.auth.CheckPasswordRequest
    await refuses(client, errors.PasswordHashInvalidError, check(types.InputCheckPasswordEmpty()))
    await refuses(client, errors.SrpIdInvalidError, check(types.InputCheckPasswordSRP(1, bytes(256), bytes(32))))
    await refuses(await stage.client("sandbox_bot"), errors.BotMethodInvalidError, GET_PASSWORD)


@case("account.getPassword", "auth.checkPassword")
async def a_password_that_changed_needs_a_new_challenge_and_an_a_within_the_prime(stage: Stage) -> None:
    client = await stage.client("ann")
    check = functions.auth.CheckPasswordRequest
    await stage.control.post("/accounts/ann", password="one")
    asked = await client(GET_PASSWORD)
    await refuses(client, "SRP_A_INVALID", check(types.InputCheckPasswordSRP(asked.srp_id, bytes(256), bytes(32))))
    await refuses(client, errors.PasswordEmptyError, check(types.InputCheckPasswordEmpty()))
    asked = await client(GET_PASSWORD)
    await stage.control.post("/accounts/ann", password="another")
    proof = types.InputCheckPasswordSRP(asked.srp_id, b"\2" * 256, bytes(32))
    await refuses(client, errors.SrpPasswordChangedError, check(proof))


async def shown(stage: Stage) -> tuple[Any, Any]:
    """A client that nobody has signed in with, and the QR code that it shows."""
    client = await stage.new_client()
    return client, await client.qr_login()


@case("auth.exportLoginToken")
async def a_qr_code_that_is_scanned_signs_in(stage: Stage) -> None:
    client, qr = await shown(stage)
    waiting = asyncio.create_task(qr.wait(10))
    await asyncio.sleep(0)  # it must wait before the code is scanned
    await stage.control.post("/tokens", account="ann", token=qr.url)
    assert (await waiting).id == (await stage.account("ann"))["id"]
    assert await client.is_user_authorized()
    # Used up.
    assert await stage.control.refuses("/tokens", account="boris", token=qr.url) == 400


@case("auth.exportLoginToken", "auth.importLoginToken")
async def a_qr_code_scanned_by_who_lives_elsewhere_signs_in_there(stage: Stage) -> None:
    await stage.control.post("/accounts/vera", dc_id=OTHER_DC)
    client, qr = await shown(stage)
    waiting = asyncio.create_task(qr.wait(10))
    await asyncio.sleep(0)
    await stage.control.post("/tokens", account="vera", token=qr.url)
    assert (await waiting).id == (await stage.account("vera"))["id"]
    assert client.session.dc_id == OTHER_DC


@case("auth.acceptLoginToken", "auth.exportLoginToken", "auth.importLoginToken")
async def another_session_scans_a_qr_code_within_thirty_seconds(stage: Stage) -> None:
    ann, (client, qr) = await stage.client("ann"), await shown(stage)
    heard = hear(client, events.Raw(types.UpdateLoginToken))
    accept, bring = functions.auth.AcceptLoginTokenRequest, functions.auth.ImportLoginTokenRequest
    assert (await client(bring(qr.token))).token == qr.token  # nobody has scanned it yet
    old = qr.token
    await qr.recreate()
    await refuses(ann, errors.AuthTokenInvalidxError, accept(old), accept(b"nonsense"))
    await stage.control.post("/clock", leap=28)
    assert (await ann(accept(qr.token))).device_model
    assert await soon(heard)
    await refuses(ann, errors.AuthTokenAlreadyAcceptedError, accept(qr.token))
    await client(functions.auth.ExportLoginTokenRequest(1, "hash", []))
    assert await client.is_user_authorized()


@case("auth.acceptLoginToken", "auth.exportLoginToken", "auth.importLoginToken")
async def an_old_qr_code_has_expired_and_one_is_not_for_everybody(stage: Stage) -> None:
    ann, client = await stage.client("ann"), await stage.new_client()
    accept, show = functions.auth.AcceptLoginTokenRequest, functions.auth.ExportLoginTokenRequest
    row = await stage.account("ann")
    token = (await client(show(1, "hash", [row["id"]]))).token
    await refuses(ann, errors.AuthTokenExceptionError, accept(token))
    token = (await client(show(1, "hash", []))).token
    await stage.control.post("/clock", leap=31)
    await refuses(ann, errors.AuthTokenExpiredError, accept(token))
    await refuses(client, errors.AuthTokenExpiredError, functions.auth.ImportLoginTokenRequest(token))


@case("account.getAuthorizations", "account.resetAuthorization")
async def sessions_are_listed_and_ended_one_by_one(stage: Stage) -> None:
    one, other = await stage.client("ann", device_model="Desk"), await stage.client("ann", device_model="Pocket")
    listed = (await one(functions.account.GetAuthorizationsRequest())).authorizations
    assert (listed[0].current, listed[0].hash, listed[0].device_model) == (True, 0, "Desk")
    pocket = next(row for row in listed if row.device_model == "Pocket")
    assert not pocket.current
    reset = functions.account.ResetAuthorizationRequest
    own = one.session.auth_key.key_id
    await refuses(one, errors.HashInvalidError, reset(1), reset(0), reset(own - (own >> 63 << 64)))
    assert await one(reset(pocket.hash)) is True
    await refuses(other, errors.SessionRevokedError, functions.updates.GetStateRequest())
    again = (await one(functions.account.GetAuthorizationsRequest())).authorizations
    assert pocket.hash not in [row.hash for row in again]
    await refuses(one, errors.HashInvalidError, reset(pocket.hash))


@case("account.getAuthorizations", "account.resetAuthorization")
async def a_session_that_lacks_only_the_password_is_listed_so_and_can_be_ended(stage: Stage) -> None:
    ann = await stage.account("ann")
    client, stranger = await stage.client("ann"), await stage.new_client(device_model="At the door")
    await stage.control.post("/accounts/ann", password=PASSWORD)
    await stranger.send_code_request(ann["phone"])
    right = await code(stage, ann["phone"])
    with pytest.raises(errors.SessionPasswordNeededError):
        await stranger.sign_in(ann["phone"], right)
    listed = (await client(functions.account.GetAuthorizationsRequest())).authorizations
    (pending,) = [row for row in listed if row.password_pending]
    assert pending.device_model == "At the door"
    assert await client(functions.account.ResetAuthorizationRequest(pending.hash)) is True
    await refuses(stranger, errors.SessionRevokedError, functions.updates.GetStateRequest())


@case("account.updateStatus")
async def being_online_is_accepted_from_users(stage: Stage) -> None:
    client, bot = await stage.client("ann"), await stage.client("sandbox_bot")
    assert await client(functions.account.UpdateStatusRequest(offline=True)) is True
    await refuses(bot, errors.BotMethodInvalidError, functions.account.UpdateStatusRequest(offline=True))


@case("account.initTakeoutSession", "account.finishTakeoutSession", "messages.getHistory")
async def history_is_read_in_a_takeout_which_is_closed_after_it(stage: Stage) -> None:
    client = await stage.client("ann")
    name = await stage.channel()
    async with client.takeout(channels=True) as takeout:
        taken = [message.id async for message in takeout.iter_messages(name, limit=10)]
    assert taken == [message.id for message in await client.get_messages(name, limit=10)]
    assert client.session.takeout_id is None
    inner = functions.updates.GetStateRequest()
    await refuses(client, errors.TakeoutInvalidError, functions.InvokeWithTakeoutRequest(1, inner))
    await refuses(client, errors.TakeoutRequiredError, functions.account.FinishTakeoutSessionRequest(success=True))
