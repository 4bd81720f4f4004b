import hmac
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from telethon.tl import functions, types

from sandbox.codec.peers import user
from sandbox.dispatch import Call, Methods, RefusedError
from sandbox.keys import AuthKey
from sandbox.logins import LoginCode, LoginError, LoginToken
from sandbox.world import DC_IDS, Account

CODE_LENGTH = 5
BOT_TOKEN = re.compile(r"([0-9]{1,18}):[A-Za-z0-9_-]{35}")


@contextmanager
def refusing() -> Iterator[None]:
    """A sign-in that can't go on is the method's refusal."""
    try:
        yield
    except LoginError as error:
        raise RefusedError(400, str(error)) from error


def _phone(text: str, code: int = 406) -> str:
    digits = re.sub(r"[\s()+-]", "", text)
    if not (digits.isdecimal() and digits.isascii() and 7 <= len(digits) <= 15):
        raise RefusedError(code, "PHONE_NUMBER_INVALID")
    return digits


def _at_home(call: Call, account: Account | None, error: str) -> None:
    """Accounts sign in where they live; elsewhere they are told where that is."""
    if account is not None and account.dc_id != call.key.dc_id:
        raise RefusedError(303, f"{error}_{account.dc_id}")


# Phone and code


def send_code(call: Call, request: Any) -> Any:
    """Any well-formed number gets a code, as with the service: it doesn't tell who has an account."""
    phone = _phone(request.phone_number)
    _at_home(call, call.dc.world.with_phone(phone), "PHONE_MIGRATE")
    return _sent(call.dc.logins.send_code(call.key, phone))


def _sent(code: LoginCode) -> Any:
    """First to the account's other sessions; a second time by SMS, after which there is no further way."""
    if code.sent_again:
        return types.auth.SentCode(types.auth.SentCodeTypeSms(length=CODE_LENGTH), phone_code_hash=code.hash)
    return types.auth.SentCode(
        types.auth.SentCodeTypeApp(length=CODE_LENGTH),
        phone_code_hash=code.hash,
        next_type=types.auth.CodeTypeSms(),
        timeout=120,
    )


def resend_code(call: Call, request: Any) -> Any:
    """A new code with a hash of its own, once."""
    if _waiting(call, request).sent_again:
        raise RefusedError(406, "SEND_CODE_UNAVAILABLE")
    return _sent(call.dc.logins.send_code(call.key, _phone(request.phone_number), again=True))


def cancel_code(call: Call, request: Any) -> bool:
    _waiting(call, request)
    call.dc.logins.drop_code(call.key, _phone(request.phone_number))
    return True


def _waiting(call: Call, request: Any) -> LoginCode:
    phone = _phone(request.phone_number)
    if not request.phone_code_hash:
        raise RefusedError(400, "PHONE_CODE_HASH_EMPTY")
    with refusing():
        return call.dc.logins.code(call.key, phone, request.phone_code_hash)


def sign_in(call: Call, request: Any) -> Any:
    phone = _phone(request.phone_number, 400)
    if not request.phone_code:
        raise RefusedError(400, "PHONE_CODE_EMPTY")
    sent = _waiting(call, request)
    if not hmac.compare_digest(sent.code.encode(), request.phone_code.encode()):
        raise RefusedError(400, "PHONE_CODE_INVALID")
    account = call.dc.world.with_phone(phone)
    if account is None:
        return types.auth.AuthorizationSignUpRequired()
    _at_home(call, account, "PHONE_MIGRATE")
    answer = _let_in(call, account)  # while the password is still to come, the code stays good
    call.dc.logins.drop_code(call.key, phone)
    return answer


# The second factor


def _let_in(call: Call, account: Account) -> Any:
    """One factor was right: an account with a password must still give that."""
    if account.password:
        call.dc.sign_out(call.key)
        call.dc.keys.change(call.key, refusal="", awaits_password=account.id)
        raise RefusedError(401, "SESSION_PASSWORD_NEEDED")
    return _authorise(call, account)


def check_password(call: Call, request: Any) -> Any:
    account = awaited(call)
    if not isinstance(request.password, types.InputCheckPasswordSRP):
        raise RefusedError(400, "PASSWORD_EMPTY" if account.password else "PASSWORD_HASH_INVALID")
    with refusing():
        call.dc.logins.check_password(account, request.password.srp_id, request.password.A, request.password.M1)
    call.dc.logins.drop_code(call.key, account.phone)
    return _authorise(call, account)


def awaited(call: Call) -> Account:
    """Whose password is asked for: of a sign-in that is under way, or of who is signed in."""
    return call.dc.world.accounts.get(call.key.awaits_password) or call.account


def _authorise(call: Call, account: Account, parent: str = "") -> Any:
    call.dc.sign_out(call.key)  # of whoever it belonged to
    now = call.dc.clock.seconds()
    call.dc.keys.change(call.key, account_id=account.id, refusal="", created=now, active=now, parent=parent)
    return types.auth.Authorization(user=user(call.dc.world, account.id, account))


# Bots


def import_bot_authorization(call: Call, request: Any) -> Any:
    """A token of a bot that has another by now is an expired one; what never was a bot's is invalid."""
    accounts = call.dc.world.accounts
    for account in accounts.values():
        if account.is_bot and hmac.compare_digest(account.token.encode(), request.bot_auth_token.encode()):
            _at_home(call, account, "USER_MIGRATE")
            return _authorise(call, account)
    shape = BOT_TOKEN.fullmatch(request.bot_auth_token)
    bot = accounts.get(int(shape[1])) if shape else None
    raise RefusedError(400, "ACCESS_TOKEN_EXPIRED" if bot and bot.is_bot else "ACCESS_TOKEN_INVALID")


# QR codes


def export_login_token(call: Call, request: Any) -> Any:
    """A token to show, or what became of the one that was scanned."""
    found = call.dc.logins.accepted_token(call.key)
    if found is not None:
        return _scanned(call, found)
    made = call.dc.logins.new_token(call.key, request.except_ids)
    return _shown(call, made)


def _shown(call: Call, token: LoginToken) -> Any:
    return types.auth.LoginToken(int(token.expires - call.dc.clock.leap + call.dc.clock.skew), token.token)


def _scanned(call: Call, found: LoginToken) -> Any:
    account = call.dc.world.accounts[found.account_id]
    if account.dc_id != call.key.dc_id:
        return types.auth.LoginTokenMigrateTo(account.dc_id, found.token)
    call.dc.logins.use_token(found)
    return types.auth.LoginTokenSuccess(_let_in(call, account))


def import_login_token(call: Call, request: Any) -> Any:
    """The second half of a sign-in by QR that was sent here from the other data centre."""
    with refusing():
        found = call.dc.logins.token(request.token)
    if not found.account_id:
        return _shown(call, found)
    return _scanned(call, found)


def accept_login_token(call: Call, request: Any) -> Any:
    try:
        found = call.dc.accept_token(request.token, call.user)
    except LoginError as error:  # this method alone has the X
        said = str(error)
        raise RefusedError(400, "AUTH_TOKEN_INVALIDX" if said == "AUTH_TOKEN_INVALID" else said) from error
    return authorization(found.key, current=False)


# Who is signed in where


def authorization(key: AuthKey, *, current: bool) -> Any:
    device = key.device
    return types.Authorization(
        hash=0 if current else hash_of(key),
        device_model=device.model or "unknown",
        platform="",
        system_version=device.system,
        api_id=device.api_id,
        app_name="Sandbox client",
        app_version=device.app,
        date_created=key.created,
        date_active=key.active,
        ip="127.0.0.1",
        country="ZZ",
        region="",
        current=current or None,
        password_pending=True if key.awaits_password else None,
    )


def hash_of(key: AuthKey) -> int:
    """By this an account names one of its other sessions."""
    return int.from_bytes(key.id, "little", signed=True)


def log_out(call: Call, _: Any) -> Any:
    """The key stays known but belongs to nobody: its next call is refused with 401."""
    _ = awaited(call)
    call.dc.sign_out(call.key)
    return types.auth.LoggedOut()


def reset_authorizations(call: Call, _: Any) -> bool:
    """Every session of the account but this one ends, those that lack only the password included."""
    account = call.user.id
    for key in call.dc.keys.of(account) + call.dc.keys.waiting_for(account):
        if key.root != call.key.root and not key.refusal:
            call.dc.revoke(key, "SESSION_REVOKED")
    return True


# From one data centre to the other


def export_authorization(call: Call, request: Any) -> Any:
    _ = call.account
    if request.dc_id not in DC_IDS or request.dc_id == call.key.dc_id:
        raise RefusedError(400, "DC_ID_INVALID")
    number, secret = call.dc.logins.hand_over(call.key, request.dc_id)
    return types.auth.ExportedAuthorization(number, secret)


def import_authorization(call: Call, request: Any) -> Any:
    with refusing():
        giver = call.dc.logins.take_over(request.id, request.bytes, call.key.dc_id)
    account = call.dc.world.accounts[giver.account_id]
    # What comes back to where it came from is its own, as is what follows its account to a new home.
    own = giver.root == call.key.id.hex() or account.dc_id == call.key.dc_id
    return _authorise(call, account, "" if own else giver.root)


HANDLERS: Methods = {
    functions.auth.SendCodeRequest: send_code,
    functions.auth.ResendCodeRequest: resend_code,
    functions.auth.CancelCodeRequest: cancel_code,
    functions.auth.SignInRequest: sign_in,
    functions.auth.CheckPasswordRequest: check_password,
    functions.auth.ImportBotAuthorizationRequest: import_bot_authorization,
    functions.auth.ExportLoginTokenRequest: export_login_token,
    functions.auth.ImportLoginTokenRequest: import_login_token,
    functions.auth.AcceptLoginTokenRequest: accept_login_token,
    functions.auth.LogOutRequest: log_out,
    functions.auth.ResetAuthorizationsRequest: reset_authorizations,
    functions.auth.ExportAuthorizationRequest: export_authorization,
    functions.auth.ImportAuthorizationRequest: import_authorization,
}
