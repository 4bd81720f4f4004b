"""Query parameters: each is declared once, and what reads it also says in the API's description what it takes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from daemon.admin.problem import Problem

INT64_MAX = 2**63 - 1
LONGEST_WAIT = 600.0

_NUMBER = re.compile(r"\d{1,19}", re.ASCII)
_SECONDS = re.compile(r"\d{1,3}(\.\d{1,9})?", re.ASCII)


class Param(Protocol):
    """A query parameter."""

    @property
    def name(self) -> str: ...

    @property
    def about(self) -> str: ...

    @property
    def required(self) -> bool: ...

    @property
    def schema(self) -> dict[str, Any]:
        """JSON schema of its text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A whole number from ``low`` to ``high``."""

    name: str
    about: str
    low: int = 0
    high: int = INT64_MAX
    default: int | None = None
    required: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        told: dict[str, Any] = {"type": "integer", "minimum": self.low, "maximum": self.high}
        return told if self.default is None else {**told, "default": self.default}

    def of(self, params: Mapping[str, str]) -> int:
        """The number, or the default. Raises: ``Problem`` 400."""
        found = self.given(params)
        if found is None:
            assert self.default is not None, f"{self.name} has no default: ask whether it is given"
            return self.default
        return found

    def given(self, params: Mapping[str, str]) -> int | None:
        """None where it is missing. Raises: ``Problem`` 400."""
        text = params.get(self.name)
        if text is None:
            return None
        if not _NUMBER.fullmatch(text) or not self.low <= int(text) <= self.high:
            raise Problem(
                400,
                f"Query parameter {self.name!r} must be a whole number from {self.low} to {self.high}, "
                f"not {text[:40]!r}",
                parameter=self.name,
            )
        return int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """Seconds up to ``LONGEST_WAIT``, fractions allowed."""

    name: str
    about: str
    required: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "number", "minimum": 0, "maximum": LONGEST_WAIT}

    def given(self, params: Mapping[str, str]) -> float | None:
        """None where it is missing. Raises: ``Problem`` 400."""
        text = params.get(self.name)
        if text is None:
            return None
        if not _SECONDS.fullmatch(text) or float(text) > LONGEST_WAIT:
            detail = f"Query parameter {self.name!r} must be seconds from 0 to {LONGEST_WAIT:.0f}, not {text[:40]!r}"
            raise Problem(400, detail, parameter=self.name)
        return float(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf:
    """One of some words."""

    name: str
    about: str
    words: tuple[str, ...]
    default: str | None = None
    required: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        told: dict[str, Any] = {"type": "string", "enum": list(self.words)}
        return told if self.default is None else {**told, "default": self.default}

    def given(self, params: Mapping[str, str]) -> str | None:
        """The word, the default, or None. Raises: ``Problem`` 400."""
        text = params.get(self.name, self.default)
        if text is not None and text not in self.words:
            known = ", ".join(self.words)
            detail = f"Query parameter {self.name!r} must be one of {known}, not {text[:40]!r}"
            raise Problem(400, detail, parameter=self.name)
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    name: str
    about: str
    required: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


class Words(_Text):
    """Text, which its reader judges."""

    def of(self, params: Mapping[str, str]) -> str:
        """Empty where it is missing."""
        return params.get(self.name, "")


class Switch(_Text):
    """Is given, whatever it says, or isn't."""

    def of(self, params: Mapping[str, str]) -> bool:
        return self.name in params


WAIT = Seconds(name="wait", about="Wait that many seconds for the end: 200 when it came, else 202.")
CHANNEL = Words(name="channel", about="A channel's name, @name, t.me/name or id.", required=True)


def after_id(about: str) -> Whole:
    return Whole(name="after_id", about=about, default=0)


def before_id(about: str) -> Whole:
    return Whole(name="before_id", about=about, low=1, default=INT64_MAX)


def page_limit(most: int, default: int) -> Whole:
    return Whole(name="limit", about="At most so many.", low=1, high=most, default=default)
