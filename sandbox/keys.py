"""Auth keys: who owns which, the layer it speaks, whether it wants updates. They outlive connections and restarts."""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.crypto import KEY_BYTES, auth_key_id
from sandbox.world import DC_ID

Json = dict[str, object]

MAX_STRANGERS = 1000


@dataclass(frozen=True, slots=True)
class Device:
    """What a client's initConnection said of itself."""

    api_id: int = 0
    model: str = ""
    system: str = ""
    app: str = ""

    def row(self) -> list[object]:
        return [self.api_id, self.model, self.system, self.app]


@dataclass(slots=True)
class AuthKey:
    key: bytes = field(repr=False)
    account_id: int = 0
    """0 until somebody signs in."""
    layer: int = 0
    """0 until initConnection told it; clients don't repeat that after a reconnect."""
    wants_updates: bool = True
    name: str = ""
    """Set for a stable session that the control interface handed out by name."""
    dc_id: int = DC_ID
    """The data centre that made it; the others don't know it."""
    refusal: str = ""
    """The error that answers every call since the key was revoked; '' while it is good."""
    device: Device = Device()
    created: int = 0
    active: int = 0
    """When it last signed in or was used for a new connection."""
    parent: str = ""
    """The hex id of the key whose authorization was handed over to it, and with which it ends."""
    id: bytes = b""
    awaits_password: int = 0
    """The account whose code was right and whose password is still to come; forgotten by a restart."""
    use: "Use" = field(default_factory=lambda: Use())  # noqa: PLW0108 - the class comes below

    def __post_init__(self) -> None:
        self.id = auth_key_id(self.key)

    def row(self) -> Json:
        return {
            "key": self.key.hex(),
            "account": self.account_id,
            "layer": self.layer,
            "wants_updates": self.wants_updates,
            "name": self.name,
            "dc_id": self.dc_id,
            "refusal": self.refusal,
            "device": self.device.row(),
            "created": self.created,
            "active": self.active,
            "parent": self.parent,
        }

    @property
    def root(self) -> str:
        """The same for all keys of one authorization: of the key that signed in, and of those it was handed over to."""
        return self.parent or self.id.hex()


class Use:
    """Which open connections call with a key, to see whether two of them do so at once."""

    def __init__(self) -> None:
        self._open: dict[object, int] = {}
        """With the number of each one's unanswered calls."""
        self._last: object = None
        self._overtaken: set[object] = set()

    def others(self, connection: object) -> int:
        """How many other open connections have called with the key."""
        return len(self._open) - (connection in self._open)

    def begin(self, connection: object) -> bool:
        """Note a call. Whether it is parallel: over a connection that another overtook, or beside its open call."""
        parallel = connection in self._overtaken or any(
            calls for other, calls in self._open.items() if other is not connection
        )
        if self._last is not connection and self._last in self._open:
            self._overtaken.add(self._last)
        self._last = connection
        self._open[connection] = self._open.get(connection, 0) + 1
        return parallel

    def end(self, connection: object) -> None:
        """The call is answered."""
        if connection in self._open:
            self._open[connection] -= 1

    def close(self, connection: object) -> None:
        self._open.pop(connection, None)
        self._overtaken.discard(connection)
        if self._last is connection:
            self._last = None


class Keyring:
    """All auth keys of a data centre; `save` is told every change before anybody can rely on it."""

    def __init__(self, save: Callable[[Json], None] = lambda _: None) -> None:
        self._save = save
        self._keys: dict[bytes, AuthKey] = {}
        self._strangers: OrderedDict[bytes, None] = OrderedDict()

    def load(self, row: Json) -> None:
        """Take a saved row; a later row for the same key wins. Raises ValueError or TypeError for a damaged one."""
        match row:
            case {
                "key": str(key),
                "account": int(account),
                "layer": int(layer),
                "wants_updates": bool(wants),
                "name": str(name),
                "dc_id": int(dc_id),
                "refusal": str(refusal),
                "device": [int(api_id), str(model), str(system), str(app)],
                "created": int(created),
                "active": int(active),
                "parent": str(parent),
            }:
                loaded = AuthKey(
                    bytes.fromhex(key),
                    account,
                    layer,
                    wants,
                    name,
                    dc_id,
                    refusal,
                    Device(api_id, model, system, app),
                    created,
                    active,
                    parent,
                )
                self._keep(loaded)
            case _:
                raise ValueError(f"no auth key stands in {sorted(row)}")

    def _keep(self, key: AuthKey) -> None:
        """Hold a key. Keys that nobody signed in with are bounded: anybody can make one, the oldest goes."""
        self._keys[key.id] = key
        self._strangers.pop(key.id, None)
        if not key.account_id:
            self._strangers[key.id] = None
            if len(self._strangers) > MAX_STRANGERS:
                del self._keys[self._strangers.popitem(last=False)[0]]

    def settle(self) -> None:
        """After loading: what was handed over ends with whom it came from, though a kill came between the two rows."""
        for key in self._keys.values():
            giver = self._keys.get(bytes.fromhex(key.parent)) if key.parent else None
            if key.parent and (giver is None or giver.account_id != key.account_id or giver.refusal):
                key.refusal = giver.refusal if giver else ""
                key.account_id = key.account_id if key.refusal else 0
                key.parent = key.parent if key.refusal else ""

    def rows(self) -> list[Json]:
        return [key.row() for key in self._keys.values()]

    def find(self, key_id: bytes) -> AuthKey | None:
        return self._keys.get(key_id)

    def of(self, account_id: int) -> list[AuthKey]:
        """The keys that an account is signed in with."""
        return [key for key in self._keys.values() if key.account_id == account_id]

    def waiting_for(self, account_id: int) -> list[AuthKey]:
        """The keys that lack only the account's password."""
        return [key for key in self._keys.values() if key.awaits_password == account_id]

    def kin(self, key: AuthKey) -> list[AuthKey]:
        """The key, and those that hold its authorization at other data centres."""
        handed = [other for other in self.of(key.account_id) if other.parent == key.id.hex()] if key.account_id else []
        return [key, *handed]

    def add(self, key: bytes, account_id: int = 0, name: str = "", *, dc_id: int = DC_ID, at: int = 0) -> AuthKey:
        made = AuthKey(key, account_id, name=name, dc_id=dc_id, created=at, active=at)
        self._keep(made)
        self._save(made.row())
        return made

    def mint(self, account_id: int, name: str = "", *, dc_id: int = DC_ID, at: int = 0) -> AuthKey:
        """A key bound to an account; with a name, the same one each time unless it was revoked."""
        if name:
            for key in self.of(account_id):
                if (key.name, key.dc_id) == (name, dc_id) and not key.refusal:
                    return key
        # A first byte of 0 would be dropped by clients that keep keys as numbers.
        return self.add(b"\x80" + secrets.token_bytes(KEY_BYTES - 1), account_id, name, dc_id=dc_id, at=at)

    def change(self, key: AuthKey, **fields: Any) -> None:
        """Set fields of a key, and save it when that changes something."""
        before = key.row()
        for name, value in fields.items():
            setattr(key, name, value)
        if before != key.row():
            self._keep(key)
            self._save(key.row())
