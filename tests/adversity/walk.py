"""Everything that can be had from an object by public means, and the way to it."""

import asyncio
import inspect
import types
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta, tzinfo
from pathlib import PurePath

TEXT_AND_NUMBERS = (str, bytes, bytearray, memoryview, int, float, complex, date, time, timedelta, tzinfo, PurePath)
ATOMS = (*TEXT_AND_NUMBERS, type(None), type(...), types.ModuleType, types.CodeType)
COLLECTIONS = (tuple, list, set, frozenset, deque)
MOST = 200_000
"""Things looked at before the walk fails: it must end, and not by having seen a part of what there is."""


@dataclass(frozen=True)
class Found:
    path: str
    thing: object


def find(roots, forbidden):
    """The first instance of ``forbidden`` classes that can be reached, nearest first; None where there is none.

    Followed: public attributes and properties, fields, items; of exceptions also their arguments, causes, contexts
    and the locals of the frames in their tracebacks; of functions their cells and of methods what they are bound to;
    of tasks and futures what they run and have. Not followed: names that begin with an underscore, and calls.
    """
    seen, todo = {}, deque((name, thing) for name, thing in roots.items())
    while todo:
        path, thing = todo.popleft()
        if isinstance(thing, ATOMS) or id(thing) in seen:
            continue
        if isinstance(thing, forbidden):
            return Found(path, thing)
        seen[id(thing)] = thing  # kept: an id is another's as soon as its thing is gone
        assert len(seen) < MOST, f"too much to look at; by now at {path}"
        todo.extend((path + step, next_thing) for step, next_thing in steps(thing))
    return None


def steps(thing):
    """What is one step away, with the step as Python would write it."""
    if isinstance(thing, Mapping):
        for key, value in list(thing.items()):
            yield f"[{key!r:.60}]", value
            yield f".keys({key!r:.60})", key
    elif isinstance(thing, COLLECTIONS):
        for index, item in enumerate(tuple(thing)):
            yield f"[{index}]", item
    if isinstance(thing, type):
        yield from in_class(thing)
        return
    yield from hidden_by_its_kind(thing)
    modules = ("f_globals", "f_builtins") if isinstance(thing, types.FrameType) else ()  # anybody can import those
    for name in dir(thing):
        if not name.startswith("_") and name not in modules:
            try:
                value = getattr(thing, name)
            except Exception:  # noqa: BLE001 - what can't be had can't leak
                continue
            yield f".{name}", value


def in_class(cls):
    for name, value in list(vars(cls).items()):
        if not name.startswith("_"):
            yield f".{name}", value


def hidden_by_its_kind(thing) -> Iterator[tuple[str, object]]:
    """What Python's own public means show of exceptions, functions, coroutines and futures."""
    match thing:
        case BaseException():
            for name in ("__cause__", "__context__"):
                yield f".{name}", getattr(thing, name)
            yield from of_traceback(thing.__traceback__)
        case types.FrameType():
            for name, value in list(thing.f_locals.items()):
                yield f".f_locals[{name!r}]", value
        case types.FunctionType():
            yield from of_cells(thing)
            yield ".__defaults__", thing.__defaults__
            yield ".__kwdefaults__", thing.__kwdefaults__
        case types.MethodType():
            yield ".__self__", thing.__self__
            yield ".__func__", thing.__func__
        case types.BuiltinMethodType():
            yield ".__self__", thing.__self__
        case asyncio.Future():
            if isinstance(thing, asyncio.Task):
                yield ".get_coro()", thing.get_coro()
            if thing.done() and not thing.cancelled():
                error = thing.exception()
                yield (".exception()", error) if error is not None else (".result()", thing.result())
        case weakref.ReferenceType():
            yield "()", thing()
        case _ if inspect.iscoroutine(thing):
            yield ".cr_frame", thing.cr_frame


def of_traceback(trace):
    step = ".__traceback__"
    while trace is not None:
        yield f"{step}.tb_frame", trace.tb_frame
        step, trace = f"{step}.tb_next", trace.tb_next


def of_cells(function):
    for index, cell in enumerate(function.__closure__ or ()):
        try:
            yield f".__closure__[{index}].cell_contents", cell.cell_contents
        except ValueError:  # an empty cell
            continue
