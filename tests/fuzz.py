"""How far properties and state machines go: a short form in ``make test``, as many as asked in ``make fuzz``."""

import os
from typing import Any

from hypothesis import HealthCheck, settings

EXAMPLES = "TELEWARDEN_FUZZ_EXAMPLES"
"""The environment variable that asks for more; without it every run draws the same examples."""


def examples(short: int) -> int:
    """How many examples to run; ``short`` unless more are asked for."""
    return int(os.environ.get(EXAMPLES, short))


def fuzz(short: int, **more: Any) -> settings:
    """Settings for ``given`` and state machines; a decorator too."""
    return settings(
        max_examples=examples(short),
        derandomize=EXAMPLES not in os.environ,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        **more,
    )
