"""Signing in: by phone, code and password, by QR code, by a bot's token, or with a key that was made elsewhere."""

import asyncio
import base64
import sqlite3
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from telethon import errors, password
from telethon.sessions import StringSession
from telethon.tl import functions, types

from actors.errors import ActorsError
from actors.messages.content import Profile
from actors.messages.ids import AccountId
from actors.messages.rows import SessionKey
from actors.ports import Accounts
from actors.telegram.client import AccountClient, build_client
from actors.telegram.decode import decode_profile
from actors.telegram.faults import FAULTS, name_of
from actors.telegram.link import CONNECT_LIMIT, close
from actors.telegram.proxy import proxy_of
from actors.telegram.session import AccountSession
from config.model import Datacenter, Telegram

UNREACHABLE = "Telegram can't be reached"
SHOWN_LEAST, SHOWN_MOST = 5.0, 30.0
"""Seconds that a QR code is shown: the service's live for 30, told by its clock, which may differ from ours."""
_ARITHMETIC = ThreadPoolExecutor(1, thread_name_prefix="srp")
"""One password after the other: Python's big powers hold the interpreter, and several in a row would stall the loop."""
_NOBODY = "nobody is signed in with this session"
_BY_QR = "sign in by QR code"
_TEXTS = {
    "PHONE_NUMBER_INVALID": "this is no phone number",
    "PHONE_NUMBER_UNOCCUPIED": "no account of Telegram has this number",
    "PHONE_NUMBER_BANNED": "Telegram has banned this number",
    "PHONE_NUMBER_FLOOD": "Telegram has sent too many codes to this number: try tomorrow",
    "PHONE_PASSWORD_FLOOD": "too many attempts with this number: try tomorrow",
    "UPDATE_APP_TO_LOGIN": f"Telegram wants a newer program for this sign-in: update Telewarden, or {_BY_QR}",
    "PHONE_NUMBER_APP_SIGNUP_FORBIDDEN": "no account of Telegram has this number",
    "PHONE_CODE_EXPIRED": "the code has expired: begin again",
    "PHONE_CODE_INVALID": "the code is wrong",
    "PHONE_CODE_EMPTY": "the code is wrong",
    "PASSWORD_HASH_INVALID": "the password is wrong",
    "SRP_PASSWORD_CHANGED": "the password has just been changed: enter the new one",
    "API_ID_INVALID": "telegram.api_id and telegram.api_hash don't belong together",
    "API_ID_PUBLISHED_FLOOD": "this telegram.api_id is known to all and refused: get one of your own",
    "AUTH_KEY_UNREGISTERED": _NOBODY,
    "SESSION_REVOKED": _NOBODY,
    "ACCESS_TOKEN_INVALID": "the bot's token is wrong",
    "ACCESS_TOKEN_EXPIRED": "the bot's token has expired",
}
_ENTER_AGAIN = frozenset({"PHONE_CODE_INVALID", "PHONE_CODE_EMPTY", "PASSWORD_HASH_INVALID", "SRP_PASSWORD_CHANGED"})


class SignInRefused(ActorsError):
    """A step of signing in failed. The text can be shown: it holds no phone, code, password or token."""

    def __init__(self, name: str, text: str, *, wait: timedelta | None = None) -> None:
        super().__init__(text)
        self.wait = wait
        """How long Telegram wants to be left alone; None where it named no time."""
        self.name = name
        """Telegram's name of the error, or what stands for one."""
        self.enter_again = name in _ENTER_AGAIN
        """Whether the same step may be tried with another entry."""


DISABLED = "this account is disabled by the operator: 'telewarden user enable' takes it up again"


async def save(accounts: Accounts, profile: Profile, key: SessionKey) -> None:
    """Store who it is, then the key, then that it may be used.

    Raises: SignInRefused where the operator has disabled the account; StoreUnavailable.
    """
    row = await accounts.one(profile.account_id)
    if row is not None and row.state == "disabled":
        raise SignInRefused("DISABLED", DISABLED)
    await accounts.save_profile(profile)
    await accounts.save_session(key)
    await accounts.set_state(profile.account_id, "connecting", None)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a QR code shows."""

    link: str = field(repr=False)
    seconds: float
    """Until the next one is to be shown."""


class Attempt:
    """One attempt at signing in, with a client and a key of its own. Always ``close`` it."""

    def __init__(
        self,
        settings: Telegram,
        *,
        datacenter: Datacenter | None = None,
        loopback_only: bool = False,
        key: SessionKey | None = None,
        expected: AccountId | None = None,
    ) -> None:
        """``expected``: whose it will be, if that is known: it connects by that account's proxy."""
        self._session = AccountSession(key)
        self._client: AccountClient = build_client(
            self._session,
            settings,
            datacenter=datacenter,
            loopback_only=loopback_only,
            on_update=self._take_push,
            on_doubt=lambda: None,
            receive_updates=key is None,
            proxy=proxy_of(expected or (None if key is None else key.account_id), settings),
        )
        self.scanned = asyncio.Event()
        """Set once the code that was shown has been scanned: ask again with ``show``."""
        self._phone = ""
        self._code_hash = ""

    async def send_code(self, phone: str) -> None:
        """Have Telegram send a code to the owner of ``phone``. Raises: SignInRefused."""
        self._phone = "".join(each for each in phone if each.isdecimal())
        sent = await self._ask(
            functions.auth.SendCodeRequest(
                self._phone, self._client.api_id, self._client.api_hash, types.CodeSettings()
            )
        )
        wanted = wanted_instead(sent)
        if wanted is not None:
            raise SignInRefused("OTHER_THAN_A_CODE", wanted)
        self._code_hash = sent.phone_code_hash

    async def enter_code(self, code: str) -> Profile | None:
        """Who has signed in; None where a password is asked for too. Raises: SignInRefused."""
        digits = "".join(each for each in code if each.isdecimal())
        try:
            answer = await self._ask(functions.auth.SignInRequest(self._phone, self._code_hash, digits))
        except SignInRefused as fault:
            if fault.name == "SESSION_PASSWORD_NEEDED":
                return None
            raise
        return self._profile_of(answer)

    async def show(self, besides: Sequence[AccountId] = ()) -> Shown | Profile | None:
        """The next QR code; who has signed in, once one was scanned; None where a password is asked for too.

        An app offers no account among ``besides``. Raises: SignInRefused.
        """
        self.scanned.clear()
        ask = functions.auth.ExportLoginTokenRequest(self._client.api_id, self._client.api_hash, list(besides))
        try:
            answer = await self._ask(ask)
            if type(answer) is types.auth.LoginTokenMigrateTo:
                answer = await self._ask_in(answer.dc_id, functions.auth.ImportLoginTokenRequest(answer.token))
        except SignInRefused as fault:
            if fault.name == "SESSION_PASSWORD_NEEDED":
                return None
            raise
        if type(answer) is types.auth.LoginTokenSuccess:
            return self._profile_of(answer.authorization)
        left = (answer.expires - datetime.now(UTC)).total_seconds()
        token = base64.urlsafe_b64encode(answer.token).decode().rstrip("=")
        return Shown(f"tg://login?token={token}", min(max(left, SHOWN_LEAST), SHOWN_MOST))

    def _take_push(self, raw: Any) -> None:
        updates = getattr(raw, "updates", None) or (getattr(raw, "update", None),)
        if any(type(update) is types.UpdateLoginToken for update in updates):
            self.scanned.set()

    async def _ask_in(self, dc_id: int, request: Any) -> Any:
        """In the data centre where the account lives, to which the client moves. Raises: SignInRefused."""
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                await self._client._switch_dc(dc_id)  # noqa: SLF001 - as Telethon itself does for a number
        except FAULTS as fault:
            raise _refusal(fault) from None
        return await self._ask(request)

    async def enter_password(self, secret: str) -> Profile:
        """Who has signed in. The password itself never leaves (SRP). Raises: SignInRefused."""
        account = await self._ask(functions.account.GetPasswordRequest())
        try:
            # 90 ms of arithmetic: beside the loop, which has others to serve.
            compute = partial(password.compute_check, account, secret)
            check = await asyncio.get_running_loop().run_in_executor(_ARITHMETIC, compute)
        except ValueError:
            raise SignInRefused("PASSWORD_KIND_UNKNOWN", "this kind of password isn't known here") from None
        try:
            return self._profile_of(await self._ask(functions.auth.CheckPasswordRequest(check)))
        except SignInRefused as fault:
            if fault.name == "PASSWORD_HASH_INVALID" and account.pending_reset_date is not None:
                day = f"{account.pending_reset_date:%Y-%m-%d %H:%M} UTC"
                raise SignInRefused(fault.name, f"{fault}; its reset is under way, and over at {day}") from None
            raise

    async def enter_token(self, token: str) -> Profile:
        """Which bot has signed in. Raises: SignInRefused."""
        ask = functions.auth.ImportBotAuthorizationRequest(
            flags=0, api_id=self._client.api_id, api_hash=self._client.api_hash, bot_auth_token=token
        )
        return self._profile_of(await self._ask(ask))

    async def who(self) -> Profile:
        """Whose key this is. Raises: SignInRefused, also where it is nobody's."""
        users = await self._ask(functions.users.GetUsersRequest([types.InputUserSelf()]))
        if not users or type(users[0]) is not types.User:
            raise SignInRefused("AUTH_KEY_UNREGISTERED", _NOBODY)
        return decode_profile(users[0])

    def key(self, account_id: AccountId) -> SessionKey:
        return self._session.key(account_id)

    async def log_out(self) -> None:
        """Give the new session back: nothing half done stays behind. Raises: SignInRefused."""
        await self._ask(functions.auth.LogOutRequest())

    async def close(self) -> None:
        await close(self._client)

    def _profile_of(self, answer: Any) -> Profile:
        if type(answer) is not types.auth.Authorization:
            # Nobody is ever signed up here.
            raise SignInRefused("PHONE_NUMBER_UNOCCUPIED", _TEXTS["PHONE_NUMBER_UNOCCUPIED"])
        return decode_profile(answer.user)

    async def _ask(self, request: Any) -> Any:
        """By Telethon's own call, which follows a number to its data centre."""
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                if not self._client.is_connected():
                    await self._client.connect()
                return await self._client(request)
        except FAULTS as fault:
            raise _refusal(fault) from None


def wanted_instead(sent: Any) -> str | None:
    """What Telegram wants of this number instead of a code to be entered here, in words; None where it sent one."""
    match sent:
        case types.auth.SentCode(type=types.auth.SentCodeTypeSetUpEmailRequired()):
            return f"Telegram wants an e-mail address for this number: set one up in an official app, or {_BY_QR}"
        case types.auth.SentCode(type=types.auth.SentCodeTypeFirebaseSms()):
            return f"Telegram gives this number's code to official apps alone: {_BY_QR}"
        case types.auth.SentCode():
            return None
        case types.auth.SentCodePaymentRequired():
            return f"Telegram wants to be paid for a code to this number: {_BY_QR}"
    return f"Telegram wants something else than a code for this number: {_BY_QR}"


def _refusal(fault: BaseException) -> SignInRefused:
    if isinstance(fault, errors.AuthKeyNotFound):
        return SignInRefused("AUTH_KEY_UNREGISTERED", _NOBODY)
    if not isinstance(fault, errors.RPCError):
        return SignInRefused("UNREACHABLE", UNREACHABLE)
    name = name_of(fault)
    seconds = getattr(fault, "seconds", None)
    if seconds is not None:
        return SignInRefused(
            name, f"Telegram asks to wait {seconds} s before the next attempt", wait=timedelta(seconds=seconds)
        )
    return SignInRefused(name, _TEXTS.get(name, f"Telegram refused: {name}"))


def read_session(source: str | bytes) -> SessionKey:
    """A key out of Telethon's own text (``StringSession``) or file (``.session``); whose it is isn't known yet.

    Raises:
        SignInRefused: it is neither, or holds no key.
    """
    key = _from_file(source) if isinstance(source, bytes) and source[:6] == b"SQLite" else _from_text(source)
    if key is None:
        raise SignInRefused("SESSION_UNREADABLE", "this is no session of Telethon's")
    return key


def _from_text(source: str | bytes) -> SessionKey | None:
    try:
        text = source.decode("ascii") if isinstance(source, bytes) else source
        session = StringSession(text.strip())
    except (ValueError, IndexError, struct.error):  # UnicodeDecodeError and binascii.Error are ValueErrors
        return None
    if session.auth_key is None:
        return None
    return _key(session.dc_id, session.server_address, session.port, session.auth_key.key)


def _from_file(source: bytes) -> SessionKey | None:
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(source)
        row = connection.execute("select dc_id, server_address, port, auth_key from sessions").fetchone()
    except sqlite3.Error:
        return None
    finally:
        connection.close()
    return _key(*row) if row and row[3] else None


def _key(dc_id: int, address: str, port: int, auth_key: bytes) -> SessionKey:
    return SessionKey(account_id=AccountId(0), dc_id=dc_id, address=address, port=port, auth_key=auth_key)
