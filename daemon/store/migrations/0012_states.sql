-- What an account's session calls itself, for as long as it lives: another name after an update looks like another's device.
ALTER TABLE sessions
    ADD COLUMN device_model text NOT NULL DEFAULT 'Telewarden',
    ADD COLUMN device_system text NOT NULL DEFAULT 'Linux',
    ADD COLUMN device_app text NOT NULL DEFAULT '0.1';
ALTER TABLE sessions
    ALTER COLUMN device_model DROP DEFAULT,
    ALTER COLUMN device_system DROP DEFAULT,
    ALTER COLUMN device_app DROP DEFAULT;

ALTER TABLE users
    DROP CONSTRAINT users_state_check,
    ADD CONSTRAINT users_state_check CHECK (state IN (
        'signed_out', 'signing_in', 'connecting', 'active', 'flooded', 'frozen', 'revoked', 'banned', 'duplicated', 'parked',
        'disabled'
    )),
    ADD COLUMN language text; -- of the person's app, as the bot last heard it

-- An account whose state is active is shown as flooded while one of its waits lasts.
ALTER TABLE floods ADD COLUMN since timestamptz NOT NULL DEFAULT now();
