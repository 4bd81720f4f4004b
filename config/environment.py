"""What the environment says: ``TELEWARDEN__SECTION__KEY``, its ``_FILE`` form, ``DEBUG_LOGS``, and credential files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.document import Items, Node, Scalar, Table, parse
from config.faults import Faults, Origin
from config.model import Section, Settings
from config.shape import Place, dotted, is_null, kind_of, nearest, node_of

PREFIX = "TELEWARDEN__"
CREDENTIALS: Mapping[str, Place] = {
    "api_id": ("telegram", "api_id"),
    "api_hash": ("telegram", "api_hash"),
    "bot_token": ("bot", "token"),
    "database_dsn": ("database", "dsn"),
}
"""File names below $CREDENTIALS_DIRECTORY (systemd's LoadCredential) and the keys they fill when nothing else did."""
_MAX_SECRET = 64 * 1024


class _Refused(Exception):
    """This variable can't be laid over the settings."""

    def __init__(self, place: Place, text: str) -> None:
        super().__init__(text)
        self.place = place


def overlay(tree: Table, environ: Mapping[str, str], faults: Faults) -> Table:
    """The tree with the environment's variables laid over it; the tree given stays as it is."""
    tree = _debug_logs(tree, environ.get("DEBUG_LOGS", ""), faults)
    named: dict[tuple[str, ...], str] = {}
    for name in sorted(environ):
        if name.upper().startswith(PREFIX):
            steps = tuple(name[len(PREFIX) :].lower().split("__"))
            if steps in named:
                faults.add(Origin(name), "", f"means the same key as {named[steps]}")
            named[steps] = name
    for steps in sorted(named, key=_numbers_by_size):
        variable = _Variable(named[steps], environ[named[steps]])
        try:
            laid = variable.laid(tree, Settings, steps, ())
        except _Refused as refused:
            faults.add(variable.origin, dotted(refused.place), str(refused))
        else:
            assert isinstance(laid, Table)
            tree = laid
    return tree


def _numbers_by_size(steps: tuple[str, ...]) -> list[tuple[int, str]]:
    """Order in which element 2 comes before element 10: each must be there when the next one is laid after it."""
    return [(len(step) if step.isdigit() else 0, step) for step in steps]


def _debug_logs(tree: Table, value: str, faults: Faults) -> Table:
    """The contract's switch; ``TELEWARDEN__LOGGING__DEBUG`` is laid over it later."""
    match value.strip().lower():
        case "" | "false" | "0" | "no" | "off":
            return tree
        case "true" | "1" | "yes" | "on":
            laid = _Variable("DEBUG_LOGS", "true").laid(tree, Settings, ("logging", "debug"), ())
            assert isinstance(laid, Table)
            return laid
        case _:
            faults.add(Origin("DEBUG_LOGS"), "logging.debug", "expected true or false")
            return tree


class _Variable:
    """One variable on its way down the model to the key that it names."""

    def __init__(self, name: str, text: str) -> None:
        self.origin = Origin(name)
        self._text = text

    def laid(self, node: Node | None, annotation: Any, steps: tuple[str, ...], place: Place) -> Node:
        """A copy of ``node`` in which the key that ``steps`` lead to has the variable's value."""
        if not steps:
            return _merged(node, self._value(annotation, place))
        kind = kind_of(annotation)
        if kind.section is not None:
            return self._in_section(node, kind.section, steps, place)
        if kind.element is not None:
            return self._in_list(node, kind.element, steps, place)
        raise _Refused(place, f"holds one value; {'__'.join(steps).upper()} is too much")

    def _in_section(self, node: Node | None, model: type[Section], steps: tuple[str, ...], place: Place) -> Table:
        key, rest = steps[0], steps[1:]
        if key not in model.model_fields and not rest:
            key = self._from_file(key, model, place)
        known = model.model_fields.get(key)
        if known is None:
            raise _Refused((*place, key[:60]), nearest(key, model.model_fields))
        old = node if isinstance(node, Table) else Table({}, self.origin)
        child = old.nodes.get(key)
        if child is None and rest and kind_of(known.annotation).element is not None:
            # TELEWARDEN__SCHEDULES__0__EVERY changes the default schedule: the first must be there to be changed.
            child = node_of(known.default, self.origin)
        laid = self.laid(child, known.annotation, rest, (*place, key))
        return Table({**old.nodes, key: laid}, old.origin, {**old.keys, key: laid.origin})

    def _in_list(self, node: Node | None, element: Any, steps: tuple[str, ...], place: Place) -> Items:
        nodes = list(node.nodes) if isinstance(node, Items) else []
        if not steps[0].isascii() or not steps[0].isdigit() or len(steps[0]) > 6 or int(steps[0]) > len(nodes):
            raise _Refused(
                place, f"its elements are numbered from 0, the next one is {len(nodes)}, not {steps[0][:60]!r}"
            )
        nth = int(steps[0])
        old = nodes[nth] if nth < len(nodes) else None
        nodes[nth : nth + 1] = [self.laid(old, element, steps[1:], (*place, nth))]
        return Items(nodes, node.origin if node is not None else self.origin)

    def _from_file(self, key: str, model: type[Section], place: Place) -> str:
        """For ``TOKEN_FILE`` the key ``token``, its value being the file's; any other key as it is."""
        stem = key.removesuffix("_file")
        known = model.model_fields.get(stem)
        if stem == key or known is None or not kind_of(known.annotation).is_leaf:
            return key
        self._text = _read_secret(Path(self._text), (*place, stem))
        return stem

    def _value(self, annotation: Any, place: Place) -> Node:
        kind = kind_of(annotation)
        if kind.is_text:
            return Scalar(self._text, self.origin, plain=not self._text)
        try:
            raw = self._text.encode()
        except UnicodeEncodeError:
            raise _Refused(place, "isn't UTF-8 text") from None
        unreadable = Faults()
        node = parse(raw, str(self.origin), unreadable, line=False)
        if len(unreadable):
            raise _Refused(place, f"expected {kind.expected}")
        return node or Scalar("", self.origin)


def _read_secret(path: Path, place: Place) -> str:
    """The file's text without the newline that editors put at its end.

    Raises:
        _Refused: it can't be read. A path that doesn't look like one isn't shown: it may be the secret itself.
    """
    named = repr(str(path)) if str(path).startswith(("/", ".")) else "the file it names"
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_SECRET + 1)
        text = raw.decode()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it isn't UTF-8 text"
        raise _Refused(place, f"{named} can't be read: {why}") from None
    if len(raw) > _MAX_SECRET:
        raise _Refused(place, f"{named} is larger than {_MAX_SECRET // 1024} KiB")
    return text.removesuffix("\n").removesuffix("\r")


def fill_credentials(tree: Table, environ: Mapping[str, str], faults: Faults) -> Table:
    """The tree with its unset secrets taken from $CREDENTIALS_DIRECTORY."""
    directory = environ.get("CREDENTIALS_DIRECTORY")
    for name, (section, key) in CREDENTIALS.items() if directory else ():
        assert directory is not None
        path = Path(directory) / name
        held = tree.nodes.get(str(section))
        if not path.exists() or (isinstance(held, Table) and not is_null(held.nodes.get(str(key)))):
            continue
        if held is not None and not isinstance(held, Table) and not is_null(held):
            continue  # the section has a fault of its own
        origin = Origin(f"credential {name}")
        try:
            text = _read_secret(path, (section, key))
        except _Refused as refused:
            faults.add(origin, dotted(refused.place), str(refused))
            continue
        tree = _merged_table(
            tree, Table({str(section): Table({str(key): Scalar(text, origin, plain=not text)}, origin)}, origin)
        )
    return tree


def read_public_key(tree: Table, faults: Faults) -> Table:
    """The tree with ``telegram.datacenter.public_key`` as PEM text where it was a path."""
    place = ("telegram", "datacenter", "public_key")
    node: Node | None = tree
    for step in place:
        node = node.nodes.get(step) if isinstance(node, Table) else None
    if not isinstance(node, Scalar) or is_null(node) or node.text.lstrip().startswith("-----BEGIN"):
        return tree
    try:
        text = _read_secret(Path(node.text), place)
    except _Refused as refused:
        faults.add(node.origin, dotted(place), str(refused))
        return tree
    if not text.lstrip().startswith("-----BEGIN"):
        faults.add(node.origin, dotted(place), "names a file that holds no PEM key")
        return tree
    laid = _Variable(str(node.origin), text).laid(tree, Settings, place, ())
    assert isinstance(laid, Table)
    return laid


def _merged(old: Node | None, new: Node) -> Node:
    return _merged_table(old, new) if isinstance(old, Table) and isinstance(new, Table) else new


def _merged_table(old: Table, new: Table) -> Table:
    nodes = dict(old.nodes)
    for key, node in new.nodes.items():
        nodes[key] = _merged(nodes.get(key), node)
    return Table(nodes, old.origin, {**old.keys, **new.keys})
