"""Ranges of ids, as asyncpg gives them and as we write them."""

from collections.abc import Iterable
from typing import Any

from actors.messages.ids import Span


def spans(covered: Iterable[Any]) -> tuple[Span, ...]:
    """Spans of asyncpg's ranges; PostgreSQL writes those of integers as [from, to)."""
    return tuple((part.lower, part.upper - 1) for part in covered)
