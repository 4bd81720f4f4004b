-- When each schedule was last due, by the rule that it had then: a restart neither misses a firing nor doubles one.
CREATE TABLE schedule_marks (
    name text PRIMARY KEY,
    rule text NOT NULL,
    last timestamptz NOT NULL -- its last due time; before the first, when it came into force
);

ALTER TABLE jobs ADD COLUMN schedule text; -- the name of the schedule that began it
