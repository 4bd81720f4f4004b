"""Whole daemons that die by their own SIGKILL at a named point of a recording, and may record in a wrong order.

One after the other, each a fork of a process that has imported everything: an environment in JSON on stdin starts one,
and its pid and its end are told on stderr. Nothing of this is in the product: the connection and the store's posts are
replaced before a daemon begins. ``KILL_AT=merged:3`` dies when the third merge has been answered, ``ORDER`` is one of
``WRONG_ORDERS``.
"""

import contextlib
import json
import os
import signal
import sys
from dataclasses import replace

from daemon import app  # noqa: F401 -- imported once, not in each life
from daemon.__main__ import main
from daemon.store import pool, posts, store
from daemon.store.batch import Counts, newest_copies
from daemon.store.posts import StoredPosts

KILL_AT, ORDER = "KILL_AT", "ORDER"
ABSENT_MARKED = "absent marked"
COPIED, COMMIT_SENT, COMMITTED, BETWEEN = "copied", "commit sent", "committed", "between"
STATEMENTS = {
    posts._LOCK: "locked",
    posts._INSERT: "inserted",
    posts._MERGE: "merged",
    posts._ABSENT: ABSENT_MARKED,
    posts._DELETE: "deleted marked",
    posts._FIGURES: "figures kept",
    posts._COVER: "covered",  # the last before COMMIT
}
POINTS = (*STATEMENTS.values(), COPIED, COMMIT_SENT, COMMITTED)
WRONG_ORDERS = ("coverage first", "posts first", "counters first")
COMMIT = "COMMIT;"
"""As asyncpg says it."""


class Failpoint:
    """Where this process dies: at a point, when it is reached for so many times."""

    _point, _left = "", 0

    def set(self, at):
        self._point, _, count = at.partition(":")
        self._left = int(count or 0)

    def reach(self, point):
        if point == self._point:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


failpoint = Failpoint()


class DyingConnection(pool._PlainConnection):
    """Reaches a point after each statement of a recording; other transactions have none."""

    _recording = False

    async def fetch(self, query, *args, **options):
        self._recording = self._recording or query == posts._LOCK
        return self._reached(query, await super().fetch(query, *args, **options))

    async def fetchval(self, query, *args, **options):
        return self._reached(query, await super().fetchval(query, *args, **options))

    async def copy_records_to_table(self, *args, **options):
        answer = await super().copy_records_to_table(*args, **options)
        failpoint.reach(COPIED)
        return answer

    async def execute(self, query, *args, **options):
        if query != COMMIT or not self._recording:
            return self._reached(query, await super().execute(query, *args, **options))
        self._recording = False
        answer = await _Sent(super().execute(query))
        failpoint.reach(COMMITTED)
        return answer

    def _reached(self, query, answer):
        if query in STATEMENTS:
            failpoint.reach(STATEMENTS[query])
        return answer


class _Sent:
    """Awaits a coroutine, with a point after its first step: the statement is on the wire, unanswered."""

    def __init__(self, coroutine):
        self._coroutine = coroutine

    def __await__(self):
        steps = self._coroutine.__await__()
        waited = next(steps)
        failpoint.reach(COMMIT_SENT)
        while True:
            got = yield waited
            try:
                waited = steps.send(got)
            except StopIteration as done:
                return done.value


class _UndoneError(Exception):
    """Ends a transaction that was only to tell what it would have counted."""


def _reach_between(batch):
    """Only where new posts are at stake that nothing brings again: of one beyond a gap the difference tells anyway."""
    if any(_stakes(record) for record in batch):
        failpoint.reach(BETWEEN)


def _stakes(record):
    told = record.pts is not None and record.channel_pts is not None and record.pts <= record.channel_pts
    return told and record.absent is None and any(post.edited_at is None for post in record.posts)


class WronglyStoredPosts(StoredPosts):
    """The controls: posts, coverage and counters in two transactions, one way and the other."""

    async def record(self, batch):
        match os.environ[ORDER]:
            case "coverage first":
                await self._part(batch, self._cover)
                _reach_between(batch)
                return await self._part(batch, self._keep, self._count)
            case "posts first":
                answers = await self._part(batch, self._keep)
                counts = [Counts(one.added, one.edited, one.deleted) for one in answers]
                _reach_between(batch)
                await self._part(batch, self._cover, self._count, counts=counts)
                return answers
            case "counters first":
                counts = await self._foreseen(batch)
                await self._part(batch, self._count, counts=counts)
                _reach_between(batch)
                return await self._part(batch, self._keep, self._cover)

    async def _part(self, batch, *steps, counts=None):
        """One transaction."""
        counts = [Counts() for _ in batch] if counts is None else counts
        async with self._database.writing() as connection:
            await posts._lock(connection, {record.channel_id for record in batch})
            for step in steps:
                await step(connection, batch, counts)
        return tuple(
            posts.Recorded(
                channel_id=record.channel_id,
                ticket=record.ticket,
                added=count.added,
                edited=count.edited,
                deleted=count.deleted,
            )
            for record, count in zip(batch, counts, strict=True)
        )

    async def _foreseen(self, batch):
        counts = [Counts() for _ in batch]
        with contextlib.suppress(_UndoneError):
            async with self._database.writing() as connection:
                await posts._lock(connection, {record.channel_id for record in batch})
                await self._keep(connection, batch, counts)
                raise _UndoneError
        return counts

    async def _keep(self, connection, batch, counts):
        if copies := newest_copies(batch):
            await posts._store(connection, copies, counts)
        await posts._mark_absent(connection, batch, counts)
        await posts._delete(connection, batch, counts)
        await posts._keep_figures(connection, batch)

    async def _cover(self, connection, batch, _counts):
        """Everything but the counters."""
        await posts._cover(connection, batch, [Counts() for _ in batch])

    async def _count(self, connection, batch, counts):
        """The counters alone."""
        bare = {"start_id": None, "top_id": 0, "floor_id": 0, "channel_pts": None, "covered": None, "doubt": None}
        await posts._cover(connection, [replace(record, **bare) for record in batch], counts)


def live(environment):
    """Be a daemon with that environment."""
    os.environ.update(environment)
    failpoint.set(os.environ[KILL_AT])
    pool._PlainConnection = DyingConnection
    if os.environ[ORDER]:
        store.StoredPosts = WronglyStoredPosts
    sys.argv[1:] = ["run"]
    sys.exit(main())


def bear():
    """A daemon for each line of stdin, the next when the one before has ended."""
    for line in iter(sys.stdin.readline, ""):
        pid = os.fork()
        if not pid:
            live(json.loads(line))
        tell(born=pid)
        _, status = os.waitpid(pid, 0)
        tell(ended=os.waitstatus_to_exitcode(status))


def tell(**what):
    sys.stderr.write(json.dumps(what) + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    bear()
