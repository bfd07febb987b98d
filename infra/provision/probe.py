"""Measures how long an event takes from the outbox of each service to JetStream, and so proves that events flow.

The event takes the whole data path: PostgreSQL's write-ahead log, Debezium, Kafka, bridge, stream. No service consumes
it.
"""

import asyncio
import json
import time
import uuid

import asyncpg
import nats
from nats.aio.client import Client
from nats.js.api import DeliverPolicy

from infra.provision.settings import SERVICES, Settings

SUBJECT = "events.probe.*.FlowProbed"
INSERT = "INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('probe', $1, 'FlowProbed', $2)"


async def check_open(settings: Settings) -> None:
    """Raises until NATS accepts the stack's token and JetStream answers."""
    client = await nats.connect(
        settings.nats_url,
        token=settings.nats_token.get_secret_value(),
        allow_reconnect=False,
        connect_timeout=2,
        error_cb=_ignore,
    )
    try:
        await client.jetstream().account_info()
    finally:
        await client.close()


async def _ignore(_error: Exception) -> None:
    """By default the client would also print the error that `connect` raises."""


async def measure(settings: Settings, within: float) -> dict[str, float]:
    """Milliseconds from commit to arrival, by service.

    Raises:
        TimeoutError: an event did not arrive within `within` seconds; the text names its service.
    """
    client = await nats.connect(settings.nats_url, token=settings.nats_token.get_secret_value(), allow_reconnect=False)
    try:
        return await _measure(client, settings, within)
    finally:
        await client.close()


async def _measure(client: Client, settings: Settings, within: float) -> dict[str, float]:
    context = client.jetstream()
    arrivals = await context.subscribe(SUBJECT, ordered_consumer=True, deliver_policy=DeliverPolicy.NEW)
    nonces = {str(uuid.uuid4()): service for service in SERVICES}
    sent = {service: await _insert(settings, service, nonce) for nonce, service in nonces.items()}
    arrived: dict[str, float] = {}
    try:
        async with asyncio.timeout(within):
            while len(arrived) < len(sent):
                message = await arrivals.next_msg(timeout=within)
                service = nonces.get(json.loads(message.data)["nonce"])
                if service is not None:
                    arrived[service] = (time.monotonic() - sent[service]) * 1000
    except (TimeoutError, nats.errors.TimeoutError):
        missing = ", ".join(sorted(sent.keys() - arrived.keys()))
        raise TimeoutError(f"no event arrived within {within:.0f} s from the outbox of: {missing}") from None
    return arrived


async def _insert(settings: Settings, service: str, nonce: str) -> float:
    connection = await asyncpg.connect(settings.database_url(service), timeout=5.0)
    try:
        await connection.execute(INSERT, service, json.dumps({"nonce": nonce}))
        return time.monotonic()
    finally:
        await connection.close()
