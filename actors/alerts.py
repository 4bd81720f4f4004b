"""What an operator has to know, kept until it is over. Whoever meets it says so; nobody waits for an answer."""

from collections import deque
from typing import assert_never, get_args

from actors import log
from actors.messages.alerts import AlertKind, AlertRow, CloseAlert, EndAlert, RaiseAlert
from actors.messages.ids import AccountId
from actors.metrics import Metrics
from actors.neighbours import once_stored, or_again
from actors.ports import Alerts as Store
from actors.runtime.actor import TaskActor

KEY = "alerts"
DEAD_KEYS = 3
"""So many keys that die within INCIDENT seconds are no accident of one account (docs/telegram.md)."""
INCIDENT = 300.0

AlertMessage = RaiseAlert | EndAlert | CloseAlert


class Alerts(TaskActor):
    """Writes alerts down, once each as long as their cause lasts: a row, an event, a metric."""

    def __init__(self, *, store: Store, metrics: Metrics) -> None:
        super().__init__()
        self._store = store
        self._metrics = metrics
        self._died: deque[tuple[float, AccountId | None]] = deque(maxlen=DEAD_KEYS)

    async def started(self) -> None:
        await once_stored(self, self._count)

    async def on_receive(self, message: AlertMessage) -> AlertRow | None:
        match message:
            case RaiseAlert():
                await or_again(self, self._raise(message), message)
            case EndAlert():
                await or_again(self, self._end(message), message)
            case CloseAlert(alert_id=alert_id):
                row = await self._store.close_alert(alert_id)
                await self._count()
                return row
            case _:
                assert_never(message)
        return None

    def on_control(self, message: RaiseAlert | EndAlert) -> None:
        self.tell_self(message)

    async def _raise(self, message: RaiseAlert) -> None:
        if await self._store.raise_alert(message):
            self._metrics.alerts_raised.labels(message.kind).inc()
            log.emit(log.ALERT_RAISED, kind=message.kind, about=about(message), cause=message.cause)
        if message.kind == "key_dead":
            self._note_death(message.account_id)
        await self._count()

    async def _end(self, message: EndAlert) -> None:
        if await self._store.end_alerts(message):
            log.emit(log.ALERT_ENDED, kind=message.kind, about=about(message))
        await self._count()

    def _note_death(self, account_id: AccountId | None) -> None:
        now = self.owner.clock.monotonic()
        if account_id not in {each for _, each in self._died}:
            self._died.append((now, account_id))
        if len(self._died) == DEAD_KEYS and now - self._died[0][0] <= INCIDENT:
            self._died.clear()
            cause = f"{DEAD_KEYS} accounts lost their keys within {INCIDENT:.0f} s"
            self.tell_self(RaiseAlert(kind="key_incident", cause=cause))

    async def _count(self) -> None:
        counts = await self._store.open_counts()
        for kind in get_args(AlertKind):
            self._metrics.alerts.labels(kind).set(counts.get(kind, 0))


def about(message: RaiseAlert | EndAlert) -> str:
    """Whom it is about, for the log."""
    named = (("account", message.account_id), ("channel", message.channel_id))
    return ", ".join(f"{name} {number}" for name, number in named if number is not None) or "all"
