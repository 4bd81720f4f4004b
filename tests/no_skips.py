"""A pytest plugin that turns every skip into a failure: where it decides, no tool may be missing.

``.ci/run`` loads it with ``-p tests.no_skips``. Expected failures (xfail) stay what they are.
"""

import pytest


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    return _failed_if_skipped((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(collector):
    return _failed_if_skipped((yield))


def _failed_if_skipped(report):
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"no skips here: {reason}"
    return report
