"""What is stored against what was read, id by id, in the terms in which posts are merged."""

from collections.abc import Sequence

from actors.errand import Difference
from actors.messages.content import Post
from actors.messages.ids import ChannelId, Span
from daemon.store.batch import cleaned
from daemon.store.pool import Connection

# Only covered ids count: of others nothing is claimed. A copy that is stored since the read is newer, so it may differ.
# What can't be decoded now says nothing about what could be decoded before.
_COMPARE = """
WITH seen AS (
    SELECT * FROM unnest($5::integer[], $6::text[], $7::text[], $8::jsonb[], $9::jsonb[])
        AS s (message_id, kind, text, entities, media)
), held AS (
    SELECT * FROM posts WHERE channel_id = $1 AND message_id BETWEEN $2 AND $3
), judged AS (
    SELECT message_id, CASE
        WHEN h.kind IS NULL THEN 'missing'
        WHEN s.kind IS NULL THEN CASE WHEN h.deleted_at IS NULL THEN 'deleted' END
        WHEN h.deleted_at IS NOT NULL THEN 'undeleted'
        WHEN s.kind = 'undecodable' THEN NULL
        WHEN s.kind <> h.kind THEN 'kind'
        WHEN s.text <> h.text THEN 'text'
        WHEN s.entities IS DISTINCT FROM h.entities THEN 'entities'
        WHEN s.media IS DISTINCT FROM h.media THEN 'media'
    END AS what
    FROM seen s FULL JOIN held h USING (message_id)
    WHERE (h.pts > $4) IS NOT TRUE
)
SELECT j.message_id, j.what FROM judged j JOIN coverage c ON c.channel_id = $1
WHERE j.what IS NOT NULL AND c.covered @> j.message_id::bigint ORDER BY j.message_id DESC
"""


async def differences(
    connection: Connection, channel_id: ChannelId, span: Span, posts: Sequence[Post], pts: int | None
) -> tuple[Difference, ...]:
    seen = [cleaned(post) for post in posts]
    columns = (
        [post.message_id for post in seen],
        [post.kind for post in seen],
        [post.text for post in seen],
        [post.entities for post in seen],
        [post.media for post in seen],
    )
    rows = await connection.fetch(_COMPARE, channel_id, *span, pts, *columns)
    return tuple(Difference(message_id=row["message_id"], what=row["what"]) for row in rows)
