"""MTProto 2.0 ciphers, seen from the server: AES-IGE envelopes, the RSA key, Diffie-Hellman constants.

Source of every formula: https://core.telegram.org/mtproto/description and https://core.telegram.org/mtproto/auth_key.
"""

import secrets
from dataclasses import dataclass
from hashlib import sha1, sha256
from typing import Self

import cryptg
import gmpy2
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

DH_PRIME = int(
    "c71caeb9c6b1c9048e6c522f70f13f73980d40238e3e21c14934d037563d930f"
    "48198a0aa7c14058229493d22530f4dbfa336f6e0ac925139543aed44cce7c37"
    "20fd51f69458705ac68cd4fe6b6b13abdc9746512969328454f18faf8c595f64"
    "2477fe96bb2a941d5bcd1d4ac8cc49880708fa9b378e3c4f3a9060bee67cf9a4"
    "a4a695811051907e162753b56b0f6b410dba74d8a84b2a14b3144e0ef1284754"
    "fd17ed950d5965b4b9dd46582db1178d169c6bc465b0d6ff9ca3928fef5b9ae4"
    "e418fc15e83ebea0f87fa9ff5eed70050ded2849f47bf959d956850ce929851f"
    "0d8115f635b105ee2e4e15d04b2454bf6f4fadf034b10403119cd8e3b92fcc5b",
    16,
)
"""Telegram's own prime: clients that check it know this one and skip the slow primality test."""
DH_GENERATOR = 3
KEY_BYTES = 256


class CipherError(Exception):
    """Bytes that this cipher can't have written: a wrong key, a damaged packet or an attack."""


def ige_encrypt(plain: bytes, key: bytes, iv: bytes) -> bytes:
    return bytes(cryptg.encrypt_ige(plain, key, iv))


def ige_decrypt(cipher: bytes, key: bytes, iv: bytes) -> bytes:
    return bytes(cryptg.decrypt_ige(cipher, key, iv))


def auth_key_id(auth_key: bytes) -> bytes:
    """The eight bytes that stand before every encrypted packet."""
    return sha1(auth_key, usedforsecurity=False).digest()[-8:]


def _message_keys(auth_key: bytes, msg_key: bytes, x: int) -> tuple[bytes, bytes]:
    a = sha256(msg_key + auth_key[x : x + 36]).digest()
    b = sha256(auth_key[x + 40 : x + 76] + msg_key).digest()
    return a[:8] + b[8:24] + a[24:32], b[:8] + a[8:24] + b[24:32]


def seal(auth_key: bytes, key_id: bytes, plain: bytes) -> bytes:
    """Wrap a server's message (salt, session id and message) into a packet."""
    padded = plain + secrets.token_bytes(-(len(plain) + 12) % 16 + 12)
    msg_key = sha256(auth_key[96:128] + padded).digest()[8:24]
    return key_id + msg_key + ige_encrypt(padded, *_message_keys(auth_key, msg_key, 8))


def unseal(auth_key: bytes, packet: bytes) -> bytes:
    """Open a client's packet. Raises CipherError when it wasn't sealed with this key."""
    cipher = packet[24:]
    if len(cipher) < 48 or len(cipher) % 16:
        raise CipherError("the packet's length fits no encrypted message")
    msg_key = packet[8:24]
    plain = ige_decrypt(cipher, *_message_keys(auth_key, msg_key, 0))
    if sha256(auth_key[88:120] + plain).digest()[8:24] != msg_key:
        raise CipherError("msg_key doesn't match the packet")
    return plain


def nonce_keys(server_nonce: bytes, new_nonce: bytes) -> tuple[bytes, bytes]:
    """The temporary AES key and iv of the key exchange."""
    ns = sha1(new_nonce + server_nonce, usedforsecurity=False).digest()
    sn = sha1(server_nonce + new_nonce, usedforsecurity=False).digest()
    nn = sha1(new_nonce + new_nonce, usedforsecurity=False).digest()
    return ns + sn[:12], sn[12:] + nn + new_nonce[:4]


def power(base: int, exponent: int, modulus: int) -> int:
    """``base ** exponent % modulus``. With 2,048 bits GMP takes 5 ms, Python's own ``pow`` 30."""
    return int(gmpy2.powmod(base, exponent, modulus))


@dataclass(frozen=True, slots=True, repr=False)
class ServerKey:
    """The RSA key by which clients know this data centre."""

    private: rsa.RSAPrivateKey
    n: int
    e: int
    d: int

    @classmethod
    def generate(cls) -> Self:
        """Its fingerprint doesn't begin with a zero in hexadecimal: mtcute 0.30 doesn't find such a key again."""
        while True:
            made = cls._of(rsa.generate_private_key(public_exponent=65537, key_size=2048))
            if made.fingerprint() % 2**64 >> 60:
                return made

    @classmethod
    def load(cls, pem: bytes) -> Self:
        """Raises ValueError when the text is no RSA private key."""
        key = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError("the key is not an RSA key")  # noqa: TRY004 - the caller's decision is about the file's value
        return cls._of(key)

    @classmethod
    def _of(cls, key: rsa.RSAPrivateKey) -> Self:
        numbers = key.private_numbers()
        return cls(key, numbers.public_numbers.n, numbers.public_numbers.e, numbers.d)

    def private_pem(self) -> bytes:
        return self.private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )

    def public_pem(self) -> str:
        """PKCS#1, the form `telethon.crypto.rsa.add_key` wants."""
        public = self.private.public_key()
        return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1).decode()

    def fingerprint(self) -> int:
        digest = sha1(tl_bytes(_big_endian(self.n)) + tl_bytes(_big_endian(self.e)), usedforsecurity=False).digest()
        return int.from_bytes(digest[-8:], "little", signed=True)

    def decrypt_inner_data(self, cipher: bytes) -> bytes:
        """The client's p_q_inner_data, trailing padding included, from RSA_PAD or from the older SHA1 padding.

        Raises CipherError when it is neither.
        """
        if len(cipher) != KEY_BYTES:
            raise CipherError("RSA data must be 256 bytes long")
        block = power(int.from_bytes(cipher, "big"), self.d, self.n).to_bytes(KEY_BYTES, "big")
        data = _rsa_unpad(block)
        if data is not None:
            return data
        if block[0] != 0:
            raise CipherError("the RSA padding is neither RSA_PAD nor the older one")
        # sha1(data) + data + padding; where data ends only TL can tell, so the caller checks the hash.
        return block[1:]


def _rsa_unpad(block: bytes) -> bytes | None:
    """Undo RSA_PAD; None when the hash inside says that it wasn't used."""
    sealed = block[32:]
    mask = sha256(sealed).digest()
    temp_key = bytes(a ^ b for a, b in zip(block[:32], mask, strict=True))
    plain = ige_decrypt(sealed, temp_key, bytes(32))
    padded = plain[:192][::-1]
    return padded if sha256(temp_key + padded).digest() == plain[192:] else None


def tl_bytes(value: bytes) -> bytes:
    """TL's `bytes`: length, content, padding to four."""
    head = bytes([len(value)]) if len(value) < 254 else b"\xfe" + len(value).to_bytes(3, "little")
    return head + value + bytes(-(len(head) + len(value)) % 4)


def _big_endian(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
