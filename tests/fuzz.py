"""How far properties and state machines go: a short form in ``make test``, as many as asked in ``make fuzz``."""

import os
from typing import Any

from hypothesis import HealthCheck, settings

EXAMPLES = "TELEWARDEN_FUZZ_EXAMPLES"
"""The environment variable that asks for more; without it every run draws the same examples."""


def examples(short: int, times: float = 1) -> int:
    """How many examples to run; ``short`` unless more are asked for, then ``times`` as many as that."""
    return int(float(os.environ[EXAMPLES]) * times) if EXAMPLES in os.environ else short


def fuzz(short: int, times: float = 1, **more: Any) -> settings:
    """Settings for ``given`` and state machines; a decorator too. ``times``: more for what is quick, less for slow."""
    return settings(
        max_examples=examples(short, times),
        derandomize=EXAMPLES not in os.environ,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        **more,
    )
