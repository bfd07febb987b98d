"""The HTTP client of the load generator. The test is the server: it calls the protocol's methods with its bytes."""

import asyncio
import json

import pytest

from bench.client import Connection, RequestFailed, add_header, get, parse_response, post

RESPONSE = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nContent-Length: 13\r\n\r\n{"orderId":1}'


class RecordingTransport(asyncio.Transport):
    """Records the bytes that are written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closing


@pytest.fixture
def transport() -> RecordingTransport:
    return RecordingTransport()


@pytest.fixture
def connection(transport: RecordingTransport) -> Connection:
    connection = Connection()
    connection.connection_made(transport)
    return connection


async def test_send_returns_the_status_and_the_body_of_the_response(connection: Connection) -> None:
    response = connection.send(get("/orders/1"))
    connection.data_received(RESPONSE)
    assert await response == (200, b'{"orderId":1}')


@pytest.mark.parametrize("size", range(1, len(RESPONSE)))
async def test_a_response_that_arrives_in_pieces_is_put_together(connection: Connection, size: int) -> None:
    response = connection.send(get("/orders/1"))
    for begin in range(0, len(RESPONSE), size):
        assert not response.done()
        connection.data_received(RESPONSE[begin : begin + size])
    assert await response == (200, b'{"orderId":1}')


async def test_a_connection_serves_several_requests_one_after_the_other(connection: Connection) -> None:
    for _ in range(3):
        response = connection.send(get("/orders/1"))
        connection.data_received(RESPONSE)
        assert (await response)[0] == 200


async def test_a_response_without_content_length_has_an_empty_body(connection: Connection) -> None:
    response = connection.send(get("/"))
    connection.data_received(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert await response == (204, b"")


async def test_a_request_fails_if_the_connection_is_lost_before_the_whole_response_arrived(
    connection: Connection,
) -> None:
    response = connection.send(get("/orders/1"))
    connection.data_received(RESPONSE[:-1])
    connection.connection_lost(None)
    assert response.done()
    with pytest.raises(RequestFailed, match="connection was lost"):
        await response


async def test_a_request_on_a_closed_connection_fails_at_once(
    connection: Connection, transport: RecordingTransport
) -> None:
    transport.closing = True
    assert not connection.is_open
    with pytest.raises(RequestFailed, match="connection is closed"):
        connection.send(get("/orders/1"))
    assert transport.written == b""


async def test_a_post_is_sent_as_an_http_request_with_its_headers_and_its_json_body(
    connection: Connection, transport: RecordingTransport
) -> None:
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


def test_an_added_header_gives_the_request_that_was_built_with_it() -> None:
    body = {"customerId": 7}
    assert add_header(post("/orders", body), "Prefer", "wait=1") == post("/orders", body, {"Prefer": "wait=1"})


def test_another_status_than_200_raises_an_error_with_the_request_the_status_and_the_body() -> None:
    with pytest.raises(RequestFailed, match=r"POST /orders.*503.*down"):
        parse_response(post("/orders", {}), 503, b'{"detail":"down"}')
