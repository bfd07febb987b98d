"""How messages leave a service (outbox) and enter it (durable consumer); no business words here."""
