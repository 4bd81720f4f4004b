"""Telethon's session interface over our store: one auth key, no entities, no update state, nothing on disk."""

from collections.abc import Callable, Sequence
from typing import Any

from telethon.crypto import AuthKey
from telethon.sessions import MemorySession
from telethon.tl.types import Channel

from actors.messages.ids import AccountId
from actors.messages.rows import Device, SessionKey

OnChannels = Callable[[Sequence[Any]], None]


def _ignore(channels: Sequence[Any]) -> None:
    """Nobody keeps access hashes during a sign-in."""


class AccountSession(MemorySession):  # type: ignore[misc]  # Telethon has no types
    """Where a key lives, and a tap for the channels that answers and pushes mention.

    ``on_channels`` gets the full channels (never ``min`` ones, whose access hash opens nothing) that ride along with
    results and updates; its owner decides which of them it follows. Without a key Telethon makes one on connecting.
    """

    def __init__(self, key: SessionKey | None = None, *, on_channels: OnChannels = _ignore) -> None:
        super().__init__()
        self._on_channels = on_channels
        self.device = Device() if key is None else key.device
        if key is not None:
            self.set_dc(key.dc_id, key.address, key.port)
            self.auth_key = AuthKey(key.auth_key)

    def key(self, account_id: AccountId) -> SessionKey:
        """The key as it now stands, to be sealed and stored. Raises: ValueError without a key."""
        if self.auth_key is None or self.auth_key.key is None:
            raise ValueError("the session has no auth key")
        return SessionKey(
            account_id=account_id,
            dc_id=self.dc_id,
            address=self.server_address,
            port=self.port,
            auth_key=self.auth_key.key,
            device=self.device,
        )

    def process_entities(self, tlo: Any) -> None:
        """Hand over the channels of an answer. Users are never looked at."""
        chats = getattr(tlo, "chats", None)
        if chats:
            channels = [chat for chat in chats if type(chat) is Channel and not chat.min and chat.access_hash]
            if channels:
                self._on_channels(channels)

    def set_update_state(self, entity_id: int, state: Any) -> None:
        """Do nothing: the client's message box is a dummy, and the account keeps the real state itself."""
