"""POST /orders and its floors: the ratios, and the order service without a database."""

from collections.abc import AsyncIterator

import httpx
import pytest

from bench import floors
from bench.floor_server import DatabaseWithoutTables, EmptyRepository, StreamThatNeverConnects
from services.order.ports import Ports
from services.order.service import assemble
from services.order.settings import Settings
from web.application import http_app

ORDER = {"customerId": 7, "orderTotal": {"amount": 4}}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings.read({"HTTP_PORT": "1", "DATABASE_URL": "none", "NATS_URL": "none", "NATS_TOKEN": "none"})
    ports = Ports(DatabaseWithoutTables(), EmptyRepository(), StreamThatNeverConnects())
    transport = httpx.ASGITransport(http_app(assemble(ports, settings)))
    async with httpx.AsyncClient(transport=transport, base_url="http://order") as client:
        yield client


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "a key"}])
async def test_the_service_without_a_database_answers_each_post_with_a_new_order_id(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answers = [await client.post("/orders", json=ORDER, headers=headers) for _ in range(2)]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, {"orderId": 1}), (200, {"orderId": 2})]


async def test_the_service_without_a_database_validates_the_body_as_the_service_does(client: httpx.AsyncClient) -> None:
    answer = await client.post("/orders", json={"customerId": 7, "orderTotal": {"amount": 0}})
    assert answer.status_code == 400


async def test_the_service_without_a_database_finds_no_order(client: httpx.AsyncClient) -> None:
    assert (await client.get("/orders/1")).status_code == 404


def test_a_ratio_compares_two_rates_of_the_same_run() -> None:
    first = {
        floors.POST: 100.0,
        floors.POST_WITH_KEY: 80.0,
        floors.SERVICE_WITHOUT_DATABASE: 200.0,
        floors.BARE_TRANSACTION: 50.0,
        floors.ONE_STATEMENT: 100.0,
    }
    second = {name: 2 * rate for name, rate in first.items()} | {floors.POST_WITH_KEY: 100.0}
    section = floors.section([first, second], pool_size=8, connections=32)
    ratios = {figure.name: list(figure.runs) for figure in section.figures if figure.unit == "ratio"}
    assert ratios == {
        "POST /orders with an Idempotency-Key : without": [0.8, 0.5],
        "POST /orders : the order service without a database": [0.5, 0.5],
        "POST /orders : bare two-row transaction": [2.0, 2.0],
        "POST /orders : the same two rows in one statement": [1.0, 1.0],
    }
