"""The server's half of SRP against the client halves of two libraries that nobody here wrote."""

import secrets
import threading

import pytest
from telethon import types
from telethon.password import compute_check

from sandbox.clock import Clock
from sandbox.crypto import DH_GENERATOR, DH_PRIME, KEY_BYTES
from sandbox.keys import AuthKey
from sandbox.logins import MAX_UNDER_WAY, LoginError, Logins
from sandbox.srp import Challenge, Verifier, make_verifier
from sandbox.world import Account

PASSWORD = "correct horse, батарея 🔋"
P = DH_PRIME.to_bytes(KEY_BYTES, "big")


@pytest.fixture(scope="module")
def verifier() -> Verifier:
    return make_verifier(PASSWORD, b"1" * 24, b"2" * 32)


def telethon_proof(challenge: Challenge, password: str) -> tuple[bytes, bytes]:
    algo = types.PasswordKdfAlgoSHA256SHA256PBKDF2HMACSHA512iter100000SHA256ModPow(
        challenge.verifier.salt1, challenge.verifier.salt2, DH_GENERATOR, P
    )
    asked = types.account.Password(
        new_algo=algo,
        new_secure_algo=types.SecurePasswordKdfAlgoUnknown(),
        secure_random=b"",
        has_password=True,
        current_algo=algo,
        srp_B=challenge.public.to_bytes(KEY_BYTES, "big"),
        srp_id=challenge.id,
    )
    check = compute_check(asked, password)
    return check.A, check.M1


def kurigram_proof(challenge: Challenge, password: str) -> tuple[bytes, bytes]:
    # Two seconds of importing, which nobody else needs.
    from pyrogram.raw import types as kurigram_types
    from pyrogram.utils import compute_password_check

    algo = kurigram_types.PasswordKdfAlgoSHA256SHA256PBKDF2HMACSHA512iter100000SHA256ModPow(
        salt1=challenge.verifier.salt1, salt2=challenge.verifier.salt2, g=DH_GENERATOR, p=P
    )
    asked = kurigram_types.account.Password(
        new_algo=algo,
        new_secure_algo=kurigram_types.SecurePasswordKdfAlgoUnknown(),
        secure_random=b"",
        has_password=True,
        current_algo=algo,
        srp_B=challenge.public.to_bytes(KEY_BYTES, "big"),
        srp_id=challenge.id,
    )
    check = compute_password_check(asked, password)
    return check.A, check.M1


@pytest.mark.parametrize("prove", [telethon_proof, kurigram_proof])
def test_a_client_that_knows_the_password_proves_it_and_another_does_not(verifier: Verifier, prove) -> None:
    for _ in range(3):
        challenge = Challenge.make(verifier)
        assert challenge.proves(*prove(challenge, PASSWORD))
        assert not challenge.proves(*prove(challenge, PASSWORD + " "))


def test_a_proof_fits_its_own_challenge_and_its_own_share(verifier: Verifier) -> None:
    first, second = Challenge.make(verifier), Challenge.make(verifier)
    share, proof = telethon_proof(first, PASSWORD)
    assert not second.proves(share, proof)
    assert not first.proves(telethon_proof(first, PASSWORD)[0], proof)
    for wrong in (b"", bytes(32), proof[:-1], proof + b"\0"):
        assert not first.proves(share, wrong)


@pytest.mark.parametrize("share", [0, DH_PRIME, DH_PRIME + 1, 2 * DH_PRIME])
def test_a_share_that_is_nothing_modulo_the_prime_is_refused(verifier: Verifier, share: int) -> None:
    # With such a one the common secret is 0, which anybody can prove without the password.
    challenge = Challenge.make(verifier)
    with pytest.raises(ValueError, match="within the prime"):
        challenge.proves(share.to_bytes(KEY_BYTES + 1, "big").lstrip(b"\0"), bytes(32))


def test_neither_the_password_nor_what_is_kept_of_it_shows_in_a_log(verifier: Verifier) -> None:
    shown = repr(Challenge.make(verifier))
    assert PASSWORD not in shown
    assert str(verifier.number) not in shown


def account(number: int = 7, password: str = "one") -> Account:
    return Account(
        id=number, first_name="A", last_name="", username=f"a{number}", phone="", dc_id=203, password=password
    )


def test_the_slow_part_is_done_once_per_password(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def make(password: str, *salts: bytes) -> Verifier:
        made.append(password)
        return Verifier(*salts, pow(DH_GENERATOR, 1000 + len(password), DH_PRIME))

    monkeypatch.setattr("sandbox.logins.make_verifier", make)
    logins = Logins(Clock())
    thread = threading.Thread(target=logins.verifier, args=(7, "one"))
    thread.start()
    thread.join()
    for _ in range(3):
        asked = logins.challenge(account())
        with pytest.raises(LoginError, match="PASSWORD_HASH_INVALID"):
            logins.check_password(account(), asked.id, b"\2" * KEY_BYTES, bytes(32))
    asked = logins.challenge(account())
    for other in ("", "two"):  # neither a new password nor none is worked on to say that it is another
        asked = logins.challenge(account())
        with pytest.raises(LoginError, match="SRP_PASSWORD_CHANGED"):
            logins.check_password(account(password=other), asked.id, b"\2" * KEY_BYTES, bytes(32))
    assert made == ["one"]
    logins.challenge(account(password="two"))
    assert made == ["one", "two"]


def test_what_is_under_way_is_bounded_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed = Challenge(Verifier(b"1", b"2", 3), 0, 5, 7)
    numbers = iter(range(1, 10_000))
    monkeypatch.setattr(
        "sandbox.logins.Challenge.make", lambda verifier: Challenge(verifier, next(numbers), fixed.secret, fixed.public)
    )
    monkeypatch.setattr("sandbox.logins.make_verifier", lambda *_: fixed.verifier)
    logins = Logins(Clock())
    challenges = [logins.challenge(account()) for _ in range(MAX_UNDER_WAY + 1)]
    keys = [AuthKey(secrets.token_bytes(KEY_BYTES), 7) for _ in range(MAX_UNDER_WAY + 1)]
    tokens = [logins.new_token(key, ()) for key in keys[:2]]
    handed = [logins.hand_over(key, 204) for key in keys]
    codes = [logins.send_code(keys[0], f"99966{number:05}") for number in range(MAX_UNDER_WAY + 1)]
    with pytest.raises(LoginError, match="SRP_ID_INVALID"):
        logins.check_password(account(), challenges[0].id, b"\2" * KEY_BYTES, bytes(32))
    with pytest.raises(LoginError, match="PASSWORD_HASH_INVALID"):
        logins.check_password(account(), challenges[1].id, b"\2" * KEY_BYTES, bytes(32))
    with pytest.raises(LoginError, match="AUTH_BYTES_INVALID"):
        logins.take_over(*handed[0], 204)
    assert logins.take_over(*handed[1], 204) is keys[1]
    with pytest.raises(LoginError, match="PHONE_CODE_EXPIRED"):
        logins.code(keys[0], "9996600000", codes[0].hash)
    assert logins.code(keys[0], "9996600001", codes[1].hash) is codes[1]
    assert logins.token(tokens[0].token) is tokens[0]
    for _ in range(MAX_UNDER_WAY - 1):
        logins.new_token(AuthKey(secrets.token_bytes(KEY_BYTES)), ())
    with pytest.raises(LoginError, match="AUTH_TOKEN_INVALID"):
        logins.token(tokens[0].token)
    assert logins.token(tokens[1].token) is tokens[1]
