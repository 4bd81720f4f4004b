-- Posts that were let go, since they were older than the settings keep them.
ALTER TABLE coverage ADD COLUMN expired_total bigint NOT NULL DEFAULT 0;
