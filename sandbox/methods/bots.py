from typing import Any

from telethon.tl import functions

from sandbox.dispatch import Call, Methods, RefusedError


def set_bot_commands(call: Call, _: Any) -> bool:
    """Accepted and not kept."""
    if not call.account.is_bot:
        raise RefusedError(400, "USER_BOT_REQUIRED")
    return True


HANDLERS: Methods = {functions.bots.SetBotCommandsRequest: set_bot_commands}
