"""PostgreSQL is the only source of truth: if other data is deleted under load, the system converges by itself."""

import asyncio
import random
import shutil
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import nats
import pytest
from pymongo import AsyncMongoClient

from infra.native import Stack
from infra.provision.settings import Settings
from messaging.streams import DEAD_LETTERS, EVENTS, consumer_infos, request
from tests.chaos.checker import find_violations
from tests.chaos.workload import Workload
from tests.engines import KafkaTopics
from tests.eventually import eventually_async

RATE = 30.0
TAIL = 20
"""A lost tail has at least so many messages that every consumer has acknowledged."""


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def workload(chaos_stack: Stack, runner: asyncio.Runner) -> Iterator[Workload]:
    """One ledger for all wipes: a later check still finds what an earlier wipe lost."""

    async def start() -> Workload:
        workload = Workload(chaos_stack.ports, RATE, random.Random(1))
        await workload.create_customers()
        return workload

    workload = runner.run(start())
    yield workload
    runner.run(workload.close())


def delete_data(stack: Stack, *components: str) -> None:
    """Stops the components, deletes their data, and starts them again."""
    for component in components:
        stack.stop(component)
    for component in components:
        shutil.rmtree(stack.folder / "data" / component)
        (stack.folder / "data" / component).mkdir()
    for component in components:
        stack.start(component)


async def jetstream(stack: Stack, *calls: str) -> list[dict[str, Any]]:
    settings = Settings.read(stack.environment("keeper"))
    client = await nats.connect(settings.nats_url, token=settings.nats_token.get_secret_value())
    answers = [await request(client, call) for call in calls]
    await client.close()
    return answers


async def delete_streams(stack: Stack) -> None:
    await jetstream(stack, f"STREAM.DELETE.{EVENTS}", f"STREAM.DELETE.{DEAD_LETTERS}")


async def delete_consumers(stack: Stack) -> None:
    settings = Settings.read(stack.environment("keeper"))
    client = await nats.connect(settings.nats_url, token=settings.nats_token.get_secret_value())
    names = [info["name"] for info in await consumer_infos(client, EVENTS)]
    await client.close()
    await jetstream(stack, *(f"CONSUMER.DELETE.{EVENTS}.{name}" for name in names))


async def delete_jetstream_store(stack: Stack) -> None:
    await asyncio.to_thread(delete_data, stack, "nats")


async def lose_the_streams_tail(stack: Stack) -> None:
    """Restores older messages of the stream, and keeps the consumers' positions."""
    await _restore_older(stack, Path("nats", "jetstream", "$G", "streams", EVENTS, "msgs"))


async def lose_jetstreams_tail(stack: Stack) -> None:
    """Restores an older copy of all of JetStream."""
    await _restore_older(stack, Path("nats"))


async def _restore_older(stack: Stack, folder: Path) -> None:
    present, older = stack.folder / "data" / folder, stack.folder / "older"
    await asyncio.to_thread(stack.stop, "nats")
    shutil.copytree(present, older)
    await asyncio.to_thread(stack.start, "nats")
    await asyncio.to_thread(stack.wait_ready, "nats")
    copied = await _acknowledged_by_all(stack)
    await eventually_async(lambda: _have_acknowledged(stack, copied + TAIL))
    await asyncio.to_thread(stack.stop, "nats")
    shutil.rmtree(present)
    older.rename(present)
    await asyncio.to_thread(stack.start, "nats")


async def _have_acknowledged(stack: Stack, sequence: int) -> None:
    assert await _acknowledged_by_all(stack) >= sequence


async def _acknowledged_by_all(stack: Stack) -> int:
    """The sequence up to which every consumer has acknowledged all its messages."""
    listed = await jetstream(stack, f"CONSUMER.LIST.{EVENTS}")
    return min(int(info["ack_floor"]["stream_seq"]) for info in listed[0]["consumers"])


async def delete_kafka(stack: Stack) -> None:
    await asyncio.to_thread(delete_data, stack, "kafka")


async def delete_view(stack: Stack) -> None:
    await asyncio.to_thread(delete_data, stack, "mongo")


async def drop_view(stack: Stack) -> None:
    """Drops the view's database while MongoDB and its clients run."""
    settings = Settings.read(stack.environment("keeper"))
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(settings.mongodb_admin_url.get_secret_value())
    await client.drop_database(urlsplit(settings.mongodb_url.get_secret_value()).path.removeprefix("/"))
    await client.close()


async def drop_slots(stack: Stack) -> None:
    """As PostgreSQL itself does with a slot that holds back too much WAL."""
    settings = Settings.read(stack.environment("keeper"))
    await asyncio.to_thread(stack.stop, "connect")
    for service in ("customer", "order"):
        url = settings.postgres_url.get_secret_value().rsplit("/", 1)[0] + f"/{service}_service"
        connection = await asyncpg.connect(url)
        await connection.execute(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1",
            f"{service}_outbox",
        )
        await connection.execute("SELECT pg_drop_replication_slot($1)", f"{service}_outbox")
        await connection.close()
    await asyncio.to_thread(stack.start, "connect")


async def delete_topics(stack: Stack) -> None:
    """Deletes the event topics while Kafka and its clients run."""
    topics = KafkaTopics(stack.environment("keeper"))
    for name in ("events.customer", "events.order"):
        await asyncio.to_thread(topics.delete, name)


async def delete_all_while_it_runs(stack: Stack) -> None:
    await delete_topics(stack)
    await delete_streams(stack)
    await drop_view(stack)


async def delete_everything_but_postgres(stack: Stack) -> None:
    await asyncio.to_thread(delete_data, stack, "nats", "kafka", "mongo")


Wipe = Callable[[Stack], Coroutine[Any, Any, None]]


@pytest.mark.parametrize(
    "wipe",
    [
        delete_streams,
        delete_consumers,
        delete_jetstream_store,
        lose_the_streams_tail,
        lose_jetstreams_tail,
        delete_kafka,
        delete_view,
        drop_view,
        drop_slots,
        delete_topics,
        delete_all_while_it_runs,
        delete_everything_but_postgres,
    ],
)
def test_the_system_converges_by_itself_after_a_wipe(
    wipe: Wipe, chaos_stack: Stack, workload: Workload, runner: asyncio.Runner
) -> None:
    async def wipe_under_load() -> list[str]:
        placing = asyncio.create_task(workload.run())
        await asyncio.sleep(2)
        await wipe(chaos_stack)
        await asyncio.to_thread(chaos_stack.wait_ready, within=90.0)
        workload.stop()
        await placing
        await workload.finish()
        return await find_violations(Settings.read(chaos_stack.environment("keeper")), workload.ledger)

    assert runner.run(wipe_under_load()) == []
