"""TL objects -> JSON objects, as the plan has it. Never fails on a well-formed object.

A class that the plan doesn't know (a newer layer's) is kept as its bare type.
"""

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from telethon.tl import types

from actors.telegram import plan_actions, plan_media, plan_message, plan_rich
from actors.telegram.plan import Shape, type_name

Described = dict[str, Any]

PLAN: dict[str, Shape] = plan_message.PLAN | plan_media.PLAN | plan_actions.PLAN | plan_rich.PLAN
"""By the names of Telethon's classes."""


def class_of(name: str) -> type[Any]:
    """Telethon's class. Raises AttributeError where this Telethon has none."""
    found: type[Any] = getattr(types, name, None) or getattr(types.messages, name)
    return found


@dataclass(frozen=True, slots=True)
class _Work:
    """A shape as it is worked off: this is done for every photo and preview of a backfill."""

    constants: Described
    kind: str | None
    stands: str | None
    kept: tuple[tuple[str, str], ...]
    answers: frozenset[str]
    words: tuple[tuple[str, str], ...]
    merged: tuple[str, ...]
    computed: tuple[tuple[str, Callable[[Described, Any], None]], ...]


_AS_IT_IS = frozenset((str, int, bool, float, datetime))  # orjson writes a datetime itself, in ISO 8601
_PREFIXES = ("MessageMedia", "MessageAction", "MessageEntity", "PageBlock", "WebPageAttribute", "Text")
KINDS = ("sticker", "custom_emoji", "animation", "round", "voice", "video", "audio")
"""What a file is: of several that its attributes say, the first, in whatever order they come."""


def describe(thing: Any) -> Any:
    """What is kept of an object: a JSON object, or the field that stands for it."""
    work = _WORK.get(type(thing))
    if work is not None and work.stands is not None:
        return _rendered(getattr(thing, work.stands))
    made: Described = {}
    _fill(made, thing)
    return made


def _fill(made: Described, thing: Any) -> None:
    work = _WORK.get(type(thing))
    if work is None:
        made["type"] = _unknown(type(thing))
        return
    made.update(work.constants)
    if work.kind is not None:
        _be(made, work.kind)
    for field, key in work.kept:
        value = getattr(thing, field)
        if value is None:
            continue
        if type(value) not in _AS_IT_IS:
            put(made, key, value)
        elif value is not False or field in work.answers:
            made[key] = value
    for field, kind in work.words:
        if getattr(thing, field):
            _be(made, kind)
    for field in work.merged:
        value = getattr(thing, field)
        if type(value) is list:
            for each in value:
                _fill(made, each)
        elif value is not None:
            _fill(made, value)
    for field, compute in work.computed:
        compute(made, getattr(thing, field))


def _be(made: Described, kind: str) -> None:
    known = made.get("kind")
    if known is None or KINDS.index(kind) < KINDS.index(known):
        made["kind"] = kind


def put(made: Described, key: str, value: Any) -> None:
    """Add one field, unless nothing is kept of it. Text with entities stands as text, and its entities beside it."""
    if type(value) is types.TextWithEntities:
        made[key] = value.text
        key, value = f"{key}_entities", value.entities
    rendered = _rendered(value)
    if rendered not in ([], {}):
        made[key] = rendered


def _rendered(value: Any) -> Any:
    kind = type(value)
    if kind in _AS_IT_IS:
        return value
    if kind is list:
        return [_rendered(each) for each in value]
    if kind is bytes:
        return b64encode(value).decode()
    return describe(value)


def _unknown(cls: type[Any]) -> str:
    prefix = next((each for each in _PREFIXES if cls.__name__.startswith(each)), "")
    return type_name(cls.__name__, prefix)


def _largest(made: Described, sizes: Iterable[Any]) -> None:
    """Of a photo's sizes the widest, with its bytes."""
    largest, width = None, 0
    for size in sizes:
        w = getattr(size, "w", 0)
        if w > width:
            largest, width = size, w
    if largest is None:
        return
    made["w"], made["h"] = width, largest.h
    kind = type(largest)
    if kind is types.PhotoSizeProgressive:
        made["size"] = max(largest.sizes, default=0)
    else:
        made["size"] = len(largest.bytes) if kind is types.PhotoCachedSize else largest.size


def _animated(made: Described, sizes: Iterable[Any] | None) -> None:
    if sizes:
        made["animated"] = True


def _count(made: Described, media: list[Any]) -> None:
    """Who has paid sees the files, everybody else a preview: alike is only their number."""
    made["count"] = len(media)


_COMPUTED: Mapping[str, Mapping[str, Callable[[Described, Any], None]]] = {
    "Photo": {"sizes": _largest, "video_sizes": _animated},
    "MessageMediaPaidMedia": {"extended_media": _count},
}


def _work(name: str, shape: Shape) -> _Work:
    constants: Described = dict(shape.constants)
    kind = constants.pop("kind", None)
    return _Work(
        constants=constants,
        kind=kind,
        stands=shape.stands,
        kept=tuple(shape.kept),
        answers=frozenset(shape.answers),
        words=tuple(shape.words),
        merged=tuple(shape.merged),
        computed=tuple(_COMPUTED.get(name, {}).items()),
    )


_WORK: Mapping[type[Any], _Work] = {class_of(name): _work(name, shape) for name, shape in PLAN.items()}


_BACKSLASH = ord("\\")


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and without NUL, which ``jsonb`` refuses: the same bytes for the same content."""
    encoded = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    # A number is looked for five times as fast, and most JSON has no backslash at all.
    if _BACKSLASH in encoded and b"\\u0000" in encoded:
        encoded = orjson.dumps(_without_nul(value), option=orjson.OPT_SORT_KEYS)
    return encoded


def _without_nul(value: Any) -> Any:
    # A replacement of the same length keeps the offsets of entities true.
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    return value
