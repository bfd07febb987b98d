"""PostgreSQL: the pool, the outbox, idempotency keys and migrations; no business words here."""
