-- migrate:up
SET LOCAL statement_timeout = '10s';

-- NOT VALID takes the table lock for a moment only; the rows are checked by the next migration, beside the writers.
ALTER TABLE orders ADD CONSTRAINT a_note_is_short CHECK (length(note) <= 100) NOT VALID;

-- migrate:down
