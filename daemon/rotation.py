"""Another master key for all sessions, while the daemon runs.

The order makes every moment safe to be killed in: the new key is written down before anything is sealed with it, and
the former one is replaced after nothing is sealed with that any more. Until then both lie there, and both open.
"""

import asyncio
import logging

from actors.ports import Accounts
from daemon.keys import MasterKeys, begin_rotation, end_rotation, former_of, next_of

logger = logging.getLogger("telewarden")


class Rotation:
    """One at a time."""

    def __init__(self, keys: MasterKeys, accounts: Accounts) -> None:
        self._keys = keys
        self._accounts = accounts
        self._lock = asyncio.Lock()

    async def rotate(self) -> int:
        """Make a new master key and seal every session with it; how many were sealed anew.

        Raises: MasterKeyRefused, StoreUnavailable; after either it may be begun again.
        """
        async with self._lock:
            await asyncio.to_thread(begin_rotation, self._keys)
            sealed = await self._accounts.reseal()
            await asyncio.to_thread(end_rotation, self._keys)
            return sealed

    async def go_on(self) -> None:
        """At the start: end what was begun, and seal anew what a former key, laid beside the new one, still opens."""
        keys = self._keys
        if not keys.has_former:
            return
        if keys.file is not None and await asyncio.to_thread(next_of(keys.file).exists):
            logger.info("the rotation of the master key goes on: %d sessions sealed anew", await self.rotate())
            return
        async with self._lock:
            sealed = await self._accounts.reseal()
        name = "the credential master_key_former" if keys.file is None else former_of(keys.file)
        logger.info("%d sessions sealed with the new master key; %s is of no more use, remove it", sealed, name)
