"""Second factors, QR codes, two data centres, and sessions that end from elsewhere."""

import asyncio
import socket

import aiohttp
import pytest
from telethon import TelegramClient, errors, functions, types
from telethon.crypto import rsa
from telethon.errors import RPCError
from telethon.password import compute_check
from telethon.sessions import StringSession

from sandbox.client import Sandbox
from sandbox.srp import Challenge, make_verifier
from sandbox.state import StateError
from tests.sandbox.conftest import Connect, hear, signed_in, soon

PHONE = "+9996620000"


def secure(dc: Sandbox, name: str = "ann", **fields) -> None:
    dc.dc.secure(dc.world.account(name), **fields)


async def half_way(dc: Sandbox, connect: Connect) -> TelegramClient:
    """A client whose code was right and whose password is asked for."""
    client = await connect(None)
    await client.send_code_request(PHONE)
    with pytest.raises(errors.SessionPasswordNeededError):
        await client.sign_in(PHONE, dc.code(PHONE))
    return client


async def test_a_password_is_asked_for_and_only_the_right_one_signs_in(dc: Sandbox, connect: Connect) -> None:
    secure(dc, password="correct хорс battery")
    client = await half_way(dc, connect)
    assert not await client.is_user_authorized()
    with pytest.raises(errors.PasswordHashInvalidError):
        await client.sign_in(password="wrong")
    with pytest.raises(errors.SessionPasswordNeededError):
        await client(functions.updates.GetStateRequest())
    me = await client.sign_in(password="correct хорс battery")
    assert me.username == "ann"
    assert await client.is_user_authorized()


async def test_a_password_s_challenge_is_good_for_one_attempt_of_its_own_account(dc: Sandbox, connect: Connect) -> None:
    secure(dc, password="one")
    client = await half_way(dc, connect)
    asked = await client(functions.account.GetPasswordRequest())
    wrong = compute_check(asked, "two")
    with pytest.raises(errors.PasswordHashInvalidError):
        await client(functions.auth.CheckPasswordRequest(wrong))
    with pytest.raises(errors.SrpIdInvalidError):
        await client(functions.auth.CheckPasswordRequest(compute_check(asked, "one")))
    secure(dc, "boris", password="one")
    other = await connect("boris")
    foreign = await other(functions.account.GetPasswordRequest())
    with pytest.raises(errors.SrpIdInvalidError):
        await client(functions.auth.CheckPasswordRequest(compute_check(foreign, "one")))
    asked = await client(functions.account.GetPasswordRequest())
    secure(dc, password="changed since")
    with pytest.raises(errors.SrpPasswordChangedError):
        await client(functions.auth.CheckPasswordRequest(compute_check(asked, "one")))


@pytest.mark.parametrize("share", [bytes(256), b"\xff" * 256, b"\x01" * 300, b""])
async def test_a_share_that_no_client_may_take_is_refused(dc: Sandbox, connect: Connect, share: bytes) -> None:
    secure(dc, password="one")
    client = await half_way(dc, connect)
    asked = await client(functions.account.GetPasswordRequest())
    with pytest.raises(RPCError, match="SRP_A_INVALID"):
        await client(functions.auth.CheckPasswordRequest(types.InputCheckPasswordSRP(asked.srp_id, share, bytes(32))))


def test_a_zero_share_proves_nothing_whatever_the_password() -> None:
    challenge = Challenge.make(make_verifier("secret", b"1" * 8, b"2" * 16))
    for share in (bytes(256), b""):
        with pytest.raises(ValueError, match="within the prime"):
            challenge.proves(share, bytes(32))


async def test_without_a_password_none_is_asked_for(dc: Sandbox, connect: Connect) -> None:
    client = await connect("ann")
    asked = await client(functions.account.GetPasswordRequest())
    assert (bool(asked.has_password), asked.srp_id) == (False, None)
    fresh = await connect(None)
    with pytest.raises(errors.AuthKeyUnregisteredError):
        await fresh(functions.account.GetPasswordRequest())


async def test_a_code_can_be_sent_again_and_taken_back(dc: Sandbox, connect: Connect) -> None:
    client = await connect(None)
    sent = await client.send_code_request(PHONE)
    first = dc.code(PHONE)
    again = await client(functions.auth.ResendCodeRequest(PHONE, sent.phone_code_hash))
    assert again.phone_code_hash != sent.phone_code_hash
    with pytest.raises(errors.PhoneCodeExpiredError):
        await client.sign_in(PHONE, first, phone_code_hash=sent.phone_code_hash)
    assert await client(functions.auth.CancelCodeRequest(PHONE, again.phone_code_hash))
    with pytest.raises(errors.PhoneCodeExpiredError):
        await client.sign_in(PHONE, "12345", phone_code_hash=again.phone_code_hash)


async def waiting(client: TelegramClient):
    """A QR code that is shown, and the task that waits until it is scanned."""
    shown = await client.qr_login()
    task = asyncio.create_task(shown.wait(10))
    # wait() listens as soon as it runs, before anything that is asked after it.
    await client(functions.help.GetNearestDcRequest())
    return shown, task


async def test_a_qr_code_that_is_scanned_signs_in(dc: Sandbox, connect: Connect) -> None:
    client, phone = await connect(None), await connect("ann")
    shown, task = await waiting(client)
    assert 25 < shown.expires.timestamp() - dc.dc.clock.now() <= 30
    accepted = await phone(functions.auth.AcceptLoginTokenRequest(shown.token))
    assert isinstance(accepted, types.Authorization)
    assert (await task).username == "ann"
    with pytest.raises(errors.AuthTokenInvalidxError):
        await phone(functions.auth.AcceptLoginTokenRequest(shown.token))


async def test_a_qr_code_expires_and_can_be_made_anew(dc: Sandbox, connect: Connect) -> None:
    client, phone = await connect(None), await connect("ann")
    shown = await client.qr_login()
    old = shown.token
    dc.dc.clock.leap += 31
    with pytest.raises(errors.AuthTokenExpiredError):
        await phone(functions.auth.AcceptLoginTokenRequest(old))
    await shown.recreate()
    assert shown.token != old
    with pytest.raises(errors.AuthTokenInvalidxError):
        await phone(functions.auth.AcceptLoginTokenRequest(old))
    await phone(functions.auth.AcceptLoginTokenRequest(shown.token))
    with pytest.raises(errors.AuthTokenAlreadyAcceptedError):
        await phone(functions.auth.AcceptLoginTokenRequest(shown.token))


async def test_an_account_that_a_qr_code_excepts_is_refused(dc: Sandbox, connect: Connect) -> None:
    client, phone = await connect(None), await connect("ann")
    shown = await client.qr_login(ignored_ids=[dc.world.account("ann").id])
    with pytest.raises(errors.AuthTokenExceptionError):
        await phone(functions.auth.AcceptLoginTokenRequest(shown.token))


async def test_a_qr_code_of_an_account_with_a_password_asks_for_that_too(dc: Sandbox, connect: Connect) -> None:
    secure(dc, password="second")
    client, phone = await connect(None), await connect("ann")
    shown, task = await waiting(client)
    await phone(functions.auth.AcceptLoginTokenRequest(shown.token))
    with pytest.raises(errors.SessionPasswordNeededError):
        await task
    assert (await client.sign_in(password="second")).username == "ann"


async def test_an_account_at_the_other_data_centre_is_sent_there_by_phone_and_by_qr(
    dc: Sandbox, connect: Connect
) -> None:
    secure(dc, "boris", dc_id=204)
    client = await connect(None)
    await client.send_code_request("+9996620001")
    assert client.session.dc_id == 204
    assert (await client.sign_in("+9996620001", dc.code("+9996620001"))).username == "boris"
    heard = hear(client)
    await dc.publish("morning_markets", text="heard at home")
    assert (await soon(heard)).message.text == "heard at home"

    shower = await connect(None)
    shown, task = await waiting(shower)
    await client(functions.auth.AcceptLoginTokenRequest(shown.token))
    assert (await task).username == "boris"
    assert shower.session.dc_id == 204
    assert (await shower.get_me()).username == "boris"


async def test_a_bot_at_the_other_data_centre_is_sent_there(dc: Sandbox, connect: Connect) -> None:
    bot = next(account for account in dc.world.accounts.values() if account.is_bot)
    dc.dc.secure(bot, dc_id=204)
    client = await connect(None)
    assert (await client.sign_in(bot_token=bot.token)).id == bot.id
    assert client.session.dc_id == 204


async def test_a_key_is_known_to_its_own_data_centre_only(dc: Sandbox, connect: Connect) -> None:
    door = dc.dc.doors.find(204)
    stored = StringSession(dc.session("ann"))
    stored.set_dc(204, door.address, door.port)
    with pytest.raises(errors.AuthKeyNotFound):
        await connect(session=stored.save())


async def test_an_authorization_is_handed_over_once_and_to_the_right_place(dc: Sandbox, connect: Connect) -> None:
    client = await connect("ann")
    for wrong in (203, 205, 0):
        with pytest.raises(errors.DcIdInvalidError):
            await client(functions.auth.ExportAuthorizationRequest(wrong))
    given = await client(functions.auth.ExportAuthorizationRequest(204))
    rsa.add_key(dc.public_key, old=False)
    door = dc.dc.doors.find(204)
    there = StringSession()
    there.set_dc(204, door.address, door.port)
    guest = TelegramClient(there, 1, "hash", connection_retries=1)
    await guest.connect()
    try:
        with pytest.raises(errors.AuthBytesInvalidError):
            await guest(functions.auth.ImportAuthorizationRequest(given.id, b"wrong"))
        given = await client(functions.auth.ExportAuthorizationRequest(204))
        answer = await guest(functions.auth.ImportAuthorizationRequest(given.id, given.bytes))
        assert answer.user.username == "ann"
        with pytest.raises(errors.AuthBytesInvalidError):
            await guest(functions.auth.ImportAuthorizationRequest(given.id, given.bytes))
    finally:
        await guest.disconnect()


async def test_an_account_sees_its_sessions_and_ends_them(dc: Sandbox, connect: Connect) -> None:
    first = await connect("ann", device_model="First", app_version="1.2")
    second = await connect("ann", device_model="Second")
    rows = (await first(functions.account.GetAuthorizationsRequest())).authorizations
    assert (rows[0].device_model, rows[0].app_version, rows[0].current) == ("First", "1.2", True)
    assert [row.device_model for row in rows] == ["First", "Second"]
    with pytest.raises(errors.HashInvalidError):
        await first(functions.account.ResetAuthorizationRequest(12345))
    heard = hear(second)
    assert await first(functions.account.ResetAuthorizationRequest(rows[1].hash))
    await dc.publish("gorod_news", text="not for the second")
    with pytest.raises(errors.SessionRevokedError):
        await second(functions.updates.GetStateRequest())
    assert heard.empty()
    third = await connect("ann")
    assert await first(functions.auth.ResetAuthorizationsRequest())
    with pytest.raises(errors.SessionRevokedError):
        await third(functions.updates.GetStateRequest())
    assert len((await first(functions.account.GetAuthorizationsRequest())).authorizations) == 1


async def test_a_revoked_session_is_refused_after_a_restart_too(tmp_path) -> None:
    async with Sandbox(state=tmp_path) as dc:
        key, session = dc.dc.session(dc.world.account("ann"), "mine")
        dc.dc.revoke(key, "USER_DEACTIVATED_BAN")
        port = dc.port
    async with Sandbox(state=tmp_path, listen=("127.0.0.1", port)) as dc:
        client = TelegramClient(StringSession(session), 1, "hash", connection_retries=1)
        await client.connect()
        with pytest.raises(errors.UserDeactivatedBanError):
            await client(functions.updates.GetStateRequest())
        await client.disconnect()
        assert dc.session("ann", "mine") != session


async def test_two_connections_with_one_key_kill_it_when_the_rule_is_on(dc: Sandbox, connect: Connect) -> None:
    session = dc.session("ann")
    first = await connect(session=session)
    second = await connect(session=session)
    await second(functions.help.GetNearestDcRequest())
    assert dc.requests()["parallel"] == {}
    await first(functions.help.GetNearestDcRequest())
    assert dc.requests()["parallel"] == {str(dc.world.account("ann").id): 1}
    dc.dc.dispatcher.one_connection_per_key = True
    for client in (second, first, second):
        with pytest.raises(errors.AuthKeyDuplicatedError):
            await client(functions.updates.GetStateRequest())


async def test_a_key_that_moves_to_a_new_connection_is_not_parallel(dc: Sandbox, connect: Connect) -> None:
    dc.dc.dispatcher.one_connection_per_key = True
    session = dc.session("ann")
    first = await connect(session=session)
    await first.disconnect()
    second = await connect(session=session)
    dc.drop_connections()
    assert (await second(functions.help.GetNearestDcRequest())).this_dc == 203
    assert dc.requests()["parallel"] == {}


async def test_a_takeout_is_opened_used_and_finished(dc: Sandbox, connect: Connect) -> None:
    client = await connect("ann")
    with pytest.raises(errors.TakeoutInvalidError):
        await client(functions.InvokeWithTakeoutRequest(7, functions.updates.GetStateRequest()))
    async with client.takeout(channels=True) as takeout:
        assert len(await takeout.get_messages("gorod_news", limit=5)) == 5
    with pytest.raises(errors.TakeoutRequiredError):
        await client(functions.account.FinishTakeoutSessionRequest(success=True))
    assert await client(functions.account.UpdateStatusRequest(offline=True))


async def test_a_takeout_belongs_to_the_session_that_opened_it_and_ends_with_it(dc: Sandbox, connect: Connect) -> None:
    session = dc.session("ann")
    client, other = await connect(session=session), await connect("ann")
    opened = await client(functions.account.InitTakeoutSessionRequest(message_channels=True))
    inside = functions.InvokeWithTakeoutRequest(opened.id, functions.updates.GetStateRequest())
    assert (await client(inside)).pts
    with pytest.raises(errors.TakeoutInvalidError):
        await other(inside)
    await client(functions.auth.LogOutRequest())
    with pytest.raises(errors.TakeoutInvalidError):
        await client(inside)


async def test_signing_out_ends_every_connection_of_the_key(dc: Sandbox, connect: Connect) -> None:
    session = dc.session("ann")
    one, two = await connect(session=session), await connect(session=session)
    heard = hear(two)
    await dc.publish("gorod_news", text="while signed in")
    assert (await soon(heard)).message.text == "while signed in"
    await one(functions.auth.LogOutRequest())
    await dc.publish("gorod_news", text="not any more")
    with pytest.raises(errors.AuthKeyUnregisteredError):
        await two(functions.updates.GetStateRequest())
    assert heard.empty()


async def test_a_sign_in_can_be_given_up_before_its_password(dc: Sandbox, connect: Connect) -> None:
    secure(dc, password="one")
    client = await half_way(dc, connect)
    await client(functions.auth.LogOutRequest())
    with pytest.raises(errors.AuthKeyUnregisteredError):
        await client(functions.updates.GetStateRequest())


async def test_a_revoked_key_may_sign_in_anew_with_code_and_password(dc: Sandbox, connect: Connect) -> None:
    key, session = dc.dc.session(dc.world.account("ann"))
    client = await connect(session=session)
    secure(dc, password="one")
    dc.dc.revoke(key, "SESSION_REVOKED")
    with pytest.raises(errors.SessionRevokedError):
        await client(functions.account.GetPasswordRequest())
    await client.send_code_request(PHONE)
    with pytest.raises(errors.SessionPasswordNeededError):
        await client.sign_in(PHONE, dc.code(PHONE))
    assert (await client.sign_in(password="one")).username == "ann"
    assert (await client(functions.updates.GetStateRequest())).pts


async def test_a_session_that_lacks_its_password_is_listed_and_can_be_ended(dc: Sandbox, connect: Connect) -> None:
    secure(dc, password="one")
    client = await connect("ann")
    pending = await half_way(dc, connect)
    rows = (await client(functions.account.GetAuthorizationsRequest())).authorizations
    assert [bool(row.password_pending) for row in rows] == [False, True]
    asked = await pending(functions.account.GetPasswordRequest())
    assert await client(functions.account.ResetAuthorizationRequest(rows[1].hash))
    with pytest.raises(errors.AuthKeyUnregisteredError):  # the right password comes too late
        await pending(functions.auth.CheckPasswordRequest(compute_check(asked, "one")))
    with pytest.raises(errors.SessionRevokedError):
        await pending(functions.account.GetPasswordRequest())
    assert len((await client(functions.account.GetAuthorizationsRequest())).authorizations) == 1
    another = await half_way(dc, connect)
    assert await client(functions.auth.ResetAuthorizationsRequest())
    with pytest.raises(errors.SessionRevokedError):
        await another(functions.account.GetPasswordRequest())


async def test_a_device_is_listed_as_it_named_itself_after_a_restart_too(tmp_path) -> None:
    async with Sandbox(state=tmp_path) as dc:
        session, port = dc.session("ann"), dc.port
        options = {"device_model": "Desk, left " * 20, "system_version": "Plan 9", "app_version": "4.2"}
        client = TelegramClient(StringSession(session), 17, "hash", connection_retries=1, **options)
        await client.connect()
        await client.disconnect()
    async with Sandbox(state=tmp_path, listen=("127.0.0.1", port)) as dc:
        client = TelegramClient(StringSession(dc.session("ann")), 1, "hash", connection_retries=1)
        await client.connect()
        rows = (await client(functions.account.GetAuthorizationsRequest())).authorizations
        await client.disconnect()
    listed = next(row for row in rows if not row.current)
    assert (listed.api_id, listed.system_version, listed.app_version) == (17, "Plan 9", "4.2")
    assert listed.device_model == ("Desk, left " * 20)[:100]
    assert 0 < listed.date_created.timestamp() <= listed.date_active.timestamp()


async def test_keys_that_can_t_be_read_refuse_the_state_directory(tmp_path) -> None:
    async with Sandbox(state=tmp_path) as dc:
        dc.session("ann")
    (tmp_path / "keys.jsonl").write_text('{"key":"00"}\n')
    with pytest.raises(StateError, match="auth keys"):
        await Sandbox(state=tmp_path).__aenter__()
    async with Sandbox(state=tmp_path / "next"):
        pass


# What Telethon borrows to fetch files from the other data centre


async def abroad(dc: Sandbox, client: TelegramClient):
    """Telethon's exported sender: a key of its own at 204, let in by what the client exported."""
    rsa.add_key(dc.public_key, old=False)
    return await client._borrow_exported_sender(204)


FILE = functions.upload.GetFileRequest(types.InputDocumentFileLocation(1, 1, b"", ""), 0, 4096)


async def may_ask_for_files(client: TelegramClient, sender) -> bool:
    """Whether a refusal is about the file, which isn't one, and not about who asks."""
    with pytest.raises(RPCError) as refusal:
        await client._call(sender, FILE)
    return refusal.value.code == 400


async def test_a_borrowed_session_is_good_for_files_and_sent_home_for_all_else(dc: Sandbox, connect: Connect) -> None:
    client = await connect("ann")
    sender = await abroad(dc, client)
    assert await may_ask_for_files(client, sender)
    assert (await client._call(sender, functions.help.GetConfigRequest())).this_dc == 204
    (there,) = (key for key in dc.dc.keys.of(dc.world.account("ann").id) if key.dc_id == 204)
    (home,) = (key for key in dc.dc.keys.of(dc.world.account("ann").id) if key.dc_id == 203)
    assert (there.parent, home.parent) == (home.id.hex(), "")
    for request in (functions.updates.GetStateRequest(), functions.account.GetAuthorizationsRequest()):
        with pytest.raises(errors.UserMigrateError) as refusal:
            await sender.send(request)  # the client itself would follow, and lose the key it has
        assert refusal.value.new_dc == 203


async def test_a_borrowed_session_ends_with_the_one_it_was_borrowed_from(dc: Sandbox, connect: Connect) -> None:
    one, two = await connect("ann"), await connect("ann")
    sender, other = await abroad(dc, one), await abroad(dc, two)
    listed = (await one(functions.account.GetAuthorizationsRequest())).authorizations
    assert len(listed) == 2
    assert await one(functions.auth.ResetAuthorizationsRequest())
    assert await may_ask_for_files(one, sender)
    with pytest.raises(errors.SessionRevokedError):
        await two._call(other, FILE)
    await one(functions.auth.LogOutRequest())
    with pytest.raises(errors.AuthKeyUnregisteredError):
        await one._call(sender, FILE)


async def test_an_exported_authorization_is_void_when_it_is_old_or_its_session_has_ended(
    dc: Sandbox, connect: Connect
) -> None:
    client = await connect("ann")
    sender = await abroad(dc, client)

    async def bring(given) -> None:
        with pytest.raises(errors.AuthBytesInvalidError):
            await sender.send(functions.auth.ImportAuthorizationRequest(given.id, given.bytes))

    given = await client(functions.auth.ExportAuthorizationRequest(204))
    dc.dc.clock.leap += 61
    await bring(given)
    given = await client(functions.auth.ExportAuthorizationRequest(204))
    with pytest.raises(errors.AuthBytesInvalidError):  # it isn't meant for this data centre
        await client(functions.auth.ImportAuthorizationRequest(given.id, given.bytes))
    given = await client(functions.auth.ExportAuthorizationRequest(204))
    await client(functions.auth.LogOutRequest())
    await bring(given)


async def test_an_authorization_that_comes_back_to_its_own_key_is_no_borrowed_one(
    dc: Sandbox, connect: Connect
) -> None:
    client = await connect("ann")
    sender = await abroad(dc, client)
    given = await client._call(sender, functions.auth.ExportAuthorizationRequest(203))
    await client(functions.auth.ImportAuthorizationRequest(given.id, given.bytes))
    assert (await client(functions.updates.GetStateRequest())).pts
    assert len((await client(functions.account.GetAuthorizationsRequest())).authorizations) == 1


# QR codes and the clock that clients see


async def test_a_qr_code_expires_by_the_clock_of_the_data_centre(dc: Sandbox, connect: Connect) -> None:
    client, phone = await connect(None), await connect("ann")
    dc.dc.clock.skew = -20
    shown = await client.qr_login()
    assert 5 < shown.expires.timestamp() - (dc.dc.clock.now() + 20) <= 10
    dc.dc.clock.skew = 11  # put right, which is no time that passes
    dc.dc.clock.leap += 31
    with pytest.raises(errors.AuthTokenExpiredError):
        await phone(functions.auth.AcceptLoginTokenRequest(shown.token))
    await shown.recreate()
    assert await phone(functions.auth.AcceptLoginTokenRequest(shown.token))


@pytest.mark.parametrize("skew", [200, -200])
async def test_a_client_whose_clock_is_minutes_wrong_is_put_right_and_signs_in_by_qr(
    dc: Sandbox, connect: Connect, skew: int
) -> None:
    # Telethon only takes another clock from the first answer of a connection, so it is wrong from the beginning.
    dc.dc.clock.skew = skew
    client = await connect(None)
    shown, task = await waiting(client)
    dc.dc.accept_token(shown.token, dc.world.account("ann"))
    assert (await task).username == "ann"


async def test_a_session_whose_account_moves_is_sent_after_it(dc: Sandbox, connect: Connect) -> None:
    client = await connect("ann")
    await client.get_me()
    before = dc.session("ann", "mine")
    dc.dc.secure(dc.world.account("ann"), dc_id=204)
    with pytest.raises(errors.UserMigrateError) as refusal:
        await client._sender.send(functions.updates.GetStateRequest())  # the client itself would follow
    assert refusal.value.new_dc == 204
    moved = StringSession(dc.session("ann", "mine"))
    assert (moved.dc_id, StringSession(before).dc_id) == (204, 203)
    async with signed_in(dc) as there:
        assert (await there.get_me()).username == "ann"
        listed = (await there(functions.account.GetAuthorizationsRequest())).authorizations
        assert [row.current for row in listed].count(True) == 1


async def test_what_was_handed_over_ends_though_a_kill_came_in_between(tmp_path) -> None:
    async with Sandbox(state=tmp_path) as dc:
        ann = dc.world.account("ann").id
        key = dc.dc.keys.mint(ann)
        lent = dc.dc.keys.mint(ann, dc_id=204)
        dc.dc.keys.change(lent, parent=key.id.hex())
        dc.dc.keys.change(key, account_id=0)
    async with Sandbox(state=tmp_path) as dc:
        assert dc.dc.keys.of(ann) == []


async def test_a_session_that_lacks_its_password_is_revoked_too(dc: Sandbox, connect: Connect) -> None:
    secure(dc, "ann", password="secret")
    client = await connect(None)
    await client.send_code_request(PHONE)
    for _ in range(2):  # the code stays good meanwhile
        with pytest.raises(errors.SessionPasswordNeededError):
            await client.sign_in(PHONE, dc.code(PHONE))
    async with aiohttp.ClientSession() as http, http.delete(f"{dc.control_url}/sessions/ann") as answer:
        assert await answer.json() == {"account": dc.world.account("ann").id, "revoked": 1}
    with pytest.raises(errors.UnauthorizedError):
        await client.sign_in(password="secret")


async def test_both_data_centres_come_back_where_they_were(tmp_path) -> None:
    ports = []
    for _ in range(2):
        async with Sandbox(state=tmp_path) as dc:
            ports.append([door.port for door in dc.dc.doors])
    assert ports[0] == ports[1]
    with socket.create_server(("127.0.0.1", ports[0][1])):
        async with Sandbox(state=tmp_path) as dc:
            assert [door.port for door in dc.dc.doors] != ports[0]
