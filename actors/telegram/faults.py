"""Telethon's and MTProto's errors -> what to do, as one table over names and codes (docs/telegram.md, "Errors")."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from telethon import errors
from telethon.errors.rpcerrorlist import rpc_errors_dict, rpc_errors_re

from actors.errors import AccountUnusable, ActorsError, ChannelLost, FloodWaited, Refused, TryAgain
from actors.messages.ids import AccountId, AccountState, ChannelId

KEY_UNKNOWN = "AUTH_KEY_UNKNOWN"
"""Cause of a ``TryAgain`` when the transport says -404: once more on a fresh connection, then the key is dead."""
TIMESTAMP_INVALID = "PERSISTENT_TIMESTAMP_INVALID"
"""Cause of a ``TryAgain`` when the known pts means nothing to the server: forget it and begin anew."""

INVALID = "invalid"
"""Cause of a ``ChannelLost`` when the access hash means nothing to the server: the channel may have a new one."""

UNKNOWN_WAIT = timedelta(seconds=60)
FROZEN_WAIT = timedelta(hours=24)
SPARED = frozenset({"contacts.resolveUsername", "channels.joinChannel", "messages.importChatInvite"})
"""What a frozen account may do without: refused for a day while it reads on."""


class Unreadable(Refused):
    """The answer came, and holds something that this version of Telethon has no name for."""


class FileMoved(TryAgain):
    """The file lies in another data centre: ask there."""

    def __init__(self, call: "Call", name: str, dc_id: int) -> None:
        super().__init__(call.account_id, call.method, name)
        self.dc_id = dc_id


@dataclass(frozen=True, slots=True)
class Call:
    """What was asked, for the error's text; never with what."""

    account_id: AccountId
    method: str
    channel_id: ChannelId | None = None


Rule = Callable[[Call, str, BaseException], ActorsError]


def _unusable(state: AccountState) -> Rule:
    return lambda call, name, _: AccountUnusable(call.account_id, state, name)


def _frozen(call: Call, name: str, _: BaseException) -> ActorsError:
    if call.method in SPARED:
        return FloodWaited(call.account_id, call.method, FROZEN_WAIT)
    return AccountUnusable(call.account_id, "frozen", name)


def _peer_flood(call: Call, _name: str, _: BaseException) -> ActorsError:
    return FloodWaited(call.account_id, call.method, FROZEN_WAIT)


def _wait(call: Call, _name: str, fault: BaseException) -> ActorsError:
    return FloodWaited(call.account_id, call.method, _seconds(fault))


def _lost(cause: str) -> Rule:
    def rule(call: Call, name: str, _: BaseException) -> ActorsError:
        if call.channel_id is None:
            return Refused(call.account_id, call.method, name)
        return ChannelLost(call.account_id, call.channel_id, cause)

    return rule


def _again(call: Call, name: str, _: BaseException) -> ActorsError:
    return TryAgain(call.account_id, call.method, name)


def _moved(call: Call, name: str, fault: BaseException) -> ActorsError:
    dc_id = getattr(fault, "new_dc", None)
    return TryAgain(call.account_id, call.method, name) if dc_id is None else FileMoved(call, name, dc_id)


def _unreadable(call: Call, name: str, _: BaseException) -> ActorsError:
    return Unreadable(call.account_id, call.method, name)


def _refused(call: Call, name: str, _: BaseException) -> ActorsError:
    return Refused(call.account_id, call.method, name)


BY_NAME: dict[str, Rule] = {
    "AUTH_KEY_DUPLICATED": _unusable("duplicated"),
    "AUTH_KEY_UNREGISTERED": _unusable("revoked"),
    "AUTH_KEY_INVALID": _unusable("revoked"),
    "AUTH_KEY_PERM_EMPTY": _unusable("revoked"),
    "SESSION_REVOKED": _unusable("revoked"),
    "SESSION_EXPIRED": _unusable("revoked"),
    "USER_DEACTIVATED": _unusable("banned"),
    "USER_DEACTIVATED_BAN": _unusable("banned"),
    "PHONE_NUMBER_BANNED": _unusable("banned"),
    "SESSION_PASSWORD_NEEDED": _unusable("signed_out"),
    "FROZEN_METHOD_INVALID": _frozen,
    "FROZEN_PARTICIPANT_MISSING": _frozen,
    "PEER_FLOOD": _peer_flood,
    "CHANNEL_PRIVATE": _lost("private"),
    "CHANNEL_PUBLIC_GROUP_NA": _lost("private"),
    "CHANNEL_INVALID": _lost(INVALID),
    "PEER_ID_INVALID": _lost(INVALID),
    "TIMEOUT": _again,
    "RPC_CALL_FAIL": _again,
    "RPC_MCGET_FAIL": _again,
    "HISTORY_GET_FAILED": _again,
    "MSG_WAIT_FAILED": _again,
    "MSG_WAIT_TIMEOUT": _again,
    "CONNECTION_NOT_INITED": _again,
    "CONNECTION_LAYER_INVALID": _again,
    "PERSISTENT_TIMESTAMP_OUTDATED": _again,
    "PERSISTENT_TIMESTAMP_EMPTY": lambda call, _name, _: TryAgain(call.account_id, call.method, TIMESTAMP_INVALID),
    TIMESTAMP_INVALID: _again,
    "FILE_REFERENCE_EMPTY": _again,
    "FILE_REFERENCE_EXPIRED": _again,
    "FILE_REFERENCE_INVALID": _again,
    "FILE_REFERENCE_X_EMPTY": _again,
    "FILE_REFERENCE_X_EXPIRED": _again,
    "FILE_REFERENCE_X_INVALID": _again,
    "FILE_MIGRATE_X": _moved,
    KEY_UNKNOWN: _again,
}
"""By Telegram's own name, whatever code it came with."""

BY_CODE: dict[int, Rule] = {
    303: _again,
    400: _refused,
    401: _unusable("signed_out"),
    403: _refused,
    404: _refused,
    406: _refused,
    420: _wait,
}
"""For names that have no row; any other code, 500 above all, is tried again."""

TRANSPORT = (
    OSError,  # ConnectionError and TimeoutError are OSErrors
    asyncio.IncompleteReadError,
    BufferError,
    errors.AuthKeyNotFound,
    errors.SecurityError,
    errors.InvalidChecksumError,
    errors.BadMessageError,
)
FAULTS = (errors.RPCError, errors.TypeNotFoundError, *TRANSPORT)
"""Everything that ``translate`` knows; whatever else comes out of a call is a defect and stays one."""

_NAMES = {cls: name.upper() for name, cls in rpc_errors_dict.items()} | {
    cls: pattern.replace("(\\d+)", "X") for pattern, cls in rpc_errors_re
}


def translate(fault: BaseException, call: Call) -> ActorsError:
    """The decision that a fault asks for. Its text names the method and Telegram's error, never a payload."""
    if isinstance(fault, errors.RPCError):
        name = name_of(fault)
        rule = BY_NAME.get(name) or BY_CODE.get(abs(fault.code or 500), _again)
    elif isinstance(fault, errors.TypeNotFoundError):
        # Its own text quotes the undecoded bytes, which are somebody's messages.
        name, rule = f"unknown constructor {fault.invalid_constructor_id:08x}", _unreadable
    elif isinstance(fault, errors.AuthKeyNotFound) or getattr(fault, "code", None) == 404:
        name, rule = KEY_UNKNOWN, _again
    else:
        name, rule = type(fault).__name__, _again
    return rule(call, name, fault)


KNOWN_WAITS = frozenset({"FLOOD_WAIT_X", "FLOOD_PREMIUM_WAIT_X", "SLOWMODE_WAIT_X", "TAKEOUT_INIT_DELAY_X"})


def has_row(name: str) -> bool:
    """Whether the table names it, or only its code decided."""
    return name in BY_NAME or name in KNOWN_WAITS


def name_of(fault: errors.RPCError) -> str:
    """Telegram's name of an error, digits replaced by X; its code where the server sent something else than a name."""
    known: str | None = _NAMES.get(type(fault))
    if known is not None:
        return known
    text = str(fault.message or "")
    if re.fullmatch(r"[A-Z0-9_]{3,80}", text):
        return re.sub(r"_\d+(?=_|$)", "_X", text)
    return f"CODE_{fault.code}"


def _seconds(fault: BaseException) -> timedelta:
    seconds = getattr(fault, "seconds", None)
    if seconds is None:
        digits = re.search(r"_(\d+)(?:_|$)", str(getattr(fault, "message", "") or ""))
        return timedelta(seconds=int(digits[1])) if digits else UNKNOWN_WAIT
    return timedelta(seconds=int(seconds))
