-- Names of channels that settings want: whom each meant, so that a rename loses no channel, and when it was asked for in
-- vain, so that it is asked for no more than once a day.
CREATE TABLE names (
    name text PRIMARY KEY,                     -- lower case, without @
    channel_ids bigint[] NOT NULL DEFAULT '{}', -- every channel that has borne it while it was wanted
    tried_at timestamptz,                      -- when it was last resolved in vain
    cause text                                 -- why it wasn't found; NULL once it was
);
