-- migrate:up
SET LOCAL statement_timeout = '10s';

-- An expanding step for tests/upgrade only: the old version does not know the column, and its inserts get the default.
ALTER TABLE orders ADD COLUMN IF NOT EXISTS note text NOT NULL DEFAULT '';

-- migrate:down
