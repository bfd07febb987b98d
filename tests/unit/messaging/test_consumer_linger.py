"""How large the batches are that a consumer takes of a steady flow."""

import asyncio
from collections.abc import Sequence
from typing import Any

from messaging.consumer import Consumer, ConsumerOptions
from messaging.dead_letters import DeadLetters
from messaging.envelope import Envelope
from runtime.linger import Linger
from tests.simulation.clock import VirtualLoop, pass_time
from tests.unit.messaging.test_consumer import FakeDelivery, FakeJetStream

MILLISECOND = 0.001


class Flow:
    """A subscription with a message each millisecond, of which `take` hands on what came since."""

    def __init__(self, messages: int) -> None:
        self.left = messages
        self.taken: list[int] = []
        self._came = 0.0

    async def __aenter__(self) -> "Flow":
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to give back."""

    async def take(self, limit: int) -> list[FakeDelivery]:
        now = asyncio.get_running_loop().time()
        if now < self._came + MILLISECOND:
            await pass_time(self._came + MILLISECOND - now)
        now = asyncio.get_running_loop().time()
        messages = min(limit, self.left, round((now - self._came) / MILLISECOND))
        self._came, self.left = now, self.left - messages
        self.taken.append(messages)
        return [FakeDelivery(number) for number in range(messages)]

    def stop(self) -> None:
        """Nobody waits in `take` when it is called."""


def _batches(linger: Linger | None) -> list[int]:
    """The sizes of the batches that a flow of ten messages is handled in, if a batch takes a millisecond."""

    async def flow() -> list[int]:
        subscription: Any = Flow(10)

        async def handle(_: Sequence[Envelope]) -> None:
            await pass_time(MILLISECOND)
            if not subscription.left:
                consumer.stop()

        client: Any = FakeJetStream()
        options = ConsumerOptions((), linger=linger)
        consumer = Consumer("view", lambda: subscription, DeadLetters(client, "view"), handle, options)
        await consumer.run()
        return list(subscription.taken)

    return VirtualLoop().run(flow())


def test_a_consumer_without_a_linger_takes_each_message_as_it_arrives() -> None:
    assert _batches(None) == [1] * 10


def test_a_consumer_with_a_linger_takes_a_steady_flow_in_larger_batches() -> None:
    assert _batches(Linger(per_item=0.003, multiple=6, longest=0.004, full_batch=50)) == [1, 3, 4, 2]
