-- migrate:up transaction:false
-- squawk-ignore require-statement-timeout
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_by_note ON orders (note);

-- migrate:down
