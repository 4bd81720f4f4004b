"""The table of errors, row by row."""

import asyncio
from datetime import timedelta

import pytest
from telethon import errors
from telethon.errors import rpc_message_to_error
from telethon.tl.functions.messages import GetHistoryRequest
from telethon.tl.types import InputPeerChannel, RpcError

from actors.errors import AccountUnusable, ChannelLost, FloodWaited, Refused, TryAgain
from actors.messages.ids import AccountId, ChannelId
from actors.telegram.faults import FAULTS, KEY_UNKNOWN, Call, Unreadable, translate

HISTORY = Call(AccountId(1), "messages.getHistory", ChannelId(7))
RESOLVE = Call(AccountId(1), "contacts.resolveUsername")
REQUEST = GetHistoryRequest(InputPeerChannel(7, 4711_4711), 0, None, 0, 100, 0, 0, 0)


def rpc(code, name):
    """The error as Telethon makes it of Telegram's answer."""
    return rpc_message_to_error(RpcError(code, name), REQUEST)


@pytest.mark.parametrize(
    ("code", "name", "decision"),
    [
        (400, "CHANNEL_PRIVATE", ChannelLost),
        (406, "CHANNEL_PRIVATE", ChannelLost),
        (400, "CHANNEL_INVALID", ChannelLost),
        (400, "USERNAME_NOT_OCCUPIED", Refused),
        (400, "USERNAME_INVALID", Refused),
        (400, "CHANNELS_TOO_MUCH", Refused),
        (303, "USER_MIGRATE_4", TryAgain),
        (400, "FILE_REFERENCE_EXPIRED", TryAgain),
        (500, "RPC_CALL_FAIL", TryAgain),
        (400, "HISTORY_GET_FAILED", TryAgain),
        (500, "HISTORY_GET_FAILED", TryAgain),
        (-503, "Timeout", TryAgain),
        (500, "INTERNAL", TryAgain),
        (-500, "No workers running", TryAgain),
        (599, "NEVER_HEARD_OF", TryAgain),
        (500, "PERSISTENT_TIMESTAMP_OUTDATED", TryAgain),
        (400, "PERSISTENT_TIMESTAMP_INVALID", TryAgain),
        (400, "CONNECTION_NOT_INITED", TryAgain),
        (400, "SOMETHING_ELSE", Refused),
        (403, "CHAT_ADMIN_REQUIRED", Refused),
        (404, "METHOD_GONE", Refused),
        (406, "SOMETHING_ELSE", Refused),
    ],
)
def test_each_error_asks_for_its_decision(code, name, decision):
    made = translate(rpc(code, name), HISTORY)
    assert type(made) is decision
    assert made.account_id == 1


@pytest.mark.parametrize(
    ("code", "name", "state"),
    [
        (406, "AUTH_KEY_DUPLICATED", "duplicated"),
        (401, "AUTH_KEY_UNREGISTERED", "revoked"),
        (401, "AUTH_KEY_INVALID", "revoked"),
        (401, "SESSION_REVOKED", "revoked"),
        (401, "SESSION_EXPIRED", "revoked"),
        (401, "USER_DEACTIVATED", "banned"),
        (401, "USER_DEACTIVATED_BAN", "banned"),
        (400, "PHONE_NUMBER_BANNED", "banned"),
        (420, "FROZEN_METHOD_INVALID", "frozen"),
        (400, "FROZEN_PARTICIPANT_MISSING", "frozen"),
        (401, "SESSION_PASSWORD_NEEDED", "signed_out"),
        (401, "SOMETHING_NEW", "signed_out"),
    ],
)
def test_an_account_that_is_no_more_says_in_which_state(code, name, state):
    made = translate(rpc(code, name), HISTORY)
    assert type(made) is AccountUnusable
    assert (made.state, made.cause) == (state, name)


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("FLOOD_WAIT_33", 33),
        ("FLOOD_PREMIUM_WAIT_7", 7),
        ("SLOWMODE_WAIT_12", 12),
        ("SOME_NEW_WAIT_99", 99),
        ("WAIT_5_MINUTES_OR_SO", 5),
        ("FLOOD_OF_A_KIND", 60),
    ],
)
def test_a_wait_is_as_long_as_telegram_says(name, seconds):
    made = translate(rpc(420, name), HISTORY)
    assert type(made) is FloodWaited
    assert (made.method, made.wait) == ("messages.getHistory", timedelta(seconds=seconds))


@pytest.mark.parametrize("name", ["FROZEN_METHOD_INVALID", "PEER_FLOOD"])
def test_a_frozen_account_reads_on_and_resolves_nothing_for_a_day(name):
    made = translate(rpc(420, name), RESOLVE)
    assert type(made) is FloodWaited
    assert made.wait == timedelta(days=1)


def test_a_lost_channel_that_nobody_named_is_a_refusal():
    assert type(translate(rpc(400, "CHANNEL_INVALID"), RESOLVE)) is Refused


@pytest.mark.parametrize(
    "fault",
    [
        ConnectionResetError(),
        OSError("no route"),
        TimeoutError(),
        asyncio.IncompleteReadError(b"", 4),
        errors.SecurityError("a check"),
        errors.InvalidChecksumError(1, 2),
        errors.InvalidBufferError(b"\x01\x02"),
        errors.BadMessageError(REQUEST, 20),
    ],
)
def test_a_fault_of_the_line_is_tried_again(fault):
    assert isinstance(fault, FAULTS)
    made = translate(fault, HISTORY)
    assert type(made) is TryAgain
    assert made.cause == type(fault).__name__


@pytest.mark.parametrize("fault", [errors.AuthKeyNotFound(), errors.InvalidBufferError(b"\x6c\xfe\xff\xff")])
def test_a_key_that_the_server_does_not_know_is_tried_once_more(fault):
    made = translate(fault, HISTORY)
    assert type(made) is TryAgain
    assert made.cause == KEY_UNKNOWN


def test_no_decision_quotes_what_was_sent_or_received():
    made = translate(errors.TypeNotFoundError(0xABCDEF01, b"private words"), HISTORY)
    assert type(made) is Unreadable
    assert "private" not in str(made)
    assert "abcdef01" in str(made)
    strange = translate(rpc(400, "+7 999 000 11 22 is no phone"), HISTORY)
    assert "999" not in str(strange)
    assert "47114711" not in str(strange)


def test_every_error_that_telethon_knows_by_name_has_a_decision():
    from telethon.errors.rpcerrorlist import rpc_errors_dict

    for name, cls in rpc_errors_dict.items():
        made = translate(rpc(cls.code or 400, name), HISTORY)
        assert isinstance(made, FloodWaited | ChannelLost | AccountUnusable | TryAgain | Refused)
