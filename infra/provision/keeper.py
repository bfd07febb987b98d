"""The keeper: puts back, every few seconds and without end, what infra.provision declares.

It starts a connector again whose task failed for good, drops a slot that the server gave up, creates roles, tables,
topics and connectors again after an engine lost them, and has the outboxes sent again when the event topics had to be
made anew. It applies the migrations of a new release: the services only wait for them.
While an engine is away it waits; while nothing differs it only reads.
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

from infra.provision import connectors, kafka, lost_events, mongo, postgres, schema
from infra.provision.settings import Settings
from storage.migrate import MigrationFailed

logger = logging.getLogger("keeper")

POSTGRES_IS_AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, MigrationFailed)
ENGINE_IS_AWAY = (*POSTGRES_IS_AWAY, PyMongoError, KafkaException, httpx.HTTPError)
"""What an engine that is down, starting or refusing raises; anything else is a fault of this program and ends it."""

INTERVAL_SECONDS = 10.0
RETRY_SECONDS = 1.0


@dataclass
class Task:
    """One thing to keep in order, and the last complaint about it: each is logged once, not at every attempt."""

    name: str
    reconcile: Callable[[], Awaitable[list[str]]]
    every: int = 1
    """Look in each round, or only in every second, third ... one while all is in order."""
    complaint: str = ""
    rounds: int = 0

    async def run(self) -> bool:
        """True when all is as declared."""
        self.rounds += 1
        if not self.complaint and (self.rounds - 1) % self.every:
            return True
        try:
            for change in await self.reconcile():
                logger.info("%s: %s", self.name, change)
        except ENGINE_IS_AWAY as error:
            complaint = f"{type(error).__name__}: {error}".splitlines()[0]
            if complaint != self.complaint:
                logger.warning("%s: not in order yet: %s", self.name, complaint)
            self.complaint = complaint
            return False
        if self.complaint:
            logger.info("%s: in order again", self.name)
        self.complaint = ""
        return True


async def keep(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    tasks = [
        Task("postgres", lambda: postgres.reconcile(settings)),
        Task("schema", lambda: schema.reconcile(settings)),
        Task("slots", lambda: postgres.drop_lost_slots(settings)),
        # MongoDB writes three lines to its log for each client that comes.
        Task("mongo", lambda: asyncio.to_thread(mongo.reconcile, settings), every=3),
        Task("topics", lambda: asyncio.to_thread(kafka.reconcile, settings)),
        Task("connectors", lambda: asyncio.to_thread(connectors.reconcile, settings)),
        Task("lost events", lambda: lost_events.resend(settings)),
    ]
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    while not stop.is_set():
        in_order = [await task.run() for task in tasks]
        try:
            async with asyncio.timeout(INTERVAL_SECONDS if all(in_order) else RETRY_SECONDS):
                await stop.wait()
        except TimeoutError:
            continue
