"""One request at a time through one client: the only way in which an account or a sign-in asks Telegram anything.

Holds the memory of flood waits and of paces per method. A call inside a wait is refused here and never reaches the
network, for asking again inside a wait turns seconds into hours. Paces are kept by the line, the one place that waits.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from telethon.errors import RPCError
from telethon.tl import functions

from actors.errors import AccountUnusable, ActorsError, FloodWaited, TryAgain
from actors.messages.account import MethodCalls
from actors.messages.alerts import AlertKind, EndAlert, RaiseAlert
from actors.messages.ids import AccountId, ChannelId
from actors.runtime.clock import Clock
from actors.telegram.alarms import Circuit, alert_of
from actors.telegram.budget import Budgets
from actors.telegram.client import AccountClient
from actors.telegram.faults import FAULTS, TRANSPORT, Call, has_row, name_of, translate

WAITS: tuple[AlertKind, ...] = ("flood_wait", "method_parked", "unknown_wait")


class CallMetrics(Protocol):
    """What is counted; ``outcome`` is ``ok`` or the name of the error's class."""

    def call_made(self, method: str, outcome: str) -> None: ...

    def flood_waited(self, method: str, seconds: float) -> None: ...

    def push_dropped(self) -> None: ...

    def alert_delivered(self, *, heard: bool) -> None: ...

    def budget_begun(self, budgets: Budgets) -> None: ...


class NoMetrics:
    """Counts nothing."""

    def call_made(self, method: str, outcome: str) -> None: ...

    def flood_waited(self, method: str, seconds: float) -> None: ...

    def push_dropped(self) -> None: ...

    def alert_delivered(self, *, heard: bool) -> None: ...

    def budget_begun(self, budgets: Budgets) -> None: ...


class Caller:
    """Asks with a deadline, and turns every fault into the decision that it stands for."""

    def __init__(
        self,
        client: AccountClient,
        account_id: AccountId,
        *,
        clock: Clock,
        timeout: timedelta,
        waits: Mapping[str, datetime] | None = None,
        on_flood: Callable[[str, datetime], None] | None = None,
        budgets: Budgets | None = None,
        metrics: CallMetrics | None = None,
        on_alert: Callable[[RaiseAlert | EndAlert], object] | None = None,
    ) -> None:
        self._client = client
        self.account_id = account_id
        self._clock = clock
        self._timeout = timeout.total_seconds()
        self._waits = dict(waits or {})
        self._on_flood = on_flood
        self._budgets = budgets or Budgets()
        self._metrics = metrics or NoMetrics()
        self._alert = on_alert or (lambda _: None)
        self._circuits: dict[str, Circuit] = {}
        self.answered_at = clock.monotonic()
        """When Telegram last answered, if by an error, in the clock's monotonic seconds."""
        self._unanswered_at: float | None = None
        """When the first of the calls was made that have had no answer since."""

    @property
    def waiting(self) -> bool:
        """Whether any method is inside a flood wait now."""
        now = self._clock.now()
        return any(until > now for until in self._waits.values())

    @property
    def unanswered_for(self) -> float:
        """Seconds since the first of the calls without an answer was made; 0 where the last one has had one."""
        return 0.0 if self._unanswered_at is None else self._clock.monotonic() - self._unanswered_at

    def ready_in(self, method: str) -> float:
        """Seconds until the account's pace lets it call this method; 0 for now."""
        now = self._clock.monotonic()
        return max(0.0, self._budgets.ready_at(method, now) - now)

    def describe(self) -> tuple[MethodCalls, ...]:
        """Every method that was called, is paced or inside a wait."""
        now, clock = self._clock.now(), self._clock.monotonic()
        waits = {method: (until - now).total_seconds() for method, until in self._waits.items() if until > now}
        told = [
            MethodCalls(
                method=method,
                calls=None if pace is None else pace.calls,
                seconds=None if pace is None else pace.seconds,
                made=made,
                ready_in=round(max(ready_in, waits.pop(method, 0.0)), 1),
            )
            for method, pace, made, ready_in in self._budgets.describe(clock)
        ]
        told += [
            MethodCalls(method=method, calls=None, seconds=None, made=0, ready_in=round(left, 1))
            for method, left in sorted(waits.items())
        ]
        return tuple(told)

    def forget_wait(self, method: str) -> bool:
        """Whether there was one."""
        return self._waits.pop(method, None) is not None

    async def __call__(self, request: Any, *, channel_id: ChannelId | None = None, dc_id: int | None = None) -> Any:
        """Send one request, return its result. ``dc_id``: where it is to be answered, if not at home.

        Raises:
            FloodWaited, ChannelLost, AccountUnusable, TryAgain, Refused: what ``faults`` makes of the answer.
            Unreadable: the answer holds a constructor that Telethon doesn't know; the asker may isolate it.
        """
        method = method_of(request)
        self._refuse_inside_a_wait(method)
        self._refuse_resting(method)
        call = Call(self.account_id, method, channel_id)
        called_at = self._clock.monotonic()
        self._budgets.called(method, called_at)
        try:
            async with asyncio.timeout(self._timeout):
                result = await self._client.ask(request, dc_id=dc_id)
        except FAULTS as fault:
            self._note_answer(called_at, answered=not isinstance(fault, TRANSPORT))
            decision = self._judge(fault, call)
            self._metrics.call_made(method, type(decision).__name__)
            # Not "from fault": some of Telethon's texts quote the bytes that it couldn't read.
            raise decision from None
        self._metrics.call_made(method, "ok")
        self._note_success(method)
        self._note_answer(called_at, answered=True)
        return result

    def _note_answer(self, called_at: float, *, answered: bool) -> None:
        if answered:
            self.answered_at, self._unanswered_at = self._clock.monotonic(), None
        elif self._unanswered_at is None:
            self._unanswered_at = called_at

    def _refuse_inside_a_wait(self, method: str) -> None:
        until = self._waits.get(method)
        if until is None:
            return
        left = until - self._clock.now()
        if left <= timedelta():
            del self._waits[method]
            for kind in WAITS:
                cause = None if kind == "unknown_wait" else method
                self._alert(EndAlert(kind=kind, account_id=self.account_id, cause=cause))
            return
        raise FloodWaited(self.account_id, method, left)

    def _refuse_resting(self, method: str) -> None:
        circuit = self._circuits.get(method)
        if circuit is not None and circuit.rest(self._clock.monotonic()) > 0:
            raise TryAgain(self.account_id, method, "its circuit is open: nothing but failures for minutes")

    def _judge(self, fault: BaseException, call: Call) -> ActorsError:
        """The decision; the operator is told of what concerns an operator."""
        decision = translate(fault, call)
        if isinstance(fault, RPCError):
            name = name_of(fault)
            alert = alert_of(decision, name, known=has_row(name))
            if alert is not None and not isinstance(decision, AccountUnusable):  # the account tells that itself
                self._alert(alert)
            if isinstance(decision, TryAgain):
                self._note_failure(call.method, name)
            else:
                self._note_success(call.method)
        return self._remember(decision)

    def _note_failure(self, method: str, name: str) -> None:
        circuit = self._circuits.setdefault(method, Circuit())
        if circuit.failed(self._clock.monotonic()):
            self._alert(RaiseAlert(kind="service_failing", account_id=self.account_id, cause=f"{method}: {name}"))

    def _note_success(self, method: str) -> None:
        """Answered, if by a refusal: the service works."""
        circuit = self._circuits.pop(method, None)
        if circuit is not None and circuit.answered():
            self._alert(EndAlert(kind="service_failing", account_id=self.account_id))

    def _remember(self, decision: ActorsError) -> ActorsError:
        if not isinstance(decision, FloodWaited):
            return decision
        # 1-10 % more than was asked for: a thousand accounts must not come back in the same second.
        wait = decision.wait * random.uniform(1.01, 1.10)  # noqa: S311 - no secret
        until = self._clock.now() + wait
        self._waits[decision.method] = until
        self._metrics.flood_waited(decision.method, decision.wait.total_seconds())
        self._budgets.flooded(decision.method, self._clock.monotonic())
        if self._on_flood is not None:
            self._on_flood(decision.method, until)
        return FloodWaited(decision.account_id, decision.method, wait)


IN_TAKEOUT = "takeout/"
"""Before the name of a method that is called inside a takeout session: it has waits and a pace of its own."""


def method_of(request: Any) -> str:
    """Telegram's name of a request: ``messages.getHistory``."""
    cls = type(request)
    if cls is functions.InvokeWithTakeoutRequest:
        return IN_TAKEOUT + method_of(request.query)
    name = cls.__name__.removesuffix("Request")
    name = name[0].lower() + name[1:]
    namespace = cls.__module__.removeprefix("telethon.tl.functions").strip(".")
    return f"{namespace}.{name}" if namespace else name
