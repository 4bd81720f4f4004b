-- Requests over HTTP that were sent with a key of their own (Idempotency-Key), and what was answered to each.
CREATE TABLE repeats (
    who text NOT NULL,   -- as the audit names it
    key text NOT NULL,
    asked bytea NOT NULL, -- of path and body, by the master key: a body may hold a password that a plain digest gives away
    at timestamptz NOT NULL,
    sealed bytea,        -- with the master key: an answer may hold what is shown once; NULL until it is there
    PRIMARY KEY (who, key)
);
CREATE INDEX repeats_at ON repeats (at);
