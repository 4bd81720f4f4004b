"""What is wrong with the settings, one line a fault. No fault ever shows a secret's value."""

from collections.abc import Iterable
from dataclasses import dataclass

KEPT = 100
"""Faults shown at most; a file of another kind would otherwise answer with one a line."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was written: a file and its line, an environment variable, or a credential."""

    source: str
    line: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to mend: ``config/x.yaml:12: schedules[2].every: expected a duration such as 30m, got '5 minuts'``."""

    where: str
    path: str
    """Dotted, list places in brackets; empty for the source as a whole."""
    text: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.path, self.text) if part)


class SettingsInvalid(Exception):
    """The settings can't be used; ``faults`` says all that has to be mended, in the order of the file."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


class Faults:
    """Collects faults while a source is read, at most one a place, and orders them by line."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], tuple[Origin, Fault]] = {}
        self._left_off = 0

    def __len__(self) -> int:
        return len(self._found) + self._left_off

    @property
    def full(self) -> bool:
        return len(self._found) >= KEPT

    def add(self, origin: Origin, path: str, text: str) -> None:
        key = (str(origin), path, "" if path else text)
        if key in self._found:
            return
        if self.full:
            self._left_off += 1
        else:
            self._found[key] = (origin, Fault(str(origin), path, text))

    def end(self) -> None:
        """Raise SettingsInvalid if anything was found."""
        if not self._found:
            return
        # Python's sort is stable: what has no line (environment, credentials) follows in the order of discovery.
        ordered = sorted(self._found.values(), key=lambda found: (found[0].line is None, found[0].line or 0))
        faults = [fault for _, fault in ordered]
        if self._left_off:
            faults.append(Fault(faults[0].where.partition(":")[0], "", f"and {self._left_off} more faults"))
        raise SettingsInvalid(faults)
