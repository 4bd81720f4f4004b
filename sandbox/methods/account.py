import secrets
from typing import Any

from telethon.tl import functions, types

from sandbox.crypto import DH_GENERATOR, DH_PRIME, KEY_BYTES
from sandbox.dispatch import Call, Methods, RefusedError
from sandbox.keys import AuthKey
from sandbox.methods import auth
from sandbox.srp import Verifier


def _algorithm(salt1: bytes, salt2: bytes) -> Any:
    return types.PasswordKdfAlgoSHA256SHA256PBKDF2HMACSHA512iter100000SHA256ModPow(
        salt1=salt1, salt2=salt2, g=DH_GENERATOR, p=DH_PRIME.to_bytes(KEY_BYTES, "big")
    )


def get_password(call: Call, _: Any) -> Any:
    """How a password is to be proven; each asking is good for one attempt."""
    account = auth.awaited(call)
    if account.is_bot:
        raise RefusedError(400, "BOT_METHOD_INVALID")
    answer = types.account.Password(
        new_algo=_algorithm(secrets.token_bytes(8), secrets.token_bytes(16)),
        new_secure_algo=types.SecurePasswordKdfAlgoUnknown(),
        secure_random=secrets.token_bytes(256),
    )
    if account.password:
        challenge = call.dc.logins.challenge(account)
        verifier: Verifier = challenge.verifier
        answer.has_password = True
        answer.current_algo = _algorithm(verifier.salt1, verifier.salt2)
        answer.srp_id, answer.srp_B = challenge.id, challenge.public.to_bytes(KEY_BYTES, "big")
        answer.hint = "the sandbox's"
    return answer


def get_authorizations(call: Call, _: Any) -> Any:
    rows = [auth.authorization(key, current=key is call.key) for key in _sessions(call)]
    return types.account.Authorizations(180, sorted(rows, key=lambda row: not row.current))


def _sessions(call: Call) -> list[AuthKey]:
    """The account's own, those that lack only its password too; not the keys with which they fetch files elsewhere."""
    account = call.user.id
    keys = call.dc.keys.of(account) + call.dc.keys.waiting_for(account)
    return [key for key in keys if not key.refusal and not key.parent]


def reset_authorization(call: Call, request: Any) -> bool:
    for key in _sessions(call):
        if key is not call.key and auth.hash_of(key) == request.hash:
            call.dc.revoke(key, "SESSION_REVOKED")
            return True
    raise RefusedError(400, "HASH_INVALID")


def update_status(call: Call, _: Any) -> bool:
    """Nobody here sees who is online."""
    _ = call.user
    return True


def init_takeout_session(call: Call, _: Any) -> Any:
    _ = call.user
    takeout_id = secrets.randbits(62) | 1
    call.dc.logins.takeouts[call.key.id] = takeout_id
    return types.account.Takeout(takeout_id)


def finish_takeout_session(call: Call, _: Any) -> bool:
    _ = call.user
    if not call.takeout:
        raise RefusedError(403, "TAKEOUT_REQUIRED")
    del call.dc.logins.takeouts[call.key.id]
    return True


HANDLERS: Methods = {
    functions.account.GetPasswordRequest: get_password,
    functions.account.GetAuthorizationsRequest: get_authorizations,
    functions.account.ResetAuthorizationRequest: reset_authorization,
    functions.account.UpdateStatusRequest: update_status,
    functions.account.InitTakeoutSessionRequest: init_takeout_session,
    functions.account.FinishTakeoutSessionRequest: finish_takeout_session,
}
