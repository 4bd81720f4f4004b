"""A whole daemon that gets stuck when asked for the job ``wedge-KIND``, for some seconds, in one of six ways."""

import asyncio
import sys
import time

from actors import supervisor
from actors.messages.jobs import DescribeJob
from actors.recorder import Recorder
from actors.roster import Roster
from actors.scheduler import Scheduler
from actors.supervisor import Accounts
from daemon.__main__ import main

LASTS = 2.4
"""Seconds: an interval of the watchdog, and half of one."""
KINDS = ("blocked", "starved", "recorder", "roster", "accounts", "scheduler")


class Stuck:
    """A message that its handler never comes to an end with."""


class StuckRecorder(Recorder):
    def on_receive(self, message):
        return asyncio.sleep(LASTS) if isinstance(message, Stuck) else super().on_receive(message)


class StuckRoster(Roster):
    def on_receive(self, message):
        return asyncio.sleep(LASTS) if isinstance(message, Stuck) else super().on_receive(message)


class StuckAccounts(Accounts):
    def on_receive(self, message):
        return asyncio.sleep(LASTS) if isinstance(message, Stuck) else super().on_receive(message)


class StuckScheduler(Scheduler):
    def on_receive(self, message):
        if isinstance(message, Stuck):
            return asyncio.sleep(LASTS)
        if isinstance(message, DescribeJob) and message.job_id.startswith("wedge-"):
            self._wedge(message.job_id.removeprefix("wedge-"))
        return super().on_receive(message)

    def _wedge(self, kind):
        if kind == "blocked":
            time.sleep(LASTS)
        elif kind == "starved":
            starve(asyncio.get_running_loop(), time.monotonic() + LASTS)
        else:
            self.owner.find(kind).tell(Stuck())


def starve(loop, until):
    """Something that always has more to do, a second and a half at a time."""
    time.sleep(1.5)
    if time.monotonic() < until:
        loop.call_soon(starve, loop, until)


if __name__ == "__main__":
    supervisor.Scheduler, supervisor.Recorder = StuckScheduler, StuckRecorder
    supervisor.Roster, supervisor.Accounts = StuckRoster, StuckAccounts
    sys.exit(main())
