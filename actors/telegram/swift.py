"""What Telegram answers, read in a third of the time that Telethon's own reader takes.

Each class of Telethon's has a ``from_reader``, generated from the schema: one call of a method for every number. From
its source the same function is made here with the numbers read in place. What comes out are Telethon's objects with the
same fields (a message has no client, which nobody here asks it for). Of an answer with anything that isn't known the
whole is left to Telethon, which says what it is.

Measured over 4,000 posts of mixed kinds: 24.5 µs a post by Telethon's reader, 8.7 by this one
(``bench/results/collect.json``: what that makes of the whole).
"""

import ast
import inspect
import struct
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from telethon.extensions import BinaryReader
from telethon.tl import alltlobjects

Read = Callable[[bytes, int], tuple[Any, int]]
"""From the first byte after an object's constructor: the object, and where it ends."""

int_at = struct.Struct("<i").unpack_from
id_at = struct.Struct("<I").unpack_from
long_at = struct.Struct("<q").unpack_from
double_at = struct.Struct("<d").unpack_from
EPOCH = datetime.fromtimestamp(0, UTC)
_VECTOR, _TRUE, _FALSE = 0x1CB5C415, 0x997275B5, 0xBC799737


class UnknownConstructor(Exception):
    """Telethon has no class for it, or reads it by code of its own."""


def read_swiftly(reader: Any) -> Any:
    """The rest of Telethon's ``reader`` as an object. Raises what Telethon raises of what can't be read."""
    data = bytes(reader.read())
    try:
        found, end = object_at(data, 0)
    except (UnknownConstructor, struct.error, IndexError):
        return BinaryReader(data).tgread_object()
    # A text that is cut short is read as far as it goes.
    return found if end <= len(data) else BinaryReader(data).tgread_object()


def object_at(data: bytes, at: int) -> tuple[Any, int]:
    return READERS[id_at(data, at)[0]](data, at + 4)


def bytes_at(data: bytes, at: int) -> tuple[bytes, int]:
    length = data[at]
    if length < 254:
        return data[at + 1 : at + 1 + length], at + (length + 4 & ~3)
    if length > 254:
        raise UnknownConstructor(hex(length))
    length = data[at + 1] | data[at + 2] << 8 | data[at + 3] << 16
    return data[at + 4 : at + 4 + length], at + (length + 7 & ~3)


def text_at(data: bytes, at: int) -> tuple[str, int]:
    found, at = bytes_at(data, at)
    return found.decode("utf-8", "replace"), at


def vector_at(data: bytes, at: int) -> tuple[list[Any], int]:
    found = []
    for _ in range(int_at(data, at)[0]):
        each, at = object_at(data, at + 4)
        at -= 4
        found.append(each)
    return found, at + 4


class _Readers(dict[int, Read]):
    """Made when first met: of 2,500 classes an answer has some fifty."""

    def __missing__(self, constructor: int) -> Read:
        cls = alltlobjects.tlobjects.get(constructor)
        if cls is None:
            raise UnknownConstructor(hex(constructor))
        made = self[constructor] = _generate(cls)
        return made


READERS = _Readers(
    {_VECTOR: vector_at, _TRUE: lambda _, at: (True, at), _FALSE: lambda _, at: (False, at)}  # by Telethon's own code
)


# --- making of a reader ---------------------------------------------------------------------------------------------

_NEEDED: dict[str, Any] = {
    "READERS": READERS,
    "id_at": id_at,
    "int_at": int_at,
    "text_at": text_at,
    "bytes_at": bytes_at,
    "EPOCH": EPOCH,
    "timedelta": timedelta,
}
"""What a reader names; Telethon's own names begin with an underscore."""
_NUMBERS = {"read_int()": "i", "read_int(signed=False)": "I", "read_long()": "q", "read_double()": "d"}
_CALLED = {"tgread_bytes": "bytes_at"}
_UNPACKERS: dict[str, Callable[[bytes, int], tuple[Any, ...]]] = {}


def _unpacking(form: struct.Struct) -> str:
    """The name under which a reader finds what unpacks this."""
    name = f"unpack_{form.format[1:]}"
    _UNPACKERS[name] = form.unpack_from
    return name


def _generate(cls: type[Any]) -> Read:
    """Raises: UnknownConstructor where ``from_reader`` isn't what Telethon generates."""
    source = ast.parse(textwrap.dedent(inspect.getsource(cls.from_reader))).body[0]
    assert isinstance(source, ast.FunctionDef)
    maker = _Maker(source)
    names = {**_NEEDED, **_UNPACKERS, "cls": cls, "new": cls.__new__, "blank": maker.blank}
    exec(compile("\n".join(maker.lines), f"<{cls.__name__}>", "exec"), names)  # noqa: S102 - made of Telethon's own source
    made: Read = names["read"]
    return made


class _Maker:
    """Writes a reader. What is absent from most objects costs one question, and is copied from ``blank``."""

    def __init__(self, source: ast.FunctionDef) -> None:
        *body, end = source.body
        match end:
            case ast.Return(value=ast.Call(keywords=fields)):
                self._places = {ast.unparse(field.value): f"held[{field.arg!r}]" for field in fields}
                self.blank: dict[str, Any] = {str(field.arg): None for field in fields}
            case _:
                raise UnknownConstructor(ast.unparse(end))
        self.lines = ["def read(data, at):", "    held = blank.copy()"]
        self._flags: dict[str, list[tuple[str, str]]] = {}
        self._numbers: list[tuple[str, str]] = []
        self._write(body, 1)
        self._flush(1)
        for word, told in self._flags.items():
            mask = " | ".join(test for _, test in told)
            self._put(1, [f"if {word} & ({mask}):"])
            for place, test in told:
                self._put(2, [f"if {word} & {test}:", f"    {place} = True"])
        self._put(1, ["made = new(cls)", "made.__dict__ = held", "return made, at"])

    def _write(self, body: list[ast.stmt], depth: int) -> None:
        for statement in body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="bool"), args=[test])):
                    assert isinstance(test, ast.BinOp)
                    place = self._places[name]
                    self.blank[ast.literal_eval(place.removeprefix("held")).pop()] = False
                    self._flags.setdefault(ast.unparse(test.left), []).append((place, ast.unparse(test.right)))
                    continue
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Attribute()) as call) if (
                    number := _NUMBERS.get(ast.unparse(call).removeprefix("reader."))
                ):
                    self._numbers.append((self._places.get(name, name), number))
                    continue
            self._flush(depth)
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Attribute(attr=method)) as call):
                    args = [ast.unparse(each) for each in (*call.args, *call.keywords)]
                    self._put(depth, _reading(self._places.get(name, name), method, args))
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.List()):
                    self._put(depth, [f"{name} = {self._places[name]} = []"])
                case ast.If(test=test, body=then):
                    self._put(depth, [f"if {ast.unparse(test)}:"])
                    self._write(then, depth + 1)
                    self._flush(depth + 1)
                case ast.For(body=each):
                    self._put(depth, ["count, = int_at(data, at)", "at += 4", "for _ in range(count):"])
                    self._write(each, depth + 1)
                case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="reader"), attr="read_int"))):
                    self._put(depth, ["at += 4"])
                case ast.Expr():
                    self._put(depth, [ast.unparse(statement)])
                case _:
                    raise UnknownConstructor(ast.unparse(statement))

    def _flush(self, depth: int) -> None:
        """Numbers in a row are read at once."""
        if self._numbers:
            places = "".join(f"{place}, " for place, _ in self._numbers)
            form = struct.Struct("<" + "".join(code for _, code in self._numbers))
            self._put(depth, [f"{places} = {_unpacking(form)}(data, at)", f"at += {form.size}"])
            self._numbers.clear()

    def _put(self, depth: int, lines: list[str]) -> None:
        self.lines += ["    " * depth + line for line in lines]


def _reading(place: str, method: str, args: list[str]) -> list[str]:
    if method == "tgread_string":
        return [
            "size = data[at]",
            "if size < 254:",
            f"    {place} = data[at + 1:at + 1 + size].decode('utf-8', 'replace')",
            "    at += size + 4 & ~3",
            f"else: {place}, at = text_at(data, at)",
        ]
    if method in _CALLED:
        return [f"{place}, at = {_CALLED[method]}(data, at)"]
    match method:
        case "tgread_object" | "tgread_bool":
            return [f"{place}, at = READERS[id_at(data, at)[0]](data, at + 4)"]
        case "tgread_date":
            return [f"{place} = EPOCH + timedelta(seconds=int_at(data, at)[0])", "at += 4"]
        case "read_large_int":
            size = int(args[0].removeprefix("bits=")) // 8
            return [f"{place} = int.from_bytes(data[at:at + {size}], 'little', signed=True)", f"at += {size}"]
    raise UnknownConstructor(method)
