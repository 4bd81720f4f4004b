"""Finished bytes that stand where a TL object could."""

from typing import Self


class Raw(bytes):
    """Finished bytes that stand where a TL object could: Telethon's writer asks for `_bytes` and nothing else."""

    __slots__ = ()

    sender: int = 0
    users: frozenset[int] = frozenset()
    channels: frozenset[int] = frozenset()

    def _bytes(self) -> bytes:
        return self


OF_A_LATER_LAYER = Raw(b"\xff\xfe\x1e\x7e")
"""A constructor that no schema has: a client can't read whatever holds it."""


class Naming(Raw):
    """A finished message that names others: who wrote it, and all whom an answer that holds it has to describe."""

    def __new__(cls, made: bytes, sender: int, users: frozenset[int], channels: frozenset[int]) -> Self:
        self = super().__new__(cls, made)
        self.sender, self.users, self.channels = sender, users, channels
        return self

    def out(self) -> Raw:
        """The message as its own writer sees it. Flags follow the constructor, and `out` is flags.1 in both kinds."""
        return Raw(self[:4] + (int.from_bytes(self[4:8], "little") | 2).to_bytes(4, "little") + self[8:])
