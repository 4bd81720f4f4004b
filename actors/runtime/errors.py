"""What the runtime refuses or reports; one class per decision a caller makes."""

from pykka import ActorDeadError

__all__ = [
    "ActorDeadError",
    "ActorMissing",
    "AlreadyReplied",
    "AskCycle",
    "AskTimeout",
    "BlockingAskError",
    "ChildParked",
    "ForeignLoopError",
    "GaveUp",
    "JobAbandoned",
    "JobCancelled",
    "KeyTaken",
    "MailboxFull",
    "OwnerClaimed",
    "OwnerMissing",
    "ProxyRefused",
    "ReplyRefused",
    "RuntimeFault",
    "UnknownMessage",
]


class RuntimeFault(Exception):
    """Root of everything this package raises, except Pykka's own ``ActorDeadError``."""


class OwnerClaimed(RuntimeFault):
    """This process has an owner loop already: close that one first."""


class OwnerMissing(RuntimeFault):
    """No loop is claimed, or its owner is closing: no actor can start."""


class ForeignLoopError(RuntimeFault):
    """An actor was touched from a running loop that isn't its owner's; nothing was queued."""


class BlockingAskError(RuntimeFault):
    """Waiting here would block the loop: ``await`` the reply, or pass ``block=False``."""


class ProxyRefused(RuntimeFault):
    """Actors are reached by messages alone: Pykka's proxies and attribute messages are refused."""


class ActorMissing(RuntimeFault, ActorDeadError):
    """No actor lives under ``key`` now; it may be restarting."""

    def __init__(self, key: str) -> None:
        super().__init__(f"no actor lives under {key!r}")
        self.key = key


class KeyTaken(RuntimeFault):
    """An actor lives, or is still ending, under ``key``."""

    def __init__(self, key: str) -> None:
        super().__init__(f"an actor lives under {key!r} already")
        self.key = key


class ChildParked(RuntimeFault):
    """The child was set aside by its supervisor; only ``Unpark`` brings it back."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key!r} is parked: {reason}")
        self.key = key
        self.reason = reason


class UnknownMessage(RuntimeFault):
    """The actor doesn't handle messages of this class: a defect of who sent it, or of a union that forgot it."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(f"{key!r} handles no {message}")
        self.key = key
        self.message = message


class MailboxFull(RuntimeFault):
    """The mailbox of ``key`` holds ``size`` messages: ``await ref.send()``, or drop and come back."""

    def __init__(self, key: str, size: int) -> None:
        super().__init__(f"the mailbox of {key!r} holds {size} messages")
        self.key = key
        self.size = size


class AskTimeout(RuntimeFault, TimeoutError):
    """No reply within ``timeout`` seconds. Whether the message was handled is unknown."""

    def __init__(self, key: str, message: str, timeout: float) -> None:
        super().__init__(f"{key!r} did not answer {message} within {timeout:.3f} s")
        self.key = key
        self.message = message
        self.timeout = timeout


class AskCycle(RuntimeFault):
    """The asked actor is itself waiting, further up the chain of asks: this ask could never be answered."""

    def __init__(self, chain: tuple[str, ...]) -> None:
        super().__init__("cycle of asks: " + " -> ".join(chain))
        self.chain = chain


class JobCancelled(RuntimeFault):
    """The handler was cancelled before it had a reply."""

    def __init__(self, key: str, job: str, *, requested: bool = False) -> None:
        super().__init__(f"{key!r}: {job} was cancelled")
        self.key = key
        self.job = job
        self.requested = requested
        """Whether the cancellation was asked of the actor, by ``cancel_job`` or a kill."""


class JobAbandoned(RuntimeFault):
    """A job ignored two cancellations; its actor died, and the job's stack is in the log."""

    def __init__(self, key: str, job: str) -> None:
        super().__init__(f"{key!r}: {job} ignored its cancellation and was abandoned")
        self.key = key
        self.job = job


class AlreadyReplied(RuntimeFault):
    """The asker was answered before: a reply is given once."""


class ReplyRefused(RuntimeFault):
    """Development mode: a handler replied with something that may not leave its actor."""


class GaveUp(RuntimeFault):
    """A supervisor's children failed more often than its restart intensity allows."""

    def __init__(self, key: str, child: str, failures: int, period: float) -> None:
        super().__init__(f"{key!r} gave up: {failures} failures within {period:.0f} s, the last of {child!r}")
        self.key = key
        self.child = child
        self.failures = failures
        self.period = period
