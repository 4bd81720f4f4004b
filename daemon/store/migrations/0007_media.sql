-- Files of posts, where media.channels asks for them: which post carries which, what became of each, and the blobs.

-- By content: each once, however many files have it.
CREATE TABLE blobs (
    sha256 bytea PRIMARY KEY CHECK (length(sha256) = 32),
    size bigint NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);

-- A file of Telegram's: each once, however many posts carry it. Nothing here belongs to one account.
CREATE TABLE files (
    file_key text PRIMARY KEY, -- photo-ID, document-ID
    channel_id bigint NOT NULL, -- where it was met first
    state text NOT NULL DEFAULT 'wanted' CHECK (state IN ('wanted', 'stored', 'failed')),
    sha256 bytea REFERENCES blobs (sha256),
    cause text,      -- of a failure, or why it has to wait
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((state = 'stored') = (sha256 IS NOT NULL))
);
CREATE INDEX files_wanted ON files (due_at) WHERE state = 'wanted';
CREATE INDEX files_blob ON files (sha256);

-- What one post carries. An edit that replaced its file has another row.
CREATE TABLE post_files (
    channel_id bigint NOT NULL,
    message_id integer NOT NULL,
    file_key text NOT NULL,
    kind text NOT NULL,
    size bigint,
    mime text,
    name text,
    skipped text, -- the rule that it didn't meet; such a file has no row in files for this post's sake
    gone_at timestamptz, -- when the post was found not to carry it any more
    PRIMARY KEY (channel_id, message_id, file_key)
);
CREATE INDEX post_files_file ON post_files (file_key);

-- Up to where a channel's files are noted: the number of its changes, and the rules.
CREATE TABLE media_marks (
    channel_id bigint PRIMARY KEY REFERENCES channels (id) ON DELETE CASCADE,
    counted bigint NOT NULL,
    rules text NOT NULL
);

-- Posts with a file of their own, to find those that aren't noted.
CREATE INDEX posts_files ON posts (channel_id, message_id)
    WHERE media ->> 'type' IN ('photo', 'document') AND media ? 'id';
