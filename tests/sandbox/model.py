"""A client written from the protocol's rules alone (core.telegram.org/api/updates), to judge the sandbox by.

It keeps one channel and the account's private messages. Pushes are applied in the order of pts; a gap or a hint is made
good by a difference; a difference that is too long by the history.
"""

from typing import Any

from telethon import TelegramClient
from telethon._updates import SessionState
from telethon.tl import functions, types

PAGE = 7
"""Small, so that every reading takes several pages."""


class RawClient(TelegramClient):  # type: ignore[misc]  # telethon has no types
    """Stock Telethon whose own bookkeeping of updates is left out: raw updates go to `feed`."""

    feed: Any = staticmethod(lambda _: None)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._message_box.load(SessionState(0, 0, False, 1, 0, 1, 0, None), [])

    async def _update_loop(self) -> None:
        while True:
            self.feed(await self._updates_queue.get())

    async def _handle_auto_reconnect(self) -> None:
        pass


class Model:
    """Call `begin`, then `settle` whenever the world has moved, then `catch_up` at the end."""

    def __init__(self, client: RawClient, channel: Any) -> None:
        self._client = client
        self._channel = channel
        self._waiting: list[Any] = []
        client.feed = self._waiting.append
        self.posts: dict[int, tuple[str, bool]] = {}
        self.letters: dict[int, str] = {}
        self.pts = 0
        self.account_pts = 0
        self.date: Any = None
        self.differences = 0
        self.too_long = 0

    async def begin(self) -> None:
        state = await self._client(functions.updates.GetStateRequest())
        self.account_pts, self.date = state.pts, state.date
        await self._read_channel()

    async def settle(self) -> None:
        """Take what was pushed so far; where something is missing, ask for it."""
        # Whatever was pushed before this call stands before its answer in the stream.
        await self._client(functions.help.GetNearestDcRequest())
        waiting, self._waiting[:] = list(self._waiting), []
        channel_gap = account_gap = False
        for pushed in waiting:
            for update in getattr(pushed, "updates", None) or [pushed.update]:
                match update:
                    case types.UpdateChannelTooLong():
                        channel_gap |= update.pts is None or update.pts > self.pts
                    case types.UpdateNewMessage():
                        account_gap |= not self._letter_in_order(update)
                    case types.UpdateNewChannelMessage() | types.UpdateEditChannelMessage():
                        channel_gap |= not self._in_order(update)
                    case types.UpdateDeleteChannelMessages():
                        channel_gap |= not self._in_order(update)
        if account_gap:
            await self._account_difference()
        if channel_gap:
            await self._channel_difference()

    async def catch_up(self) -> None:
        """As after a reconnect: ask for the account's difference, and for the channels that it names."""
        await self.settle()
        await self._account_difference()

    def _in_order(self, update: Any) -> bool:
        if update.pts <= self.pts:
            return True  # known already: a copy, or one that came late
        if self.pts + update.pts_count != update.pts:
            return False
        self._apply(update)
        self.pts = update.pts
        return True

    def _letter_in_order(self, update: Any) -> bool:
        if update.pts <= self.account_pts:
            return True
        if self.account_pts + update.pts_count != update.pts:
            return False
        self.letters[update.message.id] = update.message.message
        self.account_pts = update.pts
        return True

    def _apply(self, update: Any) -> None:
        if isinstance(update, types.UpdateDeleteChannelMessages):
            for post_id in update.messages:
                self.posts.pop(post_id, None)
        else:
            self._keep(update.message)

    def _keep(self, message: Any) -> None:
        if isinstance(message, types.Message):
            self.posts[message.id] = (message.message, message.edit_date is not None)
        elif isinstance(message, types.MessageService):
            self.posts[message.id] = ("", False)

    async def _account_difference(self) -> None:
        while True:
            self.differences += 1
            answer = await self._client(
                functions.updates.GetDifferenceRequest(self.account_pts, self.date, 1, pts_limit=PAGE)
            )
            match answer:
                case types.updates.DifferenceEmpty():
                    self.date = answer.date
                    return
                case types.updates.DifferenceTooLong():
                    self.too_long += 1
                    self.account_pts = answer.pts
                    await self._read_letters()
                    continue
            for message in answer.new_messages:
                self.letters[message.id] = message.message
            named = any(isinstance(update, types.UpdateChannelTooLong) for update in answer.other_updates)
            sliced = isinstance(answer, types.updates.DifferenceSlice)
            state = answer.intermediate_state if sliced else answer.state
            self.account_pts, self.date = state.pts, state.date
            if not sliced:
                if named:
                    await self._channel_difference()
                return

    async def _channel_difference(self) -> None:
        while True:
            self.differences += 1
            everything = types.ChannelMessagesFilterEmpty()
            answer = await self._client(
                functions.updates.GetChannelDifferenceRequest(self._channel, everything, self.pts, PAGE)
            )
            match answer:
                case types.updates.ChannelDifferenceEmpty():
                    self.pts = answer.pts
                case types.updates.ChannelDifferenceTooLong():
                    self.too_long += 1
                    self.posts.clear()
                    await self._read_channel()
                case _:
                    for message in answer.new_messages:
                        self._keep(message)
                    for update in answer.other_updates:
                        self._apply(update)
                    self.pts = answer.pts
            if answer.final or isinstance(answer, types.updates.ChannelDifferenceTooLong):
                return

    async def _read_channel(self) -> None:
        """The whole history, newest first. The pts is that of the first page: what comes later is news."""
        offset, first = 0, True
        while True:
            page = await self._client(
                functions.messages.GetHistoryRequest(self._channel, offset, None, 0, PAGE, 0, 0, 0)
            )
            if first:
                self.pts, first = page.pts, False
            if not page.messages:
                return
            for message in page.messages:
                self._keep(message)
            offset = page.messages[-1].id

    async def _read_letters(self) -> None:
        dialogs = await self._client(functions.messages.GetDialogsRequest(None, 0, types.InputPeerEmpty(), 100, 0))
        for user in dialogs.users:
            peer = types.InputPeerUser(user.id, user.access_hash)
            page = await self._client(functions.messages.GetHistoryRequest(peer, 0, None, 0, 100, 0, 0, 0))
            self.letters |= {message.id: message.message for message in page.messages}
