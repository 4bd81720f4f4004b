"""Sign-ins that are under way: codes, passwords, QR tokens, and what one data centre hands over to the other."""

import secrets
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeVar

from sandbox.clock import Clock
from sandbox.keys import AuthKey
from sandbox.srp import Challenge, Verifier, make_verifier
from sandbox.world import Account

CODE_LIFETIME = 300.0
"""Seconds that a sign-in code is good."""
TOKEN_LIFETIME = 30.0
"""Seconds that a QR code can be scanned, as with the service."""
HANDOVER_LIFETIME = 60.0
"""Seconds that an exported authorization can be imported."""
MAX_UNDER_WAY = 1_000
"""Of each kind: the oldest goes, as anybody can begin a sign-in."""

K = TypeVar("K")
V = TypeVar("V")


class LoginError(Exception):
    """A sign-in can't go on; the text is the service's word for it."""


@dataclass(slots=True)
class LoginCode:
    code: str
    hash: str
    expires: float
    sent_again: bool = False


@dataclass(slots=True)
class LoginToken:
    """What a QR code shows: whoever scans it lets the key in that asked for it."""

    token: bytes
    key: AuthKey
    expires: float
    except_ids: frozenset[int]
    account_id: int = 0
    """Who accepted it; 0 while it waits."""


@dataclass(frozen=True, slots=True)
class _Handover:
    key: AuthKey
    account_id: int
    dc_id: int
    secret: bytes
    expires: float


class Logins:
    """Nothing of it outlives a restart: clients begin anew."""

    def __init__(self, clock: Clock) -> None:
        self._codes: OrderedDict[tuple[str, bytes], LoginCode] = OrderedDict()
        """By phone number and the key that asked: a code is good for no other."""
        self.takeouts: dict[bytes, int] = {}
        """Open takeout sessions, by the key's id."""
        self._clock = clock
        self._verifiers: dict[int, tuple[str, Verifier]] = {}
        self._challenges: OrderedDict[int, tuple[int, str, Challenge]] = OrderedDict()
        self._tokens: OrderedDict[bytes, LoginToken] = OrderedDict()
        self._handovers: OrderedDict[int, _Handover] = OrderedDict()

    # Codes

    def send_code(self, key: AuthKey, phone: str, *, again: bool = False) -> LoginCode:
        """A new code; the one that this key asked for before is void, others' stay."""
        now = self._clock.moment()
        for old in [place for place, sent in self._codes.items() if sent.expires <= now]:
            del self._codes[old]
        code = f"{secrets.randbelow(90_000) + 10_000}"
        sent = LoginCode(code, secrets.token_hex(9), now + CODE_LIFETIME, again)
        self.drop_code(key, phone)
        _keep(self._codes, (phone, key.id), sent)
        return sent

    def code(self, key: AuthKey, phone: str, code_hash: str) -> LoginCode:
        """The code that waits for a phone. Raises LoginError when the key has none of this hash, or no more."""
        sent = self._codes.get((phone, key.id))
        if sent is None or sent.hash != code_hash or self._clock.moment() >= sent.expires:
            raise LoginError("PHONE_CODE_EXPIRED")
        return sent

    def drop_code(self, key: AuthKey, phone: str) -> None:
        self._codes.pop((phone, key.id), None)

    def newest_code(self, phone: str) -> str | None:
        """What the phone would show: the last code it was sent; None while none waits."""
        now = self._clock.moment()
        sent = (sent for (number, _), sent in reversed(self._codes.items()) if number == phone and sent.expires > now)
        return next((each.code for each in sent), None)

    # Passwords

    def verifier(self, account_id: int, password: str) -> Verifier:
        """What is kept of a password. Takes a tenth of a second the first time; may be called from any thread."""
        known = self._verifiers.get(account_id)
        if known is None or known[0] != password:
            salts = [blake2b(f"{account_id}/{n}".encode(), digest_size=16 + n * 8).digest() for n in (1, 2)]
            known = self._verifiers[account_id] = (password, make_verifier(password, *salts))
        return known[1]

    def challenge(self, account: Account) -> Challenge:
        made = Challenge.make(self.verifier(account.id, account.password))
        _keep(self._challenges, made.id, (account.id, account.password, made))
        return made

    def check_password(self, account: Account, srp_id: int, share: bytes, proof: bytes) -> None:
        """Raises LoginError for a challenge that isn't this account's open one, and for a wrong password."""
        account_id, password, challenge = self._challenges.pop(srp_id, (0, "", None))
        if challenge is None or account_id != account.id:
            raise LoginError("SRP_ID_INVALID")
        if password != account.password:  # changed since the challenge was made
            raise LoginError("SRP_PASSWORD_CHANGED")
        try:
            right = challenge.proves(share, proof)
        except ValueError as error:
            raise LoginError("SRP_A_INVALID") from error
        if not right:
            raise LoginError("PASSWORD_HASH_INVALID")

    # QR codes

    def accepted_token(self, key: AuthKey) -> LoginToken | None:
        """The key's token that somebody has scanned, if it is still good."""
        now = self._clock.moment()
        mine = (row for row in self._tokens.values() if row.key is key and row.account_id and row.expires > now)
        return next(mine, None)

    def new_token(self, key: AuthKey, except_ids: Iterable[int]) -> LoginToken:
        """A token to show; `expires` is by the clock's moments. The ones that the key showed before are void."""
        self.drop_tokens(key)
        expires = self._clock.moment() + TOKEN_LIFETIME
        made = LoginToken(secrets.token_bytes(32), key, expires, frozenset(except_ids))
        _keep(self._tokens, made.token, made)
        return made

    def drop_tokens(self, key: AuthKey) -> None:
        """What the key shows is void: it signs in or out in another way."""
        for token in [token for token, row in self._tokens.items() if row.key is key]:
            del self._tokens[token]

    def token(self, token: bytes) -> LoginToken:
        """Raises LoginError for a token that isn't known, or isn't good any more."""
        found = self._tokens.get(token)
        if found is None:
            raise LoginError("AUTH_TOKEN_INVALID")
        if found.expires <= self._clock.moment():
            raise LoginError("AUTH_TOKEN_EXPIRED")
        return found

    def accept_token(self, token: bytes, account: Account) -> LoginToken:
        """As if the account had scanned the code. Raises LoginError."""
        found = self.token(token)
        if found.account_id:
            raise LoginError("AUTH_TOKEN_ALREADY_ACCEPTED")
        if account.id in found.except_ids:
            raise LoginError("AUTH_TOKEN_EXCEPTION")
        found.account_id = account.id
        return found

    def use_token(self, found: LoginToken) -> None:
        """The token has done its work."""
        self._tokens.pop(found.token, None)

    # From one data centre to the other

    def hand_over(self, key: AuthKey, dc_id: int) -> tuple[int, bytes]:
        """An id and a secret by which the other data centre lets another key of the account in, once."""
        number, secret = secrets.randbits(62) | 1, secrets.token_bytes(96)
        expires = self._clock.moment() + HANDOVER_LIFETIME
        _keep(self._handovers, number, _Handover(key, key.account_id, dc_id, secret, expires))
        return number, secret

    def take_over(self, number: int, secret: bytes, dc_id: int) -> AuthKey:
        """The key whose authorization was handed over. Raises LoginError, also when that has ended since."""
        found = self._handovers.pop(number, None)
        good = found and secrets.compare_digest(found.secret, secret) and found.dc_id == dc_id
        if found is None or not good or found.expires <= self._clock.moment():
            raise LoginError("AUTH_BYTES_INVALID")
        if found.key.refusal or found.key.account_id != found.account_id:
            raise LoginError("AUTH_BYTES_INVALID")
        return found.key


def _keep(rows: OrderedDict[K, V], key: K, value: V) -> None:
    rows[key] = value
    if len(rows) > MAX_UNDER_WAY:
        rows.popitem(last=False)
