"""A handler that blocks the loop is named while it blocks, by something that doesn't need the loop."""

import asyncio
import json
from datetime import datetime

import aiohttp

from daemon.app import WATCHDOG
from tests.adversity.wedged_daemon import BEGUN, BLOCKED_FOR, OVER, WEDGE
from tests.processes import PYTHON, ROOT, DaemonProcess, Process

STALLED = "loop stalled"


class WedgedDaemon(DaemonProcess):
    def __init__(self, state_dir, *, env):
        super().__init__(state_dir, env=env)
        Process.__init__(self, [PYTHON, "-m", "tests.adversity.wedged_daemon", "run"], env=self.env, cwd=ROOT)

    async def start(self):
        await super().start()
        self.url = self.url.partition('"')[0]  # it stands in JSON here
        return self

    async def told(self, wanted, after=0):
        _, line = await self.line(wanted, after=after, within=15)
        return json.loads(line)


def moment(record):
    return datetime.fromisoformat(record["timestamp"])


async def test_a_loop_wedged_for_five_seconds_is_named_in_the_log_with_its_stack_before_it_is_free_again(dsn, tmp_path):
    env = {"TELEWARDEN__DATABASE__DSN": dsn, "TELEWARDEN__LOGGING__FORMAT": "json"}
    async with WedgedDaemon(tmp_path / "var", env=env) as daemon, aiohttp.ClientSession() as session:
        assert WATCHDOG * 5 / 4 < BLOCKED_FOR, "whether it is named in time would be a matter of luck"
        assert STALLED not in daemon.log
        answer = asyncio.create_task(session.get(f"{daemon.url}/jobs/{WEDGE}"))
        begun = await daemon.told(BEGUN)
        stalled = await daemon.told(STALLED)
        assert OVER not in daemon.log
        over = await daemon.told(OVER)
        assert 0 < (moment(stalled) - moment(begun)).total_seconds() < BLOCKED_FOR
        assert moment(stalled) < moment(over)

        assert (stalled["level"], stalled["logger"]) == ("ERROR", "actors.runtime.watchdog")
        assert stalled["fields"]["task"] == "scheduler"
        assert "in scheduler" in stalled["message"]
        stack = stalled["message"]
        assert stack.index("in on_receive") < stack.index("in block_the_loop")
        assert "time.sleep(BLOCKED_FOR)" in stack

        async with await answer as refused:
            assert refused.status == 404
        assert daemon.log.count(STALLED) == 1
        assert await daemon.stop() == 0
