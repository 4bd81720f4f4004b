"""YAML, environment and credentials -> ``Settings``; every fault at once, each with its file, line and path.

Defaults (the model) < the file < ``TELEWARDEN__SECTION__KEY``; credential files fill what is still unset.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from config.document import MAX_BYTES, Node, Table, parse
from config.environment import fill_credentials, overlay, read_public_key
from config.faults import Fault, Faults, Origin, SettingsInvalid
from config.model import Settings
from config.shape import Place, Reading, dotted, is_null
from config.values import shown

__all__ = ["Fault", "SettingsInvalid", "load_settings", "missing_credentials", "parse_settings"]


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings that the file (None: none) and the environment make together. Blocks: it reads files.

    Raises:
        SettingsInvalid: with every fault found.
    """
    if path is None:
        return parse_settings(b"", "defaults", environ)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "the name holds a NUL"
        raise SettingsInvalid([Fault(str(path), "", f"can't be read: {why}")]) from None
    return parse_settings(raw, str(path), environ)


def parse_settings(raw: bytes, source: str, environ: Mapping[str, str]) -> Settings:
    """The same of a file's bytes; ``source`` is what faults call it.

    Raises:
        SettingsInvalid: with every fault found.
    """
    faults = Faults()
    whole = Origin(source)
    tree = overlay(_root(parse(raw, source, faults), whole, faults), environ, faults)
    tree = read_public_key(fill_credentials(tree, environ, faults), faults)
    reading = Reading(faults)
    values = reading.section(tree, Settings)
    if _sandbox_and_datacenter(values):
        text = "can't be set while sandbox.enabled is true: the sandbox brings its own data centre"
        place = ("telegram", "datacenter")
        faults.add(_origin(reading, place), dotted(place), text)
    for where, name in _unknown_groups(values):
        text = f"no group is named {shown(name)}: groups are set in 'groups'"
        faults.add(_origin(reading, where), dotted(where), text)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as invalid:
        for error in invalid.errors(include_url=False):
            _translate(error, reading)
        if not len(faults):
            raise
    faults.end()
    return settings


def missing_credentials(settings: Settings) -> str | None:
    """What must be set before an account can sign in with Telegram; None when nothing is missing."""
    telegram = settings.telegram
    if settings.sandbox.enabled or telegram.datacenter is not None:
        return None
    missing = [key for key in ("api_id", "api_hash") if getattr(telegram, key) is None]
    if not missing:
        return None
    return (
        f"{' and '.join(f'telegram.{key}' for key in missing)} must be set before accounts can sign in: get them at "
        "https://my.telegram.org/apps, then write them in the settings file, set "
        f"{' and '.join(f'TELEWARDEN__TELEGRAM__{key.upper()}' for key in missing)} "
        "(or the same with _FILE), or give credential files of the same names"
    )


def _root(node: Node | None, whole: Origin, faults: Faults) -> Table:
    if isinstance(node, Table):
        return node
    if not is_null(node):
        assert node is not None
        faults.add(node.origin, "", "expected sections such as 'admin:' with keys below them")
    return Table({}, whole)


def _sandbox_and_datacenter(values: dict[str, Any]) -> bool:
    sandbox, telegram = values.get("sandbox", {}), values.get("telegram", {})
    return sandbox.get("enabled") is True and telegram.get("datacenter") is not None


def _unknown_groups(values: dict[str, Any]) -> Iterator[tuple[Place, str]]:
    known = {group.get("name") for group in values.get("groups", ()) if isinstance(group, dict)}
    for section in ("schedules", "retention"):
        for nth, element in enumerate(values.get(section, ())):
            for number, name in enumerate(element.get("groups", ()) if isinstance(element, dict) else ()):
                if isinstance(name, str) and name not in known:
                    yield (section, nth, "groups", number), name


def _origin(reading: Reading, place: Place) -> Origin:
    """Where the place was written, else where the nearest thing around it was."""
    while place not in reading.origins and place:
        place = place[:-1]
    return reading.origins[place]


def _translate(error: Any, reading: Reading) -> None:
    """A fault of the validation in our words, unless the reading found one there already."""
    place: Place = error["loc"]
    if any(place[:length] in reading.faulty for length in range(len(place) + 1)):
        return
    got = "" if place in reading.secret else f", got {shown(error['input'])}"
    limits = error.get("ctx", {})
    match error["type"]:
        case "value_error":
            text = str(limits["error"])
        case "missing":
            text = "is required"
        case "greater_than_equal" | "greater_than" | "less_than_equal" | "less_than":
            (name, limit), *_ = limits.items()
            words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
            text = f"expected {words[name]} {limit}{got}"
        case "literal_error":
            text = f"expected one of {limits['expected'].replace(chr(39), '').replace(' or ', ', ')}{got}"
        case "string_pattern_mismatch":
            text = f"expected text that matches {limits['pattern']}{got}"
        case "too_short":
            if error["input"]:
                return  # elements that were refused aren't counted, and each has a fault of its own
            text = f"expected at least {limits['min_length']} of them"
        case "string_too_short":
            text = "expected text, got nothing"
        case _:
            text = error["msg"]
    reading.faults.add(_origin(reading, place), dotted(place), text)
