import re
from typing import Any

from telethon.tl import functions

from sandbox.dispatch import Call, Methods, RefusedError

MAX_COMMANDS = 100
DESCRIPTION_LENGTH = 256


def set_bot_commands(call: Call, request: Any) -> bool:
    bot = _bot_of(call)
    if not re.fullmatch(r"([a-z]{2})?", request.lang_code):
        raise RefusedError(400, "LANG_CODE_INVALID")
    if len(request.commands) > MAX_COMMANDS:
        raise RefusedError(400, "BOT_COMMANDS_TOO_MUCH")
    for each in request.commands:
        if not re.fullmatch(r"[a-z0-9_]{1,32}", each.command):
            raise RefusedError(400, "BOT_COMMAND_INVALID")
        if not 0 < len(each.description) <= DESCRIPTION_LENGTH:
            raise RefusedError(400, "BOT_COMMAND_DESCRIPTION_INVALID")
    call.dc.menus[bot, request.lang_code] = list(request.commands)
    return True


def get_bot_commands(call: Call, request: Any) -> list[Any]:
    """Those of the language, or those for all languages where it has none."""
    bot, menus = _bot_of(call), call.dc.menus
    return menus.get((bot, request.lang_code)) or menus.get((bot, "")) or []


def _bot_of(call: Call) -> int:
    if not call.account.is_bot:
        raise RefusedError(400, "USER_BOT_REQUIRED")
    return call.account.id


HANDLERS: Methods = {
    functions.bots.GetBotCommandsRequest: get_bot_commands,
    functions.bots.SetBotCommandsRequest: set_bot_commands,
}
