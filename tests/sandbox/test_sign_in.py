import pytest
from telethon import errors, functions

from sandbox.client import Sandbox
from tests.sandbox.conftest import Connect, signed_in

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


async def test_an_old_code_has_expired() -> None:
    async with Sandbox(code_lifetime=0.0) as dc, signed_in(dc) as client:
        sent = await client.send_code_request(PHONE)
        with pytest.raises(errors.PhoneCodeExpiredError):
            await client(functions.auth.SignInRequest(PHONE, sent.phone_code_hash, dc.code(PHONE)))


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
    with pytest.raises(errors.AccessTokenInvalidError):
        await client.sign_in(bot_token=f"{bot.id}:wrong")
    me = await client.sign_in(bot_token=bot.token)
    assert (me.id, me.bot, me.username) == (bot.id, True, "sandbox_bot")
    with pytest.raises(errors.BotMethodInvalidError):
        await client.get_messages("gorod_news")


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
