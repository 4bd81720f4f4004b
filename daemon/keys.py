"""Seals sessions with AES-256-GCM: a random data key for each, wrapped by the master key.

A sealed session, version 1: format byte | key id (8) | nonce (12) | wrapped data key (48) | nonce (12) | ciphertext.
Format, key id and account are authenticated with both parts, so that no blob opens for another account.
"""

import base64
import binascii
import hashlib
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from actors.errors import SessionRejected
from actors.messages.ids import AccountId

_FORMAT = 1
_KEY = 32
_ID = 8
_NONCE = 12
_WRAPPED = _KEY + 16
_HEAD = 1 + _ID
_SHORTEST = _HEAD + _NONCE + _WRAPPED + _NONCE + 16


class MasterKeyRefused(Exception):
    """The master key can't be used as it lies there; the text says what to do."""


class MasterKeys:
    """Implements ``actors.ports.Keys``."""

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY:
            raise ValueError(f"a master key has {_KEY} bytes, not {len(key)}")
        self._master = AESGCM(key)
        # Tells keys apart when they are rotated; says nothing of the key.
        self._id = hashlib.sha256(b"telewarden master key" + key).digest()[:_ID]

    def __repr__(self) -> str:
        return f"MasterKeys({self._id.hex()})"

    def seal(self, account_id: AccountId, plain: bytes) -> bytes:
        head = bytes((_FORMAT,)) + self._id
        bound = _bound(head, account_id)
        data_key = AESGCM.generate_key(_KEY * 8)
        wrap, nonce = secrets.token_bytes(_NONCE), secrets.token_bytes(_NONCE)
        wrapped = self._master.encrypt(wrap, data_key, bound)
        return head + wrap + wrapped + nonce + AESGCM(data_key).encrypt(nonce, plain, bound)

    def open(self, account_id: AccountId, sealed: bytes) -> bytes:
        """Raises: SessionRejected."""
        head = sealed[:_HEAD]
        if len(sealed) < _SHORTEST or sealed[0] != _FORMAT:
            raise SessionRejected(f"the session of account {account_id} isn't in a format that this program knows")
        if head[1:] != self._id:
            raise SessionRejected(
                f"the session of account {account_id} was sealed with another master key ({head[1:].hex()})"
            )
        bound = _bound(head, account_id)
        wrap, rest = sealed[_HEAD : _HEAD + _NONCE], sealed[_HEAD + _NONCE :]
        wrapped, nonce, text = rest[:_WRAPPED], rest[_WRAPPED : _WRAPPED + _NONCE], rest[_WRAPPED + _NONCE :]
        try:
            return AESGCM(self._master.decrypt(wrap, wrapped, bound)).decrypt(nonce, text, bound)
        except InvalidTag as error:
            raise SessionRejected(
                f"the session of account {account_id} was changed, or is another account's"
            ) from error


def _bound(head: bytes, account_id: AccountId) -> bytes:
    return b"telewarden session" + head + int(account_id).to_bytes(8, "big", signed=True)


def load_master_keys(state_dir: Path, master_key_file: Path | None) -> MasterKeys:
    """The key in ``master_key_file``, else systemd's credential ``master_key``, else state_dir/master.key.

    Only the last is made if it doesn't exist. Raises: MasterKeyRefused.
    """
    if master_key_file is not None:
        return MasterKeys(_read(master_key_file))
    if folder := os.environ.get("CREDENTIALS_DIRECTORY"):
        credential = Path(folder) / "master_key"
        if credential.exists():
            # systemd grants it by an access list, whose mask shows as the group's permission.
            return MasterKeys(_read(credential, closed_to=stat.S_IRWXO))
    own = state_dir / "master.key"
    if not own.exists():
        _make(own)
    return MasterKeys(_read(own))


def _make(path: Path) -> None:
    """Written beside its place and linked: whoever comes second finds a whole key, and keeps it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, base64.b64encode(secrets.token_bytes(_KEY)) + b"\n")
        os.fsync(file)
    finally:
        os.close(file)
    try:
        path.hardlink_to(new)
    except FileExistsError:
        pass
    finally:
        new.unlink()


def _read(path: Path, *, closed_to: int = stat.S_IRWXG | stat.S_IRWXO) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(1024)
    except OSError as error:
        raise MasterKeyRefused(f"the master key {path} can't be read: {error.strerror}") from error
    if not stat.S_ISREG(mode) or mode & closed_to:
        raise MasterKeyRefused(f"the master key {path} can be read by others than its owner: chmod 600 {path}")
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error as error:
        raise MasterKeyRefused(f"the master key {path} isn't base64") from error
    if len(key) != _KEY:
        raise MasterKeyRefused(
            f"the master key {path} has {len(key)} bytes, not {_KEY}: make one with head -c 32 /dev/urandom | base64"
        )
    return key
