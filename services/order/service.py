"""The order service, put together. Production, the simulation and the tests on real engines all call `assemble`."""

from functools import partial

from messaging.consumer import ConsumerOptions, RetryPolicy
from messaging.subscriber import Subscriber
from runtime.group_commit import GroupCommit
from runtime.housekeeping import Housekeeping
from services.order.domain import NotCancellable
from services.order.events import CREDIT_DECISIONS
from services.order.handlers import Placement, create_orders, handle_credit_decisions, reject_overdue_orders
from services.order.ports import Ports
from services.order.routes import OrderApi
from services.order.settings import Settings
from services.order.subscriptions import DECISIONS_CONSUMER
from services.order.waiting import Waiting
from storage.idempotency import KeyBusy, KeyExpired, KeyReused
from storage.postgres import TRANSIENT_ERRORS
from storage.retention import retention_chores
from web.application import Service
from web.health import fault_of
from web.problems import Conflict, Unavailable, Unprocessable

DEADLINE_CHECK_SECONDS = 1.0


def assemble(ports: Ports, settings: Settings) -> Service:
    """Its routes, workers and health checks, over the given ports. Nothing is opened or started."""
    database, orders = ports.database, ports.orders
    waiting = Waiting()
    placing = GroupCommit[Placement, int](partial(create_orders, orders))
    policy = RetryPolicy(attempts_unseen=settings.attempts_unseen)
    options = ConsumerOptions(TRANSIENT_ERRORS, policy, types=frozenset(CREDIT_DECISIONS.types))
    handler = partial(handle_credit_decisions, orders, waiting)
    subscriber = Subscriber(ports.stream, DECISIONS_CONSUMER, handler, options, database.wait_for_schema)
    overdue = {"overdue orders": partial(reject_overdue_orders, orders, waiting, settings.order_deadline)}
    return Service(
        workers={
            "housekeeping": Housekeeping(retention_chores(database, settings), TRANSIENT_ERRORS),
            "deadline": Housekeeping(overdue, TRANSIENT_ERRORS, DEADLINE_CHECK_SECONDS),
            "subscriber": subscriber,
        },
        checks={"database": database.ping, "consumer": fault_of(subscriber)},
        routes=OrderApi(orders, placing, waiting).routes(),
        outages=TRANSIENT_ERRORS,
        problems={NotCancellable: Conflict, KeyReused: Unprocessable, KeyExpired: Unavailable, KeyBusy: Unavailable},
        unavailable=lambda: database.missing_schema,
    )
