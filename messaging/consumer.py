"""A durable consumer: takes a batch, applies it in one transaction, and only then acks.

What happens when a batch fails:

- A transient error (a database is down) is retried without end, with back-off. It does not count as an attempt.
- After any other error the messages of the batch are tried one by one, so one bad message cannot stop the others.
- A message that fails by itself is redelivered with a growing delay. After its last attempt it becomes a dead letter.
  A message about a row that is not visible yet gets more attempts.
- A message that cannot be read becomes a dead letter at once.
- Cancellation neither acks nor naks: the server redelivers what was in hand.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tenacity import RetryCallState

from messaging.dead_letters import DeadLetters
from messaging.envelope import Envelope, open_envelope
from messaging.errors import NotYetVisible, SubscriptionLost, Undecodable, UnknownEventType
from messaging.pull import Delivery, PullSubscription
from messaging.streams import UNREACHABLE_ERRORS
from runtime.linger import Linger
from runtime.retrying import retry_transient

log = logging.getLogger(__name__)

BATCH = 256
REOPEN_SECONDS = 0.5
REMEMBERED_FAILURES = 10_000

UNSEEN = (NotYetVisible, UnknownEventType)
"""Errors that pass when a row becomes visible, or when a newer instance takes the message."""

REOPEN_ON: tuple[type[Exception], ...] = (SubscriptionLost, *UNREACHABLE_ERRORS)

Handler = Callable[[Sequence[Envelope]], Awaitable[None]]
"""Applies a batch in one transaction, all of it or nothing. Must be idempotent, and correct in any order of messages.

Raises Undecodable for a payload that it cannot read and NotYetVisible for a row that it cannot see yet.
"""

Subscribe = Callable[[], PullSubscription]

Item = tuple[Delivery, Envelope]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a message may fail before it becomes a dead letter.

    Attributes:
        attempts: for an error that the message itself causes.
        attempts_unseen: for a message about a row that is not visible yet, or of a type that only a newer version of
            the service knows. With the delays below this is a little over a minute.
        first_delay: seconds before the second attempt; doubled for each further one.
        longest_delay: seconds; no delay is longer.
    """

    attempts: int = 5
    attempts_unseen: int = 20
    first_delay: float = 0.05
    longest_delay: float = 5.0

    def delay(self, failures: int) -> float:
        return float(min(self.first_delay * 2 ** (failures - 1), self.longest_delay))

    def is_exhausted(self, failures: int, error: Exception) -> bool:
        limit = self.attempts_unseen if isinstance(error, UNSEEN) else self.attempts
        return isinstance(error, Undecodable) or failures >= limit


@dataclass(frozen=True, slots=True)
class ConsumerOptions:
    """How a consumer works.

    Attributes:
        transient: errors of the handler's database that pass by themselves.
        policy: how often a message may fail.
        batch: messages in one transaction at most.
        linger: the wait between two batches; none by default.
        types: the event types that the handler knows; None: it decides itself. A message of another type does not get
            into a batch, so it cannot make the batch fail.
    """

    transient: tuple[type[Exception], ...]
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    batch: int = BATCH
    linger: Linger | None = None
    types: frozenset[str] | None = None


class Consumer:
    """Runs a handler over a durable consumer until it is stopped. Implements runtime.workers.Worker.

    Args:
        name: of the durable consumer, for the log.
        subscribe: opens a pull subscription on it.
        dead_letters: takes the messages that cannot be handled.
        handler: applies a batch.
    """

    def __init__(
        self, name: str, subscribe: Subscribe, dead_letters: DeadLetters, handler: Handler, options: ConsumerOptions
    ) -> None:
        self._name = name
        self._subscribe = subscribe
        self._dead_letters = dead_letters
        self._handler = handler
        self._options = options
        self._failures: dict[int, int] = {}
        self._stopping = asyncio.Event()
        self._subscription: PullSubscription | None = None
        self.fault: str | None = "not started"

    async def run(self) -> None:
        """Consumes until `stop`. A lost subscription is opened again."""
        while not self._stopping.is_set():
            try:
                async with self._subscribe() as subscription:
                    self._subscription = subscription
                    self.fault = None
                    while not self._stopping.is_set():
                        await self._consume_batch(subscription)
            except REOPEN_ON as error:
                fault = f"{type(error).__name__}: {error}"
                if fault != self.fault:
                    log.warning("%s: not subscribed: %s", self._name, fault)
                self.fault = fault
                await self._sleep(REOPEN_SECONDS)

    async def _consume_batch(self, subscription: PullSubscription) -> None:
        now = asyncio.get_running_loop().time
        deliveries = await subscription.take(self._options.batch)
        began = now()
        await self.process(deliveries)
        linger = self._options.linger
        if linger and (seconds := linger.pause(len(deliveries), now() - began)):
            await self._sleep(seconds)

    def stop(self) -> None:
        """Lets `run` finish the batch in hand, nak the messages that it has not started, and return."""
        self._stopping.set()
        if self._subscription:
            self._subscription.stop()

    async def process(self, deliveries: Sequence[Delivery]) -> None:
        """Applies a batch, and settles each of its messages: ack, nak or dead letter."""
        items = [item for delivery in deliveries if (item := await self._open(delivery))]
        if not items:
            return
        try:
            await self._apply(items)
        except Exception as error:  # noqa: BLE001 - the message is settled by this error
            if len(items) == 1:
                await self._settle_failed(items[0][0], error)
            else:
                log.info(
                    "%s: a batch of %d failed; its messages are tried one by one: %r", self._name, len(items), error
                )
                await self._process_one_by_one(items)

    async def _process_one_by_one(self, items: Sequence[Item]) -> None:
        for item in items:
            try:
                await self._apply([item])
            except Exception as error:  # noqa: BLE001 - the message is settled by this error
                await self._settle_failed(item[0], error)

    async def _open(self, delivery: Delivery) -> Item | None:
        try:
            envelope = open_envelope(delivery.headers, delivery.payload)
        except Undecodable as error:
            await self._settle_failed(delivery, error)
            return None
        if self._options.types is not None and envelope.type not in self._options.types:
            unknown = UnknownEventType(f"{envelope.type} is not an event type that this service reads")
            await self._settle_failed(delivery, unknown)
            return None
        return delivery, envelope

    async def _apply(self, items: Sequence[Item]) -> None:
        async for attempt in retry_transient(self._options.transient, self._note_fault):
            with attempt:
                await self._handler([envelope for _, envelope in items])
        self.fault = None
        for delivery, _ in items:
            if self._failures:
                self._failures.pop(delivery.sequence, None)
            await delivery.ack()

    async def _settle_failed(self, delivery: Delivery, error: Exception) -> None:
        failures = self._failures.get(delivery.sequence, 0) + 1
        if self._options.policy.is_exhausted(failures, error):
            await self._dead_letter(delivery, error)
            return
        self._remember(delivery.sequence, failures)
        # Twenty attempts at each of a thousand messages would push everything else out of the log.
        level = logging.DEBUG if failures > 1 and isinstance(error, UNSEEN) else logging.WARNING
        log.log(level, "%s: attempt %d at message %d failed: %r", self._name, failures, delivery.sequence, error)
        await delivery.nak(self._options.policy.delay(failures))

    async def _dead_letter(self, delivery: Delivery, error: Exception) -> None:
        async for attempt in retry_transient(UNREACHABLE_ERRORS, self._note_fault):
            with attempt:
                await self._dead_letters.store(delivery, error)
        self._failures.pop(delivery.sequence, None)
        await delivery.ack()

    def _remember(self, sequence: int, failures: int) -> None:
        self._failures[sequence] = failures
        if len(self._failures) > REMEMBERED_FAILURES:
            # The oldest was probably settled by another instance. If not, it only gets some attempts more.
            self._failures.pop(next(iter(self._failures)))

    def _note_fault(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self.fault = f"{type(error).__name__}: {error}"
        log.warning("%s: attempt %d failed, it is repeated: %s", self._name, state.attempt_number, self.fault)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
