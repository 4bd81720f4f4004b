"""One account fails a thousand times; the fifty beside it don't notice."""

import asyncio
import itertools
from dataclasses import dataclass

from actors.messages.account import DescribeAccount
from actors.messages.jobs import ParseUser
from actors.runtime.supervision import Unpark
from tests.adversity.tree import running_tree, until

SIBLINGS = 50
DEATHS = 1000
LIVES_IN_A_ROW = 6
"""A first life and the five restarts that a minute grants."""
SIGNED_IN_EVERY = 100
"""Most lives die before they are connected; one in so many dies signed in."""


@dataclass(frozen=True)
class Poison:
    """No message that an account knows: its handler raises."""


class Victim:
    """The account that dies, again and again."""

    def __init__(self, tree, user_id):
        self.tree, self.user_id, self.key = tree, user_id, f"account/{user_id}"
        self.dead = []
        """A ref for each life that ended, none of them twice."""
        self.parked = 0
        self.died_signed_in = 0

    @property
    def absent(self):
        return self.tree.owner.records[self.key].absent

    async def die(self):
        ref = self.tree.owner.find(self.key)
        if len(self.dead) % SIGNED_IN_EVERY == 0:
            await self.signed_in()
            self.died_signed_in += 1
        ref.tell(Poison())
        assert await ref.wait_stopped(10)
        assert isinstance(ref.failure, AssertionError)
        self.dead.append(ref)
        await until(lambda: self.absent is not None)

    async def come_back(self):
        """By its supervisor's timer, brought forward, or out of the parking place."""
        if self.absent == "parked":
            self.parked += 1
            assert await self.tree.owner.find("accounts").call(Unpark(key=self.key))
        else:
            timer = self.tree.owner.records[self.key].timer
            assert 0 <= timer.delay <= 2.0 ** ((len(self.dead) - 1) % LIVES_IN_A_ROW)
            timer.come()
        await until(lambda: self.tree.owner.get(self.key) is not None)

    async def signed_in(self):
        async def active():
            return (await self.tree.owner.find(self.key).call(DescribeAccount())).state == "active"

        await self.tree.until(active)


async def test_one_account_crashes_a_thousand_times_while_fifty_siblings_parse_and_none_of_them_notices(store):
    shape = {"accounts": SIBLINGS + 1, "channels": SIBLINGS + 1, "posts": 20 * (SIBLINGS + 1), "seed": 11}
    async with running_tree(store, **shape) as tree:
        await tree.signed_in()
        victim = Victim(tree, tree.user_ids[SIBLINGS // 2])
        siblings = [user_id for user_id in tree.user_ids if user_id != victim.user_id]
        refs = {user_id: tree.ref(user_id) for user_id in siblings}
        connections = {user_id: tree.connections(user_id) for user_id in siblings}
        assert all(len(each) == 1 for each in connections.values())
        theirs = [channel for channel in tree.channel_ids if channel not in tree.followed(victim.user_id)]
        apart = [user_id for user_id in siblings if set(tree.followed(user_id)) <= set(theirs)]
        assert len(apart) >= SIBLINGS - 4

        done = asyncio.Event()
        jobs = []

        async def parse():
            """Publish and parse, one sibling after the other, for as long as the victim dies."""
            for user_id, round_ in zip(itertools.cycle(apart), itertools.count(), strict=False):
                if done.is_set() and round_ >= len(apart):
                    return
                for channel_id in tree.followed(user_id):
                    await tree.sandbox.publish(channel_id, count=1, silent=round_ % 2 == 0)
                jobs.append(await tree.parse(ParseUser(account_id=user_id)))

        async def crash():
            while len(victim.dead) < DEATHS:
                await victim.die()
                await victim.come_back()
            done.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(crash())
            group.create_task(parse())

        assert len(set(map(id, victim.dead))) == DEATHS
        assert victim.parked == DEATHS // LIVES_IN_A_ROW
        assert tree.restarts()[victim.key] == DEATHS
        assert victim.died_signed_in == DEATHS // SIGNED_IN_EVERY

        assert len(jobs) >= len(apart)
        assert {job.state for job in jobs} == {"success"}
        for user_id in siblings:
            assert tree.ref(user_id) is refs[user_id]
            assert refs[user_id].is_alive()
            assert tree.connections(user_id) == connections[user_id]
            assert tree.connected(user_id) == 1
        others = {key: restarts for key, restarts in tree.restarts().items() if key != victim.key}
        assert set(others.values()) == {0}
        for channel_id in theirs:
            await tree.until(lambda channel_id=channel_id: tree.whole(channel_id))

        await victim.signed_in()
        assert tree.connected(victim.user_id) > victim.died_signed_in
        assert (await tree.parse()).state == "success"
        await tree.assert_equal_to_the_ledger(tree.channel_ids)
