"""Files of posts: found in what is stored, noted, and what became of them."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from actors.messages.files import Blob, ChannelFiles, FileRow, PostFile, WantedFile
from actors.messages.ids import ChannelId, Sha256
from daemon.store.pool import Database

CARRIERS = 5
"""Posts of which a wanted file's are told: enough to find one that some account can read."""

# Deletions bring no file and don't count. Edits of media do, and a message that became readable counts as added.
_COUNTED = "v.added_total + v.edited_total + v.backfilled_total"
_UNSEEN_CHANNELS = f"""
SELECT c.id AS channel_id, c.username, {_COUNTED} AS counted
FROM channels c JOIN coverage v ON v.channel_id = c.id LEFT JOIN media_marks m ON m.channel_id = c.id
WHERE ($4 OR c.id = ANY($2::bigint[]) OR lower(c.username) = ANY($3::text[]))
    AND (m.counted, m.rules) IS DISTINCT FROM ({_COUNTED}, $1)
ORDER BY c.id
"""  # noqa: S608 - a sum of columns

_UNSEEN = """
SELECT p.channel_id, p.message_id, f.file_key,
    CASE WHEN p.media ->> 'type' = 'photo' THEN 'image/jpeg' ELSE p.media ->> 'mime' END AS mime,
    p.media ->> 'file_name' AS name,
    CASE WHEN p.media ->> 'type' = 'photo' THEN 'photo' WHEN p.media ->> 'kind' = 'round' THEN 'video'
        WHEN p.media ->> 'kind' = 'custom_emoji' THEN 'sticker' ELSE coalesce(p.media ->> 'kind', 'document')
    END AS kind,
    (p.media ->> 'size')::bigint AS size, p.noforwards OR c.noforwards AS protected
FROM posts p JOIN channels c ON c.id = p.channel_id,
    LATERAL (SELECT (p.media ->> 'type') || '-' || (p.media ->> 'id') AS file_key) f
WHERE p.channel_id = $1 AND p.deleted_at IS NULL
    AND p.media ->> 'type' IN ('photo', 'document') AND p.media ? 'id'
    AND NOT EXISTS (
        SELECT FROM post_files n
        WHERE n.channel_id = p.channel_id AND n.message_id = p.message_id AND n.file_key = f.file_key
    )
ORDER BY p.message_id LIMIT $2
"""
_FORGET_SKIPPED = "DELETE FROM post_files WHERE channel_id = $1 AND skipped IS NOT NULL"

_NOTE = """
INSERT INTO post_files (channel_id, message_id, file_key, kind, size, mime, name, skipped)
SELECT * FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[],
    $8::text[])
ON CONFLICT DO NOTHING
"""
# A file whose last post was gone has found another one.
_WANT = """
INSERT INTO files AS f (file_key, channel_id)
SELECT DISTINCT ON (file_key) * FROM unnest($1::text[], $2::bigint[]) AS n (file_key, channel_id) ORDER BY file_key
ON CONFLICT (file_key) DO UPDATE SET state = 'wanted', cause = NULL, attempts = 0, due_at = now()
WHERE f.state = 'failed' AND f.cause = 'gone'
"""
_MARK = """
INSERT INTO media_marks (channel_id, counted, rules) VALUES ($1, $2, $3)
ON CONFLICT (channel_id) DO UPDATE SET counted = excluded.counted, rules = excluded.rules
"""
_RULES_OF = "SELECT rules FROM media_marks WHERE channel_id = $1"

_WANTED = """
SELECT f.file_key, f.attempts, c.size, c.carriers
FROM files f, LATERAL (
    SELECT max(size) AS size, array_agg(ARRAY[channel_id, message_id]) AS carriers FROM (
        SELECT n.size, n.channel_id, n.message_id
        FROM post_files n JOIN posts p USING (channel_id, message_id)
        WHERE n.file_key = f.file_key AND n.skipped IS NULL AND n.gone_at IS NULL AND p.deleted_at IS NULL
        ORDER BY n.message_id DESC LIMIT $2
    ) newest
) c
WHERE f.state = 'wanted' AND f.due_at <= now() AND f.channel_id <> ALL($3::bigint[])
ORDER BY f.due_at LIMIT $1
"""
_WAITING = "SELECT count(*) FROM files WHERE state = 'wanted'"
_KEEP_BLOB = "INSERT INTO blobs (sha256, size) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING size"
_KEEP = "UPDATE files SET state = 'stored', sha256 = $2, cause = NULL WHERE file_key = $1"
_POSTPONE = """
UPDATE files SET cause = $2, due_at = now() + $3, attempts = attempts + $4
WHERE file_key = $1 AND state = 'wanted'
"""
_GIVE_UP = "UPDATE files SET state = 'failed', cause = $2, sha256 = NULL WHERE file_key = $1 AND state = 'wanted'"
_LOSE = """
UPDATE post_files SET gone_at = now() WHERE file_key = $1 AND channel_id = $2 AND message_id = $3 AND gone_at IS NULL
"""
_CARRIED = """
SELECT EXISTS (
    SELECT FROM post_files n JOIN posts p USING (channel_id, message_id)
    WHERE n.file_key = $1 AND n.skipped IS NULL AND n.gone_at IS NULL AND p.deleted_at IS NULL
)
"""

_PAGE = """
SELECT n.message_id, n.file_key, n.kind, coalesce(b.size, n.size) AS size, n.mime, n.name,
    CASE WHEN n.skipped IS NOT NULL THEN 'skipped' WHEN f.state = 'wanted' AND n.gone_at IS NOT NULL THEN 'failed'
        ELSE coalesce(f.state, 'wanted') END AS state,
    CASE WHEN n.skipped IS NOT NULL THEN n.skipped WHEN f.state = 'wanted' AND n.gone_at IS NOT NULL THEN 'gone'
        ELSE f.cause END AS cause,
    CASE WHEN n.skipped IS NULL THEN encode(f.sha256, 'hex') END AS sha256,
    CASE WHEN n.skipped IS NULL THEN b.stored_at END AS stored_at
FROM post_files n LEFT JOIN files f USING (file_key) LEFT JOIN blobs b ON b.sha256 = f.sha256
WHERE n.channel_id = $1 AND n.message_id IN (
    SELECT DISTINCT message_id FROM post_files WHERE channel_id = $1 AND message_id > $2 ORDER BY message_id LIMIT $3
)
ORDER BY n.message_id, n.file_key
"""
_BLOB = """
SELECT encode(b.sha256, 'hex') AS sha256, b.size, n.mime, n.name
FROM blobs b LEFT JOIN LATERAL (
    SELECT n.mime, n.name FROM files f JOIN post_files n USING (file_key)
    WHERE f.sha256 = b.sha256 ORDER BY n.name IS NULL, n.channel_id, n.message_id LIMIT 1
) n ON true
WHERE b.sha256 = $1
"""
_UNUSED = """
SELECT b.sha256 FROM blobs b WHERE NOT EXISTS (
    SELECT FROM files f JOIN post_files n USING (file_key) WHERE f.sha256 = b.sha256 AND n.skipped IS NULL
) ORDER BY b.stored_at LIMIT $1 FOR UPDATE
"""


class StoredMedia:
    """Implements ``actors.ports.Media``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unseen_channels(
        self, rules: str, *, ids: Iterable[int], usernames: Iterable[str], all_channels: bool
    ) -> tuple[ChannelFiles, ...]:
        rows = await self._fetch(_UNSEEN_CHANNELS, rules, list(ids), list(usernames), all_channels)
        return tuple(ChannelFiles(**dict(row)) for row in rows)

    async def unseen(self, channel_id: ChannelId, *, limit: int) -> tuple[PostFile, ...]:
        return tuple(PostFile(**dict(row)) for row in await self._fetch(_UNSEEN, channel_id, limit))

    async def forget_skipped(self, channel_id: ChannelId) -> None:
        await self._execute(_FORGET_SKIPPED, channel_id)

    async def note(self, files: Iterable[PostFile]) -> None:
        noted = tuple(files)
        columns = [
            [getattr(file, name) for file in noted]
            for name in ("channel_id", "message_id", "file_key", "kind", "size", "mime", "name", "skipped")
        ]
        async with self._database.writing() as connection:
            await connection.execute(_NOTE, *columns)
            await connection.execute(_WANT, *_columns(noted))

    async def mark(self, channel_id: ChannelId, *, counted: int, rules: str) -> None:
        await self._execute(_MARK, channel_id, counted, rules)

    async def rules_of(self, channel_id: ChannelId) -> str | None:
        rows = await self._fetch(_RULES_OF, channel_id)
        return rows[0][0] if rows else None

    async def wanted(self, *, limit: int, besides: Iterable[int] = ()) -> tuple[WantedFile, ...]:
        return tuple(
            WantedFile(
                file_key=row["file_key"],
                size=row["size"],
                attempts=row["attempts"],
                carriers=tuple((ChannelId(channel_id), message_id) for channel_id, message_id in row["carriers"] or ()),
            )
            for row in await self._fetch(_WANTED, limit, CARRIERS, list(besides))
        )

    async def waiting(self) -> int:
        count: int = (await self._fetch(_WAITING))[0][0]
        return count

    async def keep(self, file_key: str, sha256: Sha256, size: int) -> bool:
        name = bytes.fromhex(sha256)
        async with self._database.writing() as connection:
            new = await connection.fetchval(_KEEP_BLOB, name, size)
            await connection.execute(_KEEP, file_key, name)
        return new is not None

    async def postpone(self, file_key: str, cause: str, wait: timedelta, *, failed: bool) -> None:
        await self._execute(_POSTPONE, file_key, cause, wait, int(failed))

    async def give_up(self, file_key: str, cause: str) -> None:
        await self._execute(_GIVE_UP, file_key, cause)

    async def lose(self, file_key: str, channel_id: ChannelId, message_id: int) -> None:
        async with self._database.writing() as connection:
            await connection.execute(_LOSE, file_key, channel_id, message_id)
            if not await connection.fetchval(_CARRIED, file_key):
                await connection.execute(_GIVE_UP, file_key, "gone")

    async def page(self, channel_id: ChannelId, *, after_id: int, limit: int) -> tuple[FileRow, ...]:
        return tuple(FileRow(**dict(row)) for row in await self._fetch(_PAGE, channel_id, after_id, limit))

    async def blob(self, sha256: Sha256) -> Blob | None:
        rows = await self._fetch(_BLOB, bytes.fromhex(sha256))
        return Blob(**dict(rows[0])) if rows else None

    async def release_unused(self, limit: int) -> tuple[Sha256, ...]:
        async with self._database.writing() as connection:
            unused = [row[0] for row in await connection.fetch(_UNUSED, limit)]
            await connection.execute("DELETE FROM files WHERE sha256 = ANY($1::bytea[])", unused)
            await connection.execute("DELETE FROM blobs WHERE sha256 = ANY($1::bytea[])", unused)
        return tuple(Sha256(name.hex()) for name in unused)

    async def _fetch(self, query: str, *arguments: Any) -> list[Any]:
        async with self._database.reading() as connection:
            rows: list[Any] = await connection.fetch(query, *arguments)
            return rows

    async def _execute(self, query: str, *arguments: Any) -> None:
        async with self._database.writing() as connection:
            await connection.execute(query, *arguments)


def _columns(noted: Iterable[PostFile]) -> tuple[list[str], list[ChannelId]]:
    wanted = [file for file in noted if file.skipped is None]
    return [file.file_key for file in wanted], [file.channel_id for file in wanted]
