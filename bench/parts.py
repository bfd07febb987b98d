"""The parts of the benchmark in the order in which they run, and how long each measures."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from bench import draining, floors, growth, idle, isolated, latency, throughput
from bench.figures import Section
from bench.kafka_log import KafkaLog
from bench.rig import Rig

CUSTOMERS = 50
RATES = (0, 20, 100, 300)
"""Orders per second of the latency part; 0: one order at a time."""


@dataclass(frozen=True)
class Plan:
    """How long each part measures, and how often.

    Attributes:
        runs: values for each figure.
        starts: starts of the stack.
        warm_up: seconds of a round, and the most rounds.
        one_at_a_time: orders of a latency run, one at a time.
        at_a_rate: seconds of a latency run at a fixed rate.
        throughput: seconds of a throughput run.
        one_customer: seconds of a throughput run with all orders for one customer.
        posts: seconds for each rate of POST /orders and its floors.
        isolated: orders in the backlog before each component.
        backlog: orders in the backlog to drain.
        idle: seconds.
        growth: how many orders are inserted, and how they are measured.
    """

    runs: int
    starts: int
    warm_up: tuple[float, int]
    one_at_a_time: int
    at_a_rate: float
    throughput: float
    one_customer: float
    posts: float
    isolated: int
    backlog: int
    idle: float
    growth: growth.Size


FULL = Plan(
    runs=3,
    starts=3,
    warm_up=(5.0, 12),
    one_at_a_time=200,
    at_a_rate=15.0,
    throughput=60.0,
    one_customer=30.0,
    posts=10.0,
    isolated=50_000,
    backlog=100_000,
    idle=60.0,
    growth=growth.Size(
        orders=1_000_000,
        of_one_customer=200_000,
        seconds=20.0,
        one_at_a_time=100,
        pages=300,
        runs=3,
        connections=throughput.CONNECTIONS,
    ),
)

QUICK = Plan(
    runs=1,
    starts=1,
    warm_up=(2.0, 2),
    one_at_a_time=60,
    at_a_rate=4.0,
    throughput=10.0,
    one_customer=3.0,
    posts=1.5,
    isolated=5_000,
    backlog=5_000,
    idle=10.0,
    growth=growth.Size(
        orders=20_000,
        of_one_customer=5_000,
        seconds=2.0,
        one_at_a_time=20,
        pages=100,
        runs=1,
        connections=throughput.CONNECTIONS,
    ),
)


@dataclass(frozen=True)
class Bench:
    """The stack, the customers to place orders for, and the plan: the input of every part. Each method is one part."""

    rig: Rig
    log: KafkaLog
    customers: list[int]
    plan: Plan

    async def latency(self) -> AsyncIterator[Section]:
        for rate in RATES:
            amount = self.plan.at_a_rate if rate else self.plan.one_at_a_time
            runs = [
                await latency.measure(self.rig, self.log, self.customers, rate, amount) for _ in range(self.plan.runs)
            ]
            yield latency.section(rate, runs)

    async def throughput(self) -> AsyncIterator[Section]:
        for title, customers, seconds in (
            ("Throughput", self.customers, self.plan.throughput),
            ("Throughput, all orders for one customer", self.customers[:1], self.plan.one_customer),
        ):
            runs = [
                await throughput.measure(self.rig, customers, seconds, throughput.CONNECTIONS)
                for _ in range(self.plan.runs)
            ]
            yield throughput.section(title, runs)

    async def post(self) -> AsyncIterator[Section]:
        plan = self.plan
        yield await floors.measure(self.rig, self.customers, plan.posts, plan.runs, throughput.CONNECTIONS)

    async def isolated(self) -> AsyncIterator[Section]:
        yield await isolated.measure(self.rig, self.log, self.customers, self.plan.isolated, self.plan.runs)

    async def draining(self) -> AsyncIterator[Section]:
        yield await draining.measure(self.rig, self.customers, self.plan.backlog, self.plan.runs)

    async def idle(self) -> AsyncIterator[Section]:
        yield await idle.measure(self.rig, self.plan.idle, self.plan.runs)

    async def growth(self) -> AsyncIterator[Section]:
        yield await growth.measure(self.rig, self.log, self.customers, self.plan.growth, self.plan.warm_up)


PARTS: Mapping[str, Callable[[Bench], AsyncIterator[Section]]] = {
    "latency": Bench.latency,
    "throughput": Bench.throughput,
    "post": Bench.post,
    "isolated": Bench.isolated,
    "draining": Bench.draining,
    "idle": Bench.idle,
    "growth": Bench.growth,
}
"""In the order in which they run. The part that makes the tables large is the last."""
