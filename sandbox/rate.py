"""Posts that come by themselves, at a steady rate."""

import asyncio
import logging
import random
from typing import TYPE_CHECKING

from sandbox.channels import Channel
from sandbox.world import WorldError

if TYPE_CHECKING:
    from sandbox.datacentre import DataCentre

logger = logging.getLogger(__name__)

TICK = 0.002
"""Seconds between two looks at what is due: at 2,000 posts a second a turn of the loop for each would be too dear."""
AT_ONCE = 50
"""Posts published in one turn of the loop at most."""
GROWTH = 0.25
"""The part of the posts at a steady rate that is followed by growing views of an older one."""


class SteadyRate:
    """So many posts a second over all generated channels, the same ones for the same seed."""

    def __init__(self, dc: "DataCentre", rate: float, seed: int) -> None:
        self._dc = dc
        self._rate = rate
        self._random = random.Random(f"{seed}/live")
        self._task: asyncio.Task[None] | None = None
        self._failed = False

    def start(self) -> None:
        if self._rate > 0:
            self._task = asyncio.create_task(self._publish())
            self._task.add_done_callback(_report)

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _publish(self) -> None:
        """Without drifting."""
        channels = [channel for channel in self._dc.world.channels.values() if channel.generated]
        loop = asyncio.get_running_loop()
        due = loop.time() + 1 / self._rate
        while channels:
            await asyncio.sleep(max(TICK, due - loop.time()))
            until = min(loop.time(), due + AT_ONCE / self._rate)  # far behind, it catches up without stopping the loop
            while due <= until:
                due += 1 / self._rate
                self._publish_one(self._random.choice(channels))

    def _publish_one(self, channel: Channel) -> None:
        try:
            self._dc.publish(channel, count=1)
            if self._random.random() < GROWTH:
                self._grow_views(channel)
            self._failed = False
        except (
            OSError,
            WorldError,
        ) as error:  # a full disk may have room again
            if not self._failed:
                logger.error("publishing at a steady rate fails, and goes on trying: %s", error)  # noqa: TRY400 - no defect
            self._failed = True

    def _grow_views(self, channel: Channel) -> None:
        """One of a channel's last posts is read a little more."""
        post_id = self._random.choice(channel.ids[-10:])
        post = channel.posts[post_id]
        if not post.service:
            self._dc.count(channel, post_id, views=post.views + self._random.randrange(1, 50))


def _report(task: asyncio.Task[None]) -> None:
    """A publisher that dies must not do so in silence."""
    if not task.cancelled() and (error := task.exception()):
        logger.error("publishing at a steady rate has failed", exc_info=error)
