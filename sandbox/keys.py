"""Auth keys: who owns which, the layer it speaks, whether it wants updates. They outlive connections and restarts."""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.crypto import KEY_BYTES, auth_key_id

Json = dict[str, object]

MAX_STRANGERS = 1000


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
    id: bytes = b""

    def __post_init__(self) -> None:
        self.id = auth_key_id(self.key)

    def row(self) -> Json:
        return {
            "key": self.key.hex(),
            "account": self.account_id,
            "layer": self.layer,
            "wants_updates": self.wants_updates,
            "name": self.name,
        }


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
            }:
                loaded = AuthKey(bytes.fromhex(key), account, layer, wants, name)
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

    def rows(self) -> list[Json]:
        return [key.row() for key in self._keys.values()]

    def find(self, key_id: bytes) -> AuthKey | None:
        return self._keys.get(key_id)

    def add(self, key: bytes, account_id: int = 0, name: str = "") -> AuthKey:
        made = AuthKey(key, account_id, name=name)
        self._keep(made)
        self._save(made.row())
        return made

    def mint(self, account_id: int, name: str = "") -> AuthKey:
        """A key bound to an account; with a name, the same one each time."""
        if name:
            for key in self._keys.values():
                if (key.account_id, key.name) == (account_id, name):
                    return key
        # A first byte of 0 would be dropped by clients that keep keys as numbers.
        return self.add(b"\x80" + secrets.token_bytes(KEY_BYTES - 1), account_id, name)

    def change(
        self,
        key: AuthKey,
        *,
        account_id: int | None = None,
        layer: int | None = None,
        wants_updates: bool | None = None,
    ) -> None:
        before = (key.account_id, key.layer, key.wants_updates)
        key.account_id = key.account_id if account_id is None else account_id
        key.layer = key.layer if layer is None else layer
        key.wants_updates = key.wants_updates if wants_updates is None else wants_updates
        if before != (key.account_id, key.layer, key.wants_updates):
            self._keep(key)
            self._save(key.row())
