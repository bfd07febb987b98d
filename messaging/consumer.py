"""A durable consumer: takes a batch, has it applied in one transaction, and only then acks.

What happens when a batch fails:

- a transient fault (a database is down) is retried for ever, with back-off, and never counts;
- any other error: the batch's messages are tried one by one, so that one cannot hold up the rest;
- a message that fails by itself is retried with a growing delay and dead-lettered after so many
  attempts; one about a row that is not visible yet is given more of them;
- a message that cannot be read is dead-lettered at once;
- cancellation neither acks nor naks: the server delivers again what was in hand.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tenacity import RetryCallState

from messaging.dead_letters import DeadLetters
from messaging.envelope import Envelope, open_envelope
from messaging.errors import NotYetVisible, SubscriptionLost, Undecodable
from messaging.pace import Pace
from messaging.pull import Delivery, PullSubscription
from messaging.retrying import until_possible
from messaging.streams import UNREACHABLE_ERRORS

log = logging.getLogger(__name__)

BATCH = 256
REOPEN_SECONDS = 0.5
REMEMBERED_FAILURES = 10_000

REOPEN_ON: tuple[type[Exception], ...] = (SubscriptionLost, *UNREACHABLE_ERRORS)

Handler = Callable[[Sequence[Envelope]], Awaitable[None]]
"""Applies a batch, all of it or nothing, idempotently and whatever the order.

Raises Undecodable for a payload that it cannot read and NotYetVisible for a row that it cannot see.
"""

Subscribe = Callable[[], PullSubscription]

Item = tuple[Delivery, Envelope]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long a message may fail before it is a dead letter.

    Attributes:
        attempts: of a message whose handler fails by an error of its own.
        attempts_unseen: of a message about a row that is not visible yet; with the delays below
            this is a little over a minute.
        first_delay, longest_delay: seconds before the second attempt; doubled for each further one.
    """

    attempts: int = 5
    attempts_unseen: int = 20
    first_delay: float = 0.05
    longest_delay: float = 5.0

    def delay(self, failures: int) -> float:
        return float(min(self.first_delay * 2 ** (failures - 1), self.longest_delay))

    def is_exhausted(self, failures: int, error: Exception) -> bool:
        limit = self.attempts_unseen if isinstance(error, NotYetVisible) else self.attempts
        return isinstance(error, Undecodable) or failures >= limit


class Consumer:
    """Runs a handler over a durable consumer until it is stopped.

    Args:
        name: of the durable consumer, for the log.
        subscribe: opens the pull on it.
        dead_letters: where messages go that cannot be handled.
        handler: applies a batch.
        transient: errors of the handler's surroundings.
        batch: most messages in one transaction.
        pace: how soon one batch may follow another; at once, if none is given.
    """

    def __init__(
        self,
        name: str,
        subscribe: Subscribe,
        dead_letters: DeadLetters,
        handler: Handler,
        transient: tuple[type[Exception], ...],
        policy: RetryPolicy | None = None,
        batch: int = BATCH,
        pace: Pace | None = None,
    ) -> None:
        self._name = name
        self._subscribe = subscribe
        self._dead_letters = dead_letters
        self._handler = handler
        self._transient = transient
        self._policy = policy or RetryPolicy()
        self._batch = batch
        self._pace = pace
        self._failures: dict[int, int] = {}
        self._stopping = asyncio.Event()
        self._subscription: PullSubscription | None = None
        self.fault: str | None = "not started"
        """Why nothing is being consumed right now; None while all is well."""

    async def run(self) -> None:
        """Consumes until `stop`, opening the subscription anew whenever it is lost."""
        while not self._stopping.is_set():
            try:
                async with self._subscribe() as subscription:
                    self._subscription = subscription
                    self.fault = None
                    while not self._stopping.is_set():
                        deliveries = await subscription.take(self._batch)
                        began = asyncio.get_running_loop().time()
                        await self.process(deliveries)
                        await self._rest(len(deliveries), asyncio.get_running_loop().time() - began)
            except REOPEN_ON as error:
                fault = f"{type(error).__name__}: {error}"
                if fault != self.fault:
                    log.warning("%s: no subscription: %s", self._name, fault)
                self.fault = fault
                await self._sleep(REOPEN_SECONDS)

    def stop(self) -> None:
        """Lets `run` finish the batch in hand, give back what it did not start, and return."""
        self._stopping.set()
        if self._subscription:
            self._subscription.stop()

    async def process(self, deliveries: Sequence[Delivery]) -> None:
        """Applies a batch and gives its verdict on each message."""
        items = [item for delivery in deliveries if (item := await self._open(delivery))]
        if not items:
            return
        try:
            await self._apply(items)
        except Exception as error:  # noqa: BLE001 - judged, never swallowed
            if len(items) == 1:
                await self._judge(items[0][0], error)
            else:
                log.info("%s: a batch of %d failed, one by one now: %r", self._name, len(items), error)
                await self._process_one_by_one(items)

    async def _process_one_by_one(self, items: Sequence[Item]) -> None:
        for item in items:
            try:
                await self._apply([item])
            except Exception as error:  # noqa: BLE001 - judged, never swallowed
                await self._judge(item[0], error)

    async def _open(self, delivery: Delivery) -> Item | None:
        try:
            return delivery, open_envelope(delivery.headers, delivery.payload)
        except Undecodable as error:
            await self._judge(delivery, error)
            return None

    async def _apply(self, items: Sequence[Item]) -> None:
        async for attempt in until_possible(self._transient, self._note_fault):
            with attempt:
                await self._handler([envelope for _, envelope in items])
        self.fault = None
        for delivery, _ in items:
            if self._failures:
                self._failures.pop(delivery.sequence, None)
            await delivery.ack()

    async def _judge(self, delivery: Delivery, error: Exception) -> None:
        failures = self._failures.get(delivery.sequence, 0) + 1
        if self._policy.is_exhausted(failures, error):
            await self._bury(delivery, error)
            return
        self._remember(delivery.sequence, failures)
        log.warning("%s: attempt %d at sequence %d: %r", self._name, failures, delivery.sequence, error)
        await delivery.nak(self._policy.delay(failures))

    async def _bury(self, delivery: Delivery, error: Exception) -> None:
        async for attempt in until_possible(UNREACHABLE_ERRORS, self._note_fault):
            with attempt:
                await self._dead_letters.bury(delivery, error)
        self._failures.pop(delivery.sequence, None)
        await delivery.ack()

    def _remember(self, sequence: int, failures: int) -> None:
        self._failures[sequence] = failures
        if len(self._failures) > REMEMBERED_FAILURES:
            # The oldest was settled by another instance, or will only be tried more often than it should.
            self._failures.pop(next(iter(self._failures)))

    def _note_fault(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self.fault = f"{type(error).__name__}: {error}"
        log.warning("%s: attempt %d, trying again: %s", self._name, state.attempt_number, self.fault)

    async def _rest(self, messages: int, took: float) -> None:
        if self._pace and (seconds := self._pace.rest(messages, took)):
            await self._sleep(seconds)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
