"""What is kept of each TL class: the table that the decoder works by. docs/posts.md shows it.

A class stands with all its fields, each with a decision:

    field            kept under its own name
    field=key        kept under another one
    field?           kept even where it is false, since null is another answer
    field=+          what is within, be it several, is laid out among the fields of the object that holds it
    field=.          stands for the whole object
    field=@word      a flag: the object's ``kind`` is that word
    field=>place     kept at another place (a column, ``column.key`` or keys computed of it), by code of its own
    field!reason     left out, for one of the REASONS
    *!reason         so is every field that isn't named
    @key=word        not a field: said of every object of the class

What is absent in an object (null, false, an empty list) is absent in what is kept of it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

REASONS: Mapping[str, str] = {
    "account": "belongs to the account that reads: copies of one post from two readers would differ",
    "secret": "opens a file or a peer for one account alone",
    "sender": "known to the sender alone, or before the post is published",
    "private": "in private chats or to bots alone, never in a channel",
    "client": "tells a client how to draw, cache or ask; of no use to a reader",
    "passing": "changes with every visitor, or is soon gone, without the author's doing",
    "implied": "said by another field that is kept",
    "apart": "a thing of its own that the post only points to",
}

_TOKEN = re.compile(r"(@?)(\w+|\*)(\?)?(?:(=>|=|!)(\S+))?")


@dataclass(slots=True, kw_only=True)
class Shape:
    """One class's decisions, sorted by what is to be done. Built at import, read ever after."""

    constants: dict[str, str | bool] = field(default_factory=dict)
    kept: list[tuple[str, str]] = field(default_factory=list)
    """(field, key)"""
    answers: set[str] = field(default_factory=set)
    """Of the kept ones, those whose false is kept too."""
    words: list[tuple[str, str]] = field(default_factory=list)
    """(flag, kind)"""
    merged: list[str] = field(default_factory=list)
    stands: str | None = None
    elsewhere: dict[str, str] = field(default_factory=dict)
    """Field -> place."""
    left: dict[str, str] = field(default_factory=dict)
    """Field -> reason."""

    def decides(self, name: str) -> bool:
        return "*" in self.left or name in self.named

    def leaves_out(self, name: str) -> bool:
        return name in self.left or ("*" in self.left and name not in self.named)

    @property
    def named(self) -> set[str]:
        stands = {self.stands} if self.stands else set()
        pairs = {each for each, _ in self.kept + self.words}
        return pairs | set(self.merged) | stands | set(self.elsewhere) | set(self.left)


def shape(row: str) -> Shape:
    """Raises: ValueError for what isn't a decision."""
    made = Shape()
    for token in row.split():
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise ValueError(f"{token!r} is no decision")
        _decide(made, match)
    return made


def _decide(made: Shape, token: re.Match[str]) -> None:
    mark, name, answer, sign, value = token.groups()
    if answer:
        made.answers.add(name)
    if value is None:
        made.kept.append((name, name))
    elif mark:
        made.constants[name] = True if value == "true" else value
    elif sign == "!":
        if value not in REASONS:
            raise ValueError(f"{name}: {value!r} is no reason")
        made.left[name] = value
    elif sign == "=>":
        made.elsewhere[name] = value
    elif value == "+":
        made.merged.append(name)
    elif value == ".":
        made.stands = name
    elif sign == "=" and value.startswith("@"):
        made.words.append((name, value[1:]))
    else:
        made.kept.append((name, value))


def rows(table: Mapping[str, str]) -> dict[str, Shape]:
    """Classes by their full names."""
    return {name: shape(row) for name, row in table.items()}


def typed(prefix: str, table: Mapping[str, str]) -> dict[str, Shape]:
    """Classes whose names begin with ``prefix``; what follows is the ``type`` of what is kept of them."""
    made = {prefix + name: shape(row) for name, row in table.items()}
    for name, each in made.items():
        each.constants.setdefault("type", type_name(name, prefix))
    return made


def type_name(name: str, prefix: str) -> str:
    """``MessageMediaGeoLive`` without ``MessageMedia`` is ``geo_live``."""
    return _snake(name.removeprefix(prefix))


@cache
def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
