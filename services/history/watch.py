"""Manages the generations of the view: begins, fills, swaps and drops them.

Any number of instances do this at the same time, and each may be killed between any two steps. The progress is stored
in MongoDB. Each step is one conditional update there, and the next look of any instance continues from it.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from nats.aio.client import Client

from messaging.connection import Stream
from messaging.progress import last_sequence, pause, progress
from messaging.streams import UNREACHABLE_ERRORS, consumer_infos, delete_consumer
from runtime.workers import Worker
from services.history.generations import Generations, has_caught_up, is_level
from services.history.ports import Views
from services.history.subscriptions import VIEW, consumer_of
from services.history.views import TRANSIENT_ERRORS

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
BUILDING_LOOK_SECONDS = 0.2
GRACE_SECONDS = 30.0
STANDSTILL_SECONDS = 2.0
STOP_SECONDS = 5.0

AWAY: tuple[type[Exception], ...] = (*TRANSIENT_ERRORS, *UNREACHABLE_ERRORS)


@dataclass(slots=True)
class Filling:
    """A generation that this process fills.

    Attributes:
        end_before: the stream's last sequence at the look before, while the generation is being built.
    """

    subscriber: Worker
    task: asyncio.Task[None]
    end_before: int | None = None


class Watch:
    """Watches over the generations until it is stopped. Implements runtime.workers.Worker.

    Args:
        fill: makes the worker that fills a generation from its durable consumer.
        grace: seconds from a swap until the generation before it is dropped. In this time other instances stop filling
            it, and an audit that reads it ends. Readers do not need it: they check after each read which one is live.

    Attributes:
        fill, grace: as given.
    """

    def __init__(
        self, views: Views, stream: Stream, fill: Callable[[str], Worker], grace: float = GRACE_SECONDS
    ) -> None:
        self._views = views
        self._stream = stream
        self.fill = fill
        self.grace = grace
        self._fillings: dict[str, Filling] = {}
        self._generations = Generations()
        self._running: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def fault(self) -> str | None:
        """Why the live generation is not being filled, or why there is none."""
        live = self._generations.live
        if live is None:
            return "the view is being built"
        filling = self._fillings.get(live)
        return filling.subscriber.fault if filling else "waiting for NATS"

    async def run(self) -> None:
        self._running = asyncio.current_task()
        client = await self._stream.client()
        try:
            while not self._stopping:
                await self._look(client)
                await self._wait_for_next_look()
        finally:
            await self._keep_filling([])

    def stop(self) -> None:
        """Lets the batches in hand finish and naks the other messages. A wait for NATS is cancelled."""
        self._stopping = True
        for filling in self._fillings.values():
            filling.subscriber.stop()
        if not self._fillings and self._running:
            self._running.cancel()

    async def _look(self, client: Client) -> None:
        try:
            await self._note_generations()
            await self._keep_filling(self._generations.wanted)
            if self._generations.building in self._fillings:
                await self._swap_if_possible(client, self._generations.building, self._generations.live)
            elif self._generations.live_for > self.grace:
                await self._drop_unused(client)
        except AWAY as error:
            log.debug("no look at the view's generations right now: %s", error)

    async def _note_generations(self) -> None:
        self._generations = await self._views.look()
        if not self._generations.wanted:
            log.info("there is no view: it is built from the beginning of the stream")
            await self._views.begin()
            self._generations = await self._views.look()

    async def _keep_filling(self, wanted: list[str]) -> None:
        """Fills these generations and no others."""
        for name in [name for name in self._fillings if name not in wanted]:
            await _end(self._fillings.pop(name))
        for name in wanted:
            if name not in self._fillings and not self._stopping:
                subscriber = self.fill(name)
                task = asyncio.create_task(subscriber.run(), name=f"subscriber of {name}")
                self._fillings[name] = Filling(subscriber, task)

    async def _swap_if_possible(self, client: Client, building: str, live: str | None) -> None:
        filling = self._fillings[building]
        # Cleared first: if this look fails, a stale end would be reached too early.
        end_before, filling.end_before = filling.end_before, None
        new = await progress(client, consumer_of(building))
        caught_up = has_caught_up(new.left, new.acknowledged, end_before)
        filling.end_before = await last_sequence(client, VIEW.stream)
        is_ready = caught_up and (live is None or await self._is_level(client, building, live))
        if is_ready and await self._views.swap(building):
            log.info("generation %s of the view has caught up and is live now", building)

    async def _is_level(self, client: Client, building: str, live: str) -> bool:
        # The live generation is paused until the swap, or for these seconds. If both went on, the new one could be some
        # events behind at the swap, and readers would see those events disappear for a moment.
        await pause(client, consumer_of(live), STANDSTILL_SECONDS)
        shown = await progress(client, consumer_of(live))
        new = await progress(client, consumer_of(building))
        return is_level(new.left, new.acknowledged, shown.delivered)

    async def _drop_unused(self, client: Client) -> None:
        """Drops all generations that are neither live nor being built."""
        stored = await self._views.stored()
        consumers = [info["name"].partition("_") for info in await consumer_infos(client, VIEW.stream)]
        # Read after the lists: a generation that is begun meanwhile is not in them.
        generations = await self._views.look()
        if generations.live_for <= self.grace:
            return  # another one was swapped in meanwhile
        for service, _, name in consumers:
            if service == VIEW.name and name not in generations.wanted:
                await delete_consumer(client, VIEW.stream, consumer_of(name).durable_name)
        for name in sorted(stored.difference(generations.wanted)):
            await self._views.generation(name).drop()
            log.info("generation %s of the view is dropped", name)

    async def _wait_for_next_look(self) -> None:
        """Waits for some time, or until a subscriber ends; the error of a failed subscriber is raised."""
        is_steady = self._generations.live and not self._generations.building
        seconds = LOOK_SECONDS if is_steady else BUILDING_LOOK_SECONDS
        tasks = [filling.task for filling in self._fillings.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(seconds)
        for task in tasks:
            if task.done() and not self._stopping:
                task.result()


async def _end(filling: Filling) -> None:
    filling.subscriber.stop()
    await asyncio.wait({filling.task}, timeout=STOP_SECONDS)
    while not filling.task.done():
        filling.task.cancel()
        await asyncio.wait({filling.task}, timeout=STOP_SECONDS)
    if not filling.task.cancelled():
        filling.task.result()
