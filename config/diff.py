"""What differs between two settings, and what of it a running daemon can take over."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from config.model import Section, Settings
from config.words import in_words

Takes = Literal["now", "restart"]

LIVE = (
    "admin.allowed_hosts",
    "admin.public_url",
    "admin.trusted_peers",
    "collection",
    "groups",
    "logging",
    "media.channels",
    "media.parallel",
    "plans",
    "retention",
    "schedules",
    "telegram.proxies",
    "telegram.proxy",
)
"""Settings that hold as soon as they are applied, with all below them. The others are read once, at the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One key that differs; what a secret was and is stays hidden."""

    path: str
    """``schedules[all].every``: elements that have a name are found by it."""
    before: Any
    """As it was written; None where there was nothing."""
    after: Any
    takes: Takes


def differences(old: Settings, new: Settings) -> tuple[Change, ...]:
    """Every key that differs, in the order of the model."""
    return tuple(
        Change(path=path, before=in_words(before), after=in_words(after), takes=takes(path))
        for path, before, after in _between("", old, new)
    )


def takes(path: str) -> Takes:
    live = any(path == each or path.startswith((f"{each}.", f"{each}[", f"{each} ")) for each in LIVE)
    return "now" if live else "restart"


def applied(old: Settings, new: Settings) -> Settings:
    """The old settings with all that a running daemon can take over from the new ones."""
    values: dict[str, Any] = {}
    for path in LIVE:
        section, _, key = path.partition(".")
        if not key:
            values[section] = getattr(new, section)
        else:
            held = values.get(section, getattr(old, section))
            values[section] = held.model_copy(update={key: getattr(getattr(new, section), key)})
    return old.model_copy(update=values)


def _between(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if old == new:
        return
    if isinstance(old, Section) and type(old) is type(new) and not old.IN_WORDS:
        for name in type(old).model_fields:
            yield from _between(f"{path}.{name}" if path else name, getattr(old, name), getattr(new, name))
    elif _are_named(old) and _are_named(new) and (old or new):
        yield from _between_lists(path, old, new)
    else:
        yield path, old, new


def _between_lists(path: str, old: tuple[Any, ...], new: tuple[Any, ...]) -> Iterator[tuple[str, Any, Any]]:
    """Elements by their names; where only the order differs, the names in both orders."""
    before, after = ({each.name: each for each in elements} for elements in (old, new))
    for name in before | after:
        yield from _between(f"{path}[{name}]", before.get(name), after.get(name))
    common = [[name for name in names if name in others] for names, others in ((before, after), (after, before))]
    if common[0] != common[1]:
        yield f"{path} (order)", tuple(common[0]), tuple(common[1])


def _are_named(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, Section) and hasattr(each, "name") for each in value)
