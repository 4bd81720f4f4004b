"""auth.*: signing in by code and by token, signing out, and going from one data centre to the other."""

from typing import Any

from telethon import errors, functions, types

from tests.conformance.cases import case
from tests.conformance.stage import Stage, refuses

OTHER_DC = 204
LIFETIME = 300
"""Seconds that a code is good for."""


async def code(stage: Stage, phone: str) -> str:
    return str((await stage.control.get(f"/codes/{phone}"))["code"])


def sign_in(phone: str, phone_hash: str, code: str | None) -> Any:
    return functions.auth.SignInRequest(phone, phone_hash, code)


@case("auth.sendCode", "auth.signIn")
async def a_phone_and_the_right_code_sign_in_on_a_new_key(stage: Stage) -> None:
    client, ann = await stage.new_client(), await stage.account("ann")
    assert not await client.is_user_authorized()
    await refuses(client, errors.AuthKeyUnregisteredError, functions.updates.GetStateRequest())
    sent = await client.send_code_request(ann["phone"])
    right, phone_hash = await code(stage, ann["phone"]), sent.phone_code_hash
    await refuses(client, errors.PhoneCodeInvalidError, sign_in(ann["phone"], phone_hash, "00000"))
    await refuses(client, errors.PhoneCodeEmptyError, sign_in(ann["phone"], phone_hash, ""))
    await refuses(client, errors.PhoneCodeExpiredError, sign_in(ann["phone"], "another", right))
    me = await client.sign_in(ann["phone"], right)
    assert (me.id, me.is_self, me.phone) == (ann["id"], True, ann["phone"])
    await refuses(client, errors.PhoneCodeExpiredError, sign_in(ann["phone"], phone_hash, right))
    assert (await client(functions.updates.GetStateRequest())).pts > 0


@case("auth.sendCode", "auth.signIn")
async def numbers_that_are_none_and_numbers_that_nobody_has_are_told_apart(stage: Stage) -> None:
    control, client = stage.control, await stage.client()  # a code is sent only where it can be read
    assert control
    nobody, api = "+15550100200", (1, "hash", types.CodeSettings())
    for number in ("", "12", "abcdefgh", "+999662000012345678"):
        await refuses(client, errors.PhoneNumberInvalidError, functions.auth.SendCodeRequest(number, *api))
    sent = await client(functions.auth.SendCodeRequest(nobody, *api))
    answer = await client(sign_in(nobody, sent.phone_code_hash, await code(stage, nobody)))
    assert isinstance(answer, types.auth.AuthorizationSignUpRequired)


@case("auth.sendCode", "auth.signIn")
async def an_old_code_has_expired(stage: Stage) -> None:
    client, ann = await stage.client(), await stage.account("ann")
    sent = await client.send_code_request(ann["phone"])
    right = await code(stage, ann["phone"])
    await stage.control.post("/clock", leap=LIFETIME + 1)
    await refuses(client, errors.PhoneCodeExpiredError, sign_in(ann["phone"], sent.phone_code_hash, right))


@case("auth.resendCode", "auth.cancelCode", "auth.signIn")
async def a_code_that_is_sent_again_or_cancelled_makes_the_first_one_void(stage: Stage) -> None:
    client, ann = await stage.client(), await stage.account("ann")
    resend, cancel = functions.auth.ResendCodeRequest, functions.auth.CancelCodeRequest
    first = await client.send_code_request(ann["phone"])
    second = await client(resend(ann["phone"], first.phone_code_hash))
    right = await code(stage, ann["phone"])
    await refuses(client, errors.PhoneCodeExpiredError, sign_in(ann["phone"], first.phone_code_hash, right))
    for kind in (resend, cancel):
        await refuses(client, errors.PhoneCodeExpiredError, kind(ann["phone"], first.phone_code_hash))
        await refuses(client, errors.PhoneCodeHashEmptyError, kind(ann["phone"], ""))
        await refuses(client, errors.PhoneNumberInvalidError, kind("12", second.phone_code_hash))
    await refuses(client, errors.SendCodeUnavailableError, resend(ann["phone"], second.phone_code_hash))
    assert await client(cancel(ann["phone"], second.phone_code_hash)) is True
    await refuses(client, errors.PhoneCodeExpiredError, sign_in(ann["phone"], second.phone_code_hash, right))


@case("auth.sendCode", "auth.signIn")
async def an_account_that_lives_elsewhere_is_signed_in_there(stage: Stage) -> None:
    vera = await stage.account("vera")
    await stage.control.post(f"/accounts/{vera['id']}", dc_id=OTHER_DC)
    client = await stage.new_client()
    await client.send_code_request(vera["phone"])  # PHONE_MIGRATE_204, which Telethon follows
    assert client.session.dc_id == OTHER_DC
    assert (await client.sign_in(vera["phone"], await code(stage, vera["phone"]))).id == vera["id"]
    here = await stage.client()
    api = (1, "hash", types.CodeSettings())
    await refuses(here, errors.PhoneMigrateError, functions.auth.SendCodeRequest(vera["phone"], *api))


@case("auth.importBotAuthorization")
async def a_bot_signs_in_by_its_token(stage: Stage) -> None:
    client, row = await stage.new_client(), await stage.account("sandbox_bot")
    ask = functions.auth.ImportBotAuthorizationRequest
    await refuses(client, errors.AccessTokenInvalidError, ask(0, 1, "hash", f"{row['id']}:wrong"))
    old = row["token"][:-1] + ("b" if row["token"].endswith("a") else "a")
    await refuses(client, errors.AccessTokenExpiredError, ask(0, 1, "hash", old))
    me = await client.sign_in(bot_token=row["token"])
    assert (me.id, me.bot, me.is_self) == (row["id"], True, True)


@case("auth.importBotAuthorization")
async def a_bot_that_lives_elsewhere_is_signed_in_there(stage: Stage) -> None:
    row = await stage.account("sandbox_bot")
    await stage.control.post(f"/accounts/{row['id']}", dc_id=OTHER_DC)
    client = await stage.new_client()
    assert (await client.sign_in(bot_token=row["token"])).id == row["id"]  # USER_MIGRATE_204
    assert client.session.dc_id == OTHER_DC


@case("auth.logOut")
async def after_signing_out_the_key_is_nobody_s(stage: Stage) -> None:
    session = await stage.session("ann")
    client = await stage.client(session=session)
    assert await client.log_out()
    again = await stage.client(session=session)
    assert not await again.is_user_authorized()
    await refuses(again, errors.AuthKeyUnregisteredError, functions.auth.LogOutRequest())


@case("auth.resetAuthorizations")
async def all_other_sessions_end_at_once(stage: Stage) -> None:
    one, other, boris = await stage.client("ann"), await stage.client("ann"), await stage.client("boris")
    assert await one(functions.auth.ResetAuthorizationsRequest()) is True
    state = functions.updates.GetStateRequest()
    await refuses(other, errors.SessionRevokedError, state)
    for untouched in (one, boris):
        assert (await untouched(state)).pts > 0


@case("auth.exportAuthorization", "auth.importAuthorization", "upload.getFile")
async def files_that_lie_elsewhere_are_fetched_from_there(stage: Stage) -> None:
    client = await stage.client("ann")
    stage.stranger()  # the other data centre's key exchange needs the RSA key
    await stage.control.post("/files", dc_id=OTHER_DC)
    row = await stage.found("Elsewhere", "ann")
    await stage.publish(row["id"], posts=[{"media": "document", "file": {"size": 5000}}])
    (message,) = await client.get_messages(row["username"], limit=1)
    assert message.document.dc_id == OTHER_DC
    file = types.InputDocumentFileLocation(
        message.document.id, message.document.access_hash, message.document.file_reference, ""
    )
    await refuses(client, errors.FileMigrateError, functions.upload.GetFileRequest(file, offset=0, limit=4096))
    listed = len((await client(functions.account.GetAuthorizationsRequest())).authorizations)
    assert len(await client.download_media(message, bytes)) == 5000
    # What was handed over to the other data centre is no session of its own.
    assert len((await client(functions.account.GetAuthorizationsRequest())).authorizations) == listed


async def handed_over(stage: Stage, client: Any) -> Any:
    """A client at the other data centre, to which another's authorization was handed over."""
    config = await client(functions.help.GetConfigRequest())
    door = next(option for option in config.dc_options if option.id == OTHER_DC)
    abroad = stage.telethon(stage.stranger(door))
    await abroad.connect()
    made = await client(functions.auth.ExportAuthorizationRequest(OTHER_DC))
    found = await abroad(functions.auth.ImportAuthorizationRequest(made.id, made.bytes))
    assert found.user.is_self
    return abroad


@case("auth.exportAuthorization", "auth.importAuthorization")
async def for_all_but_files_who_was_handed_over_is_sent_home(stage: Stage) -> None:
    abroad = await handed_over(stage, await stage.client("ann"))
    # USER_MIGRATE_203: Telethon follows, and is a stranger there.
    await refuses(abroad, errors.AuthKeyUnregisteredError, functions.updates.GetStateRequest())
    assert abroad.session.dc_id == stage.target.dc_id


@case("auth.exportAuthorization", "auth.importAuthorization", "auth.resetAuthorizations")
async def an_authorization_that_was_handed_over_ends_when_its_own_is_revoked(stage: Stage) -> None:
    client, other = await stage.client("ann"), await stage.client("ann")
    abroad = await handed_over(stage, client)
    nothing = functions.upload.GetFileRequest(types.InputDocumentFileLocation(1, 1, b"", ""), offset=0, limit=4096)
    await refuses(abroad, errors.LocationInvalidError, nothing)
    assert await other(functions.auth.ResetAuthorizationsRequest())
    await refuses(abroad, errors.SessionRevokedError, nothing)


@case("auth.exportAuthorization", "auth.importAuthorization")
async def what_was_exported_lets_one_key_in(stage: Stage) -> None:
    client = await stage.client("ann")
    config = await client(functions.help.GetConfigRequest())
    door = next(option for option in config.dc_options if option.id == OTHER_DC)
    made = await client(functions.auth.ExportAuthorizationRequest(OTHER_DC))
    first, second = (stage.telethon(stage.stranger(door)) for _ in range(2))
    bring = functions.auth.ImportAuthorizationRequest(made.id, made.bytes)
    await first.connect()
    assert (await first(bring)).user.is_self
    await second.connect()
    await refuses(second, errors.AuthBytesInvalidError, bring)


@case("auth.exportAuthorization", "auth.importAuthorization", "auth.logOut")
async def an_authorization_that_was_handed_over_is_good_for_files_and_ends_with_its_own(stage: Stage) -> None:
    client = await stage.client("ann")
    abroad = await handed_over(stage, client)
    nothing = functions.upload.GetFileRequest(types.InputDocumentFileLocation(1, 1, b"", ""), offset=0, limit=4096)
    await refuses(abroad, errors.LocationInvalidError, nothing)
    assert await client.log_out()
    await refuses(abroad, errors.AuthKeyUnregisteredError, nothing)


@case("auth.exportAuthorization", "auth.importAuthorization")
async def an_exported_authorization_is_good_at_its_own_data_centre_and_once(stage: Stage) -> None:
    client = await stage.client("ann")
    export, bring = functions.auth.ExportAuthorizationRequest, functions.auth.ImportAuthorizationRequest
    await refuses(client, errors.DcIdInvalidError, export(7), export(stage.target.dc_id))
    made = await client(export(OTHER_DC))
    await refuses(
        client, errors.AuthBytesInvalidError, bring(made.id, made.bytes), bring(made.id, b"wrong"), bring(1, b"")
    )
