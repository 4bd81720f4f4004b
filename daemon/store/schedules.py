"""When schedules were last due."""

from collections.abc import Collection

from actors.timetable import Mark
from daemon.store.pool import Database

_ALL = "SELECT name, rule, last FROM schedule_marks"
_SAVE = """
INSERT INTO schedule_marks (name, rule, last)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])
ON CONFLICT (name) DO UPDATE SET rule = excluded.rule, last = excluded.last
"""
_FORGET = "DELETE FROM schedule_marks WHERE NOT name = ANY ($1::text[])"


class StoredSchedules:
    """Implements ``actors.ports.Schedules``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def marks(self) -> dict[str, Mark]:
        async with self._database.reading() as connection:
            return {row["name"]: Mark(**dict(row)) for row in await connection.fetch(_ALL)}

    async def save(self, marks: Collection[Mark]) -> None:
        if marks:
            async with self._database.writing() as connection:
                names, rules, times = zip(*((each.name, each.rule, each.last) for each in marks), strict=True)
                await connection.execute(_SAVE, names, rules, times)

    async def keep_only(self, names: Collection[str]) -> None:
        async with self._database.writing() as connection:
            await connection.execute(_FORGET, list(names))
