"""YAML 1.2 text -> a tree of nodes that know their lines and keep their scalars as they were written.

PyYAML resolves scalars by YAML 1.1: ``no`` is false there, ``12:30`` is 750 and ``+79161234567`` an int. Here a scalar
stays text until the settings model says what it should be (``config.shape``). The tree is built from PyYAML's events
and not by its composer, which recurses in C: a megabyte of ``[`` kills the process there.
"""

import re
from dataclasses import dataclass, field

import yaml

from config.faults import Faults, Origin

MAX_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 32
MAX_ALIASES = 50


@dataclass(slots=True)
class Scalar:
    text: str
    origin: Origin
    plain: bool = True
    """Written without quotes: only then ``null`` means nothing."""


@dataclass(slots=True)
class Items:
    nodes: list["Node"]
    origin: Origin


@dataclass(slots=True)
class Table:
    nodes: dict[str, "Node"]
    origin: Origin
    keys: dict[str, Origin] = field(default_factory=dict)
    """Where each key stands; a value may begin a line later."""


Node = Scalar | Items | Table

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Broken(Exception):
    """Nothing after this place can be read."""

    def __init__(self, origin: Origin, text: str) -> None:
        super().__init__(text)
        self.origin = origin


def parse(raw: bytes, source: str, faults: Faults, *, line: bool = True) -> Node | None:
    """The document's tree; None when it is empty, or when it can't be read (then a fault was added).

    ``line=False`` leaves line numbers out: an environment variable has none worth naming.
    """
    whole = Origin(source)
    if len(raw) > MAX_BYTES:
        faults.add(whole, "", f"is larger than {MAX_BYTES // 1024 // 1024} MiB")
        return None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = Origin(source, raw.count(b"\n", 0, error.start) + 1) if line else whole
        faults.add(at, "", "isn't UTF-8 text")
        return None
    try:
        return _Builder(source, faults, lines=line).build(text)
    except _Broken as broken:
        faults.add(broken.origin, "", str(broken))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Origin(source, mark.line + 1) if mark and line else whole
        faults.add(at, "", f"isn't YAML: {_without_quotes(error.problem or 'it ends too early')}")
    except yaml.reader.ReaderError as error:
        at = Origin(source, text.count("\n", 0, error.position) + 1) if line else whole
        faults.add(at, "", "isn't YAML: it holds a character that YAML forbids")
    return None


def _without_quotes(problem: str) -> str:
    """A parser's words without what it quotes: an unquoted password may begin like an alias or a tag."""
    return re.sub(r"""(['"]).{2,}\1""", "…", problem)


class _Builder:
    """Turns events into nodes with a stack of its own, so that depth is a limit and not a crash."""

    def __init__(self, source: str, faults: Faults, *, lines: bool) -> None:
        self._source = source
        self._faults = faults
        self._lines = lines
        self._anchors: dict[str, Node | None] = {}
        """None while the anchored node is still open: an alias to it would be a circle."""
        self._aliases = 0
        self._root: Node | None = None
        self._open: list[tuple[Items | Table, str | None]] = []
        """What is open, with the anchor it will be known by."""
        self._keys: list[tuple[str, Origin] | None] = []
        """For each open table the key that waits for its value."""

    def build(self, text: str) -> Node | None:
        documents = 0
        for event in yaml.parse(text, Loader=_Loader):
            match event:
                case yaml.DocumentStartEvent():
                    documents += 1
                    if documents > 1:
                        raise _Broken(self._at(event), "holds more than one YAML document")
                case yaml.NodeEvent():
                    self._node(event)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    node, anchor = self._open.pop()
                    self._keys.pop()
                    if anchor is not None:
                        self._anchors[anchor] = node
        return self._root

    def _at(self, event: yaml.Event) -> Origin:
        return Origin(self._source, event.start_mark.line + 1 if self._lines and event.start_mark else None)

    def _node(self, event: yaml.NodeEvent) -> None:
        at = self._at(event)
        if getattr(event, "tag", None) not in (None, "tag:yaml.org,2002:str"):
            raise _Broken(at, "holds a YAML tag (a word that begins with '!'); put the value in quotes")
        node: Node
        match event:
            case yaml.AliasEvent():
                node = self._alias(event, at)
            case yaml.ScalarEvent():
                node = Scalar(event.value, at, plain=not event.style)
            case yaml.MappingStartEvent():
                node = Table({}, at)
            case _:
                node = Items([], at)
        self._attach(node, at)
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            if len(self._open) >= MAX_DEPTH:
                raise _Broken(at, f"is nested deeper than {MAX_DEPTH} levels")
            assert not isinstance(node, Scalar)
            self._open.append((node, event.anchor))
            self._keys.append(None)
        if event.anchor is not None and not isinstance(event, yaml.AliasEvent):
            self._anchors[event.anchor] = node if isinstance(node, Scalar) else None

    def _alias(self, event: yaml.AliasEvent, at: Origin) -> Node:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise _Broken(at, f"holds more than {MAX_ALIASES} aliases")
        node = self._anchors.get(event.anchor or "")
        if node is None:
            raise _Broken(at, "holds an alias (a word that begins with '*') of nothing written before it")
        return node

    def _attach(self, node: Node, at: Origin) -> None:
        if not self._open:
            self._root = node
            return
        parent, _ = self._open[-1]
        if isinstance(parent, Items):
            parent.nodes.append(node)
            return
        waiting = self._keys[-1]
        if waiting is None:
            if not isinstance(node, Scalar):
                raise _Broken(at, "has a list or a mapping for a key; a key is one word")
            self._keys[-1] = (node.text, at)
            return
        self._keys[-1] = None
        key, key_at = waiting
        first = parent.keys.setdefault(key, key_at)
        if first is not key_at:
            since = "" if first.line is None else f" (first in line {first.line})"
            self._faults.add(key_at, "", f"the key {_shown(key)} stands twice{since}")
            return
        parent.nodes[key] = node


def _shown(key: str) -> str:
    return repr(key if len(key) <= 60 else key[:60] + "…")
