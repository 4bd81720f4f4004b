-- Parses that were asked for, and what has been summed up already.

CREATE TABLE jobs (
    id text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('user', 'all', 'schedule')),
    user_id bigint, -- no foreign key: a job outlives its user
    state text NOT NULL CHECK (state IN ('queued', 'running', 'success', 'failed', 'cancelled')),
    channels_total integer NOT NULL,
    channels_done integer NOT NULL,
    posts_added bigint NOT NULL,
    posts_edited bigint NOT NULL,
    error text,
    started_at timestamptz,
    finished_at timestamptz,
    saved_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX jobs_unfinished ON jobs (id) WHERE state IN ('queued', 'running');

-- The channel's counters as they stood at the last summary of this kind.
CREATE TABLE summary_marks (
    kind text NOT NULL CHECK (kind IN ('user', 'all')),
    account_id bigint NOT NULL, -- 0 for all
    channel_id bigint NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    added bigint NOT NULL,
    edited bigint NOT NULL,
    PRIMARY KEY (kind, account_id, channel_id)
);
