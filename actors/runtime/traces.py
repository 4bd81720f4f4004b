"""Tracebacks: what is read of them before an error leaves its actor, and that none leaves with it.

A traceback holds frames, and frames hold whatever was at hand: the actor, its Telethon client, and, by way of the
error itself, a cycle for the garbage collector (10,000 of those stalled the loop 200 ms).
"""

from collections.abc import Iterator
from types import TracebackType

PLACES = 12
"""Most frames named in a note, the innermost ones."""


def sever(error: BaseException, *, note: str | None = None) -> None:
    """Drop the tracebacks of ``error`` and of all it was raised from, with, or as a group of.

    With ``note`` each leaves its places, as text that is printed under the error wherever it ends up. Only the links
    are cut: clearing the frames would, on 3.11, close coroutines of the living that the error passed through.
    """
    for link in _links(error):
        trace = link.__traceback__
        if trace is None:
            continue
        if note is not None:
            link.add_note(f"{note}: {' > '.join(_places(trace))}")
        link.__traceback__ = None


def trim(error: BaseException) -> None:
    """Drop the frames of ``life.py`` from the top of the traceback: the author's tell the story."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__") == "actors.runtime.life":
        trace = trace.tb_next
    if trace is not None:
        error.__traceback__ = trace


def _links(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        link = left.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        left += (link.__cause__, link.__context__)
        if isinstance(link, BaseExceptionGroup):
            left += link.exceptions


def _places(trace: TracebackType) -> list[str]:
    # By hand: the traceback module reads source files, and would block the loop.
    places = []
    step: TracebackType | None = trace
    while step is not None:
        code = step.tb_frame.f_code
        places.append(f"{code.co_name} ({code.co_filename.rpartition('/')[2]}:{step.tb_lineno})")
        step = step.tb_next
    return places[-PLACES:]
