"""An account's takeout session, by which older posts may be read more often; only where its owner has allowed it.

Telegram asks the owner in the app to confirm the first one and may put it off for a day: until it is there, pages are
read in the ordinary way. Source: https://core.telegram.org/api/takeout
"""

import logging
from typing import Any

from telethon.tl import functions

from actors.errors import FloodWaited, Refused
from actors.messages.ids import ChannelId
from actors.runtime.clock import Clock
from actors.telegram.caller import Caller

logger = logging.getLogger(__name__)

IDLE = 600.0
"""Seconds without a page after which the session is finished."""
NOT_AGAIN_FOR = 86_400.0
"""Seconds after a refusal: it is the owner who has to agree."""
INVALID = "TAKEOUT_INVALID"


class Takeout:
    """Opened by the first page that wants it; outlives the client, for it belongs to the auth key."""

    def __init__(self, clock: Clock, *, allowed: bool) -> None:
        self.allowed = allowed
        self._clock = clock
        self._id: int | None = None
        self._rests_until = 0.0
        self._used_at = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether it is open, and nobody has used it for long."""
        return self._id is not None and self._clock.monotonic() - self._used_at >= IDLE

    async def ask(self, call: Caller, request: Any, *, channel_id: ChannelId) -> Any:
        """The answer, through the session where there is one. Raises as ``call`` does."""
        if await self._is_open(call):
            self._used_at = self._clock.monotonic()
            try:
                return await call(functions.InvokeWithTakeoutRequest(self._id, request), channel_id=channel_id)
            except Refused as fault:
                if fault.cause != INVALID:
                    raise
                self._id = None  # ended elsewhere; the next page opens another
        return await call(request, channel_id=channel_id)

    async def _is_open(self, call: Caller) -> bool:
        if self._id is None and self.allowed and self._clock.monotonic() >= self._rests_until:
            ask = functions.account.InitTakeoutSessionRequest(message_channels=True, message_megagroups=True)
            try:
                self._id = (await call(ask)).id
            except FloodWaited as fault:
                logger.info("older posts are read without a takeout session: %s", fault)
            except Refused as fault:
                self._rests_until = self._clock.monotonic() + NOT_AGAIN_FOR
                logger.warning("older posts are read without a takeout session: %s", fault)
        return self._id is not None

    async def finish(self, call: Caller) -> None:
        """Say that it is done with. Raises as ``call`` does."""
        open_id, self._id = self._id, None
        if open_id is not None:
            done = functions.account.FinishTakeoutSessionRequest(success=True)
            try:
                await call(functions.InvokeWithTakeoutRequest(open_id, done))
            except Refused as fault:
                if fault.cause != INVALID:
                    raise
