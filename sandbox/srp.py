"""The second factor: SRP as https://core.telegram.org/api/srp has it, from the server's side."""

import hmac
import secrets
from dataclasses import dataclass, field
from hashlib import pbkdf2_hmac, sha256

from sandbox.crypto import DH_GENERATOR, DH_PRIME, KEY_BYTES, power

ROUNDS = 100_000
"""Of PBKDF2, about a tenth of a second."""


def _padded(number: int) -> bytes:
    return number.to_bytes(KEY_BYTES, "big")


def _hash(*parts: bytes) -> bytes:
    return sha256(b"".join(parts)).digest()


_P, _G = _padded(DH_PRIME), _padded(DH_GENERATOR)
_K = int.from_bytes(_hash(_P, _G), "big")
_MASK = bytes(p ^ g for p, g in zip(_hash(_P), _hash(_G), strict=True))


@dataclass(frozen=True, slots=True)
class Verifier:
    """What a server keeps of a password."""

    salt1: bytes
    salt2: bytes
    number: int = field(repr=False)


def make_verifier(password: str, salt1: bytes, salt2: bytes) -> Verifier:
    """Takes about a tenth of a second."""
    inner = _hash(salt2, _hash(salt1, password.encode(), salt1), salt2)
    slow = pbkdf2_hmac("sha512", inner, salt1, ROUNDS)
    x = int.from_bytes(_hash(salt2, slow, salt2), "big")
    return Verifier(salt1, salt2, power(DH_GENERATOR, x, DH_PRIME))


@dataclass(frozen=True, slots=True)
class Challenge:
    """One attempt at a password: made when a client asks for it, good for one answer."""

    verifier: Verifier
    id: int
    secret: int = field(repr=False)
    public: int

    @classmethod
    def make(cls, verifier: Verifier) -> "Challenge":
        while True:
            secret = secrets.randbits(2048)
            share = power(DH_GENERATOR, secret, DH_PRIME)
            # Clients refuse a share that is much smaller than the prime, or much closer to it.
            if share.bit_length() > 2048 - 64 < (DH_PRIME - share).bit_length():
                break
        public = (_K * verifier.number + share) % DH_PRIME
        return cls(verifier, secrets.randbits(62) | 1, secret, public)

    def proves(self, share: bytes, proof: bytes) -> bool:
        """Whether `proof` (M1) could only come from who knows the password.

        Raises ValueError when `share` (A) is no number that a client may take.
        """
        a = int.from_bytes(share, "big")
        if len(share) > KEY_BYTES or not 0 < a < DH_PRIME:
            raise ValueError("A isn't within the prime")
        u = int.from_bytes(_hash(_padded(a), _padded(self.public)), "big")
        s = power(a * power(self.verifier.number, u, DH_PRIME), self.secret, DH_PRIME)
        salts = _hash(self.verifier.salt1), _hash(self.verifier.salt2)
        expected = _hash(_MASK, *salts, _padded(a), _padded(self.public), _hash(_padded(s)))
        return hmac.compare_digest(expected, proof)
