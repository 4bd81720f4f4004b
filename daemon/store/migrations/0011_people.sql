-- Who the users are to the operator: what they may do, who invited them, and what they agreed to.

ALTER TABLE users
    ADD COLUMN role text NOT NULL DEFAULT 'user' CHECK (role IN ('owner', 'admin', 'user')),
    ADD COLUMN plan text NOT NULL DEFAULT 'default', -- a name of the settings' plans
    ADD COLUMN invited_by bigint REFERENCES users (id) ON DELETE SET NULL,
    ADD COLUMN state_since timestamptz NOT NULL DEFAULT now(); -- when state or cause changed last

-- The code itself is known to whom it was given: here stands its SHA-256.
CREATE TABLE invites (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest bytea NOT NULL UNIQUE CHECK (length(digest) = 32),
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'user')),
    plan text NOT NULL,
    uses integer NOT NULL CHECK (uses > 0),
    uses_left integer NOT NULL CHECK (uses_left BETWEEN 0 AND uses),
    created_by bigint REFERENCES users (id) ON DELETE SET NULL, -- NULL: the operator, over HTTP
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);

-- One who comes twice uses an invite once.
CREATE TABLE invite_uses (
    invite_id bigint NOT NULL REFERENCES invites (id) ON DELETE CASCADE,
    user_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    used_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (invite_id, user_id)
);

-- A user's word that the account may be read for the operator. Gone with the user.
CREATE TABLE consents (
    user_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    text_version text NOT NULL,
    road text NOT NULL, -- bot, page
    given_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, text_version, road)
);

-- A key to the sign-in page, opened once. NULL: for anybody.
CREATE TABLE sign_in_links (
    digest bytea PRIMARY KEY CHECK (length(digest) = 32),
    user_id bigint REFERENCES users (id) ON DELETE CASCADE,
    sign_in_id text, -- one that goes on there
    expires_at timestamptz NOT NULL,
    opened_at timestamptz
);

-- When the bot told administrators of it.
ALTER TABLE alerts ADD COLUMN told_at timestamptz;

-- What a user chose to follow or not to follow, whatever collection.follow says.
CREATE TABLE choices (
    account_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    channel_id bigint NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    wanted boolean NOT NULL,
    chosen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, channel_id)
);
