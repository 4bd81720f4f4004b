"""Every method of the sandbox, as stock Telethon meets it. The table is made by the modules `cases_*`."""

import pytest

from sandbox import methods
from sandbox.dispatch import method_name
from tests.conformance import (
    cases_account,
    cases_auth,
    cases_bots,
    cases_channels,
    cases_dialogs,
    cases_invites,
    cases_messages,
    cases_people,
    cases_sending,
    cases_updates,
    cases_upload,
)
from tests.conformance.cases import CASES, Check
from tests.conformance.stage import Stage

FILLED_BY = (
    cases_account,
    cases_auth,
    cases_bots,
    cases_channels,
    cases_dialogs,
    cases_invites,
    cases_messages,
    cases_people,
    cases_sending,
    cases_updates,
    cases_upload,
)
METHODS = sorted(method_name(request.__new__(request)) for request in methods.ALL)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_has_a_case(method: str) -> None:
    assert any(method in promised for promised in CASES.values()), "add a case to tests/conformance/cases_*.py"


def test_every_case_is_of_a_method_that_is_there() -> None:
    assert {method for promised in CASES.values() for method in promised} - set(METHODS) == set()


@pytest.mark.parametrize("check", CASES, ids=lambda check: f"{CASES[check][0]}-{check.__name__}")
async def test_a_method_does_what_it_promises(check: Check, stage: Stage) -> None:
    await check(stage)
    if stage.has_control:
        never = [method for method in CASES[check] if not await stage.asked(method)]
        assert never == [], "the case never asked for these"
        assert (await stage.control.get("/requests"))["unknown"] == []
