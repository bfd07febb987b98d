"""The HTTP client of the load generator, answered by the test itself."""

import asyncio
import json

import pytest

from bench.client import Connection, RequestFailed, get, post, read

ANSWER = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nContent-Length: 13\r\n\r\n{"orderId":1}'


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return False


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture
def connection(transport: Transport) -> Connection:
    connection = Connection()
    connection.connection_made(transport)
    return connection


async def test_an_answer_is_its_status_and_body(connection: Connection) -> None:
    answer = connection.send(get("/orders/1"))
    connection.data_received(ANSWER)
    assert await answer == (200, b'{"orderId":1}')


@pytest.mark.parametrize("size", range(1, len(ANSWER)))
async def test_an_answer_may_come_in_pieces(connection: Connection, size: int) -> None:
    answer = connection.send(get("/orders/1"))
    for begin in range(0, len(ANSWER), size):
        assert not answer.done()
        connection.data_received(ANSWER[begin : begin + size])
    assert await answer == (200, b'{"orderId":1}')


async def test_a_connection_serves_one_request_after_the_other(connection: Connection) -> None:
    for _ in range(3):
        answer = connection.send(get("/orders/1"))
        connection.data_received(ANSWER)
        assert (await answer)[0] == 200


async def test_an_answer_without_a_body_is_complete_with_its_head(connection: Connection) -> None:
    answer = connection.send(get("/"))
    connection.data_received(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert await answer == (204, b"")


async def test_a_server_that_hangs_up_fails_the_request(connection: Connection) -> None:
    answer = connection.send(get("/orders/1"))
    connection.data_received(ANSWER[:-1])
    connection.connection_lost(None)
    with pytest.raises(RequestFailed, match="hung up"):
        await answer


async def test_a_request_is_what_http_asks_for(connection: Connection, transport: Transport) -> None:
    connection.send(post("/orders", {"customerId": 7}, {"Prefer": "wait=1"}))
    head, body = transport.written.split(b"\r\n\r\n")
    assert json.loads(body) == {"customerId": 7}
    assert head.split(b"\r\n") == [
        b"POST /orders HTTP/1.1",
        b"Host: 127.0.0.1",
        b"Content-Type: application/json",
        b"Content-Length: 16",
        b"Prefer: wait=1",
    ]


def test_another_status_than_200_is_told_with_what_was_asked() -> None:
    with pytest.raises(RequestFailed, match=r"POST /orders.*503.*down"):
        read(post("/orders", {}), 503, b'{"detail":"down"}')
