-- migrate:up
SET LOCAL statement_timeout = '10s';

-- IF NOT EXISTS: releases before the first migration created this table when they started.
-- Which aggregate types an outbox takes is said by its service's own migrations.
CREATE TABLE IF NOT EXISTS outbox (
    id            uuid PRIMARY KEY DEFAULT uuidv7(),
    aggregatetype text NOT NULL,
    aggregateid   text NOT NULL,
    type          text NOT NULL,
    payload       json NOT NULL,
    traceparent   text,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- An event that Kafka refuses would stop the connector, and all events behind it: one of more than 1 MiB (an event has
    -- below 1 KiB), or one for a topic that does not exist. Nobody can read what json accepts and jsonb does not: half a
    -- character, or a zero. All of it is refused here, with its cause.
    CONSTRAINT an_event_is_readable CHECK (payload::jsonb IS NOT NULL),
    CONSTRAINT an_event_is_small CHECK (
        octet_length(payload::text) <= 65536
        AND octet_length(concat(aggregateid, type, traceparent)) <= 4096
    )
);

-- migrate:down
