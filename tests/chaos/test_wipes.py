"""PostgreSQL is the only truth: whatever else is deleted under load, the system converges again by itself."""

import asyncio
import random
import shutil
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import asyncpg
import nats
import pytest

from infra.native import Stack
from infra.provision.settings import Settings
from messaging.streams import DEAD_LETTERS, EVENTS, consumer_infos, request
from tests.chaos.checker import verdict
from tests.chaos.workload import Workload

RATE = 30.0


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def workload(chaos_stack: Stack, runner: asyncio.Runner) -> Iterator[Workload]:
    """One ledger for all wipes: what an earlier one lost, a later check still finds."""

    async def start() -> Workload:
        workload = Workload(chaos_stack.ports, RATE, random.Random(1))
        await workload.create_customers()
        return workload

    workload = runner.run(start())
    yield workload
    runner.run(workload.close())


def delete_data(stack: Stack, *components: str) -> None:
    """Stops them, deletes all that they have stored, and starts them again."""
    for component in components:
        stack.stop(component)
    for component in components:
        shutil.rmtree(stack.folder / "data" / component)
        (stack.folder / "data" / component).mkdir()
    for component in components:
        stack.start(component)


async def jetstream(stack: Stack, *calls: str) -> None:
    settings = Settings.read(stack.environment("keeper"))
    client = await nats.connect(settings.nats_url, token=settings.nats_token)
    for call in calls:
        await request(client, call)
    await client.close()


async def delete_streams(stack: Stack) -> None:
    await jetstream(stack, f"STREAM.DELETE.{EVENTS}", f"STREAM.DELETE.{DEAD_LETTERS}")


async def delete_consumers(stack: Stack) -> None:
    settings = Settings.read(stack.environment("keeper"))
    client = await nats.connect(settings.nats_url, token=settings.nats_token)
    names = [info["name"] for info in await consumer_infos(client, EVENTS)]
    await client.close()
    await jetstream(stack, *(f"CONSUMER.DELETE.{EVENTS}.{name}" for name in names))


async def delete_jetstream_store(stack: Stack) -> None:
    await asyncio.to_thread(delete_data, stack, "nats")


async def delete_kafka(stack: Stack) -> None:
    await asyncio.to_thread(delete_data, stack, "kafka")


async def delete_view(stack: Stack) -> None:
    await asyncio.to_thread(delete_data, stack, "mongo")


async def drop_slots(stack: Stack) -> None:
    """As PostgreSQL does itself with a slot that holds back too much."""
    settings = Settings.read(stack.environment("keeper"))
    await asyncio.to_thread(stack.stop, "connect")
    for service in ("customer", "order"):
        url = settings.postgres_url.rsplit("/", 1)[0] + f"/{service}_service"
        connection = await asyncpg.connect(url)
        await connection.execute(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1",
            f"{service}_outbox",
        )
        await connection.execute("SELECT pg_drop_replication_slot($1)", f"{service}_outbox")
        await connection.close()
    await asyncio.to_thread(stack.start, "connect")


async def delete_everything_but_postgres(stack: Stack) -> None:
    await asyncio.to_thread(delete_data, stack, "nats", "kafka", "mongo")


Wipe = Callable[[Stack], Coroutine[Any, Any, None]]


@pytest.mark.parametrize(
    "wipe",
    [
        delete_streams,
        delete_consumers,
        delete_jetstream_store,
        delete_kafka,
        delete_view,
        drop_slots,
        delete_everything_but_postgres,
    ],
)
def test_the_system_converges_by_itself_after(
    wipe: Wipe, chaos_stack: Stack, workload: Workload, runner: asyncio.Runner
) -> None:
    async def wipe_under_load() -> list[str]:
        placing = asyncio.create_task(workload.run(seconds=6))
        await asyncio.sleep(2)
        await wipe(chaos_stack)
        await placing
        await asyncio.to_thread(chaos_stack.wait_ready, within=90.0)
        await workload.finish()
        return await verdict(Settings.read(chaos_stack.environment("keeper")), workload.ledger)

    assert runner.run(wipe_under_load()) == []
