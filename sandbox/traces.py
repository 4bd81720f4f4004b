"""Reads what `telewarden probe` saw of another data centre, so that the sandbox can do as that one does."""

import json
import logging
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from telethon.tl.alltlobjects import LAYER

from sandbox.switches import MAX_TOO_LONG_ABOVE, Switches

logger = logging.getLogger(__name__)


class TraceError(ValueError):
    """A trace that can't be used; the text says which line and why."""


class _Row(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


R = TypeVar("R", bound=_Row)


class _Finding(_Row):
    value: bool | int | Literal["unknown"]
    evidence: str


class _Header(_Row):
    trace: Literal["telewarden probe"]
    format: Literal[1]
    layer: int
    target: str
    switches: dict[str, _Finding]


class _Error(_Row):
    code: int | None
    name: str


class _Record(_Row):
    step: str
    method: str = Field(pattern=r"^([a-z]+\.)?[a-zA-Z]+$")
    answer: str | None = None
    error: _Error | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What a data centre was seen to do."""

    switches: Switches
    """As far as they were seen; the rest as the sandbox has them."""
    notes: tuple[str, ...]
    """What could not be taken over, in words for an operator."""


def read(path: Path) -> Trace:
    """Raises TraceError, also for a file that can't be read."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"{path}: {error}") from error
    if not lines:
        raise TraceError(f"{path}:1: the file is empty; telewarden probe --out writes a trace")
    header = _parse(_Header, lines[0], f"{path}:1")
    for number, line in enumerate(lines[1:], start=2):
        record = _parse(_Record, line, f"{path}:{number}")
        if (record.answer is None) == (record.error is None):
            raise TraceError(f"{path}:{number}: {record.step} must have an answer or an error, and not both")
    notes = [f"it is of layer {header.layer}, the sandbox speaks {LAYER}"] if header.layer != LAYER else []
    try:
        switches = _switches(header.switches, notes)
    except ValueError as error:
        raise TraceError(f"{path}:1: {error}") from error
    return Trace(switches=switches, notes=tuple(notes))


def load(path: Path) -> Switches:
    """The switches of a trace; what can't be taken over is a WARNING in the log. Raises TraceError."""
    trace = read(path)
    for note in trace.notes:
        logger.warning("%s: %s", path, note)
    return trace.switches


def _parse(kind: type[R], line: str, place: str) -> R:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in fault["loc"])
        raise TraceError(f"{place}: {key or 'the line'}: {fault['msg']}") from error


def _switches(found: dict[str, _Finding], notes: list[str]) -> Switches:
    """Raises ValueError for a value that the switch can't have."""
    chosen: dict[str, Any] = {}
    for switch in fields(Switches):
        finding = found.get(switch.name)
        if finding is None or finding.value == "unknown":
            why = finding.evidence if finding else "the trace doesn't name it"
            notes.append(f"{switch.name} wasn't seen and stays {switch.default} ({why})")
            continue
        if isinstance(finding.value, bool) != isinstance(switch.default, bool):
            raise ValueError(f"{switch.name}: {json.dumps(finding.value)} is no value of this switch")
        chosen[switch.name] = finding.value
    unknown = sorted(found.keys() - {switch.name for switch in fields(Switches)})
    notes += [f"the sandbox has no switch {name}" for name in unknown]
    if (most := chosen.get("too_long_above", 0)) > MAX_TOO_LONG_ABOVE:
        notes.append(f"too_long_above is {most} there, and {MAX_TOO_LONG_ABOVE} here: no more steps are kept")
        chosen["too_long_above"] = MAX_TOO_LONG_ABOVE
    return Switches(**chosen)
