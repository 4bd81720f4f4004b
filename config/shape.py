"""The settings model as the measure of a tree: which keys exist, of what kind, and what a scalar means there."""

import difflib
import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache, cached_property
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ByteSize, SecretStr

from config.document import Items, Node, Scalar, Table
from config.faults import Faults, Origin
from config.model import Section, Start
from config.values import render_duration, render_size, shown

Place = tuple[str | int, ...]
"""A path into the settings: ``("schedules", 2, "every")``."""

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# JSON's numbers: a leading plus or zero belongs to a phone number or a code, and stays text.
_INT = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?([eE][-+]?[0-9]{1,2})?")


def dotted(place: Place) -> str:
    """``schedules[2].every``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")


@dataclass(frozen=True)
class Kind:
    """What a key holds: a section, a list of something, or one scalar."""

    holds: Any
    optional: bool

    @cached_property
    def section(self) -> type[Section] | None:
        return self.holds if isinstance(self.holds, type) and issubclass(self.holds, Section) else None

    @cached_property
    def element(self) -> Any:
        """The annotation of a list's elements; None for what is no list."""
        return get_args(self.holds)[0] if get_origin(self.holds) is tuple else None

    @cached_property
    def is_leaf(self) -> bool:
        return self.section is None and self.element is None

    @property
    def is_text(self) -> bool:
        """Whether every text is as good as another, so that nothing in it needs quotes."""
        return self.holds in (str, SecretStr, Path)

    @property
    def expected(self) -> str:
        if self.section is not None:
            return "keys and values"
        if self.element is not None:
            return "a list such as [a, b]"
        names = {bool: "true or false", int: "a whole number", float: "a number", Path: "a path", date: "a date"}
        names |= {timedelta: "a duration such as 30m", ByteSize: "a size such as 20MiB"}
        if get_origin(self.holds) is Literal:
            return f"one of {', '.join(get_args(self.holds))}"
        return names.get(self.holds, "text")


def kind_of(annotation: Any) -> Kind:
    return _kind_of(annotation)


@cache
def _kind_of(annotation: Hashable) -> Kind:
    if get_origin(annotation) is Annotated:
        return kind_of(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        members = [member for member in get_args(annotation) if member is not NoneType]
        inner = kind_of(members[0]).holds if len(members) == 1 else object
        return Kind(inner, len(members) < len(get_args(annotation)))
    return Kind(annotation, optional=False)


def is_null(node: Node | None) -> bool:
    return node is None or (isinstance(node, Scalar) and node.plain and node.text in _NULL)


def nearest(key: str, known: Iterable[str]) -> str:
    """``unknown key``, with the known one that was probably meant."""
    close = difflib.get_close_matches(key[:60].lower(), list(known), n=1)
    return "unknown key" + (f"; did you mean {close[0]!r}?" if close else "")


def node_of(value: Any, origin: Origin) -> Node:
    """A value of the model as it would be written; keys left at their default are left out."""
    match value:
        case Start():
            return Scalar(value.words, origin)
        case Section():
            return Table({key: node_of(getattr(value, key), origin) for key in sorted(value.model_fields_set)}, origin)
        case tuple():
            return Items([node_of(element, origin) for element in value], origin)
        case timedelta():
            return Scalar(render_duration(value), origin)
        case ByteSize():
            return Scalar(render_size(value), origin)
        case None | bool():
            return Scalar({None: "null", True: "true", False: "false"}[value], origin)
        case _:
            return Scalar(str(value), origin, plain=isinstance(value, int | float))


@dataclass(slots=True)
class Reading:
    """A tree as plain values for the model's validation, with what is needed to name what fails there."""

    faults: Faults
    origins: dict[Place, Origin] = field(default_factory=dict)
    secret: set[Place] = field(default_factory=set)
    faulty: set[Place] = field(default_factory=set)
    """Places that have their fault already; the validation's second opinion on them is left out."""

    def section(self, table: Table, model: type[Section], place: Place = ()) -> dict[str, Any]:
        """The table's known keys; the others become faults."""
        self.origins.setdefault(place, table.origin)
        values = {}
        for key, node in table.nodes.items():
            known = model.model_fields.get(key)
            if known is None:
                at = table.keys.get(key, node.origin)
                text = "unknown key" if self.faults.full else nearest(key, model.model_fields)
                self.faults.add(at, dotted((*place, key[:60])), text)
            elif not isinstance(value := self.value(node, known.annotation, (*place, key)), _Faulty):
                values[key] = value
        return values

    def value(self, node: Node, annotation: Any, place: Place) -> Any:
        """What the node means where ``annotation`` stands."""
        kind = kind_of(annotation)
        self.origins[place] = node.origin
        if kind.holds is SecretStr:
            self.secret.add(place)
        if is_null(node) and (kind.optional or kind.section is not None):
            return None if kind.optional else {}
        match node:
            case Table() if kind.section is not None:
                return self.section(node, kind.section, place)
            case Items() if kind.element is not None:
                values = [self.value(each, kind.element, (*place, nth)) for nth, each in enumerate(node.nodes)]
                # A faulty element keeps its place, so that the faults after it name the right one.
                return [None if isinstance(value, _Faulty) else value for value in values]
            case Scalar() if kind.is_leaf and not is_null(node):
                return self._scalar(node, kind, place)
            case Scalar() if kind.section is not None and kind.section.IN_WORDS:
                return node.text
        return self._fault(node, kind, place)

    def _scalar(self, node: Scalar, kind: Kind, place: Place) -> Any:
        if "\0" in node.text:
            return self._fault(node, kind, place)
        if kind.holds is bool:
            return _BOOL[node.text] if node.text in _BOOL else self._fault(node, kind, place)
        if kind.holds is int:
            return int(node.text) if _INT.fullmatch(node.text) else self._fault(node, kind, place)
        if kind.holds is float:
            return float(node.text) if _FLOAT.fullmatch(node.text) else self._fault(node, kind, place)
        return node.text

    def _fault(self, node: Node, kind: Kind, place: Place) -> "_Faulty":
        self.faulty.add(place)
        match node:
            case Items():
                got = "a list"
            case Table():
                got = "keys and values"
            case _ if is_null(node):
                got = "nothing"
            # A secret in the wrong place is a secret still: what should be a section may be somebody's token.
            case Scalar() if place in self.secret or not kind.is_leaf:
                got = "text"
            case Scalar(text=text):
                got = shown(text)
        self.faults.add(node.origin, dotted(place), f"expected {kind.expected}, got {got}")
        return _Faulty()


class _Faulty:
    """Stands for a value that has its fault already."""
