"""What is going to happen in a run: every action of a client and every fault, with its time.

A plan is data. So a failing one can be printed, and made smaller by leaving things out.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CreateCustomer:
    """A client creates the customer that the plan calls by this number; the limit in cents."""

    at: float
    number: int
    limit: int


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """A client places an order for a customer of the plan, who may not exist, or not yet.

    No two orders of a plan have the same total, so that each is recognized in the database.
    """

    at: float
    number: int
    customer: int
    total: int


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """A client cancels an order of the plan once it knows the order's id."""

    at: float
    order: int


Action = CreateCustomer | PlaceOrder | CancelOrder


@dataclass(frozen=True, slots=True)
class Fault:
    """Something breaks.

    Attributes:
        kind: a key of tests.simulation.nemesis.FAULTS.
        target: whom it strikes; what that is depends on the kind.
        lasts: seconds until it is over.
        amount: of what is lost, where the kind has a measure.
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
        seed: of all chance that is left: delays, orders of things, sizes of batches.
        instances: of each service and of the bridge, all running at once.
        partitions: of each Kafka topic.
        duplicate_window: seconds that JetStream remembers an event id.
        deadline: seconds after which a pending order is rejected.
    """

    seed: int
    instances: int
    partitions: int
    duplicate_window: float
    deadline: float
    actions: tuple[Action, ...]
    faults: tuple[Fault, ...]

    @property
    def end(self) -> float:
        """When the last fault is over."""
        return max((fault.at + fault.lasts for fault in self.faults), default=0.0)

    def __str__(self) -> str:
        head = (
            f"{self.instances} of each process, {self.partitions} partitions a topic, "
            f"duplicates remembered for {self.duplicate_window} s, orders given up after {self.deadline} s"
        )
        things = sorted([*self.actions, *self.faults], key=lambda thing: thing.at)
        return "\n".join([head, *(f"  {thing}" for thing in things)])
