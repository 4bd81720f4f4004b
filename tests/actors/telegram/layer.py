"""What Telethon's layer has: classes, their fields and what may stand in them, read off its own annotations."""

import inspect
import re
import typing
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from telethon.tl import types

from actors.telegram.describe import PLAN, class_of, describe
from actors.telegram.plan import Shape

ROOTS = ("Message", "MessageService")
FAMILIES = ("MessageMedia", "MessageEntity", "MessageAction", "MessageReply", "MessageFwdHeader", "MessageReplies")
"""Decided whether or not a message leads to them."""
DATE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_PLAIN = {"int": 7, "str": "s", "bytes": b"b", "bool": True, "float": 1.5, "datetime": DATE}


def annotations(name: str) -> dict[str, Any]:
    """A class's fields with their annotations. Telethon's Message wears a coat with fields of both kinds of message."""
    generated = next(each for each in class_of(name).__mro__ if each.__module__.startswith("telethon.tl.types"))
    if "__init__" not in vars(generated):
        return {}
    return {key: each.annotation for key, each in list(inspect.signature(generated).parameters.items())}


def classes_in(annotation: Any) -> list[str]:
    """Names of the TL classes that may stand there."""
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        return [name for word in re.findall(r"\w+", annotation) for name in _named(word)]
    if _is_tl(annotation):
        return [annotation.__name__]
    return [each for part in typing.get_args(annotation) for each in classes_in(part)]


def _named(word: str) -> list[str]:
    """``TypePhoto`` is what may be a photo; one class alone may have no such name, or live in a room of its own."""
    alias = getattr(types, word, None) if word.startswith("Type") else None
    if alias is not None:
        return classes_in(alias)
    single = word.removeprefix("Type")
    return [single] if _is_tl(getattr(types, single, None) or getattr(types.messages, single, None)) else []


def _is_tl(thing: Any) -> bool:
    return inspect.isclass(thing) and hasattr(thing, "SUBCLASS_OF_ID")


def classes(plan: dict[str, Shape]) -> Iterator[str]:
    """Every class that can be met on the way from a message through all that is kept.

    Of the Input… classes, which clients send, those count that the plan knows: a few stand in answers too.
    """
    waiting = [*ROOTS, *(each for each in vars(types) if each.startswith(FAMILIES) and _is_tl(getattr(types, each)))]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or (name.startswith("Input") and name not in plan):
            continue
        seen.add(name)
        yield name
        shape = plan.get(name)
        for field, annotation in annotations(name).items():
            if shape is None or not shape.leaves_out(field):
                waiting += classes_in(annotation)


def undecided(plan: dict[str, Shape]) -> list[str]:
    """What the plan doesn't decide (``Class``, ``Class.field``), and what it decides though it isn't there (``-…``)."""
    met = set(classes(plan))
    faults = [name for name in met if name not in plan]
    faults += [f"-{name}" for name in plan if name not in met]
    for name in met & set(plan):
        there = annotations(name)
        faults += [f"{name}.{field}" for field in there if not plan[name].decides(field)]
        faults += [f"-{name}.{field}" for field in plan[name].named - set(there) - {"*"}]
    return sorted(faults)


def value_of(annotation: Any, depth: int = 1) -> Any:
    """Something that may stand there, of which something is kept; filled ``depth`` levels down."""
    names = [name for name in classes_in(annotation) if not name.startswith("Input") or name in PLAN]
    if names:
        made = (sample(name, depth) for name in names)
        value = next((each for each in made if describe(each) not in ({}, [], None)), None) or sample(names[0])
    else:
        words = re.findall(r"int|str|bytes|bool|float|datetime", str(annotation))
        value = _PLAIN[words[-1]] if words else object()
    return [value] if "List[" in str(annotation) else value


def sample(name: str, depth: int = 0) -> Any:
    """An object with its plain fields set, and what is within to that depth."""
    there = annotations(name)
    made = class_of(name)(**dict.fromkeys(there))
    for field, annotation in there.items():
        if depth or not classes_in(annotation):
            setattr(made, field, value_of(annotation, depth - 1))
        elif "List[" in str(annotation):
            setattr(made, field, [])
    return made
