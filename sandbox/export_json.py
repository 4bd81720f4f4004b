"""Reading JSON that is too big to be parsed at once, with the defects that Telegram Desktop writes into it."""

import json
import re
from collections.abc import Iterator
from typing import Any, Never, TextIO

_CHUNK = 1 << 20
_MAX_VALUE = 1 << 24
"""Characters one value may have, a message for one. The longest real ones are a hundredth of it."""
_SPACE = re.compile(r"[ \t\r\n]*")
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|.)")
_BARE_PATH = re.compile(r"[^\s\"\[{][^\n]*(?=\n)")


class Fault(Exception):
    """What is wrong with an export, without the place."""


class JsonReader:
    """Walks JSON that is too big to be parsed at once. One value stands in memory, and what was read ahead."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text = ""
        self._at = 0
        self._lines = 1
        self._decoder = json.JSONDecoder(strict=False, parse_constant=self._constant)

    def _constant(self, name: str) -> Never:
        raise Fault(f"{name} is no JSON; write a number or null")

    def fail(self, fault: str, at: int | None = None) -> Never:
        line = self._lines + self._text.count("\n", 0, self._at if at is None else at)
        raise Fault(f"line {line} is no JSON ({fault}); was it edited, or the export cut short? Export the chat again")

    def _more(self) -> bool:
        """Read on; whether there was something. As much again as the value has, lest it be parsed too often."""
        rest = len(self._text) - self._at
        read = self._stream.read(max(_CHUNK, rest)) if rest < _MAX_VALUE else ""
        if read:
            self._lines += self._text.count("\n", 0, self._at)
            self._text = self._text[self._at :] + read
            self._at = 0
        return bool(read)

    def peek(self) -> str:
        """The next character that isn't white space; '' at the end of the file."""
        while True:
            space = _SPACE.match(self._text, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def take(self, *wanted: str) -> str:
        found = self.peek()
        if not found or found not in wanted:
            self.fail(f"{' or '.join(wanted)} expected, {found or 'the end of the file'} found")
        self._at += 1
        return found

    def value(self) -> Any:
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if not self._repair(error.pos) and not self._more():
                    self.fail(error.msg, error.pos)
                continue
            except (ValueError, RecursionError) as error:  # a number of 5,000 digits, 5,000 brackets
                self.fail(str(error))
            if end < len(self._text) or not self._more():  # a number might go on
                self._at = end
                return value

    def _repair(self, at: int) -> bool:
        r"""Undo two defects of Telegram Desktop. Whether the text changed.

        It writes control characters as \x0B (its issue 27571), and its version 4.1 the paths of custom emoji without
        quotes (24961).
        """
        rest = self._text[at:]
        if (escape := _ESCAPE.match(rest)) and escape[1]:
            rest = _ESCAPE.sub(lambda found: f"\\u00{found[1]}" if found[1] else found[0], rest)
        elif self._text.endswith('"document_id": ', 0, at) and (path := _BARE_PATH.match(rest)):
            rest = json.dumps(path[0].rstrip()) + rest[path.end() :]
        else:
            return False
        self._text = self._text[:at] + rest
        return True

    def members(self) -> Iterator[str]:
        """An object's keys. Whoever is given one must read its value before he asks for the next."""
        self.take("{")
        if self.peek() == "}":
            self.take("}")
            return
        while True:
            if self.peek() != '"':
                self.fail('" expected')
            key = str(self.value())
            self.take(":")
            yield key
            if self.take(",", "}") == "}":
                return

    def items(self) -> Iterator[None]:
        """One step for each of an array's items, which must be read before the next."""
        self.take("[")
        if self.peek() == "]":
            self.take("]")
            return
        while True:
            yield
            if self.take(",", "]") == "]":
                return
