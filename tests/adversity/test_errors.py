"""Every row of the error table at every call site: the documented action, observed at the data centre's counters.

A tree for each site; in it a channel for each row, with a reader and a standby of its own, and a fault for each reader.
"""

from collections import Counter
from dataclasses import dataclass, replace

import pytest

from actors.channel import FLOOD_PATIENCE
from actors.errand import StartVerify
from actors.messages.account import DescribeAccount
from actors.messages.jobs import ParseAll
from config.model import Start
from sandbox.dispatch import Counts
from sandbox.faults import Rule
from tests.adversity.error_table import ROWS, Row
from tests.adversity.hours import hurried_tree
from tests.adversity.storm import FastClock
from tests.daemon.store.rows import ask
from tests.processes import breathe

FASTER = 40
WINDOW = 110
"""Seconds of the daemon's clock, as all seconds here: longer than the wait of a flood that names none, 60 s and up to
10 % more, and than QUIET, after which an account asks for a sign of life; shorter than the hour for which a refusal
rests, and than the next round of heads."""
PATIENCE = 3
"""Windows. What was done too early, too often or by the wrong one stays done: waiting cures what is late alone."""
HOLE = 12
"""Posts that are too many to be told by a difference here, so that pages are read."""
ALL = Start(policy="all")
READING = frozenset(
    {"messages.getHistory", "updates.getChannelDifference", "messages.getPeerDialogs", "channels.getMessages"}
)


class Timed(Counts):
    """The data centre's counters, which also remember when, by the daemon's clock."""

    def __init__(self, clock):
        super().__init__()
        self.clock, self.log = clock, []

    def note(self, account, method, channel):
        super().note(account, method, channel)
        self.log.append((self.clock.monotonic(), account, method))

    def of(self, account, methods):
        return [at for at, who, method in self.log if who == account and method in methods]


@dataclass
class Cell:
    """One row at one site."""

    row: Row
    site: str
    channel: object
    first: int
    """The account that suffers."""
    second: int
    """The one beside it that belongs to the channel too."""
    rule: Rule | None = None

    @property
    def action(self):
        concerns_a_channel = self.site in READING
        if self.row.action in ("lost", "renew") and not concerns_a_channel:
            return "refuse"
        return self.row.action

    @property
    def tells_where_to_go_on(self):
        """A pts that means nothing is dropped, not asked for again."""
        return self.row.name == "PERSISTENT_TIMESTAMP_INVALID" and self.site.endswith("Difference")

    @property
    def is_left_to_the_next_round(self):
        """A job isn't kept waiting for so long."""
        return self.site == "messages.getPeerDialogs" and self.row.wait >= FLOOD_PATIENCE.total_seconds()

    def strike(self, sandbox):
        # What ends an account is said for good, all else once.
        count = 0 if self.action == "park" else 1
        self.rule = Rule(method=self.site, account=self.first, count=count, error=(self.row.code, self.row.name))
        sandbox.dc.dispatcher.faults.rules.append(self.rule)

    def __str__(self):
        return f"{self.row.code} {self.row.name} at {self.site}"

    def judge(self, counts, states, readers):
        """What is wrong with what was done, if anything."""
        calls = counts.of(self.first, {self.site})
        if not self.rule.hits or not calls:
            return "the fault met no call"
        state, reader = states[self.first], readers[self.channel.id]
        everything = [at for at, who, _ in counts.log if who == self.first and at > calls[0]]
        match self.action:
            case "wait":
                early = [at for at in calls[1:] if at < calls[0] + self.row.wait]
                round_it = [at for at in counts.of(self.second, READING) if calls[0] < at < calls[0] + self.row.wait]
                if early or (len(calls) < 2 and not self.is_left_to_the_next_round):
                    return f"asked again after {[round(at - calls[0], 1) for at in calls[1:]]} s"
                if self.site in READING and (round_it or reader != self.first):
                    return f"the other account read instead, {len(round_it)} times"
            case "again":
                if (len(calls) < 2 and not self.tells_where_to_go_on) or state != "active":
                    return f"{len(calls)} calls, {state}"
            case "park":
                if everything or state == "active":
                    return f"{len(everything)} requests after its end, {state}"
                if reader != self.second:
                    return "the other account doesn't read on"
            case "stop":
                if len(calls) > 1:
                    return f"asked again after {calls[1] - calls[0]:.1f} s"
                if self.site in READING and (state != "flooded" or reader != self.first):
                    return f"{state}, read by {reader}"
            case "lost":
                if len(calls) > 1 or state != "active" or reader != self.second:
                    return f"{len(calls)} calls, {state}, read by {reader}"
            case "renew":
                names = counts.of(self.first, {"contacts.resolveUsername"})
                if len(names) != 1 or reader != self.first or len(calls) < 2:
                    return f"resolved {len(names)} times, {len(calls)} calls, read by {reader}"
            case "refuse":
                if len(calls) > 1:
                    return f"asked again after {calls[1] - calls[0]:.1f} s"
        return None


def cells(site):
    def prepare(sandbox):
        sandbox.dc.switches = replace(sandbox.dc.switches, too_long_above=HOLE - 2)
        world = sandbox.dc.world
        people = [account for account in world.accounts.values() if not account.is_bot]
        for row, channel, at in zip(ROWS, list(world.channels.values()), range(0, len(people), 2), strict=True):
            for account in people:
                if account.id in channel.members and account not in people[at : at + 2]:
                    sandbox.dc.move(channel, account, "left", silent=True)
            for account in people[at : at + 2]:
                if account.id not in channel.members:
                    sandbox.dc.move(channel, account, "member", silent=True)
            if not channel.username:
                sandbox.dc.alter(channel, username=f"row_{at}_of_the_table", quiet=True)
            prepared.append(Cell(row=row, site=site, channel=channel, first=people[at].id, second=people[at + 1].id))

    prepared = []
    shape = {"accounts": 2 * len(ROWS), "channels": len(ROWS), "posts": 5 * len(ROWS), "prepare": prepare}
    return prepared, shape


async def whole(tree, within=30, but=frozenset()):
    for channel in tree.sandbox.dc.world.channels.values():
        if channel.id in but:
            continue

        async def is_whole(channel=channel):
            return await tree.held(channel.id) == tree.exists(channel.id)

        await tree.until(is_whole, within=within)


async def watch(tree, seconds=WINDOW):
    """Let the daemon's seconds pass."""
    until = tree.owner.clock.monotonic() + seconds
    while tree.owner.clock.monotonic() < until:
        await breathe()


async def judge_in_time(tree, dsn, table, counts):
    """What is wrong after a window; on a busy machine the clock may run ahead of what has to happen in one."""
    for _ in range(PATIENCE):
        await watch(tree)
        if not (wrong := await judge(tree, dsn, table, counts)):
            break
    return wrong


async def judge(tree, dsn, table, counts):
    states = {row.account_id: row.state for row in await tree.store.accounts.all()}
    for cell in table:
        ref = tree.owner.get(f"account/{cell.first}")
        if ref is not None:
            states[cell.first] = (await ref.call(DescribeAccount())).state
    readers = {row.channel_id: row.reader_id for row in await tree.store.channels.all()}
    wrong = {str(cell): said for cell in table if (said := cell.judge(counts, states, readers)) is not None}
    told = Counter((kind, account) for kind, account in await ask(dsn, "SELECT kind, account_id FROM alerts"))
    for cell in table:
        expected = {cell.row.alert} if cell.row.alert else set()
        kinds = {kind for kind, account in told if account == cell.first} - {"channel_private"}
        if kinds != expected:
            wrong.setdefault(str(cell), f"the operator was told {kinds or 'nothing'}, not {expected or 'nothing'}")
    return wrong


def count(sandbox):
    counts = sandbox.dc.dispatcher.counts = Timed(FastClock(FASTER))
    return counts


async def provoke(tree, site):
    """Have every reader call the method."""
    dc = tree.sandbox.dc
    match site:
        case "updates.getDifference":
            dc.drop_connections()
        case "channels.getMessages":
            for channel in dc.world.channels.values():
                await tree.owner.find("errands").call(StartVerify(channel_id=channel.id))
        case _:
            missed = {"messages.getHistory": HOLE, "updates.getChannelDifference": 3}.get(site, 0)
            for channel in dc.world.channels.values() if missed else ():
                dc.publish(channel, count=missed, silent=True)
            await tree.owner.find("scheduler").call(ParseAll())


RUNNING = (*sorted(READING), "updates.getDifference")


@pytest.mark.parametrize("site", RUNNING)
async def test_each_error_while_an_account_runs(store, dsn, site):
    table, shape = cells(site)
    async with hurried_tree(store, dsn, faster=FASTER, start=ALL, **shape) as tree:
        await tree.signed_in()
        assert (await tree.parse()).state == "success"
        await whole(tree)
        for cell in table:
            reader = (await store.channels.one(cell.channel.id)).reader_id
            if reader != cell.first:
                cell.first, cell.second = cell.second, cell.first
            assert reader == cell.first
            cell.strike(tree.sandbox)
        counts = count(tree.sandbox)
        await provoke(tree, site)
        assert await judge_in_time(tree, dsn, table, counts) == {}
        await tree.owner.find("scheduler").call(ParseAll())
        await whole(tree, but={cell.channel.id for cell in table if cell.action == "stop"})


@pytest.mark.parametrize("site", ["users.getUsers", "messages.getDialogs"])
async def test_each_error_while_an_account_comes_up(store, dsn, site):
    table, shape = cells(site)
    lay_out, counted = shape["prepare"], []

    def prepare(sandbox):
        lay_out(sandbox)
        counted.append(count(sandbox))
        for cell in table:
            cell.strike(sandbox)

    async with hurried_tree(store, dsn, faster=FASTER, start=ALL, **(shape | {"prepare": prepare})) as tree:
        assert await judge_in_time(tree, dsn, table, counted[0]) == {}
        await tree.owner.find("scheduler").call(ParseAll())
        await whole(tree)
