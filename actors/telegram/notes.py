"""What an account writes down a little later: its common update state, its paces, and when it must not call what."""

from datetime import datetime

from actors import log
from actors.errors import AccountUnusable, SessionRejected, StoreUnavailable
from actors.messages.ids import AccountId
from actors.messages.rows import Pace, SessionKey, UpdateState
from actors.ports import Accounts
from actors.runtime.actor import TaskActor
from actors.telegram.alarms import LONG_WAIT
from actors.telegram.line import Save

SAVE_AFTER = 3.0
"""Seconds by which the common state may lag behind in the store; what is lost of it is asked for again."""


class Notes:
    def __init__(self, account_id: AccountId, accounts: Accounts, actor: TaskActor) -> None:
        self._id = account_id
        self._accounts = accounts
        self._actor = actor
        self._state: UpdateState | None = None
        self._saved: UpdateState | None = None
        self._floods: dict[str, datetime] = {}
        self._paces: dict[str, Pace] = {}
        self._due = False

    async def load_key(self) -> SessionKey | None:
        """The stored session. Raises: AccountUnusable where there is one that doesn't open."""
        try:
            return await self._accounts.session(self._id)
        except SessionRejected as fault:
            raise AccountUnusable(self._id, "parked", f"the stored session doesn't open: {fault}") from fault

    def keep_state(self, state: UpdateState | None) -> None:
        """Write ``state`` down within ``SAVE_AFTER`` seconds."""
        self._state = state
        if state != self._saved:
            self._save_soon()

    def keep_flood(self, method: str, until: datetime) -> None:
        """Note a wait; whoever made the call saves before it answers, for a wait forgotten is a wait made longer."""
        self._floods[method] = until
        seconds = (until - self._actor.owner.clock.now()).total_seconds()
        if seconds > LONG_WAIT.total_seconds():
            log.emit(log.FLOOD_WAITED, account_id=self._id, seconds=round(seconds), method=method)

    async def floods(self) -> dict[str, datetime]:
        """All waits that are known: stored ones, and those not yet stored."""
        return {**await self._accounts.floods(self._id), **self._floods}

    def keep_pace(self, method: str, pace: Pace) -> None:
        """Note what a flood has taught; whoever was flooded saves, as for the wait."""
        self._paces[method] = pace

    async def forget_limits(self, method: str) -> bool:
        """The wait and the pace of a method, stored or not; whether there was either. Raises: StoreUnavailable."""
        unsaved = [self._floods.pop(method, None), self._paces.pop(method, None)]
        stored = await self._accounts.forget_limits(self._id, method)
        return stored or any(each is not None for each in unsaved)

    async def paces(self) -> dict[str, Pace]:
        return {**await self._accounts.paces(self._id), **self._paces}

    def _save_soon(self) -> None:
        if not self._due:
            self._due = True
            self._actor.tell_later(SAVE_AFTER, Save())

    async def save(self) -> None:
        """Write down what isn't yet; where the store is away, later."""
        self._due = False
        state = self._state
        try:
            for method, until in tuple(self._floods.items()):
                await self._accounts.save_flood(self._id, method, until)
                if self._floods.get(method) == until:
                    del self._floods[method]
            for method, pace in tuple(self._paces.items()):
                await self._accounts.save_pace(self._id, method, pace)
                if self._paces.get(method) == pace:
                    del self._paces[method]
            if state is not None and state != self._saved:
                await self._accounts.save_update_state(self._id, state)
                self._saved = state
        except StoreUnavailable:
            self._save_soon()
