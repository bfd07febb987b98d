-- migrate:up
SET LOCAL statement_timeout = '10s';

-- ADD CONSTRAINT and CREATE PUBLICATION know no IF NOT EXISTS.
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_constraint WHERE conrelid = 'outbox'::regclass AND conname = 'an_event_has_a_topic'
    ) THEN
        -- Without it an event for a topic that does not exist would stop the connector.
        ALTER TABLE outbox ADD CONSTRAINT an_event_has_a_topic CHECK (aggregatetype IN ('order', 'probe'));
    END IF;
    -- Only inserts are published: deleting old rows is housekeeping, not news.
    IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = 'order_outbox') THEN
        CREATE PUBLICATION order_outbox FOR TABLE outbox WITH (publish = 'insert');
    END IF;
END
$$;

-- Debezium may read the outbox, and nothing else.
GRANT SELECT ON outbox TO order_service_cdc;

-- migrate:down
