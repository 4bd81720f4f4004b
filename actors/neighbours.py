"""How an actor deals with neighbours that may be away for a moment: one that restarts, a store that is down."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from actors.errors import ActorsError, OwnershipLost, StoreUnavailable
from actors.runtime.actor import TaskActor
from actors.runtime.clock import pause
from actors.runtime.errors import ActorDeadError, RuntimeFault
from actors.runtime.owner import LoopOwner

logger = logging.getLogger(__name__)

R = TypeVar("R")

ASK_FAULTS = (ActorsError, RuntimeFault, ActorDeadError)
"""What an ask may end with beside its reply; everything else is a defect and ends the actor."""
AWAY = (StoreUnavailable, RuntimeFault, ActorDeadError)
AGAIN_AFTER = 1.0
"""Seconds until the message is handled anew."""


async def or_again(actor: TaskActor, handling: Awaitable[None], message: Any) -> None:
    """Await ``handling``; where something it needs is away, handle ``message`` again later.

    ``handling`` must be idempotent up to its first await that can fail. Raises: defects.
    """
    try:
        await handling
    except AWAY as error:
        logger.debug("%s handles %s again in %s s: %s", actor.key, type(message).__name__, AGAIN_AFTER, error)
        actor.tell_later(AGAIN_AFTER, message)


async def once_stored(actor: TaskActor, ask: Callable[[], Awaitable[R]]) -> R:
    """What the store answers, once it does: for starts alone, before which there is no mail to be deaf to.

    A database that restarts while a daemon starts would else end several starts in a row, and the supervisor with them.
    Raises: OwnershipLost, defects.
    """
    while True:
        try:
            return await ask()
        except OwnershipLost:
            raise
        except StoreUnavailable as error:
            logger.debug("%s starts once the database answers: %s", actor.key, error)
            await pause(actor.owner.clock, AGAIN_AFTER)


def post(owner: LoopOwner, key: str, message: Any) -> bool:
    """Hand a message to whoever lives under ``key``, by the control lane, which is never full.

    Returns:
        Whether somebody lives there. One that comes later reads its state from the store, or is told anew.
    """
    ref = owner.get(key)
    if ref is None:
        return False
    try:
        ref.control(message)
    except ActorDeadError:
        return False
    return True
