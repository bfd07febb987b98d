"""Bugs of the customer service."""

from tests.mutants.mutant import Area, Mutant

DOMAIN = "services/customer/domain.py"
HANDLERS = "services/customer/handlers.py"
REPOSITORY = "services/customer/repository.py"
SERVICE = "services/customer/service.py"
ROUTES = "services/customer/routes.py"

REPUBLISH_TESTS = "tests/integration/services/customer/test_handlers_republish.py"

CUSTOMER = Area(
    suites=("unit", "simulation", "engines"),
    mutants=(
        Mutant("no credit check", DOMAIN, "if total > customer.available:", "if total > customer.credit_limit:"),
        Mutant("an exact fit is refused", DOMAIN, "if total > customer.available:", "if total >= customer.available:"),
        Mutant(
            "a decision is made again",
            DOMAIN,
            "    if reservation is not None:\n        return NOTHING",
            "    if False:\n        return NOTHING",
        ),
        Mutant(
            "no tombstone",
            DOMAIN,
            "return Outcome(reservation=_decision(order, ReservationState.CANCELLED))",
            "return NOTHING",
        ),
        Mutant(
            "credit is released twice",
            DOMAIN,
            "if reservation.state is not ReservationState.RESERVED:",
            "if reservation.state is ReservationState.CANCELLED:",
        ),
        Mutant(
            "credit is not released",
            DOMAIN,
            "reserved=customer.reserved - reservation.amount",
            "reserved=customer.reserved",
        ),
        Mutant(
            "rejected orders keep their credit",
            DOMAIN,
            "case OrderCancelled() | OrderRejected():",
            "case OrderRejected():\n            return NOTHING\n        case OrderCancelled():",
        ),
        Mutant(
            "an unknown customer is not told",
            DOMAIN,
            "_decision(order, ReservationState.UNKNOWN_CUSTOMER), failed)",
            "_decision(order, ReservationState.UNKNOWN_CUSTOMER))",
        ),
        Mutant(
            "a refused order does not count as a state of the customer",
            DOMAIN,
            "refused = replace(customer, version=customer.version + 1)",
            "refused = customer",
        ),
        Mutant(
            "a batch decides on stale states",
            HANDLERS,
            "            self.customers[outcome.customer.id] = outcome.customer\n",
            "",
        ),
        Mutant(
            "a cancellation in its order's batch is not stored",
            HANDLERS,
            "        if not stored_before:\n            self.new",
            "        if not stored_before and order_id not in self.new_reservations:\n            self.new",
        ),
        Mutant(
            "reservations are read before the lock",
            HANDLERS,
            "    customers = await transaction.lock_customers({event.customer_id for event in events})\n    reservations = await transaction.find_reservations({event.order_id for event in events})\n",
            "    reservations = await transaction.find_reservations({event.order_id for event in events})\n    customers = await transaction.lock_customers({event.customer_id for event in events})\n",
        ),
        Mutant("a decision's event is not sent", HANDLERS, "    await transaction.append(ledger.rows)\n", ""),
        Mutant(
            "a decision's event has another event's trace",
            HANDLERS,
            "            ledger.apply(event, traceparent)\n",
            "            ledger.apply(event, batch[0][1])\n",
        ),
        Mutant(
            "a customer is created without a trace",
            HANDLERS,
            "_row(domain.created(customer), traceparent)",
            "_row(domain.created(customer), None)",
        ),
        Mutant(
            "a customer's key is answered whatever the body is",
            HANDLERS,
            "return int(stored.to(mark))",
            "return int(stored.answer)",
        ),
        Mutant(
            "a customer's key has no answer",
            HANDLERS,
            "            await transaction.store(idempotency_key, customer.id)\n",
            "            pass\n",
        ),
        Mutant(
            "an expired key is a bug of the service",
            HANDLERS,
            "    if stored is None:\n        raise KeyExpired\n",
            "    assert stored\n",
            "tests/unit/services/customer/test_service.py",
        ),
        Mutant(
            "customers are republished as they were created",
            DOMAIN,
            "        version=customer.version,\n    )\n\n\ndef _reserve",
            "        version=1,\n    )\n\n\ndef _reserve",
        ),
        Mutant(
            "republishing ends with the first batch",
            HANDLERS,
            "        return [customer.id for customer in customers]\n",
            "        return [customer.id for customer in customers] if last_id < 0 else []\n",
        ),
        Mutant(
            "customers are not locked",
            REPOSITORY,
            "WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE",
            "WHERE id = ANY($1::bigint[]) ORDER BY id",
            "tests/integration/services/customer/test_handlers.py",
        ),
        Mutant(
            "customers are locked in any order",
            REPOSITORY,
            "WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE",
            "WHERE id = ANY($1::bigint[]) ORDER BY id DESC FOR UPDATE",
            "tests/behaviour",
        ),
        Mutant(
            "a customer may change before its republished state is committed",
            REPOSITORY,
            "WHERE id > $1 ORDER BY id LIMIT $2 FOR SHARE",
            "WHERE id > $1 ORDER BY id LIMIT $2",
            REPUBLISH_TESTS,
        ),
        Mutant(
            "republishing skips the customer at the edge of a batch",
            REPOSITORY,
            "WHERE id > $1 ORDER BY id LIMIT $2 FOR SHARE",
            "WHERE id > $1 + 1 ORDER BY id LIMIT $2 FOR SHARE",
            REPUBLISH_TESTS,
        ),
        Mutant(
            "a customer's version is not stored",
            REPOSITORY,
            "SET reserved_cents = new.reserved_cents, version = new.version",
            "SET reserved_cents = new.reserved_cents",
            "tests/integration/services/customer tests/behaviour",
        ),
        Mutant(
            "a second decision on an order is dropped without a word",
            REPOSITORY,
            "SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[])\n",
            "SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) ON CONFLICT DO NOTHING\n",
            "tests/behaviour tests/integration/services/customer",
        ),
        Mutant(
            "housekeeping of the customer service is left out",
            SERVICE,
            '            "housekeeping": Housekeeping(retention_chores(database, settings), TRANSIENT_ERRORS),\n',
            "",
        ),
        Mutant(
            "an outage ends the housekeeping of the customer service",
            SERVICE,
            "Housekeeping(retention_chores(database, settings), TRANSIENT_ERRORS)",
            "Housekeeping(retention_chores(database, settings), ())",
        ),
        Mutant(
            "the customer service is ready while it consumes nothing",
            SERVICE,
            'checks={"database": database.ping, "consumer": fault_of(subscriber)}',
            'checks={"database": database.ping}',
        ),
        Mutant(
            "the customer service is ready without its database",
            SERVICE,
            'checks={"database": database.ping, "consumer": fault_of(subscriber)}',
            'checks={"consumer": fault_of(subscriber)}',
        ),
        Mutant("an outage is a 500 of the customer service", SERVICE, "outages=TRANSIENT_ERRORS,", "outages=(),"),
        Mutant(
            "an order that two instances decided is a dead letter",
            SERVICE,
            "ConsumerOptions(HANDLER_TRANSIENT, ",
            "ConsumerOptions(TRANSIENT_ERRORS, ",
        ),
        Mutant(
            "customers are served without a schema",
            SERVICE,
            "unavailable=lambda: database.missing_schema",
            "unavailable=lambda: None",
        ),
        Mutant(
            "events are consumed before the schema is there",
            SERVICE,
            "handler, options, database.wait_for_schema)",
            "handler, options, database.ping)",
        ),
        Mutant(
            "a reused key of a customer is a 500",
            SERVICE,
            "problems={KeyReused: Unprocessable, KeyExpired: Unavailable}",
            "problems={KeyExpired: Unavailable}",
        ),
        Mutant(
            "a customer's Idempotency-Key is ignored",
            ROUTES,
            "handlers.create_customer(self._customers, command, key, traceparent)",
            "handlers.create_customer(self._customers, command, None, traceparent)",
        ),
        Mutant(
            "the limit is shown as available",
            ROUTES,
            "to_amount(customer.available)",
            "to_amount(customer.credit_limit)",
            "tests/simulation/test_simulation.py tests/e2e/test_saga.py",
        ),
        Mutant(
            "a page of customers begins with the last of the page before",
            REPOSITORY,
            'CUSTOMERS_PAGE = f"SELECT {COLUMNS} FROM customers WHERE id > $1',
            'CUSTOMERS_PAGE = f"SELECT {COLUMNS} FROM customers WHERE id >= $1',
            "tests/e2e/test_http_lists.py",
        ),
        Mutant(
            "a name with a zero gets to the database",
            "services/customer/requests.py",
            'if "\\0" in name:',
            "if False:",
            "tests/e2e/test_http_bad_input.py",
        ),
        Mutant(
            "the customer service does not subscribe to rejections",
            "services/customer/events.py",
            '        "OrderRejected": OrderRejected,\n    }\n)\n"""What the service reads."""',
            '    }\n)\n"""What the service reads."""',
        ),
    ),
)
