"""What must hold after every step (credit, one decision, order in the stream), and what must hold in the end:
nothing is lost, nothing is stored twice, and all stores agree."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from contracts.headers import KAFKA_OFFSET, KAFKA_PARTITION, KAFKA_TOPIC, KAFKA_TOPIC_ID, MESSAGE_ID
from messaging.streams import DEAD_LETTERS, EVENTS
from operations.audit import DECISIONS_THAT_FIT
from services.customer.domain import Customer, Reservation, ReservationState
from services.order.domain import Order, OrderState
from tests.simulation.mongo import KINDS, Document
from tests.simulation.postgres import Key
from tests.simulation.repositories import CUSTOMERS, ORDERS, RESERVATIONS
from tests.simulation.stream import Stored

if TYPE_CHECKING:
    from tests.simulation.system import System

MOVES = {
    None: {OrderState.PENDING},
    OrderState.PENDING: {OrderState.APPROVED, OrderState.REJECTED, OrderState.CANCELLED},
    OrderState.APPROVED: {OrderState.CANCELLED},
    OrderState.REJECTED: set(),
    OrderState.CANCELLED: set(),
}


class Invariants:
    """Checks a system while it runs; a broken invariant ends the run at that step."""

    def __init__(self, system: "System") -> None:
        self._system = system
        self._world = system.world
        self._seen: dict[Key, Any] = {}
        self._shown: dict[tuple[str, int], int] = {}
        kinds = {fault.kind for fault in system.plan.faults}
        self._stream_lasts = not kinds & {"nats wiped", "stream deleted", "tail lost"}

    # After every step

    def after_commit(self, database: str, keys: Iterable[Key]) -> None:
        tables = self._system.databases[database].tables
        for key in keys:
            before, now = self._seen.get(key), tables[key]
            self._seen[key] = now
            match now:
                case Customer():
                    self._check_credit(now)
                case Reservation():
                    self._check_decision(before, now)
                case Order():
                    self._check_move(before, now)

    def _check_credit(self, customer: Customer) -> None:
        rows = self._system.databases["customer"].rows(RESERVATIONS).values()
        reserved = sum(r.amount for r in rows if r.customer_id == customer.id and r.state is ReservationState.RESERVED)
        require = self._world.require
        require(reserved <= customer.credit_limit, "customer %d: %d reserved, beyond the limit", customer.id, reserved)
        require(
            reserved == customer.reserved,
            "customer %d: %d in the row, %d in the reservations",
            customer.id,
            customer.reserved,
            reserved,
        )

    def _check_decision(self, before: Reservation | None, now: Reservation) -> None:
        released = (ReservationState.RESERVED, ReservationState.RELEASED)
        allowed = before is None or before == now or (before.state, now.state) == released
        self._world.require(allowed, "order %d: decided twice, %s and then %s", now.order_id, before, now)

    def _check_move(self, before: Order | None, now: Order) -> None:
        allowed = now.state in MOVES[before.state if before else None]
        self._world.require(allowed, "order %d: moved from %s to %s", now.id, before, now)
        version = before.version if before else 0
        self._world.require(now.version == version + 1, "order %d: version %d after %d", now.id, now.version, version)

    def after_view_write(self, collection: str, before: Document | None, now: Document) -> None:
        if before is not None:
            self._world.require(
                now["version"] > before["version"], "view: %s goes back from %s to %s", collection, before, now
            )
        kind, _, generation = collection.partition("_")
        if generation == self._system.mongo.generations.live:
            self._shown[kind, now["_id"]] = now["version"]

    def after_swap(self) -> None:
        """Readers find every state that any generation has shown, unless the stream has lost it."""
        if self._stream_lasts:
            for (kind, number), version in self._shown.items():
                found = self._system.mongo.shown(kind).get(number, {})
                holds = found.get("version", 0) >= version
                self._world.require(
                    holds, "swapped in: %s %d is %s, version %d was shown", kind, number, found, version
                )
        for kind in KINDS:
            shown = self._system.mongo.shown(kind)
            self._shown |= {(kind, number): document["version"] for number, document in shown.items()}

    def before_drop(self, generation: str) -> None:
        wanted = self._system.mongo.generations.wanted
        self._world.require(generation not in wanted, "view: generation %s of %s is dropped", generation, wanted)

    def after_append(self, stream: str, stored: Stored) -> None:
        if stream == DEAD_LETTERS:
            self._world.violate(f"dead letter: {stored.headers}")
            return
        source = _position(stored)
        log = self._system.broker.topics[stored.headers[KAFKA_TOPIC]]
        if source[0] != log.id:
            # Kafka was wiped while the bridge read it. It writes the old topic id until its next check (5 s).
            self._world.struck("record under the id of a topic that is gone")
            return
        self._check_order(source, log.partitions[source[1]])

    def _check_order(self, source: tuple[str, int, int], records: list[Any]) -> None:
        """No record of Kafka is stored twice or out of order, and none is skipped unless its event is in the stream.

        This holds while a partition's messages come from one topic. After a wipe of Kafka, a bridge may write the old
        topic's id to records of the new one until its next check; then the partition is sent from its beginning.
        """
        topic_id, partition, offset = source
        messages = self._system.nats.streams[EVENTS].messages
        topic = _topic(topic_id)
        earlier = (_position(message) for message in reversed(messages[:-1]))
        before = next(
            (position for position in earlier if (_topic(position[0]), position[1]) == (topic, partition)), None
        )
        last = before[2] if before is not None and before[0] == topic_id else -1
        self._world.require(offset > last, "stream: %s/%d offset %d after %d", topic_id, partition, offset, last)
        if offset > last + 1:
            present = {message.headers[MESSAGE_ID] for message in messages}
            skipped = [_event_id(record) for record in records[last + 1 : offset]]
            missing = [event_id for event_id in skipped if event_id not in present]
            self._world.require(not missing, "stream: %s/%d skips %s", topic_id, partition, missing)

    # In the end

    def differences(self) -> Iterator[str]:
        """What does not agree yet; nothing is left some time after the last fault."""
        yield from self._orders()
        yield from self._credit()
        yield from self._view()
        yield from self._path()

    def _orders(self) -> Iterator[str]:
        reservations = self._system.databases["customer"].rows(RESERVATIONS)
        for order in self._system.databases["order"].rows(ORDERS).values():
            reservation = reservations.get(order.id)
            if order.is_pending:
                yield f"order {order.id} is PENDING; its decision: {reservation}"
            elif not reservation or reservation.state not in DECISIONS_THAT_FIT[order.state, order.rejection_reason]:
                yield f"{order} does not agree with {reservation}"

    def _credit(self) -> Iterator[str]:
        orders = self._system.databases["order"].rows(ORDERS).values()
        for customer in self._system.databases["customer"].rows(CUSTOMERS).values():
            approved = sum(
                order.total
                for order in orders
                if order.customer_id == customer.id and order.state is OrderState.APPROVED
            )
            if customer.reserved != approved:
                yield f"customer {customer.id}: {customer.reserved} reserved, {approved} approved"

    def _view(self) -> Iterator[str]:
        mongo = self._system.mongo
        if mongo.stored() != {mongo.generations.live} or mongo.generations.building:
            yield f"view: {mongo.generations}, and {mongo.stored()} are stored"
        shown, shown_customers = mongo.shown("orders"), mongo.shown("customers")
        orders = self._system.databases["order"].rows(ORDERS)
        for order in orders.values():
            expected = {
                "_id": order.id,
                "customerId": order.customer_id,
                "total": order.total,
                "state": order.state.value,
                "reason": order.rejection_reason.value if order.rejection_reason else None,
                "version": order.version,
            }
            if shown.get(order.id) != expected:
                yield f"view: {shown.get(order.id)} instead of {expected}"
        customers = self._system.databases["customer"].rows(CUSTOMERS)
        yield from (f"view: order {extra} does not exist" for extra in shown.keys() - orders.keys())
        for customer in customers.values():
            document = shown_customers.get(customer.id, {})
            if (document.get("name"), document.get("creditLimit")) != (customer.name, customer.credit_limit):
                yield f"view: {document} instead of {customer}"
        yield from (f"view: customer {extra} does not exist" for extra in shown_customers.keys() - customers)

    def _path(self) -> Iterator[str]:
        """Every outbox row is in Kafka, and every record of Kafka is in the stream, once."""
        topics = self._system.broker.topics.values()
        records = {_event_id(record) for log in topics for partition in log.partitions for record in partition}
        events = [entry.event_id for database in self._system.databases.values() for entry in database.log]
        yield from (f"outbox row {event_id} is not in Kafka" for event_id in events if event_id not in records)
        stream = self._system.nats.streams.get(EVENTS)
        stored = {message.headers[MESSAGE_ID] for message in stream.messages} if stream else set()
        yield from (f"event {event_id} is not in the stream" for event_id in events if event_id not in stored)


def _position(stored: Stored) -> tuple[str, int, int]:
    headers = stored.headers
    return headers[KAFKA_TOPIC_ID], int(headers[KAFKA_PARTITION]), int(headers[KAFKA_OFFSET])


def _topic(topic_id: str) -> str:
    """The name within a simulated topic's id, which is the name and a number."""
    return topic_id.rpartition("-")[0]


def _event_id(record: Any) -> str:
    return str(dict(record[1])["id"].decode())
