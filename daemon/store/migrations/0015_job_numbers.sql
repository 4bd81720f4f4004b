-- Jobs in the order of their acceptance, to be read by pages.
ALTER TABLE jobs ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY;
CREATE UNIQUE INDEX jobs_number ON jobs (number);
