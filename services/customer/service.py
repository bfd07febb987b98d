"""The customer service, put together. Production, the simulation and the tests on real engines all call `assemble`."""

from functools import partial

import asyncpg

from messaging.consumer import ConsumerOptions
from messaging.subscriber import Subscriber
from runtime.housekeeping import Housekeeping
from services.customer.events import ORDER_EVENTS
from services.customer.handlers import handle_order_events
from services.customer.ports import Ports
from services.customer.routes import CustomerApi
from services.customer.settings import Settings
from services.customer.subscriptions import ORDERS_CONSUMER
from storage.idempotency import KeyExpired, KeyReused
from storage.postgres import TRANSIENT_ERRORS
from storage.retention import retention_chores
from web.application import Service
from web.health import fault_of
from web.problems import Unavailable, Unprocessable

HANDLER_TRANSIENT: tuple[type[Exception], ...] = (*TRANSIENT_ERRORS, asyncpg.UniqueViolationError)
"""UniqueViolationError: two instances decided about the same order at the same moment. The retry of the later one finds
the decision of the other."""


def assemble(ports: Ports, settings: Settings) -> Service:
    """Its routes, workers and health checks, over the given ports. Nothing is opened or started."""
    database = ports.database
    handler = partial(handle_order_events, ports.customers)
    options = ConsumerOptions(HANDLER_TRANSIENT, types=frozenset(ORDER_EVENTS.types))
    subscriber = Subscriber(ports.stream, ORDERS_CONSUMER, handler, options, database.wait_for_schema)
    return Service(
        workers={
            "housekeeping": Housekeeping(retention_chores(database, settings), TRANSIENT_ERRORS),
            "subscriber": subscriber,
        },
        checks={"database": database.ping, "consumer": fault_of(subscriber)},
        routes=CustomerApi(ports.customers).routes(),
        outages=TRANSIENT_ERRORS,
        problems={KeyReused: Unprocessable, KeyExpired: Unavailable},
        unavailable=lambda: database.missing_schema,
    )
