-- Who runs this database, whose accounts it serves, and their sealed sessions.

CREATE TABLE owner (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    -- Unique, so that FOR KEY SHARE on the row blocks a change of epoch and nothing else: heartbeats pass writers.
    epoch bigint NOT NULL UNIQUE,
    host text NOT NULL,
    boot_id text NOT NULL,
    pid integer NOT NULL,
    state text NOT NULL, -- device and inode of the state folder's lock
    taken_at timestamptz NOT NULL,
    heartbeat_at timestamptz NOT NULL,
    released_at timestamptz
);

CREATE TABLE users (
    id bigint PRIMARY KEY, -- Telegram's user id
    username text,
    first_name text,
    last_name text,
    bot boolean NOT NULL DEFAULT false,
    state text NOT NULL DEFAULT 'signed_out' CHECK (state IN (
        'signed_out', 'connecting', 'active', 'flooded', 'frozen', 'revoked', 'banned', 'duplicated', 'parked', 'disabled'
    )),
    cause text,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE sessions (
    account_id bigint PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    sealed bytea NOT NULL, -- the whole session; its head names the master key (daemon/keys.py)
    saved_at timestamptz NOT NULL DEFAULT now()
);

-- The account's common update state. A channel's own pts stands in coverage.
CREATE TABLE update_states (
    account_id bigint PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    pts integer NOT NULL,
    qts integer NOT NULL,
    date bigint NOT NULL, -- unix seconds, as Telegram gives and wants it
    seq integer NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE floods (
    account_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    method text NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (account_id, method)
);
