-- Channels, who belongs to them, and what of each is proven to be stored.

CREATE TABLE channels (
    id bigint PRIMARY KEY, -- bare, without the Bot API's -100
    username text,         -- as Telegram writes it; unique whatever the case
    title text NOT NULL,
    broadcast boolean NOT NULL DEFAULT true,
    noforwards boolean NOT NULL DEFAULT false,
    condition text NOT NULL DEFAULT 'active' CHECK (condition IN ('active', 'private', 'gone', 'quarantined')),
    cause text,
    reader_id bigint REFERENCES users (id) ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX channels_username ON channels (lower(username));
CREATE INDEX channels_reader ON channels (reader_id);

-- access_hash belongs to the account, not to the channel.
CREATE TABLE memberships (
    account_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    channel_id bigint NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    access_hash bigint NOT NULL,
    active boolean NOT NULL DEFAULT true,
    since timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    PRIMARY KEY (account_id, channel_id)
);
CREATE INDEX memberships_channel ON memberships (channel_id) WHERE active;

-- One row a channel, written with the posts that it counts and covers.
CREATE TABLE coverage (
    channel_id bigint PRIMARY KEY REFERENCES channels (id) ON DELETE CASCADE,
    covered int8multirange NOT NULL DEFAULT '{}', -- ids asked about, whatever the answer was, and the answer stored
    start_id integer,                             -- where following began; set once
    top integer NOT NULL DEFAULT 0,
    pts integer,
    added_total bigint NOT NULL DEFAULT 0,        -- posts, by push and catch-up
    edited_total bigint NOT NULL DEFAULT 0,       -- their edits of text, entities or media
    backfilled_total bigint NOT NULL DEFAULT 0,   -- posts older than the start
    deleted_total bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
