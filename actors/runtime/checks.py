"""Development mode: what a reply may not carry out of its actor."""

import dataclasses
from collections.abc import Awaitable, MutableMapping, MutableSequence, MutableSet
from typing import Any

from actors.runtime.errors import ReplyRefused

MUTABLE = (MutableSequence, MutableMapping, MutableSet)
PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes})


def check_reply(value: Any, path: str = "reply") -> None:
    """Refuse awaitables, mutable containers and Telethon's objects, also inside tuples and dataclasses.

    Raises:
        ReplyRefused: names the place and the class.
    """
    kind = type(value)
    if kind in PLAIN:
        return
    if isinstance(value, Awaitable):
        raise ReplyRefused(f"{path} is a {kind.__name__}: await it in the handler")
    if isinstance(value, MUTABLE):
        raise ReplyRefused(f"{path} is a mutable {kind.__name__}: reply with a tuple, a frozenset or a dataclass")
    if kind.__module__.partition(".")[0] == "telethon":
        raise ReplyRefused(f"{path} is Telethon's {kind.__name__}: translate it at the border")
    if isinstance(value, tuple | frozenset):
        for index, item in enumerate(value):
            check_reply(item, f"{path}[{index}]")
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            check_reply(getattr(value, field.name, None), f"{path}.{field.name}")
