"""Whatever happens on the way: in the end the rows and the marks of deletion are those of the ledger."""

import pytest

from tests.adversity.storm import play, stormy


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.timeout(90)
async def test_after_a_storm_the_database_equals_the_ledger(store, dsn, seed):
    played = await play(store, dsn, seed, 2000)
    assert not played.differs
    assert min(played.happened[fate] for fate in ("loss", "double", "reorder")) > 0


@pytest.mark.parametrize(("reread", "found"), [(200, True), (0, False)])
async def test_what_a_hole_hides_is_found_by_reading_again_and_by_nothing_else(store, dsn, reread, found):
    """The control of the storms: without the horizon they would differ from the ledger."""
    async with stormy(store, dsn, seed=1, reread=reread) as storm:
        assert not await storm.settle()
        known = storm.channel.ids[-1]
        storm.dc.edit(storm.channel, known, "edited unseen", silent=True)
        storm.dc.delete(storm.channel, [storm.channel.ids[-2]], silent=True)
        hole = storm.dc.publish(storm.channel, count=5000, silent=True)
        differs = await storm.settle()
        assert not differs.keys() & set(hole), "a hole of 5,000 posts is filled whole"
        assert (known not in differs) == found
        assert bool(differs) != found
