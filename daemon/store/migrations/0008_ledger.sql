-- The ledger's rows: few posts are anything but plain, and those are counted from this index alone.

CREATE INDEX posts_classified ON posts (channel_id, message_id) INCLUDE (kind, deleted_at, noforwards)
    WHERE kind <> 'post' OR deleted_at IS NOT NULL OR noforwards;

-- Jobs about one channel: a backfill, which outlives restarts, and a verification.
ALTER TABLE jobs
    DROP CONSTRAINT jobs_kind_check,
    ADD CONSTRAINT jobs_kind_check CHECK (kind IN ('user', 'all', 'schedule', 'backfill', 'verify')),
    ADD COLUMN channel_id bigint, -- no foreign key: a job outlives its channel
    ADD COLUMN asked text,        -- in words: all, last 500, since 2024-01-31
    ADD COLUMN low_id integer,    -- the ids that it is about, both included
    ADD COLUMN high_id integer,
    ADD COLUMN ids_done bigint NOT NULL DEFAULT 0,
    ADD COLUMN base bigint,       -- backfilled_total of the channel when a backfill began
    ADD COLUMN result jsonb;
