"""Server salts: a new one every half hour for each key, derived, so that they survive a restart."""

import struct
from hashlib import blake2b

from sandbox.clock import Clock
from sandbox.keys import AuthKey

SLOT = 1800


class Salts:
    """`epoch` is counted up to make every salt wrong at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.epoch = 0

    def _salt(self, key: AuthKey, slot: int) -> int:
        digest = blake2b(f"{self.epoch}/{slot}".encode(), digest_size=8, key=key.key[:64]).digest()
        return int.from_bytes(digest, "little", signed=True) or 1

    def current(self, key: AuthKey) -> int:
        return self._salt(key, self._clock.seconds() // SLOT)

    def accepts(self, key: AuthKey, salt: int) -> bool:
        """The last half hour's salt is still good, as is one fetched ahead for the next."""
        slot = self._clock.seconds() // SLOT
        return any(salt == self._salt(key, slot + step) for step in (0, -1, 1))

    def future(self, key: AuthKey, request_id: int, count: int) -> bytes:
        """A future_salts message; its vector is bare, which Telethon's writer doesn't do."""
        now = self._clock.seconds()
        first = now // SLOT
        slots = range(first, first + max(1, min(count, 64)))
        salts = b"".join(struct.pack("<iiq", slot * SLOT, (slot + 2) * SLOT, self._salt(key, slot)) for slot in slots)
        return struct.pack("<Iqii", 0xAE500895, request_id, now, len(slots)) + salts
