-- migrate:up
SET LOCAL statement_timeout = '60s';

ALTER TABLE orders VALIDATE CONSTRAINT a_note_is_short;

-- migrate:down
