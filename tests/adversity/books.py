"""Whether the books balance: rows beside counters at any moment, and rows beside the sandbox's ledger at the end.

A fault is a kind with how many and an example. *lost*: a post that exists isn't stored so, or is marked as deleted.
*raised*: one that doesn't exist is stored as if it did. *doubled*: something was counted, or a version kept, twice.
*uncounted*: a stored post that no counter knows. *uncovered*: a channel isn't proven to be whole.
"""

from contextlib import asynccontextmanager

import asyncpg

# One statement, so that it sees one moment. "gone" rows were deleted before they were seen: nobody counts them.
BOOKS = """
SELECT c.channel_id, c.added_total + c.backfilled_total AS added, c.edited_total AS edited, c.deleted_total AS deleted,
    count(p) AS rows, count(p) FILTER (WHERE p.deleted_at IS NOT NULL) AS marked,
    (SELECT count(*) FROM post_versions v WHERE v.channel_id = c.channel_id) AS versions,
    (SELECT count(*) FROM (
        SELECT FROM (
            SELECT message_id, text FROM post_versions v WHERE v.channel_id = c.channel_id
            UNION ALL SELECT message_id, text FROM posts q WHERE q.channel_id = c.channel_id
        ) AS told GROUP BY message_id, text HAVING count(*) > 1
    ) AS again) AS told_twice
FROM coverage c LEFT JOIN posts p ON p.channel_id = c.channel_id AND p.kind = 'post'
GROUP BY c.channel_id
"""
SUMMED = "SELECT coalesce(sum(posts_added), 0)::bigint FROM jobs WHERE kind = 'all'"
STATE = """
SELECT pts, doubt_since, (CASE WHEN start_id <= top THEN int8range(start_id, top, '[]') <@ covered END) AS whole
FROM coverage WHERE channel_id = $1
"""
HELD = "SELECT message_id, kind, text, deleted_at IS NOT NULL AS deleted FROM posts WHERE channel_id = $1"


def balance(row):
    """What is wrong in one channel's books, at whatever moment: kind -> (how many, what)."""
    what = f"channel {row['channel_id']}: {dict(row)}"
    uncounted = (row["rows"] - row["marked"]) - (row["added"] - row["deleted"])
    twice = (row["added"] - row["rows"], row["deleted"] - row["marked"], row["edited"] - row["versions"])
    return {
        "doubled": (sum(max(0, more) for more in twice) + row["told_twice"], what),
        "uncounted": (max(0, uncounted), what),
    }


def compare(channel, rows):
    """What the rows and the ledger of one channel don't agree on."""
    exists = {post["id"]: None if post["service"] else post["text"] for post in channel["posts"]}
    live = {row["message_id"]: row["text"] if row["kind"] == "post" else None for row in rows if not row["deleted"]}
    lost = [post_id for post_id, text in exists.items() if live.get(post_id, 0) != text]
    raised = sorted(live.keys() - exists.keys())
    return {
        "lost": (len(lost), f"channel {channel['id']}: {lost[:9]}"),
        "raised": (len(raised), f"channel {channel['id']}: {raised[:9]}"),
    }


@asynccontextmanager
async def connected(dsn):
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


class Ledger:
    """The database beside what the sandbox says that exists."""

    def __init__(self, sandbox, dsn):
        self._sandbox, self._dsn = sandbox, dsn

    async def books(self):
        """Whatever is wrong at this moment, a dead daemon's half-done work included."""
        async with connected(self._dsn) as connection:
            summed = await connection.fetchval(SUMMED)
            rows = await connection.fetch(BOOKS)
        added = sum(row["added"] for row in rows)
        return [
            *map(balance, rows),
            {"doubled": (max(0, summed - added), f"jobs told of {summed} posts, {added} were added")},
        ]

    async def truth(self):
        """Whatever differs, now that nothing happens any more; and whether all that happened has been heard of."""
        faults, heard = [], True
        async with connected(self._dsn) as connection:
            for channel in (await self._sandbox.get("/ledger"))["channels"]:
                faults.append(compare(channel, await connection.fetch(HELD, channel["id"])))
                state = await connection.fetchrow(STATE, channel["id"])
                heard = heard and state["pts"] == channel["pts"]
                doubtful = not state["whole"] or state["doubt_since"] is not None
                faults.append({"uncovered": (int(doubtful), f"channel {channel['id']}: {dict(state)}")})
        return faults, heard


def clean(faults):
    return not any(many for one in faults for many, _ in one.values())
