-- Updates in their order, doubt, backfill, learned paces, alerts, and the index for searching.

ALTER TABLE coverage
    ADD COLUMN floor integer NOT NULL DEFAULT 0, -- the newest id that there was at pts
    ADD COLUMN goal_id integer,                  -- a backfill goes down to this id, or went
    ADD COLUMN doubt_since timestamptz,          -- since when something that was covered is to be read again
    ADD COLUMN doubt_why text;
UPDATE coverage SET floor = top;

-- How often an account may call a method, as floods have taught it: at most so many calls within any so many seconds.
CREATE TABLE paces (
    account_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    method text NOT NULL,
    calls integer NOT NULL CHECK (calls > 0),
    seconds double precision NOT NULL CHECK (seconds > 0),
    learned_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, method)
);

-- What an operator has to know. One row stands for a cause as long as it isn't over.
CREATE TABLE alerts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    account_id bigint,
    channel_id bigint,
    cause text NOT NULL, -- never a payload
    count integer NOT NULL DEFAULT 1,
    first_at timestamptz NOT NULL DEFAULT now(),
    last_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
CREATE UNIQUE INDEX alerts_open ON alerts (kind, coalesce(account_id, 0), coalesce(channel_id, 0), cause)
    WHERE ended_at IS NULL;

-- Russian stems English words too. The short pending list keeps the slowest commit short (measured: 86 -> 21 ms).
CREATE INDEX posts_search ON posts USING gin (to_tsvector('russian', text)) WITH (gin_pending_list_limit = 256);
