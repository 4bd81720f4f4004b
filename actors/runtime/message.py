"""Messages the runtime knows: the base of typed requests, and its own control messages."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from actors.runtime.ref import Ref

R_co = TypeVar("R_co", covariant=True)


class Request(Generic[R_co]):
    """Base of messages that are answered with an ``R``; ``await ref.call(request)`` is typed by it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelJob:
    """Control: cancel the running job, if any; the actor lives on, the asker gets ``JobCancelled``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """Control: end now. The job is cancelled, mail is dropped, ``stopping()`` still runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Control: finish the message at hand, then take no mail until ``Resume``. A queued stop waits too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Control: take mail again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildDown:
    """Control, to a supervisor: the child that was ``ref`` has ended."""

    key: str
    ref: "Ref"
    error: BaseException | None
    """What it died of; None after a stop or a kill."""
    killed: bool
