"""Files of posts, where rules ask for them: notes which are wanted, has accounts fetch them, puts them in the store.

Nothing here is needed to go on after an end of the process: what is wanted is derived from the posts, and what has come
of a file lies in the store of blobs, which tells how far it got.
"""

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import assert_never

from actors import log
from actors.errors import (
    BlobsUnavailable,
    ChannelLost,
    FileLost,
    FloodWaited,
    Refused,
    TryAgain,
)
from actors.messages.account import PART, FetchPart, LocatedFile, LocateFiles
from actors.messages.files import ChannelFiles, WantedFile
from actors.messages.ids import AccountId, ChannelId
from actors.messages.roster import MembershipLost, ReadersFor
from actors.metrics import Metrics
from actors.neighbours import ASK_FAULTS, or_again, post
from actors.ports import Blobs, Media
from actors.runtime.actor import TaskActor
from actors.runtime.message import Request
from actors.runtime.owner import LoopOwner
from actors.runtime.ref import Ref
from actors.wanted import Batch, Rules, plan, why_skipped
from config.model import Media as Settings

logger = logging.getLogger(__name__)

KEY = "downloader"
LOOK_EVERY = 2.0
"""Seconds between two looks for posts that nobody has noted the files of: one cheap question while there are none."""
NOTED = 500
"""Files noted in one transaction."""
AHEAD = 200
"""Wanted files that are looked at, at once, to find work for all accounts."""
ROUNDS = 5
"""So often is looked further, where accounts are free and all that was seen waits for others."""
WITHIN = 300.0
"""Seconds for one call of an account, most of them spent in its line."""
EXPIRIES = 2
"""So often is a file located anew because its reference has expired, on one go."""
ATTEMPTS = 30
"""Passing faults after which a file is given up; with the waits between them, a day."""
AGAIN_MOST = 3600.0
REST = 5.0
"""Seconds for which an account is left alone after a passing fault."""
UNREAD = timedelta(minutes=1)
"""Until a file is looked at again whose channel nobody reads."""
AT_ONCE = 1000
"""Blobs removed between two downloads that are put in place."""
REMOVING = 30.0
"""Seconds for which somebody waits until blobs are removed; it goes on without him."""
FULL = 60.0
"""Seconds for which nothing is fetched where it can't be kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Note new files, and give accounts that are free something to fetch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """Give accounts that are free something to fetch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveUnused(Request[int]):
    """Remove the blobs that no post carries any more; how many those were."""


DownloaderMessage = Look | Fill | RemoveUnused


async def remove_unused(owner: LoopOwner) -> None:
    """Have the blobs removed that no post carries any more. Where no files are fetched, nobody removes any."""
    ref = owner.get(KEY)
    if ref is None:
        return
    try:
        await ref.call(RemoveUnused(), timeout=REMOVING)
    except ASK_FAULTS as error:
        logger.info("files that no post carries any more are removed later: %s", error)


class FileBroken(Exception):
    """What came isn't what was told."""


class Downloader(TaskActor):
    """Fetches one file an account at a time, at most ``media.parallel`` at once."""

    def __init__(self, *, media: Media, blobs: Blobs, settings: Settings, metrics: Metrics) -> None:
        super().__init__()
        self._media = media
        self._blobs = blobs
        self._rules = Rules(settings.channels)
        self._parallel = settings.parallel
        self._metrics = metrics
        self._at_work: dict[AccountId, Batch] = {}
        self._rest: dict[AccountId, float] = {}
        """Until when an account is left alone, in the clock's monotonic seconds."""
        self._full_until = 0.0
        self._placing = asyncio.Lock()
        """A blob that is just being stored is no unused one."""

    async def started(self) -> None:
        self.tell_self(Look())

    def on_receive(self, message: DownloaderMessage) -> object:
        match message:
            case Look():
                return or_again(self, self._look(), message)
            case Fill():
                return or_again(self, self._fill(), message)
            case RemoveUnused():
                return self._remove_unused()
            case _:
                assert_never(message)

    # --- what is wanted --------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        rules = self._rules
        for channel in await self._media.unseen_channels(
            rules.digest, ids=rules.ids, usernames=rules.usernames, all_channels=rules.all_channels
        ):
            await self._note(channel)
        self._metrics.media_waiting.set(await self._media.waiting())
        await self._fill()
        self.tell_later(LOOK_EVERY, Look())

    async def _note(self, channel: ChannelFiles) -> None:
        channel_id, media = channel.channel_id, self._media
        rule = self._rules.rule_for(channel_id, channel.username)
        if rule is None:
            return  # renamed since the question
        if await media.rules_of(channel_id) not in (None, self._rules.digest):
            await media.forget_skipped(channel_id)
        while found := await media.unseen(channel_id, limit=NOTED):
            judged = [replace(file, skipped=why_skipped(file, rule)) for file in found]
            await media.note(judged)
            self._metrics.media_files.labels(state="skipped").inc(sum(file.skipped is not None for file in judged))
        # Counted before: what was recorded meanwhile is found by the next look.
        await media.mark(channel_id, counted=channel.counted, rules=self._rules.digest)

    # --- who fetches what ------------------------------------------------------------------------------------------

    async def _fill(self) -> None:
        """Look at what is due, further where all of it waits for accounts that are at work."""
        now = self.owner.clock.monotonic()
        self._rest = {account_id: until for account_id, until in self._rest.items() if until > now}
        besides: set[ChannelId] = set()
        for _ in range(ROUNDS):
            if len(self._at_work) >= self._parallel or now < self._full_until:
                return
            at_work = {file.file_key for batch in self._at_work.values() for file, _ in batch.files}
            due = await self._media.wanted(limit=AHEAD, besides=besides)
            besides |= await self._share_out([file for file in due if file.file_key not in at_work])
            if len(due) < AHEAD:
                return

    async def _share_out(self, wanted: list[WantedFile]) -> frozenset[ChannelId]:
        """Start what can be; the channels of what must wait for its account."""
        channels = tuple({channel_id for file in wanted for channel_id, _ in file.carriers})
        readers = await self.owner.find("roster").call(ReadersFor(channel_ids=channels))
        reader_of = {each: account_id for account_id, group in readers.by_account.items() for each in group}
        resting = {*self._rest, *self._at_work}
        most = self._parallel - len(self._at_work)
        found = plan(wanted, reader_of, awaited=readers.awaited, resting=resting, most=most)
        for file in found.gone:
            await self._media.give_up(file.file_key, "gone")
        for file in found.unread:
            await self._media.postpone(file.file_key, "no account reads its channel", UNREAD, failed=False)
        for batch in found.batches:
            self._at_work[batch.account_id] = batch
            self.spawn_task(self._work(batch), name=f"files of channel {batch.channel_id}")
        return found.waiting

    async def _work(self, batch: Batch) -> None:
        account_id = batch.account_id
        try:
            await self._fetch_batch(batch)
        except FloodWaited as fault:
            self._leave_alone(account_id, fault.wait.total_seconds())
        except ChannelLost as fault:
            loss = MembershipLost(account_id=account_id, channel_id=batch.channel_id, cause=fault.cause)
            post(self.owner, "roster", loss)
            self._leave_alone(account_id, REST)
        except BlobsUnavailable as fault:
            self._full_until = self.owner.clock.monotonic() + FULL
            log.emit(log.BLOBS_UNAVAILABLE, seconds=int(FULL), cause=str(fault))
            self.tell_later(FULL, Fill())
        except ASK_FAULTS as fault:
            logger.info("files of channel %s come later: %s", batch.channel_id, fault)
            self._leave_alone(account_id, REST)
        finally:
            del self._at_work[account_id]
        if not self.is_ending:
            self.tell_self(Fill())

    def _leave_alone(self, account_id: AccountId, seconds: float) -> None:
        self._rest[account_id] = self.owner.clock.monotonic() + seconds
        self.tell_later(seconds, Fill())

    # --- one account's files ---------------------------------------------------------------------------------------

    async def _fetch_batch(self, batch: Batch) -> None:
        account = self.owner.find(f"account/{batch.account_id}")
        try:
            found = await self._locate(account, batch.channel_id, tuple({number for _, number in batch.files}))
        except (Refused, TryAgain) as fault:
            for file, message_id in batch.files:
                await self._try_later(batch.channel_id, message_id, file, fault.cause)
            raise
        for file, message_id in batch.files:
            located = found.get((message_id, file.file_key))
            if located is None:
                await self._media.lose(file.file_key, batch.channel_id, message_id)
                continue
            try:
                await self._fetch(account, batch.channel_id, located)
            except (Refused, FileBroken) as fault:
                cause = fault.cause if isinstance(fault, Refused) else str(fault)
                await self._give_up(batch.channel_id, message_id, file.file_key, cause)
            except TryAgain as fault:
                await self._try_later(batch.channel_id, message_id, file, fault.cause)
                raise  # it may be the account that can't: its other files aren't tried sooner

    async def _locate(
        self, account: Ref, channel_id: ChannelId, message_ids: tuple[int, ...]
    ) -> dict[tuple[int, str], LocatedFile]:
        ask = LocateFiles(channel_id=channel_id, message_ids=message_ids)
        located = await account.call(ask, timeout=WITHIN)
        return {(file.message_id, file.file_key): file for file in located.files}

    async def _fetch(self, account: Ref, channel_id: ChannelId, file: LocatedFile) -> None:
        """Fetch a file, located anew where its reference has expired on the way."""
        expired = 0
        while True:
            try:
                await self._fetch_parts(account, channel_id, file)
                break
            except FileLost as fault:
                expired += fault.expired
                if expired > EXPIRIES:
                    raise FileBroken(f"{fault.cause}, {expired} times") from fault
            found = await self._locate(account, channel_id, (file.message_id,))
            if (file.message_id, file.file_key) not in found:
                await self._media.lose(file.file_key, channel_id, file.message_id)
                return
        await self._place(file)

    async def _fetch_parts(self, account: Ref, channel_id: ChannelId, file: LocatedFile) -> None:
        """Go on where an earlier attempt stopped, at a whole part."""
        blobs, key = self._blobs, file.file_key
        held = await blobs.held(key)
        offset = held if held == file.size else held - held % PART if held < file.size else 0
        if file.size == 0:
            await blobs.append(key, 0, b"")
        while offset < file.size:
            ask = FetchPart(channel_id=channel_id, file_key=key, offset=offset)
            data = (await account.call(ask, timeout=WITHIN)).data
            if len(data) != min(PART, file.size - offset):
                await blobs.discard(key)
                raise FileBroken(f"it ends at {offset + len(data)} of {file.size} bytes")
            await blobs.append(key, offset, data)
            self._metrics.media_bytes.inc(len(data))
            offset += len(data)

    async def _place(self, file: LocatedFile) -> None:
        async with self._placing:
            sha256 = await self._blobs.finish(file.file_key)
            await self._media.keep(file.file_key, sha256, file.size)
        self._metrics.media_files.labels(state="stored").inc()

    async def _try_later(self, channel_id: ChannelId, message_id: int, file: WantedFile, cause: str) -> None:
        if file.attempts + 1 >= ATTEMPTS:
            await self._give_up(channel_id, message_id, file.file_key, cause)
        else:
            wait = min(AGAIN_MOST, REST * 2.0**file.attempts)
            await self._media.postpone(file.file_key, cause, timedelta(seconds=wait), failed=True)

    async def _give_up(self, channel_id: ChannelId, message_id: int, file_key: str, cause: str) -> None:
        await self._blobs.discard(file_key)
        await self._media.give_up(file_key, cause)
        self._metrics.media_files.labels(state="failed").inc()
        log.emit(log.FILE_FAILED, file_key=file_key, message_id=message_id, channel_id=channel_id, cause=cause)

    async def _remove_unused(self) -> int:
        """The rows first: a blob without a row is waste, a row without its blob a loss."""
        removed, unused = 0, AT_ONCE
        while unused == AT_ONCE:
            async with self._placing:
                names = await self._media.release_unused(AT_ONCE)
                for sha256 in names:
                    await self._blobs.remove(sha256)
            unused = len(names)
            removed += unused
        if removed:
            log.emit(log.FILES_REMOVED, count=removed)
        return removed
