"""Answers as older clients know them."""

from typing import Any

from telethon.tl import types
from telethon.tl.alltlobjects import LAYER

from sandbox.codec.raw import Raw

_OLDER = {types.User: 0x31774388, types.Channel: 0x1C32B11C}
"""Until layer 229 these had another constructor, which lacked one optional field; it is never set here."""
_HOLDERS = ("users", "chats", "user", "chat", "authorization")
"""Where answers hold users and channels."""


def spoken_in(layer: int, answer: Any) -> Any:
    """An answer as a client of this layer knows it. Clients of layers before 227 may still find strangers in it."""
    if layer >= LAYER:
        return answer
    if isinstance(answer, list | tuple):
        return [spoken_in(layer, item) for item in answer]
    if older := _OLDER.get(type(answer)):
        return Raw(older.to_bytes(4, "little") + bytes(answer)[4:])
    for name in _HOLDERS:
        if (held := getattr(answer, name, None)) is not None:
            setattr(answer, name, spoken_in(layer, held))
    return answer
