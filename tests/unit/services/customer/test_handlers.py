"""How many statements a batch takes: one of each kind, however many events and orders of a customer it has."""

from services.customer.handlers import handle_order_events, republish
from tests import builders
from tests.unit.services.customer.ports import FakeCustomers


async def test_a_batch_of_orders_is_one_lock_one_look_and_one_write_of_each_kind() -> None:
    customers = FakeCustomers(*(builders.customer(customer_id=number) for number in (1, 2)))
    batch = [builders.envelope(builders.order_created(n, customer_id=n % 2 + 1, total=100)) for n in range(1, 41)]
    await handle_order_events(customers, batch)
    assert customers.statements == [
        "begin",
        "lock_customers",
        "find_reservations",
        "store_customers",
        "insert_reservations",
        "append",
    ]
    assert [customers.customers[number].reserved for number in (1, 2)] == [2_000, 2_000]
    assert len(customers.outbox) == 40


async def test_the_events_of_a_batch_carry_the_traces_of_their_own_causes() -> None:
    customers = FakeCustomers(builders.customer(customer_id=1))
    traces = [builders.traceparent(1), None, builders.traceparent(2)]
    created = [builders.order_created(number, customer_id=1, total=100) for number in (1, 2, 3)]
    await handle_order_events(customers, [builders.envelope(*pair) for pair in zip(created, traces, strict=True)])
    assert [row.traceparent for row in customers.outbox] == traces


async def test_the_present_state_of_every_customer_is_sent_again_in_batches() -> None:
    customers = FakeCustomers(*(builders.customer(customer_id=number) for number in range(1, 6)))
    assert await republish(customers, batch=2) == 5
    assert [row.aggregate_id for row in customers.outbox] == ["1", "2", "3", "4", "5"]
    assert customers.statements == ["begin", "lock_next_customers", "append"] * 4  # the last one finds no more rows
