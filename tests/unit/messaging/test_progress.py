"""A durable consumer is paused by the server's clock."""

import json
from types import SimpleNamespace
from typing import Any

from messaging.progress import pause
from messaging.streams import DurableConsumer


async def test_a_pause_is_counted_from_the_time_of_the_server() -> None:
    pauses: list[dict[str, str]] = []

    class Server:
        async def request(self, subject: str, payload: bytes, timeout: float) -> Any:  # noqa: ARG002, ASYNC109
            if ".PAUSE." in subject:
                pauses.append(json.loads(payload))
            return SimpleNamespace(data=b'{"ts": "2020-01-01T00:00:00Z"}')

    server: Any = Server()
    await pause(server, DurableConsumer("history", ()), 2.0)
    assert pauses == [{"pause_until": "2020-01-01T00:00:02+00:00"}]
