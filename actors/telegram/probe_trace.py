"""What a probe writes: records without content, what follows from them, and how two traces differ. No Telethon here."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

KIND = "telewarden probe"
FORMAT = 1
MAX_NUMBER = 99_999
"""Counts, relative pts and seconds are smaller; ids of accounts and channels, hashes and dates are larger."""
ADAPTIVE = "edge/"
"""Begins the names of steps that were chosen by the answers before them: other answers, other steps."""

PLAN = (
    ("help.getConfig", 2, "once more than connecting asks for it"),
    ("users.getUsers", 1, "the account itself"),
    ("messages.getDialogs", 1, "the first page; no sweep"),
    ("contacts.resolveUsername", 1, "only if the channel is given by name and isn't on that page"),
    ("messages.getPeerDialogs", 5, "one, several, many; one with a wrong access hash; one that is forbidden"),
    ("messages.getHistory", 14, "pages of the channel at their edges"),
    ("channels.getMessages", 1, "some that are there and some that aren't"),
    ("messages.getMessagesViews", 1, "three posts, without counting a view"),
    ("messages.getMessagesReactions", 1, "three posts"),
    ("updates.getState", 1, ""),
    ("updates.getChannelDifference", 22, "of the channel, from before, at and beyond its pts"),
    ("updates.getDifference", 7, "of the account, at most 5 steps or a week back"),
)
"""All that is ever asked: the method, how often at most, and of what."""

_WORD = re.compile(r"[A-Za-z0-9_.,:/<>=+-]{1,64}")
_EVIDENCE = re.compile(r"[A-Za-z0-9_.,:;/<>=+' -]{1,200}")
_LONG_NUMBER = re.compile(r"\d{6}")

Plain = Mapping[str, Any]


class TraceInvalid(ValueError):
    """A file that is no trace; the text says which line and why."""


class TraceLeaks(AssertionError):
    """A defect: a record holds what can't be shape. Nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One call: what was asked, in relation to what was known, and the shape of its answer."""

    step: str
    method: str
    ask: Plain
    answer: str | None = None
    """The answer's constructor; None for an error."""
    error: Plain | None = None
    """``code`` (None for a line that broke), ``name`` with its digits taken out, ``wait`` in seconds."""
    fields: list[str] = field(default_factory=list)
    """The answer's own fields and flags that are set."""
    facts: Plain = field(default_factory=dict)
    """How the answer relates to what was asked and known; None for what couldn't be seen."""
    latency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a switch or an assumption turned out to be; None where that couldn't be seen."""

    value: bool | int | None
    evidence: str


@dataclass(slots=True, kw_only=True)
class Trace:
    layer: int
    telethon: str
    telewarden: str
    target: str
    """``telegram``, ``loopback`` or ``other``."""
    pace: float
    """Calls a second, at most."""
    records: list[Record] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    """Steps that were left out, and why."""
    stopped: Plain | None = None
    """The step and the error after which nothing more was asked."""
    switches: dict[str, Finding] = field(default_factory=dict)
    """By the names of ``sandbox/switches.py``."""
    assumptions: dict[str, Finding] = field(default_factory=dict)
    """What the project takes for granted beside them."""
    seen: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Constructors inside the answers and which of their fields were set: the channel's own, so it isn't compared."""

    def dump(self) -> str:
        """JSON lines: a header, then the records. Raises: TraceLeaks."""
        header = {"trace": KIND, "format": FORMAT} | {
            name: getattr(self, name)
            for name in ("layer", "telethon", "telewarden", "target", "pace", "skipped", "stopped", "seen")
        }
        for name in ("switches", "assumptions"):
            findings: Mapping[str, Finding] = getattr(self, name)
            header[name] = {
                each: {"value": "unknown" if found.value is None else found.value, "evidence": found.evidence}
                for each, found in findings.items()
            }
        rows = [header, *(asdict(record) for record in self.records)]
        for row in rows:
            _refuse_content(row)
        return "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises: TraceInvalid, OSError."""
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
        with _line(path, 1):
            trace = TypeAdapter(cls).validate_python(_header(json.loads(lines[0])))
        row = TypeAdapter(Record)
        for number, line in enumerate(lines[1:], start=2):
            with _line(path, number):
                trace.records.append(row.validate_json(line))
        return trace


@contextmanager
def _line(path: Path, number: int) -> Iterator[None]:
    """Say of what is wrong where it stands."""
    try:
        yield
    except ValidationError as fault:
        first = fault.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise TraceInvalid(f"{path}:{number}: {place}: {first['msg']}".replace(": : ", ": ")) from fault
    except json.JSONDecodeError as fault:
        raise TraceInvalid(f"{path}:{number}: this is no JSON") from fault
    except ValueError as fault:
        raise TraceInvalid(f"{path}:{number}: {fault}") from fault


def _header(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict) or row.get("trace") != KIND:
        raise ValueError(f"this isn't the header of a {KIND}")
    if row.get("format") != FORMAT:
        raise ValueError(f"its format is {row.get('format')!r}; this version reads {FORMAT}")
    for name in ("switches", "assumptions"):
        for found in row[name].values() if isinstance(row.get(name), dict) else ():
            if isinstance(found, dict) and found.get("value") == "unknown":
                found["value"] = None
    return row


def _refuse_content(value: Any, path: str = "") -> None:
    """The last guard: only small numbers, and words without spaces that hold no long number."""
    match value:
        case None | bool() | float():
            return
        case int() if abs(value) <= MAX_NUMBER:
            return
        case str() if not value or value == KIND:
            return
        case str():
            sentence = path.endswith((".evidence", ".reason")) or path.startswith(".skipped.")
            if (_EVIDENCE if sentence else _WORD).fullmatch(value) and not _LONG_NUMBER.search(value):
                return
        case Mapping():
            for name, inner in value.items():
                _refuse_content(name)
                _refuse_content(inner, f"{path}.{name}")
            return
        case list() | tuple():
            for inner in value:
                _refuse_content(inner, path)
            return
    # Not the value: this text may be logged.
    raise TraceLeaks(f"{path}: something that may be content stands here; nothing was written")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that two traces tell differently."""

    place: str
    left: Any
    right: Any

    def __str__(self) -> str:
        return f"{self.place}: {json.dumps(self.left)} | {json.dumps(self.right)}"


def compare(left: Trace, right: Trace) -> list[Difference]:
    """What the two services do differently, as far as both were asked.

    What one of them left out with a reason, or couldn't see (None), is no difference; nor is what the channel happens
    to hold (``seen``), or how long an answer took.
    """
    return [*_findings(left, right), *_records(left, right)]


def _findings(left: Trace, right: Trace) -> Iterator[Difference]:
    for kind in ("switches", "assumptions"):
        one: Mapping[str, Finding] = getattr(left, kind)
        other: Mapping[str, Finding] = getattr(right, kind)
        for name in sorted(one.keys() & other.keys()):
            yield from _told(f"{kind}.{name}", one[name].value, other[name].value)


def _records(left: Trace, right: Trace) -> Iterator[Difference]:
    one, other = ({record.step: record for record in trace.records} for trace in (left, right))
    for step in (*one, *(step for step in other if step not in one)):
        mine, theirs = one.get(step), other.get(step)
        if mine is not None and theirs is not None:
            yield from _record(mine, theirs)
        elif not (step.startswith(ADAPTIVE) or _excused(left if mine is None else right, step)):
            yield Difference(step, "asked" if mine else "not asked", "asked" if theirs else "not asked")


def _excused(trace: Trace, step: str) -> bool:
    return step in trace.skipped or trace.stopped is not None


def _record(left: Record, right: Record) -> Iterator[Difference]:
    place = f"{left.step} ({left.method})"
    for name in ("method", "ask", "answer", "fields"):
        mine, theirs = getattr(left, name), getattr(right, name)
        if mine != theirs and (left.error is None) == (right.error is None):
            yield Difference(f"{place}: {name}", mine, theirs)
    mine, theirs = _refusal(left), _refusal(right)
    if mine != theirs:
        yield Difference(f"{place}: error", mine, theirs)
    for name in sorted(left.facts.keys() & right.facts.keys()):
        yield from _told(f"{place}: {name}", left.facts[name], right.facts[name])


def _refusal(record: Record) -> str | None:
    return None if record.error is None else f"{record.error['code']} {record.error['name']}"


def _told(place: str, left: Any, right: Any) -> Iterator[Difference]:
    if left is not None and right is not None and left != right:
        yield Difference(place, left, right)
