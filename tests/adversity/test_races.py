"""Of two daemons over one database the former owner calls nothing more, however it is stopped and continued."""

import pytest

from tests.adversity.races import LONG, SHORT, Race, plan, play

RACES = (Race(stop_at=0.5, stop=9.0, restart_at=2.0),)


@pytest.mark.timeout(240)
async def test_after_a_take_over_the_former_owner_calls_nothing_more(tmp_path):
    played = await play(tmp_path, RACES, seed=3)
    assert len(played.races) == len(RACES)
    assert played.requests > 100
    assert not played.told, "\n".join(played.told)
    assert not played.parallel


def test_the_long_races_are_among_the_planned_and_half_restart_the_database():
    planned = plan(1, 200, 10)
    assert [race.stop for race in planned].count(LONG) == 10
    assert [race.stop for race in planned].count(SHORT) == 190
    assert sum(race.restart_at is not None for race in planned) == 100
