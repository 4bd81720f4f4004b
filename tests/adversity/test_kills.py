"""Kill -9 at random moments and inside a recording loses nothing and doubles nothing; wrong orders of commits do."""

import pytest

from tests.adversity.kills import GOES_WRONG, controls, plan, play

KILLS = 10


@pytest.mark.timeout(240)
async def test_after_kills_the_database_equals_the_ledger_and_all_counts_are_right(tmp_path, dsn):
    played = await play(dsn, tmp_path, plan(seed=3, kills=KILLS), seed=3)
    assert len(played.kills) == KILLS
    assert {bool(kill.point) for kill in played.kills} == {True, False}
    assert played.done["posts"] > 100 * KILLS
    assert not played.faults, played.told


@pytest.mark.parametrize("order", GOES_WRONG)
async def test_a_wrong_order_of_commits_is_found_out(tmp_path, dsn, order):
    """The control of the kills: what the ledger and the books would show if they were taken for harmless."""
    played = await play(dsn, tmp_path, controls(seed=3)[order], seed=3, order=order)
    assert not played.unkilled, "so it is the kill that is found out, and not another defect of the order"
    assert played.faults[GOES_WRONG[order]], "no kill shows in the ledger what this order loses or doubles"
