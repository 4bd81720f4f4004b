"""Messages and actors that the tests of the runtime share."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from actors.runtime.actor import TaskActor
from actors.runtime.message import Request
from actors.runtime.reply import Later


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo(Request[int]):
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Do(Request[Any]):
    """Have the actor run ``action`` with itself; what it returns is the handler's result."""

    action: Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    value: Any


class Fault(Exception):
    """What test handlers raise."""


class Revoked(Exception):
    park = True


class Probe(TaskActor):
    """Echoes, notes, and does what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[Any] = []
        self.controls: list[Any] = []
        self.ends: list[str] = []

    def on_receive(self, message: Any) -> Any:
        match message:
            case Echo(value=value):
                return value
            case Note(value=value):
                self.notes.append(value)
                return None
            case Do(action=action):
                return action(self)
            case BaseException():
                raise message
        return super().on_receive(message)

    def on_control(self, message: Any) -> None:
        if isinstance(message, BaseException):
            raise message
        self.controls.append(message)


@dataclass
class Gate:
    """A handler that waits until it is let go, and remembers what became of it."""

    entered: asyncio.Event = field(default_factory=asyncio.Event)
    leave: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: int = 0
    stubborn: int = 0
    """How many cancellations to swallow."""

    async def wait(self, _actor: Any = None) -> str:
        self.entered.set()
        while True:
            try:
                await self.leave.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                if self.cancelled > self.stubborn:
                    raise
            else:
                return "let go"


def behind(ref: Any) -> Any:
    """The actor behind a ref: tests look inside, nobody else."""
    return life_behind(ref).actor


def life_behind(ref: Any) -> Any:
    return ref._owner._lives[ref.key]


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def until(true: Callable[[], bool], *, turns_at_most: int = 10_000) -> None:
    for _ in range(turns_at_most):
        if true():
            return
        await asyncio.sleep(0)
    raise AssertionError("never came true")


async def outcome(reply: Awaitable[Any]) -> Any:
    """The value, or the error as a value."""
    try:
        return await reply
    except Exception as error:  # noqa: BLE001 - it is the outcome
        return error


__all__ = [
    "Do",
    "Echo",
    "Fault",
    "Gate",
    "Later",
    "Note",
    "Probe",
    "Revoked",
    "behind",
    "life_behind",
    "outcome",
    "turns",
    "until",
]
