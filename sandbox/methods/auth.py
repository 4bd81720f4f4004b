import hmac
import re
from typing import Any

from telethon.tl import functions, types

from sandbox import codec
from sandbox.dispatch import Call, Methods, RefusedError
from sandbox.world import Account

CODE_LENGTH = 5


def _phone(text: str) -> str:
    digits = re.sub(r"[\s()+-]", "", text)
    if not (digits.isdecimal() and digits.isascii() and 7 <= len(digits) <= 15):
        raise RefusedError(400, "PHONE_NUMBER_INVALID")
    return digits


def send_code(call: Call, request: Any) -> Any:
    """Any well-formed number gets a code, as with the service: it doesn't tell who has an account."""
    sent = call.dc.logins.send_code(_phone(request.phone_number))
    return types.auth.SentCode(
        type=types.auth.SentCodeTypeApp(length=CODE_LENGTH), phone_code_hash=sent.hash, timeout=120
    )


def sign_in(call: Call, request: Any) -> Any:
    phone = _phone(request.phone_number)
    sent = call.dc.logins.codes.get(phone)
    if not request.phone_code:
        raise RefusedError(400, "PHONE_CODE_EMPTY")
    if sent is None or sent.hash != request.phone_code_hash or call.dc.clock.now() >= sent.expires:
        raise RefusedError(400, "PHONE_CODE_EXPIRED")
    if not hmac.compare_digest(sent.code, request.phone_code):
        raise RefusedError(400, "PHONE_CODE_INVALID")
    account = next((row for row in call.dc.world.accounts.values() if row.phone == phone), None)
    if account is None:
        return types.auth.AuthorizationSignUpRequired()
    del call.dc.logins.codes[phone]
    return _authorise(call, account)


def import_bot_authorization(call: Call, request: Any) -> Any:
    for account in call.dc.world.accounts.values():
        if account.is_bot and hmac.compare_digest(account.token.encode(), request.bot_auth_token.encode()):
            return _authorise(call, account)
    raise RefusedError(400, "ACCESS_TOKEN_INVALID")


def _authorise(call: Call, account: Account) -> Any:
    call.dc.keys.change(call.key, account_id=account.id)
    return types.auth.Authorization(user=codec.user(call.dc.world, account.id, account))


def log_out(call: Call, _: Any) -> Any:
    """The key stays known but belongs to nobody: its next call is refused with 401."""
    _ = call.account
    call.dc.keys.change(call.key, account_id=0)
    return types.auth.LoggedOut()


HANDLERS: Methods = {
    functions.auth.SendCodeRequest: send_code,
    functions.auth.SignInRequest: sign_in,
    functions.auth.ImportBotAuthorizationRequest: import_bot_authorization,
    functions.auth.LogOutRequest: log_out,
}
