"""Does an event really flow? One outbox row for each service, and the wait until it arrives in JetStream.

The row takes the whole road: PostgreSQL's log, Debezium, Kafka, bridge, stream. No service consumes its subject.
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
    """Raises until NATS serves requests with the stack's token and JetStream is on."""
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
    """The client would print what `connect` raises anyway."""


async def measure(settings: Settings, within: float) -> dict[str, float]:
    """Milliseconds from the commit to the arrival, by service; TimeoutError names the services that did not arrive."""
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
        lost = ", ".join(sorted(sent.keys() - arrived.keys()))
        raise TimeoutError(f"no event arrived within {within:.0f} s from the outbox of: {lost}") from None
    return arrived


async def _insert(settings: Settings, service: str, nonce: str) -> float:
    connection = await asyncpg.connect(settings.database_url(service), timeout=5.0)
    try:
        await connection.execute(INSERT, service, json.dumps({"nonce": nonce}))
        return time.monotonic()
    finally:
        await connection.close()
