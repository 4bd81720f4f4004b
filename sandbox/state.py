"""The state directory: RSA key, auth keys, and a journal of everything that happened since the world was born."""

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, BinaryIO, get_args

from pydantic import Field, TypeAdapter

from sandbox.changes import Change
from sandbox.crypto import ServerKey
from sandbox.keys import Json
from sandbox.world import WorldError

LOCK_PATIENCE = 10.0
"""Seconds to wait for a predecessor that is just ending."""

_KINDS: dict[str, TypeAdapter[Change]] = {kind.__name__.lower(): TypeAdapter(kind) for kind in get_args(Change)}
_PORTS = TypeAdapter(dict[int, Annotated[int, Field(ge=1, le=65535)]])


class StateError(Exception):
    """The state directory can't be used; the text says what to do."""


def change_to_json(change: Change) -> Json:
    return {"op": type(change).__name__.lower(), **asdict(change)}


def change_from_json(row: Any) -> Change:
    """Raises ValueError, KeyError or TypeError for a row that is no change."""
    fields = dict(row)
    return _KINDS[fields.pop("op")].validate_python(fields)


class State:
    """One open state directory, locked while it is open. Blocking: files are small and local."""

    def __init__(self, folder: Path, lock: BinaryIO) -> None:
        self._folder = folder
        self._lock = lock
        self._journal: BinaryIO | None = None
        self._keys: BinaryIO | None = None

    @classmethod
    def open(cls, folder: Path, shape: Json, *, patience: float = LOCK_PATIENCE) -> "State":
        """Lock the directory, making it when it's missing.

        Raises:
            StateError: somebody else holds it, it can't be written, or it holds a world of another shape.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (folder / "lock").open("ab")
        except OSError as error:
            raise StateError(f"the state directory {folder} can't be used: {error}") from error
        try:
            _take(lock, folder, patience)
            state = cls(folder, lock)
            state._check_shape(shape)
            state._journal = _open_private(folder / "journal.jsonl")
            state._keys = _open_private(folder / "keys.jsonl")
        except OSError as error:
            lock.close()
            raise StateError(f"the state directory {folder} can't be used: {error}") from error
        except StateError:
            lock.close()
            raise
        return state

    def close(self) -> None:
        for file in (self._journal, self._keys, self._lock):
            if file is not None:
                file.close()

    def _check_shape(self, shape: Json) -> None:
        file = self._folder / "shape.json"
        if not file.exists():
            _write_private(file, json.dumps(shape).encode())
            return
        with suppress(ValueError):
            stored = json.loads(file.read_bytes())
            if stored == shape:
                return
            wrong = sorted(key for key in shape if not isinstance(stored, dict) or stored.get(key) != shape[key])
            raise StateError(
                f"{self._folder} holds a world made with other options ({', '.join(wrong)}): "
                "give the same options, use another --state directory, or delete this one"
            )
        raise StateError(f"{file} is damaged: use another --state directory, or delete this one")

    def server_key(self) -> ServerKey:
        file = self._folder / "rsa.pem"
        try:
            if file.exists():
                return ServerKey.load(file.read_bytes())
            key = ServerKey.generate()
            _write_private(file, key.private_pem())
        except (OSError, ValueError) as error:
            raise StateError(f"{file} is damaged ({error}): delete the state directory") from error
        return key

    def ports(self) -> dict[int, int]:
        """By data-centre id, where clients found it last time."""
        file = self._folder / "ports.json"
        if not file.exists():
            return {}
        try:
            return _PORTS.validate_json(file.read_bytes())
        except ValueError as error:
            raise StateError(f"{file} is damaged: delete it") from error

    def save_ports(self, ports: dict[int, int]) -> None:
        try:
            _write_private(self._folder / "ports.json", json.dumps(ports).encode())
        except OSError as error:
            raise StateError(f"{self._folder}/ports.json can't be written: {error}") from error

    def saved_keys(self) -> Iterator[Json]:
        yield from self._rows("keys.jsonl")

    def compact_keys(self, rows: list[Json]) -> None:
        """Rewrite the file of keys with one row each, now that all have been read."""
        file = self._folder / "keys.jsonl"
        try:
            _write_private(file, b"".join(_line(row) for row in rows))
            if self._keys:
                self._keys.close()
            self._keys = _open_private(file)
        except OSError as error:
            raise StateError(f"{file} can't be written: {error}") from error

    def save_key(self, row: Json) -> None:
        _append(self._keys, row)

    def saved_changes(self) -> Iterator[Change]:
        for row in self._rows("journal.jsonl"):
            try:
                yield change_from_json(row)
            except (ValueError, KeyError, TypeError, WorldError) as error:
                raise StateError(f"{self._folder}/journal.jsonl is damaged ({error}): delete the directory") from error

    def save_change(self, change: Change) -> None:
        _append(self._journal, change_to_json(change))

    def _rows(self, name: str) -> Iterator[Json]:
        file = self._folder / name
        data = file.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):  # a kill in the middle of a write; nobody was told of that row
            os.truncate(file, whole)
        for number, line in enumerate(data[:whole].splitlines(), start=1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise StateError(f"{file}, line {number} is damaged: delete the state directory") from error
            yield row


def _take(lock: BinaryIO, folder: Path, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise StateError(f"another sandbox holds {folder}: end it, or use another --state directory") from None
            time.sleep(0.05)
        else:
            return


def _append(file: BinaryIO | None, row: Json) -> None:
    if file is None:
        raise StateError("the state directory is closed")
    line = _line(row)
    written = file.write(line)
    if written != len(line):  # a full disk: half a row must not become the head of the next one
        os.ftruncate(file.fileno(), os.fstat(file.fileno()).st_size - (written or 0))
        raise OSError(errno.ENOSPC, "the state directory has no room left")


def _line(row: Json) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _open_private(path: Path) -> BinaryIO:
    # Unbuffered: a row is with the kernel, and survives our death, before anybody hears of it.
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab", buffering=0)  # noqa: PTH123 - Path.open takes no mode for a new file


def _write_private(path: Path, data: bytes) -> None:
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - as above
        file.write(data)
    part.replace(path)
