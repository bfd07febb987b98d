"""How much is looked at, when a rate counts as stable, and how fast a backlog is worked off."""

import asyncio
import itertools

import pytest

from bench.isolated import speed
from bench.latency import way
from bench.load import Load
from bench.throughput import is_stable


@pytest.mark.parametrize("rate", [20.0, 80.0, 100.0, 300.0])
def test_ten_orders_a_second_are_followed_into_the_view_half_of_them_by_polling(rate: float) -> None:
    ways = [way(number, rate) for number in range(int(rate) * 10)]
    assert sum(one.into_view for one in ways) == 100
    assert sum(one.polled for one in ways) == 50


def test_the_rate_is_stable_when_two_rounds_have_not_made_it_faster() -> None:
    assert not is_stable([])
    assert not is_stable([500.0, 500.0])
    assert not is_stable([500.0, 900.0, 905.0])
    assert not is_stable([500.0, 900.0, 510.0])
    assert is_stable([500.0, 900.0, 905.0, 898.0])


def test_the_speed_does_not_count_the_start_of_a_process_nor_what_came_with_it() -> None:
    assert speed([(100.0, 0), (103.0, 500), (104.0, 1500), (105.0, 2500)]) == 1000


def test_the_speed_of_what_was_done_between_two_looks_counts_from_the_look_before() -> None:
    assert speed([(100.0, 0), (100.5, 1000)]) == 2000


async def test_no_order_is_placed_while_the_bound_is_under_way() -> None:
    load = Load(itertools.cycle([b"POST"]), bound=2)
    sent = 0

    class Server:
        """Answers at once, with a new order each time."""

        async def send(self, _request: bytes) -> tuple[int, bytes]:
            nonlocal sent
            sent += 1
            assert sent <= 2, "an order beyond the bound"
            return 200, b'{"orderId":%d}' % sent

    placing = asyncio.create_task(load.place(Server()))  # type: ignore[arg-type]
    await asyncio.wait({placing}, timeout=0)
    assert (sent, load.progress.under_way) == (2, {1, 2})
    assert not placing.done()
    placing.cancel()
