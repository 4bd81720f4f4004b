"""What happens in the channels while daemons live and die: posts, edits, deletions and figures, as a seed says."""

import asyncio
import random
from collections import Counter
from contextlib import contextmanager

from sandbox.switches import MAX_TOO_LONG_ABOVE

NEAR = 150
"""Edits and deletions fall within so many ids of the top: inside the horizon that is read again, 200."""
PACE = 0.01
"""Seconds between two strikes: with what they publish some hundred posts a second."""
MISSED, TOO_MANY = (1, 60), (MAX_TOO_LONG_ABOVE, 400)
"""How many posts a channel gets while no daemon lives: usually, and before some kills. Of too many the service tells
nothing, and the newest 200 are read again: that may bring back what a kill took, so it isn't the rule."""


class Traffic:
    """Publishes, edits and deletes while it is let flow."""

    def __init__(self, sandbox, seed):
        self._sandbox = sandbox
        self._open = asyncio.Event()
        self._rng = random.Random(seed)
        self._ids = {}
        self.done = Counter()

    async def begin(self):
        ledger = (await self._sandbox.get("/ledger"))["channels"]
        self._ids = {
            channel["id"]: [post["id"] for post in channel["posts"] if not post["service"]] for channel in ledger
        }

    async def flow(self):
        while True:
            await self._open.wait()
            await self._strike()
            await asyncio.sleep(PACE)

    @contextmanager
    def flowing(self):
        self._open.set()
        try:
            yield
        finally:
            self._open.clear()

    async def pass_unheard(self, low, high):
        """What happens while no daemon lives: something everywhere, and between so many posts."""
        for channel in self._ids:
            await self._publish(channel, self._rng.randint(low, high), silent=False)
            await self._edit(channel)
            await self._delete(channel)

    async def _strike(self):
        channel, rng = self._rng.choice(tuple(self._ids)), self._rng
        match rng.choices(("posts", "silent", "edits", "deletes", "figures"), (50, 3, 30, 10, 7))[0]:
            case "posts":
                await self._publish(channel, rng.randrange(1, 20), silent=False)
            case "silent":
                await self._publish(channel, rng.randrange(1, 6), silent=True)
            case "edits":
                await self._edit(channel)
            case "deletes":
                await self._delete(channel)
            case "figures":
                self.done["figures"] += 1
                await self._sandbox.post(
                    "/figures", {"channel": channel, "id": self._near(channel, 1)[0], "views": self.done["figures"]}
                )

    async def _publish(self, channel, count, *, silent):
        made = await self._sandbox.post("/posts", {"channel": channel, "count": count, "silent": silent})
        self._ids[channel] += made["ids"]
        self.done["posts"] += count

    async def _edit(self, channel):
        self.done["edits"] += 1
        text = f"edit {self.done['edits']}"
        await self._sandbox.post("/edits", {"channel": channel, "id": self._near(channel, 1)[0], "text": text})

    async def _delete(self, channel):
        ids = self._near(channel, self._rng.randrange(1, 4))
        self._ids[channel] = [one for one in self._ids[channel] if one not in ids]
        self.done["deletions"] += len(ids)
        await self._sandbox.post("/deletes", {"channel": channel, "ids": ids})

    def _near(self, channel, count):
        return self._rng.sample(self._ids[channel][-NEAR:], count)
