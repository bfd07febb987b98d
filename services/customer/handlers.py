"""What the customer service does for a request and for a batch of events about orders.

Each function runs one transaction, which also holds the events that it causes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from messaging.envelope import Envelope, read_event
from services.customer import domain
from services.customer.domain import Customer, Reservation, ReservationState
from services.customer.events import AGGREGATE, CUSTOMER_EVENTS, ORDER_EVENTS, CustomerEvent, OrderEvent
from services.customer.ports import CustomerRepository, Transaction
from services.customer.requests import CreateCustomer
from storage.idempotency import KeyExpired, fingerprint
from storage.outbox import OutboxRow
from storage.walk import in_batches

REPUBLISH_BATCH = 1_000


async def create_customer(
    repository: CustomerRepository, command: CreateCustomer, idempotency_key: str | None, traceparent: str | None
) -> int:
    """Creates a customer and returns its id; the same key and command return the first one's.

    Raises:
        storage.idempotency.KeyReused: the key was used with another command.
        storage.idempotency.KeyExpired: the key's retention ended at this moment; a retry succeeds.
    """
    async with repository.transaction() as transaction:
        if idempotency_key and not await transaction.claim(idempotency_key, fingerprint(command)):
            return await _first_answer(transaction, idempotency_key, fingerprint(command))
        customer = await transaction.insert_customer(command.name, command.credit_limit.cents)
        await transaction.append([_row(domain.created(customer), traceparent)])
        if idempotency_key:
            await transaction.store(idempotency_key, customer.id)
        return customer.id


async def _first_answer(transaction: Transaction, key: str, mark: bytes) -> int:
    stored = (await transaction.stored_answers([key])).get(key)
    if stored is None:
        raise KeyExpired
    return int(stored.to(mark))


async def handle_order_events(repository: CustomerRepository, envelopes: Sequence[Envelope]) -> None:
    """Decides on the credit of a batch of orders, in one transaction.

    Raises:
        Undecodable: a payload is not what its type promises.
        asyncpg.UniqueViolationError: another instance decided on one of the orders at the same moment. A retry finds
            its decision.
    """
    batch = [(read_event(envelope, ORDER_EVENTS), envelope.traceparent) for envelope in envelopes]
    async with repository.transaction() as transaction:
        ledger = await _load(transaction, [event for event, _ in batch])
        for event, traceparent in batch:
            ledger.apply(event, traceparent)
        await _store(transaction, ledger)


async def republish(repository: CustomerRepository, batch: int = REPUBLISH_BATCH) -> int:
    """Sends the present state of every customer again, one transaction for each batch; returns how many.

    Each is sent as CustomerCreated, with the version of the state. A reader that has this version ignores it.
    """

    async def send_next(last_id: int) -> list[int]:
        async with repository.transaction() as transaction:
            customers = await transaction.lock_next_customers(last_id, batch)
            await transaction.append([_row(domain.created(customer), None) for customer in customers])
        return [customer.id for customer in customers]

    return await in_batches(send_next)


@dataclass(slots=True)
class _Ledger:
    """The locked states that a batch is about, and its changes so far."""

    customers: dict[int, Customer]
    reservations: dict[int, Reservation]
    changed_customers: dict[int, Customer] = field(default_factory=dict)
    new_reservations: dict[int, Reservation] = field(default_factory=dict)
    released: set[int] = field(default_factory=set)
    rows: list[OutboxRow] = field(default_factory=list)

    def apply(self, event: OrderEvent, traceparent: str | None) -> None:
        outcome = domain.decide(event, self.customers.get(event.customer_id), self.reservations.get(event.order_id))
        if outcome.customer:
            self.customers[outcome.customer.id] = outcome.customer
            self.changed_customers[outcome.customer.id] = outcome.customer
        if outcome.reservation:
            self._note_reservation(outcome.reservation)
        if outcome.event:
            self.rows.append(_row(outcome.event, traceparent))

    def _note_reservation(self, reservation: Reservation) -> None:
        order_id = reservation.order_id
        stored_before = order_id in self.reservations and order_id not in self.new_reservations
        self.reservations[order_id] = reservation
        if not stored_before:
            self.new_reservations[order_id] = reservation
        elif reservation.state is ReservationState.RELEASED:
            self.released.add(order_id)


async def _load(transaction: Transaction, events: Sequence[OrderEvent]) -> _Ledger:
    # Customers first: nobody can change a customer's reservations while its row is locked.
    customers = await transaction.lock_customers({event.customer_id for event in events})
    reservations = await transaction.find_reservations({event.order_id for event in events})
    return _Ledger(customers, reservations)


async def _store(transaction: Transaction, ledger: _Ledger) -> None:
    if ledger.changed_customers:
        await transaction.store_customers(ledger.changed_customers.values())
    if ledger.new_reservations:
        await transaction.insert_reservations(ledger.new_reservations.values())
    if ledger.released:
        await transaction.release_reservations(ledger.released)
    await transaction.append(ledger.rows)


def _row(event: CustomerEvent, traceparent: str | None) -> OutboxRow:
    return OutboxRow(AGGREGATE, str(event.customer_id), CUSTOMER_EVENTS.type_of(event), event.to_json(), traceparent)
