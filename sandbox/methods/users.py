from typing import Any

from telethon.tl import functions, types

from sandbox.codec.peers import notify_settings, user
from sandbox.dispatch import Call, Methods, RefusedError
from sandbox.methods import peers


def get_users(call: Call, request: Any) -> list[Any]:
    """Users that can't be told apart from strangers are left out, as by the service."""
    me, found = call.account.id, []
    for peer in request.id[:200]:
        try:
            account = peers.user(call, peer)
        except RefusedError:
            continue
        found.append(user(call.dc.world, me, account))
    return found


def get_full_user(call: Call, request: Any) -> Any:
    account = peers.user(call, request.id)
    full = types.UserFull(
        id=account.id,
        settings=types.PeerSettings(),
        notify_settings=notify_settings(),
        common_chats_count=0,
        bot_info=types.BotInfo(user_id=account.id, commands=[]) if account.is_bot else None,
    )
    return types.users.UserFull(full, chats=[], users=[user(call.dc.world, call.account.id, account)])


HANDLERS: Methods = {
    functions.users.GetUsersRequest: get_users,
    functions.users.GetFullUserRequest: get_full_user,
}
