"""The keeper: compares the engines with what infra.provision declares, every few seconds, and repairs what differs.

It restarts failed connectors, drops invalidated slots, recreates roles, users, tables, topics and connectors that an
engine lost, restores changed privileges and options, and resnapshots the outboxes into recreated event topics. It
applies the migrations of a new release. While an engine is down it retries every second. While nothing differs it only
reads.
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import asyncpg
import httpx
from confluent_kafka import KafkaException
from pymongo.errors import PyMongoError

from infra.provision import connectors, kafka, mongo, postgres, recreated_topics, schema
from infra.provision.settings import Settings
from storage.migrate import MigrationFailed

logger = logging.getLogger("keeper")

POSTGRES_IS_AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, MigrationFailed)
ENGINE_IS_AWAY = (*POSTGRES_IS_AWAY, PyMongoError, KafkaException, httpx.HTTPError)
"""Errors of an engine that is down, starting or refusing. Any other error is a bug and ends the keeper."""

RETRY_SECONDS = 1.0


@dataclass
class Task:
    """One kind of repair. An error is logged once, not at every attempt."""

    name: str
    reconcile: Callable[[], Awaitable[list[str]]]
    every: int = 1
    """Runs in every n-th round; after an error in each round until it succeeds."""
    last_error: str = ""
    rounds: int = 0

    async def run(self) -> bool:
        """Whether the engine now is as declared."""
        self.rounds += 1
        if not self.last_error and (self.rounds - 1) % self.every:
            return True
        try:
            for change in await self.reconcile():
                logger.info("%s: %s", self.name, change)
        except ENGINE_IS_AWAY as error:
            description = f"{type(error).__name__}: {error}".splitlines()[0]
            if description != self.last_error:
                logger.warning("%s: failed, will retry: %s", self.name, description)
            self.last_error = description
            return False
        if self.last_error:
            logger.info("%s: succeeded after the failure", self.name)
        self.last_error = ""
        return True


async def keep(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT."""
    tasks = [
        Task("postgres", lambda: postgres.reconcile(settings)),
        Task("schema", lambda: schema.reconcile(settings)),
        Task("slots", lambda: postgres.drop_lost_slots(settings)),
        # MongoDB logs three lines for each new connection.
        Task("mongo", lambda: asyncio.to_thread(mongo.reconcile, settings), every=3),
        Task("topics", lambda: asyncio.to_thread(kafka.reconcile, settings)),
        Task("connectors", lambda: asyncio.to_thread(connectors.reconcile, settings)),
        Task("recreated topics", lambda: recreated_topics.reconcile(settings)),
    ]
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    while not stop.is_set():
        in_order = [await task.run() for task in tasks]
        try:
            async with asyncio.timeout(settings.keeper_interval_seconds if all(in_order) else RETRY_SECONDS):
                await stop.wait()
        except TimeoutError:
            continue
