"""Looks after the generations of the view: begins, fills, swaps and clears them away.

Any number of instances watch at once, and each may be killed between any two steps: what is done stands in MongoDB,
each step is one conditional change there, and whoever looks next goes on from it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from nats.aio.client import Client

from messaging.progress import last_sequence, pause, progress
from messaging.streams import UNREACHABLE_ERRORS, consumer_infos, delete_consumer
from messaging.subscriber import Subscriber
from services.history.generations import Generations, has_caught_up, is_level
from services.history.subscriptions import EVERYTHING, place_of
from services.history.views import TRANSIENT_ERRORS, Views

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
BUILDING_LOOK_SECONDS = 0.2
GRACE_SECONDS = 30.0
STANDSTILL_SECONDS = 2.0
STOP_SECONDS = 5.0

AWAY: tuple[type[Exception], ...] = (*TRANSIENT_ERRORS, *UNREACHABLE_ERRORS)


@dataclass(slots=True)
class Filling:
    """A generation being filled by this process.

    Attributes:
        end_before: the stream's last sequence at the look before, while it is being built.
    """

    subscriber: Subscriber
    task: asyncio.Task[None]
    end_before: int | None = None


class Watch:
    """Watches over the generations until it is stopped.

    Args:
        connect: to NATS, waiting until it is there.
        fill: what fills a generation from its place in the stream.
        grace: seconds from a swap until the generation before it is dropped. Readers do not need it, they look behind
            each read whether it counts; it lets other instances stop filling, and an audit read to the end.
    """

    def __init__(
        self,
        views: Views,
        connect: Callable[[], Awaitable[Client]],
        fill: Callable[[str], Subscriber],
        grace: float = GRACE_SECONDS,
    ) -> None:
        self._views = views
        self._connect = connect
        self._fill = fill
        self._grace = grace
        self._fillings: dict[str, Filling] = {}
        self._generations = Generations()
        self._running: asyncio.Task[None] | None = None
        self._stopping = False

    async def run(self) -> None:
        """Ends after `stop`, or with an error that no retry can cure."""
        self._running = asyncio.current_task()
        client = await self._connect()
        try:
            while not self._stopping:
                await self._look(client)
                await self._pause()
        finally:
            await self._keep_filling([])
            await client.drain()

    def stop(self) -> None:
        """Lets the batches in hand end and gives back the rest; what only waits is cancelled."""
        self._stopping = True
        for filling in self._fillings.values():
            filling.subscriber.stop()
        if not self._fillings and self._running:
            self._running.cancel()

    async def fault(self) -> str | None:
        """Why the view is not there or not being filled, or None while it is; a readiness check."""
        live = (await self._views.look()).live
        if live is None:
            return "the view is being built"
        filling = self._fillings.get(live)
        return await filling.subscriber.fault() if filling else "waiting for NATS"

    async def _look(self, client: Client) -> None:
        try:
            await self._note_generations()
            await self._keep_filling(self._generations.wanted)
            if self._generations.building in self._fillings:
                await self._swap_if_possible(client, self._generations.building, self._generations.live)
            elif self._generations.live_for > self._grace:
                await self._clear_away(client)
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
        for name in self._fillings.keys() - set(wanted):
            await _end(self._fillings.pop(name))
        for name in wanted:
            if name not in self._fillings and not self._stopping:
                subscriber = self._fill(name)
                task = asyncio.create_task(subscriber.run(), name=f"subscriber of {name}")
                self._fillings[name] = Filling(subscriber, task)

    async def _swap_if_possible(self, client: Client, building: str, live: str | None) -> None:
        filling = self._fillings[building]
        # Forgotten until this look succeeds: an end of long ago would be reached too soon.
        end_before, filling.end_before = filling.end_before, None
        caught_up = has_caught_up(await progress(client, place_of(building)), end_before)
        filling.end_before = await last_sequence(client, EVERYTHING.stream)
        is_ready = caught_up and (live is None or await self._is_level(client, building, live))
        if is_ready and await self._views.swap(building):
            log.info("generation %s of the view has caught up and is live now", building)

    async def _is_level(self, client: Client, building: str, live: str) -> bool:
        # The live generation stands still until it is swapped out, or for these seconds. If both went on filling, the
        # other one could be some events behind at the swap, and a reader would see them vanish for a moment.
        await pause(client, place_of(live), STANDSTILL_SECONDS)
        shown = await progress(client, place_of(live))
        return is_level(await progress(client, place_of(building)), shown)

    async def _clear_away(self, client: Client) -> None:
        """Drops whatever is neither live nor being built: swapped out, given up, or filled on after a wipe."""
        stored = await self._views.stored()
        places = [info["name"].partition("_") for info in await consumer_infos(client, EVERYTHING.stream)]
        # Looked at behind the lists: what is begun meanwhile is not in them.
        generations = await self._views.look()
        if generations.live_for <= self._grace:
            return  # another one was swapped in meanwhile
        for service, _, name in places:
            if service == EVERYTHING.name and name not in generations.wanted:
                await delete_consumer(client, EVERYTHING.stream, place_of(name).durable_name)
        for name in stored.difference(generations.wanted):
            await self._views.generation(name).drop()
            log.info("generation %s of the view is dropped", name)

    async def _pause(self) -> None:
        """Until the next look, or until a subscriber ends; an error of one is this one's, too."""
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
