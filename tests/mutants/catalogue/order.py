"""Bugs of the order service."""

from tests.mutants.mutant import Area, Mutant

DOMAIN = "services/order/domain.py"
HANDLERS = "services/order/handlers.py"
REPOSITORY = "services/order/repository.py"
SERVICE = "services/order/service.py"
ROUTES = "services/order/routes.py"
WAITING = "services/order/waiting.py"

PLACING_TESTS = "tests/integration/services/order/test_handlers_placing.py"
REPUBLISH_TESTS = "tests/integration/services/order/test_handlers_republish.py"
SERVICE_TESTS = "tests/unit/services/order/test_service.py"

ORDER = Area(
    suites=("unit", "simulation", "engines"),
    mutants=(
        Mutant(
            "an order leaves any state",
            DOMAIN,
            "    if not order.is_pending:\n        return None",
            "    if False:\n        return None",
        ),
        Mutant("a rejected order can be cancelled", DOMAIN, "if order.state is OrderState.REJECTED:", "if False:"),
        Mutant(
            "a cancellation is told again",
            DOMAIN,
            "    if order.state is OrderState.CANCELLED:\n        return None\n",
            "",
        ),
        Mutant("a transition keeps the version", DOMAIN, "version=order.version + 1", "version=order.version"),
        Mutant(
            "too little credit approves",
            DOMAIN,
            "return _reject(order, RejectionReason.INSUFFICIENT_CREDIT)",
            "return _change(order, OrderState.APPROVED)",
        ),
        Mutant("the deadline strikes settled orders", DOMAIN, "if order.is_pending else None", "if True else None"),
        Mutant(
            "ids are handed to the wrong requests",
            HANDLERS,
            "zip(firsts, stored, strict=True)",
            "zip(firsts, reversed(stored), strict=True)",
        ),
        Mutant(
            "ids are handed to the wrong requests by the database",
            REPOSITORY,
            "SELECT placed.id FROM new LEFT JOIN placed ON placed.id = new.id ORDER BY new.ordinal",
            "SELECT placed.id FROM new LEFT JOIN placed ON placed.id = new.id ORDER BY new.customer_id",
            PLACING_TESTS,
        ),
        Mutant(
            "a request of a group places its neighbour's order",
            HANDLERS,
            "_placed(ids[position], placements[position])",
            "_placed(ids[position], placements[firsts[0]])",
        ),
        Mutant(
            "one reused key fails its neighbours",
            HANDLERS,
            "    except KeyReused as error:\n        return error\n",
            "    except KeyReused as error:\n        raise error\n",
        ),
        Mutant(
            "one expired key fails its neighbours",
            HANDLERS,
            "        return KeyExpired()\n",
            "        raise KeyExpired\n",
        ),
        Mutant(
            "a key is answered with another one's order",
            HANDLERS,
            'stored = answers.get(order.key or "")',
            "stored = next(iter(answers.values()), None)",
        ),
        Mutant(
            "a key is answered whatever the body is",
            HANDLERS,
            "return int(stored.to(order.fingerprint))",
            "return int(stored.answer)",
        ),
        Mutant(
            "a key that comes twice in a group places two orders",
            HANDLERS,
            "        if order.key:\n            seen.add(order.key)\n",
            "",
        ),
        Mutant(
            "the orders of a group lose their trace",
            HANDLERS,
            "_row(event, placement.traceparent)",
            "_row(event, None)",
            "tests/unit/services/order tests/integration/services/order/test_routes.py",
        ),
        Mutant(
            "an unseen order is dropped",
            HANDLERS,
            "        _require_visible(orders, batch)\n",
            "        batch = [pair for pair in batch if pair[0].order_id in orders]\n",
        ),
        Mutant(
            "a cancellation is not told",
            HANDLERS,
            "        await transaction.append([_row(event, traceparent)])\n    waiting",
            "    waiting",
        ),
        Mutant(
            "a batch of decisions forgets its own changes",
            HANDLERS,
            "orders[order.id] = changed[order.id] = order",
            "changed[order.id] = order",
        ),
        Mutant(
            "a decision wakes nobody",
            HANDLERS,
            "    waiting.announce(changed.values())\n",
            "",
            "tests/unit/services/order/test_service.py",
        ),
        Mutant(
            "a cancellation wakes nobody",
            HANDLERS,
            "    waiting.announce([cancelled])\n",
            "",
            "tests/unit/services/order/test_handlers.py",
        ),
        Mutant(
            "a deadline wakes nobody",
            HANDLERS,
            "    waiting.announce(order for order, _ in changes)\n",
            "",
            "tests/unit/services/order/test_handlers.py",
        ),
        Mutant(
            "a decision is announced before its commit",
            HANDLERS,
            "            await transaction.store_orders(changed.values())\n",
            "            waiting.announce(changed.values())\n            await transaction.store_orders(changed.values())\n",
        ),
        Mutant(
            "one batch of overdue orders in each period",
            HANDLERS,
            "    return len(changes)\n",
            "    return 0\n",
        ),
        Mutant(
            "a used key places another order",
            REPOSITORY,
            "WHERE key IS NULL OR key IN (SELECT key FROM claimed)",
            "WHERE true",
            PLACING_TESTS,
        ),
        Mutant(
            "keys are claimed in any order",
            REPOSITORY,
            "FROM new WHERE key IS NOT NULL ORDER BY key",
            "FROM new WHERE key IS NOT NULL ORDER BY ordinal",
            "tests/behaviour/test_keys.py",
        ),
        Mutant(
            "the deadline waits for orders that are being decided",
            REPOSITORY,
            "ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED",
            "ORDER BY created_at LIMIT $2 FOR UPDATE",
            "tests/behaviour",
        ),
        Mutant(
            "a new order is overdue at once",
            REPOSITORY,
            "AND created_at < now() - $1::interval",
            "AND created_at > now() - $1::interval",
            "tests/integration/services/order/test_handlers.py",
        ),
        Mutant(
            "an order may change before its republished state is committed",
            REPOSITORY,
            "WHERE id > $1 ORDER BY id LIMIT $2 FOR SHARE",
            "WHERE id > $1 ORDER BY id LIMIT $2",
            REPUBLISH_TESTS,
        ),
        Mutant(
            "a filter of the list is compared with another one's value",
            REPOSITORY,
            "for number, (column, _) in enumerate(values, 3)",
            "for number, (column, _) in enumerate(reversed(values), 3)",
            "tests/behaviour/test_orders.py tests/e2e/test_http_lists.py",
        ),
        Mutant(
            "the deadline is left out",
            SERVICE,
            '            "deadline": Housekeeping(overdue, TRANSIENT_ERRORS, DEADLINE_CHECK_SECONDS),\n',
            "",
        ),
        Mutant(
            "the deadline is checked once a minute",
            SERVICE,
            "Housekeeping(overdue, TRANSIENT_ERRORS, DEADLINE_CHECK_SECONDS)",
            "Housekeeping(overdue, TRANSIENT_ERRORS)",
        ),
        Mutant(
            "the deadline is the retention of the keys",
            SERVICE,
            "settings.order_deadline)",
            "settings.idempotency_retention)",
        ),
        Mutant(
            "housekeeping of the order service is left out",
            SERVICE,
            '            "housekeeping": Housekeeping(retention_chores(database, settings), TRANSIENT_ERRORS),\n',
            "",
        ),
        Mutant(
            "the attempts of the settings are ignored",
            SERVICE,
            "RetryPolicy(attempts_unseen=settings.attempts_unseen)",
            "RetryPolicy()",
        ),
        Mutant(
            "an outage makes dead letters",
            SERVICE,
            "ConsumerOptions(TRANSIENT_ERRORS, policy",
            "ConsumerOptions((OSError,), policy",
        ),
        Mutant(
            "the order service is ready while it consumes nothing",
            SERVICE,
            'checks={"database": database.ping, "consumer": fault_of(subscriber)}',
            'checks={"database": database.ping}',
        ),
        Mutant("an outage is a 500 of the order service", SERVICE, "outages=TRANSIENT_ERRORS,", "outages=(),"),
        Mutant(
            "cancelling a rejected order is a 500",
            SERVICE,
            "problems={NotCancellable: Conflict, KeyReused",
            "problems={KeyReused",
        ),
        Mutant(
            "requests wait for announcements that go elsewhere",
            SERVICE,
            "OrderApi(orders, placing, waiting)",
            "OrderApi(orders, placing, Waiting())",
        ),
        Mutant(
            "a repeated request is answered as if its order was new",
            ROUTES,
            "just_placed=not key",
            "just_placed=True",
            SERVICE_TESTS,
        ),
        Mutant(
            "a placed order is answered with 503",
            ROUTES,
            "            except TRANSIENT_ERRORS as error:\n",
            "            except TimeoutError as error:\n",
        ),
        Mutant(
            "an order's Idempotency-Key is ignored",
            ROUTES,
            "Placement(command, _traceparent(request), key)",
            "Placement(command, _traceparent(request))",
        ),
        Mutant(
            "a waiter misses a decision between its query and its wait",
            WAITING,
            "        self._waiters[order_id][waiter] = None\n        try:\n",
            "        await asyncio.sleep(0)\n        self._waiters[order_id][waiter] = None\n        try:\n",
        ),
        Mutant(
            "a decision of another instance is seen at the end of the wait only",
            WAITING,
            "if await _is_settled(waiter, min(left, POLL_SECONDS)):",
            "if await _is_settled(waiter, left):",
        ),
        Mutant(
            "waiters are never forgotten",
            WAITING,
            "            if not self._waiters[order_id]:\n                del self._waiters[order_id]\n",
            "",
        ),
        Mutant(
            "an order is overdue after 15 seconds by default",
            "services/order/settings.py",
            "Field(default=15 * 60, ge=1)",
            "Field(default=15, ge=1)",
        ),
        Mutant(
            "the order service does not subscribe to unknown customers",
            "services/order/events.py",
            '        "CustomerValidationFailed": CustomerValidationFailed,\n    }\n)\n"""What the service reads."""',
            '    }\n)\n"""What the service reads."""',
        ),
    ),
)
