from typing import Any

from telethon.tl import functions

from sandbox.dispatch import Call, Methods, RefusedError


def set_bot_commands(call: Call, request: Any) -> bool:
    call.dc.menus[_bot_of(call), request.lang_code] = list(request.commands)
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
