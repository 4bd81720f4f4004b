-- Posts read again some time after their publication (collection.reread_after), and what their figures were then.

-- How far each plan has come in each channel.
CREATE TABLE rereads (
    channel_id bigint NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    after_seconds integer NOT NULL CHECK (after_seconds > 0),
    since timestamptz NOT NULL,  -- when the plan began here: what had fallen due before isn't read
    upto_id integer NOT NULL,    -- posts up to this id are done with
    due_at timestamptz NOT NULL, -- when to look at it again
    PRIMARY KEY (channel_id, after_seconds)
);
CREATE INDEX rereads_due ON rereads (due_at);

-- A post's figures each time that a plan had it read again; post_stats has the newest.
CREATE TABLE post_series (
    channel_id bigint NOT NULL,
    message_id integer NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    views integer,
    forwards integer,
    replies integer,
    reactions jsonb,
    PRIMARY KEY (channel_id, message_id, at)
);
