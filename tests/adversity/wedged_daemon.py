"""A whole daemon with one defect: asked for the job ``wedge`` its scheduler blocks the loop for five seconds."""

import logging
import sys
import time

from actors import supervisor
from actors.messages.jobs import DescribeJob
from actors.scheduler import Scheduler
from daemon.__main__ import main

WEDGE = "wedge"
BLOCKED_FOR = 5.0
BEGUN, OVER = "the handler begins to block", "the handler blocks no more"

logger = logging.getLogger("wedged")


class WedgedScheduler(Scheduler):
    def on_receive(self, message):
        match message:
            case DescribeJob(job_id="wedge"):
                block_the_loop()
        return super().on_receive(message)


def block_the_loop():
    logger.warning(BEGUN)
    time.sleep(BLOCKED_FOR)
    logger.warning(OVER)


if __name__ == "__main__":
    supervisor.Scheduler = WedgedScheduler
    sys.exit(main())
