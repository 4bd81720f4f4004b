"""How a life ends: bounded, with its clean-up, and with nobody left waiting."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from pykka.messages import _ActorStop

from actors.runtime.errors import ActorDeadError
from actors.runtime.message import ChildDown
from actors.runtime.traces import trim

if TYPE_CHECKING:
    from actors.runtime.life import Life

logger = logging.getLogger(__name__)


async def end(life: "Life") -> None:
    """Turn away the mail, stop what runs beside, run the hooks, say farewell."""
    if life.box.ended:  # left behind
        return
    life.ending = True
    try:
        turn = life.owner.deaths.queue()
        if turn is not None:
            await _undisturbed(life, turn)
        _close(life)
        if life.aside is not None:
            await _undisturbed(life, life.aside.stop_tasks(life.actor.patience))
        _call_end_hook(life)
        if life.has_stopping:
            await life.run_hook(life.actor.stopping(), "stopping", limit=life.actor.stopping_deadline)
    except GeneratorExit:
        raise
    except BaseException as error:  # noqa: BLE001 - the end goes on to its end
        life.note(error)
    finally:
        farewell(life)


def _close(life: "Life") -> None:
    box = life.box
    for letter in box.close():
        if type(letter.message) is _ActorStop:
            box.add_stop(letter)
        else:
            life.owner.turn_away(letter)


async def _undisturbed(life: "Life", waiting: Awaitable[Any]) -> None:
    try:
        await waiting
    except asyncio.CancelledError:
        life.killed = True


def _call_end_hook(life: "Life") -> None:
    failure = life.failure
    try:
        if failure is None:
            life.actor.on_stop()
        else:
            life.actor.on_failure(type(failure), failure, failure.__traceback__)
    except Exception as error:  # noqa: BLE001 - stopping() runs all the same
        life.note(error)


def farewell(life: "Life") -> None:
    """The last act, at most once: nothing that waits for this actor waits on."""
    box = life.box
    if box.ended or life.owner.loop.is_closed():
        return
    if not box.closed:
        _close(life)
    box.failure = life.failure
    if life.failure is not None:
        life.meter.failures += 1
        trim(life.failure)
    dead = ActorDeadError(f"{life.ref} ended before it answered")
    try:
        if life.aside is not None:
            life.aside.farewell(dead)
        if life.handling is not None:
            life.handling.refuse(dead)
        life.owner.forget(life)
        down = ChildDown(key=life.key, ref=life.ref, error=life.failure, killed=life.killed)
        life.owner.report_death(life.parent, down)
    finally:
        del life.actor  # a cycle less: what mass failures leave to the garbage collector stalls the loop
        box.note_ended()


def leave_behind(life: "Life") -> None:
    """The owner closes and this actor won't end."""
    farewell(life)
    if life.task is not None:
        life.task.cancel()
