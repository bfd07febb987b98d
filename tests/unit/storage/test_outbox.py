"""Events are appended in one statement, however many they are."""

from typing import Any

import pytest

from storage.outbox import INSERT_ROWS, OutboxOutsideTransaction, OutboxRow, append


class FakeConnection:
    """Writes down its statements."""

    def __init__(self, *, in_transaction: bool = True) -> None:
        self._in_transaction = in_transaction
        self.statements: list[tuple[str, tuple[list[object], ...]]] = []

    def is_in_transaction(self) -> bool:
        return self._in_transaction

    async def execute(self, statement: str, *columns: list[object]) -> None:
        self.statements.append((statement, columns))


def _rows(count: int) -> list[OutboxRow]:
    return [OutboxRow("order", str(number), "OrderCreated", b"{}", f"trace-{number}") for number in range(count)]


async def test_many_events_are_one_statement() -> None:
    connection: Any = FakeConnection()
    await append(connection, _rows(500))
    [(statement, columns)] = connection.statements
    assert statement == INSERT_ROWS
    assert [len(column) for column in columns] == [500] * 5
    assert columns[1][:3] == ["0", "1", "2"]
    assert columns[4][:3] == ["trace-0", "trace-1", "trace-2"]


async def test_no_events_are_no_statement() -> None:
    connection: Any = FakeConnection()
    await append(connection, [])
    assert connection.statements == []


async def test_events_are_refused_outside_of_a_transaction() -> None:
    connection: Any = FakeConnection(in_transaction=False)
    with pytest.raises(OutboxOutsideTransaction):
        await append(connection, _rows(1))
    assert connection.statements == []
