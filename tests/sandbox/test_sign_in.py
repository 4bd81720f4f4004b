import pytest
from telethon import errors, functions, types

from sandbox.client import Sandbox
from sandbox.logins import CODE_LIFETIME
from tests.sandbox.conftest import Connect

PHONE = "+9996620000"


async def test_a_phone_and_the_right_code_sign_in_on_a_fresh_key(dc: Sandbox, connect: Connect) -> None:
    client = await connect(None)
    await client.send_code_request(PHONE)
    with pytest.raises(errors.PhoneCodeInvalidError):
        await client.sign_in(PHONE, "00000")
    me = await client.sign_in(PHONE, dc.code(PHONE))
    assert (me.username, me.phone) == ("ann", PHONE.lstrip("+"))
    assert await client.is_user_authorized()
    assert [dialog.id for dialog in await client.get_dialogs()]


async def test_a_code_works_once_and_only_with_its_own_hash(dc: Sandbox, connect: Connect) -> None:
    client = await connect(None)
    sent = await client.send_code_request(PHONE)
    code = dc.code(PHONE)
    with pytest.raises(errors.PhoneCodeExpiredError):
        await client.sign_in(PHONE, code, phone_code_hash="another")
    await client.sign_in(PHONE, code, phone_code_hash=sent.phone_code_hash)
    other = await connect(None)
    with pytest.raises(errors.PhoneCodeExpiredError):
        await other.sign_in(PHONE, code, phone_code_hash=sent.phone_code_hash)


async def test_an_old_code_has_expired(dc: Sandbox, connect: Connect) -> None:
    client = await connect(None)
    sent, code = await client.send_code_request(PHONE), dc.code(PHONE)
    dc.dc.clock.leap += CODE_LIFETIME
    with pytest.raises(errors.PhoneCodeExpiredError):
        await client(functions.auth.SignInRequest(PHONE, sent.phone_code_hash, code))
    with pytest.raises(KeyError):
        dc.code(PHONE)


async def test_a_code_is_good_for_the_key_that_asked_for_it_alone(dc: Sandbox, connect: Connect) -> None:
    first, second = await connect(None), await connect(None)
    asked, code = await first.send_code_request(PHONE), dc.code(PHONE)
    with pytest.raises(errors.PhoneCodeExpiredError):
        await second.sign_in(PHONE, code, phone_code_hash=asked.phone_code_hash)
    await second.send_code_request(PHONE)
    assert (await first.sign_in(PHONE, code)).username == "ann"
    assert (await second.sign_in(PHONE, dc.code(PHONE))).username == "ann"


async def test_a_number_without_an_account_would_have_to_sign_up(dc: Sandbox, connect: Connect) -> None:
    client = await connect(None)
    await client.send_code_request("+15550100200")
    with pytest.raises(errors.PhoneNumberUnoccupiedError):
        await client.sign_in("+15550100200", dc.code("+15550100200"))


async def test_a_number_that_is_none_is_refused(connect: Connect) -> None:
    client = await connect(None)
    with pytest.raises(errors.PhoneNumberInvalidError):
        await client.send_code_request("+12")


async def test_a_bot_signs_in_by_its_token(dc: Sandbox, connect: Connect) -> None:
    bot = next(account for account in dc.world.accounts.values() if account.is_bot)
    client = await connect(None)
    number, _, secret = bot.token.partition(":")
    for token in (f"{number}:wrong", f"{int(number) + 1}:{secret}", bot.token[:-1], f"{'9' * 40}:{secret}", "", ":"):
        with pytest.raises(errors.AccessTokenInvalidError):
            await client(functions.auth.ImportBotAuthorizationRequest(0, 1, "hash", token))
    with pytest.raises(errors.AccessTokenExpiredError):  # a real bot's, but not the one it has now
        await client.sign_in(bot_token=f"{number}:{secret[::-1]}")
    me = await client.sign_in(bot_token=bot.token)
    assert (me.id, me.bot, me.username) == (bot.id, True, "sandbox_bot")
    with pytest.raises(errors.BotMethodInvalidError):
        await client.get_messages("gorod_news")
    with pytest.raises(errors.BotMethodInvalidError):
        await client(functions.account.GetPasswordRequest())


async def test_a_code_is_sent_again_by_sms_and_not_a_third_time(dc: Sandbox, connect: Connect) -> None:
    client = await connect(None)
    sent = await client.send_code_request(PHONE)
    assert isinstance(sent.type, types.auth.SentCodeTypeApp)
    assert isinstance(sent.next_type, types.auth.CodeTypeSms)
    again = await client(functions.auth.ResendCodeRequest(PHONE, sent.phone_code_hash))
    assert isinstance(again.type, types.auth.SentCodeTypeSms)
    assert again.next_type is None
    with pytest.raises(errors.SendCodeUnavailableError):
        await client(functions.auth.ResendCodeRequest(PHONE, again.phone_code_hash))
    me = await client.sign_in(PHONE, dc.code(PHONE), phone_code_hash=again.phone_code_hash)
    assert me.username == "ann"


async def test_a_code_without_its_parts_is_refused_and_wrong_ones_leave_it_good(dc: Sandbox, connect: Connect) -> None:
    client = await connect(None)
    sent = await client.send_code_request(PHONE)
    for phone, code_hash, code, error in (
        (PHONE, sent.phone_code_hash, "", errors.PhoneCodeEmptyError),
        (PHONE, "", "12345", errors.PhoneCodeHashEmptyError),
        ("12", sent.phone_code_hash, "12345", errors.PhoneNumberInvalidError),
        ("+9996620001", sent.phone_code_hash, "12345", errors.PhoneCodeExpiredError),
        *[
            (PHONE, sent.phone_code_hash, wrong, errors.PhoneCodeInvalidError)
            for wrong in ("0", "000000", "одиннадцать")
        ],
    ):
        with pytest.raises(error):
            await client(functions.auth.SignInRequest(phone, code_hash, code))
    assert (await client.sign_in(PHONE, dc.code(PHONE))).username == "ann"


async def test_after_logging_out_the_key_is_nobody_s(dc: Sandbox, connect: Connect) -> None:
    session = dc.session("boris")
    client = await connect(session=session)
    assert await client.log_out()
    again = await connect(session=session)
    assert not await again.is_user_authorized()


async def test_the_same_account_gets_another_key_each_time_unless_it_names_one(dc: Sandbox, connect: Connect) -> None:
    assert len({dc.session("ann"), dc.session("ann"), dc.session("ann", "reader"), dc.session("ann", "reader")}) == 3
    client = await connect(session=dc.session("9996620001", "reader"))
    assert (await client.get_me()).username == "boris"
    config = await client(functions.help.GetNearestDcRequest())
    assert config.this_dc == 203
