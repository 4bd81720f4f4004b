-- Whole posts: who wrote, what was answered, what few posts have, what readers did with polls; and, opt-in, what
-- Telegram sent. docs/posts.md says field by field what stands where.

ALTER TABLE posts
    ADD COLUMN sender jsonb,         -- {"type", "id"} of who wrote it, in groups and where the channel shows it
    ADD COLUMN reply jsonb,          -- where there is more to say than reply_to_id
    ADD COLUMN discussion_id bigint, -- the group in which the post is discussed
    ADD COLUMN details jsonb;        -- buttons, the bot it came by, restrictions, ...

ALTER TABLE post_stats
    ADD COLUMN results jsonb; -- votes of a poll, done items of a list

-- The basic group that became this one: its own history stays under that id, and isn't collected.
ALTER TABLE channels
    ADD COLUMN migrated_from bigint;

-- The TL object of the copy that posts holds, as zlib-compressed JSON: collection.raw.
CREATE TABLE post_raw (
    channel_id bigint NOT NULL,
    message_id integer NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (channel_id, message_id)
);
ALTER TABLE post_raw ALTER COLUMN bytes SET STORAGE EXTERNAL; -- it is compressed already
