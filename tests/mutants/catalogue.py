"""Realistic bugs, each a small change of the code, of the kind that a reviewer overlooks."""

from dataclasses import dataclass

CUSTOMER = "services/customer/domain.py"
CUSTOMER_HANDLERS = "services/customer/handlers.py"
CUSTOMER_REPOSITORY = "services/customer/repository.py"
ORDER = "services/order/domain.py"
ORDER_HANDLERS = "services/order/handlers.py"
ORDER_REPOSITORY = "services/order/repository.py"
PROJECTION = "services/history/projection.py"
GENERATIONS = "services/history/generations.py"
WATCH = "services/history/watch.py"
VIEWS = "services/history/views.py"
CONSUMER = "messaging/consumer.py"
GROUP_COMMIT = "runtime/group_commit.py"
PROGRESS = "messaging/progress.py"
PULL = "messaging/pull.py"
STREAMS = "messaging/streams.py"
DEAD_LETTERS = "messaging/dead_letters.py"
BRIDGE = "services/bridge/event_stream.py"
JETSTREAM = "services/bridge/jetstream.py"
KAFKA = "services/bridge/kafka.py"
RELAY = "services/bridge/relay.py"
TRANSLATE = "services/bridge/translate.py"
MONEY = "contracts/money.py"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted bug: `old`, which stands exactly once in `file`, becomes `new`."""

    name: str
    file: str
    old: str
    new: str


MUTANTS = [
    Mutant(
        "an order leaves any state",
        ORDER,
        "    if not order.is_pending:\n        return None",
        "    if False:\n        return None",
    ),
    Mutant("a rejected order can be cancelled", ORDER, "if order.state is OrderState.REJECTED:", "if False:"),
    Mutant(
        "a cancellation is told again", ORDER, "    if order.state is OrderState.CANCELLED:\n        return None\n", ""
    ),
    Mutant("a transition keeps the version", ORDER, "version=order.version + 1", "version=order.version"),
    Mutant(
        "too little credit approves",
        ORDER,
        "return _reject(order, RejectionReason.INSUFFICIENT_CREDIT)",
        "return _change(order, OrderState.APPROVED)",
    ),
    Mutant("the deadline strikes settled orders", ORDER, "if order.is_pending else None", "if True else None"),
    Mutant("no credit check", CUSTOMER, "if total > customer.available:", "if total > customer.credit_limit:"),
    Mutant("an exact fit is refused", CUSTOMER, "if total > customer.available:", "if total >= customer.available:"),
    Mutant(
        "a decision is made again",
        CUSTOMER,
        "    if reservation is not None:\n        return NOTHING",
        "    if False:\n        return NOTHING",
    ),
    Mutant(
        "no tombstone",
        CUSTOMER,
        "return Outcome(reservation=_decision(order, ReservationState.CANCELLED))",
        "return NOTHING",
    ),
    Mutant(
        "credit is released twice",
        CUSTOMER,
        "if reservation.state is not ReservationState.RESERVED:",
        "if reservation.state is ReservationState.CANCELLED:",
    ),
    Mutant(
        "credit is not released",
        CUSTOMER,
        "reserved=customer.reserved - reservation.amount",
        "reserved=customer.reserved",
    ),
    Mutant(
        "rejected orders keep their credit",
        CUSTOMER,
        "case OrderCancelled() | OrderRejected():",
        "case OrderRejected():\n            return NOTHING\n        case OrderCancelled():",
    ),
    Mutant(
        "an unknown customer is not told",
        CUSTOMER,
        "_decision(order, ReservationState.UNKNOWN_CUSTOMER), failed)",
        "_decision(order, ReservationState.UNKNOWN_CUSTOMER))",
    ),
    Mutant(
        "a batch decides on stale states",
        CUSTOMER_HANDLERS,
        "            self.customers[outcome.customer.id] = outcome.customer\n",
        "",
    ),
    Mutant(
        "reservations are read before the lock",
        CUSTOMER_HANDLERS,
        "    customers = await transaction.lock_customers({event.customer_id for event in events})\n    reservations = await transaction.find_reservations({event.order_id for event in events})\n",
        "    reservations = await transaction.find_reservations({event.order_id for event in events})\n    customers = await transaction.lock_customers({event.customer_id for event in events})\n",
    ),
    Mutant(
        "customers are not locked",
        CUSTOMER_REPOSITORY,
        "WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE",
        "WHERE id = ANY($1::bigint[]) ORDER BY id",
    ),
    Mutant("a decision's event is not sent", CUSTOMER_HANDLERS, "    await transaction.append(ledger.rows)\n", ""),
    Mutant(
        "a used key places another order",
        ORDER_REPOSITORY,
        "WHERE key IS NULL OR key IN (SELECT key FROM claimed)",
        "WHERE true",
    ),
    Mutant(
        "an unseen order is dropped",
        ORDER_HANDLERS,
        "        _require_visible(orders, batch)\n",
        "        batch = [pair for pair in batch if pair[0].order_id in orders]\n",
    ),
    Mutant(
        "a cancellation is not told",
        ORDER_HANDLERS,
        "        await transaction.append([_row(event, traceparent)])\n    waiting",
        "    waiting",
    ),
    Mutant(
        "the projection takes the last, not the newest",
        PROJECTION,
        "if seen is None or event.version > seen.version:",
        "if True:",
    ),
    Mutant(
        "the view takes any state that comes",
        VIEWS,
        '{"$gt": [document["version"], {"$ifNull": ["$version", 0]}]}',
        '{"$gt": [document["version"], 0]}',
    ),
    Mutant(
        "the ack comes before the commit",
        CONSUMER,
        "    async def _apply(self, items: Sequence[Item]) -> None:\n",
        "    async def _apply(self, items: Sequence[Item]) -> None:\n        for delivery, _ in items:\n            await delivery.ack()\n",
    ),
    Mutant("dead letter before the retry", CONSUMER, "attempts: int = 5", "attempts: int = 1"),
    Mutant(
        "an unseen row gets no more patience",
        CONSUMER,
        "if isinstance(error, NotYetVisible | UnknownEventType) else self.attempts",
        "if False else 1",
    ),
    Mutant(
        "a failing message is acked",
        CONSUMER,
        "        await delivery.nak(self._options.policy.delay(failures))",
        "        await delivery.ack()",
    ),
    Mutant(
        "a batch's failure condemns all of it",
        CONSUMER,
        "            if len(items) == 1:\n                await self._settle_failed(items[0][0], error)",
        "            if True:\n                for item in items:\n                    await self._dead_letter(item[0], error)",
    ),
    Mutant(
        "transient faults count",
        CONSUMER,
        "retry_transient(self._options.transient, self._note_fault)",
        "retry_transient((), self._note_fault)",
    ),
    Mutant(
        "a dead letter is acked unsaved",
        CONSUMER,
        "                await self._dead_letters.store(delivery, error)",
        "                pass",
    ),
    Mutant("a dead letter carries the fence", DEAD_LETTERS, "if not name.startswith(FOR_THE_SERVER)}", "}"),
    Mutant("a consumer starts at new messages", STREAMS, '"deliver_policy": "all"', '"deliver_policy": "new"'),
    Mutant(
        "generations share a place in the stream",
        STREAMS,
        'return f"{self.name}_{self.generation}" if self.generation else self.name',
        "return self.name",
    ),
    Mutant(
        "what is in hand counts as done",
        PROGRESS,
        'left=info["num_pending"] + info["num_ack_pending"]',
        'left=info["num_pending"]',
    ),
    Mutant(
        "a view is swapped in before it has caught up",
        GENERATIONS,
        "return left == 0 or (end_before is not None and acknowledged >= end_before)",
        "return True",
    ),
    Mutant(
        "a view is swapped in behind the live one",
        GENERATIONS,
        "return left == 0 or acknowledged >= delivered_live",
        "return True",
    ),
    Mutant("the live view is cleared away", WATCH, "stored.difference(generations.wanted)", "stored"),
    Mutant("the position is off by one", BRIDGE, "int(headers[KAFKA_OFFSET]) + 1", "int(headers[KAFKA_OFFSET]) + 2"),
    Mutant("the topic's id is ignored", BRIDGE, "if headers.get(KAFKA_TOPIC_ID) == topic.id:", "if headers:"),
    Mutant(
        "a lost tail goes unnoticed", BRIDGE, "        if last_sequence != self._last_sequence:", "        if False:"
    ),
    Mutant(
        "a refused batch is taken for stored",
        BRIDGE,
        "            return False\n        self._stored",
        "            return True\n        self._stored",
    ),
    Mutant(
        "partitions are mixed in a chain",
        BRIDGE,
        "sorted(messages[:MAX_PIPELINED], key=lambda message: message.partition_subjects)",
        "[*messages[:MAX_PIPELINED]]",
    ),
    Mutant(
        "a batch is not atomic",
        JETSTREAM,
        "message.headers | {BATCH_ID: batch_id, BATCH_SEQUENCE: str(number)}",
        "dict(message.headers)",
    ),
    Mutant("no fence on a batch", JETSTREAM, "        numbered[0][1][EXPECTED_LAST_SEQUENCE] = str(expected)\n", ""),
    Mutant(
        "no fence on a message",
        JETSTREAM,
        "message.headers | {EXPECTED_LAST_SEQUENCE: str(expected + place)}",
        "dict(message.headers)",
    ),
    Mutant(
        "a chain is not linked",
        JETSTREAM,
        "            headers[EXPECTED_LAST_MESSAGE_ID] = before.headers[MESSAGE_ID]\n",
        "            pass\n",
    ),
    Mutant("a chain goes on in any partition", JETSTREAM, "        elif before:\n", "        elif False:\n"),
    Mutant(
        "what follows a repeat in a chain is skipped",
        JETSTREAM,
        "return place + 1, expected + place",
        "return len(messages), expected + place",
    ),
    Mutant(
        "consumers beyond the end are kept",
        JETSTREAM,
        "            await delete_consumer(self._client, EVENTS, name)\n",
        "",
    ),
    Mutant(
        "a failed publish is skipped",
        RELAY,
        "                await stream.append([translate(record) for record in records])",
        "                try:\n                    await stream.append([translate(record) for record in records])\n                except FAULTS:\n                    await stream.open()",
    ),
    Mutant(
        "new topics go unnoticed", RELAY, "if await self._records.describe(self.topic_names) != topics:", "if False:"
    ),
    Mutant(
        "offsets that go back are handed on", KAFKA, "if offset < self._next_offsets[topic, partition]:", "if False:"
    ),
    Mutant(
        "an unreadable record is left without a position",
        TRANSLATE,
        "    headers[KAFKA_OFFSET] = str(record.offset)\n",
        "    if token != UNREADABLE:\n        headers[KAFKA_OFFSET] = str(record.offset)\n",
    ),
    Mutant("a group's answers are mixed up", GROUP_COMMIT, "zip(group, outcomes,", "zip(group, reversed(outcomes),"),
    Mutant("a double's third decimal is cut off", MONEY, "if cents / 100 != value:", "if False:"),
    Mutant("a third decimal is cut off", MONEY, "if len(digits) <= surplus or any(digits[-surplus:]):", "if False:"),
]
