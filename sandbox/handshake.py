"""The exchange that makes an auth key: req_pq_multi, req_DH_params, set_client_DH_params.

https://core.telegram.org/mtproto/auth_key
"""

import secrets
import time
from collections.abc import Callable
from hashlib import sha1
from typing import Any

from telethon.tl import functions, types

from sandbox.crypto import (
    DH_GENERATOR,
    DH_PRIME,
    KEY_BYTES,
    CipherError,
    ServerKey,
    ige_decrypt,
    ige_encrypt,
    nonce_keys,
    power,
)
from sandbox.envelope import UnknownConstructorError, read_object

# Factors below 46,341 keep pq within 31 bits: positive to clients that read it as signed, and factored at once.
_SMALL_PRIMES = tuple(n for n in range(40001, 46341, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2)))
_INNER = (types.PQInnerData, types.PQInnerDataDc, types.PQInnerDataTemp, types.PQInnerDataTempDc)
_SAFE = 1 << (2048 - 64)


class HandshakeError(Exception):
    """The client broke the exchange; the connection ends."""


class Handshake:
    """One connection's key exchange; it may be repeated on the same connection."""

    def __init__(self, server_key: ServerKey, now: Callable[[], float] = time.time) -> None:
        self._server_key = server_key
        self._now = now
        self._nonce = 0
        self._server_nonce = 0
        self._pq = b""
        self._new_nonce = b""
        self._secret = 0

    def answer(self, body: bytes) -> tuple[bytes, bytes | None]:
        """Answer one unencrypted request: the reply and, with the last one, the finished auth key.

        Raises HandshakeError when the request can't follow what came before.
        """
        try:
            request, _ = read_object(body)
            match request:
                case functions.ReqPqMultiRequest() | functions.ReqPqRequest():
                    return bytes(self._res_pq(request)), None
                case functions.ReqDHParamsRequest():
                    return bytes(self._dh_params(request)), None
                case functions.SetClientDHParamsRequest():
                    reply, auth_key = self._dh_gen(request)
                    return bytes(reply), auth_key
                case types.MsgsAck():
                    return b"", None
        except (CipherError, UnknownConstructorError, ValueError) as error:
            raise HandshakeError(str(error)) from error
        raise HandshakeError(f"{type(request).__name__} is no step of the key exchange")

    def _res_pq(self, request: Any) -> Any:
        p, q = sorted(secrets.SystemRandom().sample(_SMALL_PRIMES, 2))
        self._pq = (p * q).to_bytes(8, "big").lstrip(b"\0")
        self._nonce = request.nonce
        self._server_nonce = int.from_bytes(secrets.token_bytes(16), "little", signed=True)
        return types.ResPQ(self._nonce, self._server_nonce, self._pq, [self._server_key.fingerprint()])

    def _check_nonces(self, message: Any) -> None:
        if not self._server_nonce or (message.nonce, message.server_nonce) != (self._nonce, self._server_nonce):
            raise HandshakeError("the nonces aren't those of this exchange")

    def _read_inner(self, cipher: bytes) -> Any:
        data = self._server_key.decrypt_inner_data(cipher)
        hashed = len(data) == KEY_BYTES - 1
        inner, length = read_object(data[20:] if hashed else data)
        if hashed and sha1(data[20 : 20 + length], usedforsecurity=False).digest() != data[:20]:
            raise HandshakeError("the hash of p_q_inner_data is wrong")
        if not isinstance(inner, _INNER):
            raise HandshakeError(f"{type(inner).__name__} is no p_q_inner_data")
        return inner

    def _dh_params(self, request: Any) -> Any:
        self._check_nonces(request)
        inner = self._read_inner(request.encrypted_data)
        self._check_nonces(inner)
        if inner.pq != self._pq or int.from_bytes(inner.p, "big") * int.from_bytes(inner.q, "big") != int.from_bytes(
            self._pq, "big"
        ):
            raise HandshakeError("p and q aren't the factors of pq")
        self._new_nonce = inner.new_nonce.to_bytes(32, "little", signed=True)
        self._secret, g_a = _secret_and_public()
        answer = bytes(
            types.ServerDHInnerData(
                nonce=self._nonce,
                server_nonce=self._server_nonce,
                g=DH_GENERATOR,
                dh_prime=DH_PRIME.to_bytes(KEY_BYTES, "big"),
                g_a=g_a.to_bytes(KEY_BYTES, "big"),
                server_time=int(self._now()),
            )
        )
        hashed = sha1(answer, usedforsecurity=False).digest() + answer
        padded = hashed + secrets.token_bytes(-len(hashed) % 16)
        return types.ServerDHParamsOk(self._nonce, self._server_nonce, ige_encrypt(padded, *self._keys()))

    def _keys(self) -> tuple[bytes, bytes]:
        return nonce_keys(self._server_nonce.to_bytes(16, "little", signed=True), self._new_nonce)

    def _dh_gen(self, request: Any) -> tuple[Any, bytes]:
        self._check_nonces(request)
        if not self._secret or len(request.encrypted_data) % 16:
            raise HandshakeError("set_client_DH_params came out of order")
        plain = ige_decrypt(request.encrypted_data, *self._keys())
        inner, length = read_object(plain[20:])
        if sha1(plain[20 : 20 + length], usedforsecurity=False).digest() != plain[:20]:
            raise HandshakeError("the hash of client_DH_inner_data is wrong")
        if not isinstance(inner, types.ClientDHInnerData):
            raise HandshakeError(f"{type(inner).__name__} is no client_DH_inner_data")
        self._check_nonces(inner)
        g_b = int.from_bytes(inner.g_b, "big")
        if not _SAFE <= g_b <= DH_PRIME - _SAFE:
            raise HandshakeError("g_b isn't within the safe range")
        auth_key = power(g_b, self._secret, DH_PRIME).to_bytes(KEY_BYTES, "big")
        aux = sha1(auth_key, usedforsecurity=False).digest()[:8]
        proof = sha1(self._new_nonce + b"\x01" + aux, usedforsecurity=False).digest()[4:20]
        reply = types.DhGenOk(self._nonce, self._server_nonce, int.from_bytes(proof, "little", signed=True))
        self._secret = self._server_nonce = 0
        return reply, auth_key


def _secret_and_public() -> tuple[int, int]:
    while True:
        secret = secrets.randbits(2048)
        public = power(DH_GENERATOR, secret, DH_PRIME)
        if _SAFE <= public <= DH_PRIME - _SAFE:
            return secret, public
