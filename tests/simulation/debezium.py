"""A Debezium connector task with its outbox event router: the log's rows, in order of commit, into Kafka.

Its offset is stored only now and then, so a crash repeats rows: the same event id at another Kafka
offset. Without an offset or a slot it takes a snapshot of the whole outbox first.
"""

from collections.abc import Sequence

from confluent_kafka import KafkaException

from contracts.headers import CREATED_AT, ID, TRACEPARENT, TYPE
from tests.simulation.kafka import Broker
from tests.simulation.postgres import Database, LogEntry
from tests.simulation.process import Life

RESTART_SECONDS = 0.3
POLL_SECONDS = 1.0
MOST_ROWS = 8


class Interrupted(Exception):
    """PostgreSQL is away, the slot is gone, or Kafka was wiped."""


class Debezium:
    """One connector of Kafka Connect, with its task."""

    def __init__(self, database: Database, broker: Broker) -> None:
        self._database = database
        self._broker = broker
        self._world = database.world
        self._name = database.name
        self._kafka = broker.incarnation
        self._produced: set[tuple[str, str]] = set()
        """Topic id and event id of every record, to count repeats."""

    async def run(self, life: Life) -> None:
        """Runs without end; after each error it starts again from the stored offset."""
        while True:
            try:
                self._kafka = self._broker.incarnation
                position = await self._start(life)
                while True:
                    position = await self._forward(life, position)
            except (KafkaException, Interrupted):
                await life.wait(RESTART_SECONDS)

    async def _start(self, life: Life) -> int:
        await life.io()
        self._check()
        offset = self._broker.connect_offsets.get(self._name)
        if offset is not None and self._database.slot_exists:
            return offset
        self._database.slot_exists = True
        start, rows = self._snapshot()
        self._world.note(f"{self._name}-connect", "takes a snapshot of %d rows", len(rows))
        if rows:
            self._world.struck("snapshot of the outbox")
        for some in _in_chunks(rows):
            await self._produce(life, some)
        await self._store_offset(life, start)
        return start

    def _snapshot(self) -> tuple[int, Sequence[LogEntry]]:
        """The visible rows in any order, and the position in the log from which no other row is missed."""
        log = self._database.log
        hidden = (number for number, entry in enumerate(log) if not entry.transaction.over.is_set())
        start = next(hidden, len(log))
        visible = [entry for entry in log if entry.transaction.over.is_set()]
        return start, self._world.rng.sample(visible, len(visible))

    async def _forward(self, life: Life, position: int) -> int:
        self._check_slot()
        rows = self._database.log[position : position + self._world.rng.randint(1, MOST_ROWS)]
        if not rows:
            await self._database.log_grew.wait(POLL_SECONDS)
            life.check()
            return position
        await self._produce(life, rows)
        position += len(rows)
        if self._world.rng.random() < 0.3:
            await self._store_offset(life, position)
        return position

    def _check(self) -> None:
        self._check_kafka()
        if not self._database.up:
            raise Interrupted

    def _check_kafka(self) -> None:
        self._broker.check()
        if self._broker.incarnation != self._kafka:
            raise Interrupted

    def _check_slot(self) -> None:
        self._check()
        if not self._database.slot_exists:
            raise Interrupted

    async def _produce(self, life: Life, rows: Sequence[LogEntry]) -> None:
        await life.io()
        self._check_kafka()
        for entry in rows:
            row = entry.row
            topic = f"events.{row.aggregate_type}"
            headers = [
                (ID, entry.event_id.encode()),
                (TYPE, row.type.encode()),
                (TRACEPARENT, row.traceparent.encode() if row.traceparent else None),
                (CREATED_AT, b"0"),
            ]
            self._broker.produce(topic, row.aggregate_id, row.payload, headers)
            self._note(topic, entry.event_id)
        await life.io()

    def _note(self, topic: str, event_id: str) -> None:
        sent = (self._broker.topics[topic].id, event_id)
        if sent in self._produced:
            self._world.struck("row repeated by Debezium")
        self._produced.add(sent)

    async def _store_offset(self, life: Life, position: int) -> None:
        await life.io()
        self._check_kafka()
        self._broker.connect_offsets[self._name] = position


def _in_chunks(rows: Sequence[LogEntry]) -> list[Sequence[LogEntry]]:
    return [rows[start : start + MOST_ROWS] for start in range(0, len(rows), MOST_ROWS)]
