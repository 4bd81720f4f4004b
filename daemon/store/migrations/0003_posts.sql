-- Posts, their former versions, and the figures that change all the time.

-- No foreign key to channels: Posts.record locks the channel's coverage row, which has one, and a check per post costs
-- a fifth of the throughput (measured).
CREATE TABLE posts (
    channel_id bigint NOT NULL,
    message_id integer NOT NULL,
    pts integer, -- the channel's when this copy was read; orders copies of one post
    -- gone: deleted before it was seen; kept so that a late copy doesn't bring it to life
    kind text NOT NULL CHECK (kind IN ('post', 'service', 'undecodable', 'gone')),
    date timestamptz,
    edited_at timestamptz,
    deleted_at timestamptz,
    grouped_id bigint,
    reply_to_id integer,
    pinned boolean NOT NULL,
    silent boolean NOT NULL,
    noforwards boolean NOT NULL,
    text text NOT NULL,
    author text,
    entities jsonb,
    media jsonb,
    forward jsonb,
    action jsonb,
    PRIMARY KEY (channel_id, message_id),
    CHECK (date IS NOT NULL OR kind IN ('undecodable', 'gone'))
);

-- What an edit replaced. A version is kept when text, entities or media changed.
CREATE TABLE post_versions (
    channel_id bigint NOT NULL,
    message_id integer NOT NULL,
    version integer NOT NULL, -- 1 is the first that was seen
    replaced_at timestamptz NOT NULL DEFAULT now(),
    edited_at timestamptz,
    text text NOT NULL,
    entities jsonb,
    media jsonb,
    PRIMARY KEY (channel_id, message_id, version)
);

-- Apart from posts and with room on each page: an update writes 0.4 kB of WAL instead of 5.4.
CREATE TABLE post_stats (
    channel_id bigint NOT NULL,
    message_id integer NOT NULL,
    views integer,
    forwards integer,
    replies integer,
    reactions jsonb,
    PRIMARY KEY (channel_id, message_id)
) WITH (fillfactor = 70);
