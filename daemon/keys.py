"""Seals sessions and answers with AES-256-GCM: a random data key for each, wrapped by the master key.

What is sealed, version 1: format byte | key id (8) | nonce (12) | wrapped data key (48) | nonce (12) | ciphertext.
Format, key id and account, or an answer's name, are authenticated with both parts: no blob opens in another's place.
"""

import base64
import binascii
import hashlib
import hmac
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
_SESSION, _ANSWER = b"telewarden session", b"telewarden answer"
"""What is sealed: neither opens as the other."""
_SHORTEST = _HEAD + _NONCE + _WRAPPED + _NONCE + 16


class MasterKeyRefused(Exception):
    """The master key can't be used as it lies there; the text says what to do."""


class MasterKeys:
    """Implements ``actors.ports.Keys``: seals with one key, and opens with that and with former ones."""

    def __init__(self, key: bytes, *former: bytes, file: Path | None = None) -> None:
        self._masters: dict[bytes, AESGCM] = {}
        self._digesting: dict[bytes, bytes] = {}
        self.file = file
        """Where the key lies, if this program may replace it there."""
        for each in (*former, key):
            self.adopt(each)

    def __repr__(self) -> str:
        return f"MasterKeys({self.current.hex()})"

    def adopt(self, key: bytes) -> None:
        """Seal with this key from now on; all that were known still open."""
        if len(key) != _KEY:
            raise ValueError(f"a master key has {_KEY} bytes, not {len(key)}")
        # Tells keys apart when they are rotated; says nothing of the key.
        self.current = hashlib.sha256(b"telewarden master key" + key).digest()[:_ID]
        self._masters[self.current] = AESGCM(key)
        self._digesting[self.current] = hashlib.sha256(b"telewarden digests" + key).digest()

    def forget_former(self) -> None:
        self._masters = {self.current: self._masters[self.current]}
        self._digesting = {self.current: self._digesting[self.current]}

    @property
    def has_former(self) -> bool:
        return len(self._masters) > 1

    def sealed_with(self, sealed: bytes) -> bytes:
        """The id of the key that a session was sealed with."""
        return sealed[1:_HEAD]

    def seal(self, account_id: AccountId, plain: bytes) -> bytes:
        return self._seal(_SESSION, _number(account_id), plain)

    def open(self, account_id: AccountId, sealed: bytes) -> bytes:
        """Raises: SessionRejected."""
        return self._open(_SESSION, _number(account_id), sealed, f"the session of account {account_id}")

    def seal_answer(self, name: bytes, plain: bytes) -> bytes:
        return self._seal(_ANSWER, name, plain)

    def open_answer(self, name: bytes, sealed: bytes) -> bytes:
        """Raises: SessionRejected."""
        return self._open(_ANSWER, name, sealed, "the answer")

    def digest(self, plain: bytes) -> bytes:
        """By which ``plain`` is known again, and which tells nobody without the key whether a guess is right."""
        return self.current + hmac.digest(self._digesting[self.current], plain, "sha256")

    def is_digest_of(self, digest: bytes, plain: bytes) -> bool | None:
        """None where the key that it was made with isn't known any more."""
        by = self._digesting.get(digest[:_ID])
        return None if by is None else hmac.compare_digest(digest[_ID:], hmac.digest(by, plain, "sha256"))

    def _seal(self, use: bytes, whose: bytes, plain: bytes) -> bytes:
        head = bytes((_FORMAT,)) + self.current
        bound = use + head + whose
        data_key = AESGCM.generate_key(_KEY * 8)
        wrap, nonce = secrets.token_bytes(_NONCE), secrets.token_bytes(_NONCE)
        wrapped = self._masters[self.current].encrypt(wrap, data_key, bound)
        return head + wrap + wrapped + nonce + AESGCM(data_key).encrypt(nonce, plain, bound)

    def _open(self, use: bytes, whose: bytes, sealed: bytes, what: str) -> bytes:
        head = sealed[:_HEAD]
        if len(sealed) < _SHORTEST or sealed[0] != _FORMAT:
            raise SessionRejected(f"{what} isn't in a format that this program knows")
        master = self._masters.get(head[1:])
        if master is None:
            raise SessionRejected(f"{what} was sealed with another master key ({head[1:].hex()})")
        bound = use + head + whose
        wrap, rest = sealed[_HEAD : _HEAD + _NONCE], sealed[_HEAD + _NONCE :]
        wrapped, nonce, text = rest[:_WRAPPED], rest[_WRAPPED : _WRAPPED + _NONCE], rest[_WRAPPED + _NONCE :]
        try:
            return AESGCM(master.decrypt(wrap, wrapped, bound)).decrypt(nonce, text, bound)
        except InvalidTag as error:
            raise SessionRejected(f"{what} was changed, or is another's") from error


def _number(account_id: AccountId) -> bytes:
    return int(account_id).to_bytes(8, "big", signed=True)


def load_master_keys(state_dir: Path, master_key_file: Path | None) -> MasterKeys:
    """The key in ``master_key_file``, else systemd's credential ``master_key``, else state_dir/master.key.

    Only the last is made if it doesn't exist. Beside each may lie a former key, as ``….former``, and the next one of a
    rotation that didn't come to its end, as ``….next``: both open sessions too. Raises: MasterKeyRefused.
    """
    if master_key_file is not None:
        return _load(master_key_file, file=master_key_file)
    if folder := os.environ.get("CREDENTIALS_DIRECTORY"):
        credential = Path(folder) / "master_key"
        if credential.exists():
            # systemd grants it by an access list, whose mask shows as the group's permission.
            return _load(credential, closed_to=stat.S_IRWXO)
    own = state_dir / "master.key"
    if not own.exists():
        _make(own)
    return _load(own, file=own)


def has_master_key(state_dir: Path, master_key_file: Path | None) -> bool:
    """Whether ``load_master_keys`` would find one; nothing is made."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    credential = None if folder is None else Path(folder) / "master_key"
    found = master_key_file or (credential if credential is not None and credential.exists() else None)
    return (found or state_dir / "master.key").exists()


def _load(path: Path, *, file: Path | None = None, closed_to: int = stat.S_IRWXG | stat.S_IRWXO) -> MasterKeys:
    beside = [other for other in (former_of(path), next_of(path)) if other.exists()]
    return MasterKeys(
        _read(path, closed_to=closed_to), *(_read(other, closed_to=closed_to) for other in beside), file=file
    )


def former_of(path: Path) -> Path:
    return path.with_name(path.name + (".former" if "." in path.name else "_former"))


def next_of(path: Path) -> Path:
    return path.with_name(path.name + ".next")


def begin_rotation(keys: MasterKeys) -> None:
    """Have sessions sealed with a new key from now on, which lies beside the present one until ``end_rotation``.

    One that lies there already is of a rotation that didn't come to its end: it is used. Blocking.
    Raises: MasterKeyRefused where the key isn't this program's to replace, or can't be.
    """
    if keys.file is None:
        raise MasterKeyRefused(
            "the master key is a credential of systemd, which only you can replace: give the unit the new key as "
            "credential master_key and the old one as master_key_former, and restart it"
        )
    path = next_of(keys.file)
    try:
        if not path.exists():
            _make(path)
    except OSError as error:
        raise MasterKeyRefused(
            f"no new master key can be made as {path}: {error.strerror}; where the folder isn't the daemon's to write, "
            f"put the new key in {keys.file.name} and the old one in {former_of(keys.file).name} yourself, and restart"
        ) from error
    keys.adopt(_read(path))


def end_rotation(keys: MasterKeys) -> None:
    """No session needs the former key any more: put the new one in its place. Blocking. Raises: MasterKeyRefused."""
    assert keys.file is not None, "no rotation was begun"
    try:
        next_of(keys.file).replace(keys.file)
        folder = os.open(keys.file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise MasterKeyRefused(f"the new master key can't be put in place of {keys.file}: {error.strerror}") from error
    keys.forget_former()


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
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


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
