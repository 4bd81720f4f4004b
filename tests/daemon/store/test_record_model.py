"""Whatever the order, the roads and the batches: the database says what a plain model says."""

from dataclasses import dataclass, field
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.messages.ids import ChannelId
from tests.daemon.store.rows import DAY, ask, follow, membership, minute, post, record

_channels = count(1000)

IDS = st.integers(1, 6)
COPIES = st.fixed_dictionaries(
    {
        "message_id": IDS,
        "text": st.sampled_from(["a", "b"]),
        "edited": st.none() | st.integers(0, 2),
        "kind": st.sampled_from(["post", "post", "post", "service", "undecodable"]),
        "views": st.none() | st.integers(0, 3),
    }
)
SPANS = st.tuples(IDS, IDS).map(lambda pair: (min(pair), max(pair)))
RECORDS = st.fixed_dictionaries(
    {
        "posts": st.lists(COPIES, max_size=4),
        "deleted_ids": st.lists(IDS, max_size=2).map(tuple),
        "covered": st.none() | SPANS,
        "road": st.sampled_from(["live", "catchup", "backfill"]),
        "pts": st.none() | st.integers(1, 4),
        "channel_pts": st.none() | st.integers(1, 4),
        "top_id": st.none() | IDS,
        "absent": st.none() | SPANS,
        "doubt": st.none() | SPANS,
    }
)
BATCHES = st.lists(st.lists(RECORDS, min_size=1, max_size=3), min_size=1, max_size=5)


@dataclass
class Row:
    kind: str
    text: str = ""
    edited: int = -1
    pts: int | None = None
    deleted: bool = False
    views: int | None = None
    versions: list = field(default_factory=list)


def is_older(copy: dict, pts: int | None, row: Row) -> bool:
    edited = -1 if copy["edited"] is None else copy["edited"]
    return edited < row.edited or (pts is not None and row.pts is not None and pts < row.pts)


class Model:
    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.covered: set[int] = set()
        self.top = 0
        self.pts: int | None = None
        self.added = self.backfilled = 0

    def record(self, batch: list[dict]) -> None:
        before = set(self.rows)
        for message_id in {copy["message_id"] for entry in batch for copy in entry["posts"]}:
            self._copies(message_id, batch)
        first_road: dict[int, str] = {}
        for entry in batch:
            for copy in entry["posts"]:
                first_road.setdefault(copy["message_id"], entry["road"])
        for message_id in set(self.rows) - before:
            if self.rows[message_id].kind == "post":
                self._count(first_road[message_id])
        for entry in batch:
            self._mark_absent(entry)
        for entry in batch:
            for message_id in entry["deleted_ids"]:
                self.rows.setdefault(message_id, Row("gone")).deleted = True
            if entry["doubt"]:
                self.covered -= set(range(entry["doubt"][0], entry["doubt"][1] + 1))
            if entry["covered"]:
                self.covered |= set(range(entry["covered"][0], entry["covered"][1] + 1))
            self.top = max(self.top, entry["top_id"] or 0)
            self.pts = self.pts if entry["channel_pts"] is None else entry["channel_pts"]

    def _mark_absent(self, entry: dict) -> None:
        if entry["absent"] is None or entry["pts"] is None:
            return
        present = {copy["message_id"] for copy in entry["posts"]}
        for message_id, row in self.rows.items():
            within = entry["absent"][0] <= message_id <= entry["absent"][1] and message_id not in present
            if within and not row.deleted and (row.pts is None or row.pts <= entry["pts"]):
                row.deleted = True

    def _copies(self, message_id: int, batch: list[dict]) -> None:
        """Of several copies in one batch the newest alone is looked at."""
        best: Row | None = None
        road = views = None
        for entry in batch:
            for copy in entry["posts"]:
                if copy["message_id"] != message_id:
                    continue
                edited = -1 if copy["edited"] is None else copy["edited"]
                if (
                    best is not None
                    and best.kind != "undecodable"
                    and (copy["kind"] != best.kind or is_older(copy, entry["pts"], best))
                ):
                    continue
                if best is None or copy["text"] != best.text:
                    road = entry["road"]
                pts = max((p for p in (best and best.pts, entry["pts"]) if p is not None), default=None)
                best, views = Row(copy["kind"], copy["text"], edited, pts), copy["views"]
        self._merge(message_id, best, road, views)

    def _merge(self, message_id: int, copy: Row, road: str, views: int | None) -> None:
        row = self.rows.get(message_id)
        if row is None:
            self.rows[message_id] = row = copy
        elif row.kind in {"undecodable", "gone"} and copy.kind != "undecodable":
            if copy.kind == "post" and not row.deleted:
                self._count(road)
            row.kind, row.text, row.edited = copy.kind, copy.text, copy.edited
            row.pts = max((p for p in (row.pts, copy.pts) if p is not None), default=None)
        elif (
            row.kind == copy.kind
            and not is_older({"edited": copy.edited}, copy.pts, row)
            and (row.text, row.edited) != (copy.text, copy.edited)
        ):
            if row.text != copy.text:
                row.versions.append(row.text)
            row.text, row.edited = copy.text, copy.edited
            row.pts = max((p for p in (row.pts, copy.pts) if p is not None), default=None)
        if views is not None:
            row.views = views if row.views is None else max(row.views, views)

    def _count(self, road: str) -> None:
        if road == "backfill":
            self.backfilled += 1
        else:
            self.added += 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=BATCHES)
async def test_any_sequence_of_records_equals_the_model(dsn, store, batches):
    channel_id = ChannelId(next(_channels))
    await follow(store, membership(channel_id))
    model = Model()
    for batch in batches:
        model.record(batch)
        await store.posts.record(
            [
                record(
                    *(
                        post(
                            **copy | {"channel_id": channel_id, "date": None if copy["kind"] == "undecodable" else DAY}
                        )
                        for copy in entry["posts"]
                    ),
                    **{name: value for name, value in entry.items() if name != "posts"},
                    channel_id=channel_id,
                )
                for entry in batch
            ]
        )
    rows = await ask(
        dsn,
        "SELECT p.message_id, p.kind, p.text, p.edited_at, p.pts, p.deleted_at IS NOT NULL, s.views, ARRAY("
        "SELECT text FROM post_versions v WHERE (v.channel_id, v.message_id) = (p.channel_id, p.message_id)"
        " ORDER BY version)"
        " FROM posts p LEFT JOIN post_stats s USING (channel_id, message_id) WHERE p.channel_id = $1",
        channel_id,
    )
    assert {row[0]: row[1:] for row in rows} == {
        message_id: (
            *(row.kind, row.text, None if row.edited < 0 else minute(row.edited)),
            *(row.pts, row.deleted, row.views, row.versions),
        )
        for message_id, row in model.rows.items()
    }
    found = await store.channels.one(channel_id)
    assert {n for first, last in found.covered for n in range(first, last + 1)} == model.covered
    assert (found.top_id, found.pts) == (model.top, model.pts)
    assert found.posts == sum(row.kind == "post" and not row.deleted for row in model.rows.values())
    counters = await ask(dsn, "SELECT added_total, backfilled_total FROM coverage WHERE channel_id = $1", channel_id)
    assert counters == [(model.added, model.backfilled)]
