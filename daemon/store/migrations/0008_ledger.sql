-- The ledger's rows: few posts are anything but plain, and those are counted from this index alone.

CREATE INDEX posts_classified ON posts (channel_id, message_id) INCLUDE (kind, deleted_at, noforwards)
    WHERE kind <> 'post' OR deleted_at IS NOT NULL OR noforwards;
