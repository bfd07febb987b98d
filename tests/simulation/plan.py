"""What is going to happen in a run: every action of a client and every fault, with its time.

A plan is data. So a failing plan can be printed, and made smaller by leaving out actions and faults.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CreateCustomer:
    """A client creates the customer that the plan calls by this number; the limit in cents."""

    at: float
    number: int
    limit: int
    key: str | None


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """A client places an order for a customer of the plan, who may not exist, or not yet.

    No two requests of a plan have the same total, so that each order is recognized in the database.

    Attributes:
        total: in cents.
        key: the request's idempotency key. Another request may have the same key: one of the two is refused.
        copies: how often the client sends the request at once; more than once only with a key.
        wait: seconds of `Prefer: wait`.
    """

    at: float
    number: int
    customer: int
    total: int
    key: str | None
    copies: int = 1
    wait: int | None = None


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """A client cancels an order of the plan once it knows the order's id."""

    at: float
    order: int


@dataclass(frozen=True, slots=True)
class ReadOrder:
    """A client reads an order of the plan from the order service once it knows the order's id."""

    at: float
    order: int
    wait: int | None = None


@dataclass(frozen=True, slots=True)
class ReadView:
    """A client reads a customer of the plan with its orders from the history service."""

    at: float
    customer: int


@dataclass(frozen=True, slots=True)
class Republish:
    """An operator has a service send its present states again, as `./saga republish` does."""

    at: float
    service: str


Action = CreateCustomer | PlaceOrder | CancelOrder | ReadOrder | ReadView | Republish


@dataclass(frozen=True, slots=True)
class Fault:
    """Something breaks.

    Attributes:
        kind: a key of tests.simulation.nemesis.FAULTS.
        target: what it strikes; the meaning depends on the kind.
        lasts: seconds until it is over.
        amount: how much is lost, for the kinds that lose a part of something.
    """

    at: float
    kind: str
    target: str = ""
    lasts: float = 0.0
    amount: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """One schedule.

    Attributes:
        seed: of every other random choice: delays, orders of things, sizes of batches.
        instances: of each service and of the bridge, all running at once.
        partitions: of each Kafka topic.
        duplicate_window: seconds that JetStream remembers an event id.
        deadline: seconds after which a pending order is rejected.
    """

    seed: int
    instances: int
    partitions: int
    duplicate_window: float
    deadline: int
    actions: tuple[Action, ...]
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        head = (
            f"{self.instances} of each process, {self.partitions} partitions a topic, "
            f"event ids remembered for {self.duplicate_window} s, orders timed out after {self.deadline} s"
        )
        steps = sorted([*self.actions, *self.faults], key=lambda step: step.at)
        return "\n".join([head, *(f"  {step}" for step in steps)])
