"""Every method with every constructor and every edge value that one of its arguments can have: none is a defect.

Chance finds such a call once in ten thousand (`test_parsers.py`); here each comes, the other arguments being plain.
"""

import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from types import NoneType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from telethon.errors import TypeNotFoundError
from telethon.extensions import BinaryReader
from telethon.tl import types

from sandbox import methods
from sandbox.client import Sandbox
from sandbox.dispatch import Call, method_name, refusal
from sandbox.world import Account
from tests.sandbox.rawclient import LAYER

DEPTH = 3
"""Arguments of arguments of arguments; deeper ones are plain."""
EDGES: dict[Any, list[Any]] = {
    int: [1, 0, -1, 30, 2**31 - 1, -(2**31)],
    str: ["gorod_news", "", "99966200000", "a" * 5000, "🙂\0\n"],
    bytes: [b"\x89PNG\r\n\x1a\n", b"", bytes(1000)],
    bool: [True, False],
    float: [1.5, -1.0, 1e300],
    datetime: [datetime.fromtimestamp(n, UTC) for n in (1_767_000_000, 0, 2**31 - 1)],
    NoneType: [None],
}
"""Values of what isn't Telegram's own; the plain one first."""
DEFECT = refusal(500, "INTERNAL")


@cache
def arguments(kind: Any) -> dict[str, Any]:
    return {name: hint for name, hint in get_type_hints(kind.__init__, vars(types)).items() if name != "return"}


def is_spelled(kind: Any) -> bool:
    """Of a few, which only servers send, Telethon names an argument's type that it doesn't have."""
    try:
        return kind in EDGES or arguments(kind) is not None
    except NameError:
        return False


class Values:
    """What the arguments of calls can be, as Telethon's signatures name them, in a world that is there."""

    def __init__(self, dc: Sandbox, me: Account, plain_peer: type) -> None:
        channel = next(iter(dc.world.channels))
        person = next(account.id for account in dc.world.accounts.values() if account.id != me.id)
        about = channel, dc.world.access_hash(me.id, "channel", channel)
        someone = person, dc.world.access_hash(me.id, "user", person)
        self._plain_peer = plain_peer
        self._known = EDGES | {
            types.InputChannel: [types.InputChannel(*about)],
            types.InputPeerChannel: [types.InputPeerChannel(*about)],
            types.InputUser: [types.InputUser(*someone)],
            types.InputPeerUser: [types.InputPeerUser(*someone)],
        }

    def calls(self, kind: Any, depth: int = 0) -> Iterator[Any]:
        """One with plain arguments, then one for each other value of each argument."""
        hints = arguments(kind)
        plain = {name: next(self._of(hint, depth + 1)) for name, hint in hints.items()}
        yield kind(**plain)
        for name, hint in hints.items() if depth < DEPTH else ():
            values = self._of(hint, depth + 1)
            next(values)
            yield from (kind(**plain | {name: value}) for value in values)

    def _of(self, hint: Any, depth: int) -> Iterator[Any]:
        if hint in self._known:
            yield from self._known[hint]
        elif get_origin(hint) is list:
            yield from ([value] for value in self._of(*get_args(hint), depth))
            yield []
        elif get_origin(hint) is Union:
            for kind in sorted(filter(is_spelled, get_args(hint)), key=self._place):
                yield from self._of(kind, depth) if depth < DEPTH else [next(self._of(kind, depth))]
        else:
            yield from self.calls(hint, depth)

    def _place(self, kind: Any) -> int:
        """What may be left out is; else the plain peer, else what has fewest arguments."""
        if kind in (NoneType, self._plain_peer):
            return 0
        return 1 if kind in self._known else 1 + len(arguments(kind))


def as_read(request: Any) -> Any:
    """What a server reads of it; None for a combination of fields that Telethon can't write."""
    try:
        return BinaryReader(bytes(request)).tgread_object()
    except (AssertionError, BufferError, TypeError, struct.error, TypeNotFoundError):
        return None


@pytest.mark.parametrize("plain_peer", [types.InputPeerChannel, types.InputPeerUser])
@pytest.mark.parametrize("who", ["ann", "sandbox_bot"])
async def test_no_call_is_a_defect(who: str, plain_peer: type) -> None:
    async with Sandbox(accounts=2, channels=2, posts=20) as dc:
        me, dispatcher = dc.world.account(who), dc.dc.dispatcher
        values, defects, made = Values(dc, me, plain_peer), [], 0
        for method in methods.ALL:
            for request in filter(None, map(as_read, values.calls(method))):
                key, _ = dc.dc.session(me, "sweep")
                dc.dc.keys.change(key, layer=LAYER)
                call = Call(dc=dc.dc, key=key, connection=None, maybe_account=me)
                made += 1
                if dispatcher.answer(call, request) == DEFECT:
                    defects.append(f"{method_name(request)}: {request.stringify()}")
    assert not defects, "\n".join(defects[:3])
    assert made > 10_000
