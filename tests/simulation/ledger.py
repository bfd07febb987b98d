"""What clients asked for and what they were answered, by the plan's numbers; and whether that is so in the end."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from services.order.domain import Order, OrderState
from tests.simulation import operator
from tests.simulation.plan import CreateCustomer, PlaceOrder, Plan
from tests.simulation.postgres import Database, LogEntry
from tests.simulation.repositories import CUSTOMERS, ORDERS


@dataclass
class Ledger:
    """Every request for a customer or an order, and its answer.

    Attributes:
        customers: the id of each customer that was acknowledged.
        orders: the id of each order that was acknowledged.
        requested: customer id and total of each order's request.
        refused: orders whose request was answered with 422: their key was used with another body.
        unknown_customers, unknown_orders: those whose client got no answer and had no key, so that it gave up.
        cancelled: whether a cancellation was accepted (True) or refused because the order was rejected (False).
    """

    customers: dict[int, int] = field(default_factory=dict)
    orders: dict[int, int] = field(default_factory=dict)
    requested: dict[int, tuple[int, int]] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    unknown_customers: set[int] = field(default_factory=set)
    unknown_orders: set[int] = field(default_factory=set)
    cancelled: dict[int, bool] = field(default_factory=dict)

    def has_no_order(self, number: int) -> bool:
        """Whether no client will ever learn the id of an order."""
        return number in self.refused or number in self.unknown_orders


def broken_promises(ledger: Ledger, plan: Plan, databases: Mapping[str, Database]) -> Iterator[str]:
    """Answers that are not true in the end. Nothing can repair them any more."""
    yield from _customers(ledger, plan, databases["customer"])
    yield from _orders(ledger, plan, databases["order"].rows(ORDERS))
    yield from _keys(ledger, plan)
    yield from _cancellations(ledger, databases["order"].rows(ORDERS))
    yield from _events(databases)


def _customers(ledger: Ledger, plan: Plan, database: Database) -> Iterator[str]:
    rows = database.rows(CUSTOMERS).values()
    for action in plan.actions:
        if isinstance(action, CreateCustomer):
            found = [row.id for row in rows if row.name == f"Customer {action.number}"]
            acknowledged = ledger.customers.get(action.number)
            yield from _difference(action, acknowledged, found, may_exist=action.number in ledger.unknown_customers)


def _orders(ledger: Ledger, plan: Plan, rows: Mapping[int, Order]) -> Iterator[str]:
    for action in plan.actions:
        if isinstance(action, PlaceOrder):
            found = [row for row in rows.values() if row.total == action.total]
            ids = [row.id for row in found]
            acknowledged = ledger.orders.get(action.number)
            yield from _difference(action, acknowledged, ids, may_exist=action.number in ledger.unknown_orders)
            for row in found:
                if (row.customer_id, row.total) != ledger.requested[action.number]:
                    yield f"{action} was sent as {ledger.requested[action.number]} and stored as {row}"
    totals = {action.total for action in plan.actions if isinstance(action, PlaceOrder)}
    yield from (f"no client asked for {row}" for row in rows.values() if row.total not in totals)


def _difference(
    action: CreateCustomer | PlaceOrder, acknowledged: int | None, ids: list[int], may_exist: bool
) -> Iterator[str]:
    """What was acknowledged exists once under its id; what is unknown at most once; anything else not at all."""
    if acknowledged is not None:
        if ids != [acknowledged]:
            yield f"{action} was answered with {acknowledged} and exists as {ids}"
    elif len(ids) > may_exist:
        yield f"{action} was not acknowledged and exists as {ids}"


def _keys(ledger: Ledger, plan: Plan) -> Iterator[str]:
    """Of all requests with a key, one was accepted, however often it was sent, and every other was refused."""
    numbers: dict[str, list[int]] = {}
    for action in plan.actions:
        if isinstance(action, PlaceOrder) and action.key:
            numbers.setdefault(action.key, []).append(action.number)
    for key, sharing in numbers.items():
        accepted = [number for number in sharing if number in ledger.orders]
        refused = [number for number in sharing if number in ledger.refused]
        if len(accepted) != 1 or len(accepted) + len(refused) != len(sharing):
            yield f"key {key} of the orders {sharing}: {accepted} were accepted, {refused} refused"


def _cancellations(ledger: Ledger, rows: Mapping[int, Order]) -> Iterator[str]:
    for number, is_cancelled in ledger.cancelled.items():
        order = rows[ledger.orders[number]]
        expected = OrderState.CANCELLED if is_cancelled else OrderState.REJECTED
        if order.state is not expected:
            yield f"order {order.id}: a client was answered that it is {expected}, and it is {order.state}"


def _events(databases: Mapping[str, Database]) -> Iterator[str]:
    """Each state and each decision was sent once by its service; the operator sends states that were sent before."""
    log = [entry for database in databases.values() for entry in database.log]
    sent = Counter(_content(entry) for entry in log if entry.transaction.process != operator.NAME)
    yield from (f"{event} was sent {times} times" for event, times in sent.items() if times > 1)
    for entry in log:
        if (
            entry.transaction.process == operator.NAME
            and entry.row.aggregate_type == "order"
            and not sent[_content(entry)]
        ):
            yield f"{_content(entry)} was republished, and is not a state that the order has had"


def _content(entry: LogEntry) -> tuple[str, str, bytes]:
    return entry.row.type, entry.row.aggregate_id, entry.row.payload
