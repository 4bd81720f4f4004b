"""A whole daemon that doesn't notice that it stood still, and waits for nobody to notice: the control of the races."""

import sys

from actors.telegram import fence
from daemon import app
from daemon.__main__ import main

if __name__ == "__main__":
    fence.STOOD_STILL = float("inf")
    app.HAND_OVER = 0.0
    sys.exit(main())
