"""The control lane: what overtakes the mail, and is handled on the loop's next turn."""

from types import CoroutineType
from typing import TYPE_CHECKING, Any

from actors.runtime.message import CancelJob, Kill, Pause, Resume
from actors.runtime.reply import sendable

if TYPE_CHECKING:
    from actors.runtime.life import Life


def receive_control(life: "Life", message: Any) -> None:
    """Do what ``message`` says, or hand it to the actor's ``on_control``; called by the loop itself."""
    match message:
        case Kill():
            life.kill_soon()
        case CancelJob():
            if life.job is not None and life.box.started and not life.ending:  # a hook is no job to be cancelled
                life.job.cancel()
        case Pause():
            life.box.paused = True
        case Resume():
            life.box.paused = False
            life.box.nudge()
        case _:
            _hand_over(life, message)


def _hand_over(life: "Life", message: Any) -> None:
    try:
        result: Any = life.actor.on_control(message)  # type: ignore[func-returns-value]  # it may be an async def
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a death, as in a handler
        life.fail(sendable(error))
    else:
        if isinstance(result, CoroutineType):
            result.close()
            life.fail(TypeError(f"{type(life.actor).__name__}.on_control must be a plain def"))
