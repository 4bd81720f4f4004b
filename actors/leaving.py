"""A user leaves, for a while or for good: set aside, signed out at Telegram too, or removed with all of it."""

import logging
from contextlib import suppress

from actors import log
from actors.channel import key_of
from actors.downloader import remove_unused
from actors.errors import SessionRejected, UserNotSignedIn, UserUnknown
from actors.messages.ids import AccountId, AccountState
from actors.messages.people import Removed
from actors.messages.roster import AccountDown, Forget
from actors.messages.signin import AccountSignedIn, StopAccount
from actors.neighbours import post
from actors.ports import Store
from actors.runtime.errors import ActorMissing
from actors.runtime.loop import LoopOwner
from actors.runtime.supervision import StopChild
from actors.telegram.client import SettingsIncomplete
from actors.telegram.login import Attempt, SignInRefused
from config.model import Datacenter, Telegram

logger = logging.getLogger(__name__)

STOP_WITHIN = 15.0
"""Seconds for an account's actor to end: it may be in the middle of a call."""


class Leaving:
    """What it takes to let a user go. No client of the user lives when Telegram is asked to end the session."""

    def __init__(
        self, *, owner: LoopOwner, store: Store, telegram: Telegram, datacenter: Datacenter | None, loopback_only: bool
    ) -> None:
        self._owner = owner
        self._store = store
        self.telegram = telegram
        self._datacenter = datacenter
        self._loopback_only = loopback_only

    async def disable(self, account_id: AccountId) -> None:
        """Raises: UserUnknown, UserNotSignedIn, StoreUnavailable."""
        row = await self._store.accounts.one(account_id)
        if row is None:
            raise UserUnknown(account_id)
        if not row.has_session:
            raise UserNotSignedIn(account_id, row.state)
        await self._stop(account_id, "disabled")
        await self._store.accounts.set_state(account_id, "disabled", "disabled on request")
        log.emit(log.ACCOUNT_DISABLED, account_id=account_id)

    async def enable(self, account_id: AccountId) -> None:
        """Raises: UserUnknown, StoreUnavailable."""
        row = await self._store.accounts.one(account_id)
        if row is None:
            raise UserUnknown(account_id)
        if row.state != "disabled":
            return
        await self._store.accounts.set_state(account_id, "connecting", None)
        self._owner.find("accounts").tell(AccountSignedIn(account_id=account_id))

    async def _stop(self, account_id: AccountId, state: AccountState) -> None:
        await self._owner.find("accounts").call(StopAccount(account_id=account_id), timeout=STOP_WITHIN)
        post(self._owner, "roster", AccountDown(account_id=account_id, state=state))

    async def sign_out(self, account_id: AccountId) -> bool:
        """Whether Telegram confirmed that the session is over; True where there is none. The key is wiped either way.

        Raises: UserUnknown, StoreUnavailable.
        """
        accounts = self._store.accounts
        if await accounts.one(account_id) is None:
            raise UserUnknown(account_id)
        await self._stop(account_id, "signed_out")
        confirmed = await self._end_session(account_id)
        await accounts.wipe_session(account_id)
        await accounts.set_state(account_id, "signed_out", "signed out on request")
        log.emit(log.SIGNED_OUT, account_id=account_id)
        return confirmed

    async def _end_session(self, account_id: AccountId) -> bool:
        try:
            key = await self._store.accounts.session(account_id)
        except SessionRejected as fault:
            logger.warning("account %s is signed out here alone: %s", account_id, fault)
            return False
        if key is None:
            return True
        try:
            attempt = Attempt(self.telegram, datacenter=self._datacenter, loopback_only=self._loopback_only, key=key)
        except SettingsIncomplete as fault:
            logger.warning("account %s is signed out here alone: %s", account_id, fault)
            return False
        try:
            await attempt.log_out()
        except SignInRefused as fault:
            if fault.name in {"AUTH_KEY_UNREGISTERED", "SESSION_REVOKED"}:
                return True
            logger.warning("account %s is signed out here alone: %s", account_id, fault)
            return False
        finally:
            await attempt.close()
        return True

    async def remove(self, account_id: AccountId, *, posts: bool) -> Removed:
        """Raises: UserUnknown, StoreUnavailable."""
        signed_out = await self.sign_out(account_id)
        people = self._store.people
        alone = await people.followed_alone(account_id)
        await self._owner.find("roster").call(Forget(account_id=account_id), timeout=STOP_WITHIN)
        if posts:
            for channel_id in alone:
                with suppress(ActorMissing):
                    await self._owner.find("channels").call(StopChild(key=key_of(channel_id)), timeout=STOP_WITHIN)
        deleted = await people.remove(account_id, alone if posts else ())
        if posts:
            await remove_unused(self._owner)
        log.emit(log.USER_REMOVED, account_id=account_id, channels=len(alone), posts=deleted)
        return Removed(user_id=account_id, signed_out=signed_out, channels=len(alone), posts=deleted)
